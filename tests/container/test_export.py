# SPDX-License-Identifier: Apache-2.0
"""Exported images in an engine: a service's image takes the models by `COPY --from`."""

import json
import pathlib

import pytest
from engine import command, docker, new_name


@pytest.fixture(scope="module")
def cached(model_prep, hub, tmp_path_factory):
    """A home with the demo models, and a way to export from it."""
    home = tmp_path_factory.mktemp("cached")
    environment = {"HF_HOME": home, "MODEL_PREP_MANIFEST": hub.manifest_file}
    assert model_prep(hub, environment)["success"]

    def export(folder, tag, *arguments):
        program = [model_prep.program, "export", *arguments, "--to", f"oci:{folder}:{tag}"]
        return command(*program, env={name: str(value) for name, value in environment.items()}).stdout.strip()

    return export


def test_a_service_that_copies_from_the_image_reads_the_models_by_name_without_a_network(
    cached, image, hub, tmp_path, pytestconfig
):
    cached(tmp_path / "images", "all")
    models, service = new_name("image"), new_name("image")
    command("skopeo", "--insecure-policy", "copy", f"oci:{tmp_path / 'images'}:all", f"docker-daemon:{models}:all")
    (tmp_path / "context").mkdir()
    (tmp_path / "context" / "Dockerfile").write_text(
        f"FROM {image.tag}\nCOPY --from={models}:all /hub /app/models/hub\n"
    )
    docker("build", "--tag", service, tmp_path / "context")
    name = new_name("container")
    try:
        # model-prep finds everything: no network, nothing hashed, nothing written.
        confined = ["--rm", "--network=none", "--read-only", "--cap-drop=ALL", "--user=4242:4242"]
        confined += ["--volume", f"{hub.manifest_file}:/manifest.json:ro", "--env", "MODEL_PREP_MANIFEST=/manifest.json"]
        done = docker("run", *confined, service, "--offline", "--summary", "-")
        summary = json.loads(done.stdout)
        assert summary["success"] and summary["totals"]["requests"] == 0
        assert {model["status"] for model in summary["models"].values()} == {"cached"}
        docker("run", *confined, service, "verify", "--summary", "-")

        # The library finds each by its name in what the container's file system holds.
        docker("create", "--name", name, service)
        docker("cp", f"{name}:/app/models", tmp_path / "service")
        venv = pathlib.Path(pytestconfig.getoption("venvs")) / "venv-hub-newest"
        for model in hub.manifest()["models"].values():
            script = "import sys, huggingface_hub as h; print(h.snapshot_download(sys.argv[1], local_files_only=True))"
            found = command(
                venv / "bin" / "python", "-c", script, model["repo"],
                env={"HF_HOME": str(tmp_path / "service"), "HF_HUB_OFFLINE": "1"},
            ).stdout.strip()
            assert found.endswith(f"/snapshots/{model['revision']}")
    finally:
        docker("rm", "--force", name, check=False)
        docker("image", "rm", "--force", service, f"{models}:all", check=False)
