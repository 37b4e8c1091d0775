# SPDX-License-Identifier: Apache-2.0
"""Exported images through a real registry: every digest comes back, and what two images share is kept once."""

import json
import shutil
import subprocess
import urllib.request

import pytest
from mirror import free_ports
from support import run, wait_until

pytestmark = pytest.mark.long

CONFIGURATION = """
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}/blobs}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@pytest.fixture
def registry(tmp_path):
    program = shutil.which("docker-registry")
    if not program:
        pytest.skip("REGISTRY TESTS SKIPPED: docker-registry IS NOT INSTALLED. docker/packages NAMES ITS PACKAGE.")
    (port,) = free_ports(1)
    file = tmp_path / "registry.yml"
    file.write_text(CONFIGURATION.format(folder=tmp_path, port=port))
    with open(tmp_path / "registry.log", "w") as log:
        process = subprocess.Popen([program, "serve", file], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def answers():
        assert process.poll() is None, (tmp_path / "registry.log").read_text()
        return _is_there(f"http://127.0.0.1:{port}/v2/")

    wait_until(answers, "the registry")
    yield f"127.0.0.1:{port}"
    process.terminate()
    process.wait(10)


def _is_there(address):
    try:
        return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(address, timeout=5).status == 200
    except OSError:
        return False


@pytest.fixture
def export(model_prep, start_hub, tmp_path):
    """Exports models of a filled cache; returns the image's digest."""
    manifest = tmp_path / "models.lock.json"
    hub = start_hub("--demo", "--manifest-out", manifest)
    environment = {"HF_HOME": tmp_path / "home", "MODEL_PREP_MANIFEST": manifest}
    assert model_prep(hub, environment)["success"]

    def to(tag, *models):
        words = [model_prep.program, "export", *models, "--to", f"oci:{tmp_path / 'images'}:{tag}"]
        return run(words, {name: str(value) for name, value in environment.items()}).stdout.strip()

    return to


def copy(source, target, *options):
    """As docs/airgap.md has it."""
    words = ["skopeo", "--insecure-policy", "copy", "--quiet", "--all", "--preserve-digests", *options, source, target]
    run(words, {"HOME": "/nonexistent", "NO_PROXY": "*"})


def blobs(folder):
    return {path.name: path.stat().st_size for path in (folder / "blobs" / "sha256").iterdir()}


def stored(tmp_path):
    """What the registry keeps: digest -> size."""
    return {path.parent.name: path.stat().st_size for path in (tmp_path / "blobs").rglob("blobs/sha256/*/*/data")}


def test_an_image_comes_back_from_a_registry_with_every_digest(export, registry, tmp_path):
    digest = export("all")
    copy(f"oci:{tmp_path / 'images'}:all", f"docker://{registry}/models:all", "--dest-tls-verify=false")
    # By digest, as a pod names it.
    copy(f"docker://{registry}/models@{digest}", f"oci:{tmp_path / 'back'}:all", "--src-tls-verify=false")
    assert blobs(tmp_path / "back") == blobs(tmp_path / "images") == stored(tmp_path)
    index = json.loads((tmp_path / "back" / "index.json").read_text())
    assert [manifest["digest"] for manifest in index["manifests"]] == [digest]


def test_a_registry_keeps_what_two_images_share_once(export, registry, tmp_path):
    for tag, models in (("two", ["all-MiniLM-L6-v2", "flan-t5-small"]), ("all", [])):
        export(tag, *models)
        copy(f"oci:{tmp_path / 'images'}:{tag}", f"docker://{registry}/models:{tag}", "--dest-tls-verify=false")
    assert stored(tmp_path) == blobs(tmp_path / "images")
