# SPDX-License-Identifier: Apache-2.0
"""The image as KServe's storage initializer: the command of docker/kserve, KServe's arguments, and its mount."""

import json
import pathlib

import pytest
from engine import command, new_name

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "docker" / "kserve"


@pytest.fixture
def initializer(image, hub, make_volume):
    """Runs the container as the file and KServe say, with an empty volume for the emptyDir; returns both."""
    text = (FOLDER / "cluster-storage-container.yaml").read_text()
    assert "command: [model-prep, kserve-init]" in text and "memory: 64Mi" in text

    def run(*arguments, volume=None, check=True):
        volume = volume or make_volume()
        volume.folder.chmod(0o777)  # as the kubelet makes an emptyDir
        confined = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--memory=64m", "--memory-swap=64m",
                    "--user=1000:1000", "--entrypoint=model-prep"]
        done = command(
            "docker", "run", "--rm", "--name", new_name("container"), "--network=host", *confined,
            "--env", f"HF_ENDPOINT={hub.endpoint}", "--volume", f"{volume.name}:/mnt/models",
            image.tag, "kserve-init", *arguments, check=check,
        )
        return done, volume

    return run


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def test_it_fills_an_empty_dir_confined_and_a_restart_fetches_nothing(initializer, hub):
    repo = "google/flan-t5-small"
    (commit,) = {model["revision"] for model in hub.manifest()["models"].values() if model["repo"] == repo}
    done, volume = initializer(f"hf://{repo}:{commit}", "/mnt/models")
    assert done.stdout == "/mnt/models\n"
    wanted = {path for path in hub.files(repo)}
    assert files(volume.folder) == wanted | {".model-prep.json"}
    assert all(path.stat().st_nlink == 1 for path in volume.folder.rglob("*") if path.is_file())
    assert json.loads((volume.folder / ".model-prep.json").read_text())["origin"] == f"{repo}@{commit} all +*"

    hub.forget_requests()
    initializer(f"hf://{repo}:{commit}", "/mnt/models", volume=volume)
    assert hub.requests() == []


def test_several_models_share_the_volume(initializer):
    done, volume = initializer(
        "hf://google/flan-t5-small", "/mnt/models/base", "hf://BAAI/bge-reranker-base", "/mnt/models/ranker")
    assert sorted(path.name for path in volume.folder.iterdir()) == ["base", "ranker"]
    assert "2 of 2 models ready" in done.stderr


def test_another_store_is_an_error_that_names_who_takes_it(initializer):
    done, volume = initializer("s3://bucket/model", "/mnt/models", check=False)
    assert done.returncode == 1 and "KServe's own storage initializer" in done.stderr
    assert files(volume.folder) == set()
