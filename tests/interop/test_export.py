# SPDX-License-Identifier: Apache-2.0
"""An exported image: by the rules of OCI, for the tools that carry it, and unpacked for huggingface_hub."""

import hashlib
import json
import os
import pathlib
import re
import shutil
import tarfile

import pytest
from support import SMALL_FILES, run, spec_of, tree

REPO = "org/large"
COMMIT = "1a26e" + "0" * 34 + "1"
NEXT = "1a26e" + "0" * 34 + "2"
WEIGHTS = {"path": "model.safetensors", "size": 17_000_000, "seed": 7, "lfs": True}
FILES = [*(file for file in SMALL_FILES if file["path"] != WEIGHTS["path"]), WEIGHTS]
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


class Layout:
    def __init__(self, folder):
        self.folder = folder

    def __str__(self):
        return f"oci:{self.folder}"

    def blob(self, descriptor):
        """The content of a descriptor, which must be as it says."""
        assert DIGEST.fullmatch(descriptor["digest"])
        content = (self.folder / "blobs" / "sha256" / descriptor["digest"][7:]).read_bytes()
        assert len(content) == descriptor["size"]
        assert "sha256:" + hashlib.sha256(content).hexdigest() == descriptor["digest"]
        return content

    def document(self, descriptor, media_type):
        assert descriptor["mediaType"] == media_type
        document = json.loads(self.blob(descriptor))
        if media_type != CONFIG:
            assert (document["schemaVersion"], document["mediaType"]) == (2, media_type)
        return document

    def image(self, tag):
        index = json.loads((self.folder / "index.json").read_text())
        assert index["schemaVersion"] == 2
        (found,) = [
            entry for entry in index["manifests"] if entry["annotations"]["org.opencontainers.image.ref.name"] == tag
        ]
        return found

    def manifests(self, tag):
        return self.document(self.image(tag), INDEX)["manifests"]

    def layer_files(self, tag):
        """The tar of each layer."""
        manifest = self.document(self.manifests(tag)[0], MANIFEST)
        return [self.folder / "blobs" / "sha256" / layer["digest"][7:] for layer in manifest["layers"]]

    def unpack(self, tag, folder):
        folder.mkdir()
        for layer in self.layer_files(tag):
            run(["tar", "--extract", "--file", layer, "--directory", folder], {})
        return folder


class Exported:
    def __init__(self, hub, variables, layout, files, digest):
        self.hub, self.variables, self.layout, self.files, self.digest = hub, variables, layout, files, digest


@pytest.fixture(scope="module")
def exported(start_hub, model_prep, tmp_path_factory):
    """org/large in every build, as an image, which it took no request to write."""
    folder = tmp_path_factory.mktemp("exported")
    spec = spec_of((REPO, COMMIT, FILES))
    hub = start_hub(spec=spec)
    variables = {"HF_HOME": folder / "home"}
    model_prep(hub, variables, f"{REPO}@{COMMIT}", "--variant", "all")
    hub.forget_requests()
    layout = Layout(folder / "images")
    command = ["export", f"{REPO}@{COMMIT}", "--variant", "all", "--to", f"{layout}:v1"]
    result = run([model_prep.program, *command], model_prep.environment(hub, variables))
    assert hub.requests() == []
    return Exported(hub, variables, layout, hub.files(REPO), result.stdout.strip())


@pytest.fixture(scope="module")
def unpacked(exported, tmp_path_factory):
    """What an engine mounts: to serve a service as HF_HOME."""
    return exported.layout.unpack("v1", tmp_path_factory.mktemp("unpacked") / "home")


def tool(name):
    if shutil.which(name) is None:
        pytest.skip(f"{name.upper()} IS NOT THERE; docker/packages names it")
    return name


# ---- the rules --------------------------------------------------------------------------------------------------------


def test_the_layout_follows_the_rules_of_oci(exported):
    layout = exported.layout
    assert json.loads((layout.folder / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    assert sorted(path.name for path in layout.folder.iterdir()) == ["blobs", "index.json", "oci-layout"]
    assert layout.image("v1")["digest"] == exported.digest
    platforms, layers = [], []
    for entry in layout.manifests("v1"):
        platforms.append(entry["platform"])
        manifest = layout.document(entry, MANIFEST)
        config = layout.document(manifest["config"], CONFIG)
        assert (config["architecture"], config["os"]) == (entry["platform"]["architecture"], "linux")
        assert config["rootfs"]["type"] == "layers"
        # The layers are not compressed: their digests are those of the tars.
        assert config["rootfs"]["diff_ids"] == [layer["digest"] for layer in manifest["layers"]]
        assert len(config["history"]) == len(manifest["layers"])
        for layer in manifest["layers"]:
            assert layer["mediaType"] == LAYER
            layout.blob(layer)
        layers.append(manifest["layers"])
    assert platforms == [{"architecture": name, "os": "linux"} for name in ("amd64", "arm64")]
    assert layers[0] == layers[1] and len(layers[0]) == 2


def test_the_layers_are_plain_tars_of_root_at_the_epoch(exported):
    for file in exported.layout.layer_files("v1"):
        with tarfile.open(file, "r:") as archive:
            members = archive.getmembers()
        for member in members:
            assert (member.uid, member.gid, member.uname, member.gname, member.mtime) == (0, 0, "", "", 0)
            assert member.isdir() or member.isfile() or member.issym()
            assert member.mode == (0o755 if member.isdir() else 0o777 if member.issym() else 0o644)
            assert not member.name.startswith(("/", ".."))
        names = [member.name for member in members if ".model-prep/" not in member.name]
        assert names == sorted(names)
        for member in members:
            parent = str(pathlib.PurePath(member.name).parent)
            assert parent == "." or parent in {other.name for other in members if other.isdir()}


# ---- the tools --------------------------------------------------------------------------------------------------------


def test_skopeo_inspects_the_image_and_copies_it_there_and_back_with_its_digests(exported, tmp_path):
    skopeo, layout = tool("skopeo"), exported.layout
    raw = run([skopeo, "inspect", "--raw", f"{layout}:v1"], {"HOME": tmp_path}).stdout
    assert "sha256:" + hashlib.sha256(raw.encode()).hexdigest() == exported.digest
    shown = json.loads(run([skopeo, "inspect", f"{layout}:v1"], {"HOME": tmp_path}).stdout)
    assert len(shown["Layers"]) == 2

    copy = [skopeo, "--insecure-policy", "copy", "--quiet", "--all", "--preserve-digests"]
    run([*copy, f"{layout}:v1", f"dir:{tmp_path}/dir"], {"HOME": tmp_path})
    run([*copy, f"dir:{tmp_path}/dir", f"oci:{tmp_path}/back:v1"], {"HOME": tmp_path})
    back = Layout(tmp_path / "back")
    assert back.image("v1")["digest"] == exported.digest
    assert [file.name for file in back.layer_files("v1")] == [file.name for file in layout.layer_files("v1")]


def test_skopeo_makes_an_archive_for_docker_load(exported, tmp_path):
    archive = tmp_path / "image.tar"
    command = [tool("skopeo"), "--insecure-policy", "copy", "--quiet"]
    run([*command, f"{exported.layout}:v1", f"docker-archive:{archive}:models:v1"], {"HOME": tmp_path})
    with tarfile.open(archive) as opened:
        (manifest,) = json.load(opened.extractfile("manifest.json"))
        config = json.load(opened.extractfile(manifest["Config"]))
    assert manifest["RepoTags"] == ["docker.io/library/models:v1"]
    assert [digest[7:] for digest in config["rootfs"]["diff_ids"]] == [
        file.name for file in exported.layout.layer_files("v1")
    ]


def test_umoci_unpacks_the_image_as_tar_does(exported, unpacked, tmp_path):
    # umoci knows no images for several architectures: skopeo takes out one of them.
    command = [tool("skopeo"), "--insecure-policy", "copy", "--quiet"]
    run([*command, f"{exported.layout}:v1", f"oci:{tmp_path}/one:v1"], {"HOME": tmp_path})
    run([tool("umoci"), "unpack", "--rootless", "--image", f"{tmp_path}/one:v1", tmp_path / "bundle"],
        {"HOME": tmp_path})
    assert tree(tmp_path / "bundle" / "rootfs") == tree(unpacked)


@pytest.mark.skipif(os.geteuid() != 0, reason="ONLY ROOT MAY UNPACK INTO THE STORAGE OF PODMAN HERE")
def test_the_storage_of_podman_unpacks_the_image_as_tar_does(exported, unpacked, tmp_path):
    storage = f"containers-storage:[vfs@{tmp_path}/root+{tmp_path}/run]models:v1"
    run([tool("skopeo"), "--insecure-policy", "copy", "--quiet", f"{exported.layout}:v1", storage], {"HOME": tmp_path})
    # Each directory holds the layers up to one of them.
    found = [path for path in (tmp_path / "root" / "vfs" / "dir").iterdir() if tree(path) == tree(unpacked)]
    assert len(found) == 1
    assert {path.lstat().st_mtime_ns for path in found[0].rglob("*") if path.is_file()} == {0}


# ---- the models in it -------------------------------------------------------------------------------------------------


def test_every_file_of_an_unpacked_image_is_found_offline_by_name(exported, unpacked, consumer):
    consumer("offline", {"HF_HOME": unpacked, "HF_HUB_OFFLINE": "1"}, repo=REPO, commit=COMMIT, files=exported.files,
             whole=True, cache_dirs=[None, str(unpacked / "hub"), str(unpacked)])


def test_a_run_on_an_unpacked_image_sends_no_request_and_hashes_nothing(exported, unpacked, model_prep):
    command = [model_prep.program, f"{REPO}@{COMMIT}", "--variant", "all", "--log-level", "debug", "--summary", "-"]
    result = run(command, model_prep.environment(exported.hub, {"HF_HOME": unpacked}))
    summary = json.loads(result.stdout)
    assert summary["totals"]["requests"] == 0 and exported.hub.requests() == []
    (model,) = summary["models"].values()
    # A file that was hashed again would have been cached only after an attempt.
    assert model["status"] == "cached" and {file["duration_s"] for file in model["files"]} == {0}
    assert "warn" not in result.stderr


def test_an_image_of_the_root_serves_as_the_cache_itself(exported, model_prep, newest, tmp_path):
    layout = Layout(tmp_path / "images")
    command = ["export", f"{REPO}@{COMMIT}", "--variant", "all", "--to", layout, "--prefix", "/"]
    run([model_prep.program, *command], model_prep.environment(exported.hub, exported.variables))
    cache = layout.unpack("latest", tmp_path / "cache")
    assert os.listdir(cache) == ["models--org--large"]
    newest("offline", {"HF_HUB_CACHE": cache, "HF_HUB_OFFLINE": "1"}, repo=REPO, commit=COMMIT, files=exported.files,
           whole=True, cache_dirs=[None])
