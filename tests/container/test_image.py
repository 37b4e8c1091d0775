# SPDX-License-Identifier: Apache-2.0
"""The content of the image: its SBOM, its configuration, and its files byte by byte."""

import hashlib
import json
import os
import re
import shutil
import tarfile

import pytest
from engine import command, docker, inspect, new_name

ENGINE_MADE = {".dockerenv", "dev/console", "etc/hostname", "etc/hosts", "etc/resolv.conf"}  # by `docker create`


@pytest.fixture(scope="module")
def content(image, tmp_path_factory):
    """Every entry of the image's file system, and a directory with its files."""
    folder = tmp_path_factory.mktemp("content")
    container = new_name("container")
    docker("create", "--name", container, image.tag)
    docker("export", "--output", folder / "image.tar", container)
    docker("rm", container)
    with tarfile.open(folder / "image.tar") as tar:
        members = [member for member in tar.getmembers() if member.name not in ENGINE_MADE]
    (folder / "root").mkdir()
    command("tar", "-C", folder / "root", "-xf", folder / "image.tar")
    return {"root": folder / "root", "members": members}


@pytest.fixture(scope="module")
def sbom(content, image):
    path = inspect(image.tag, ".Config.Labels")["io.homeiq.model-prep.sbom"]
    return content["root"] / path.lstrip("/")


def test_the_image_is_small_enough(image, libraries):
    assert inspect(image.tag, ".Size") <= {"static": 12_000_000, "debian": 35_000_000}[libraries]


def test_the_image_has_one_program_and_neither_shell_nor_package_manager(content):
    runnable = {
        member.name
        for member in content["members"]
        if member.isfile() and member.mode & 0o111 and not re.search(r"\.so[.0-9]*$", member.name)
    }
    assert runnable == {"usr/bin/model-prep"}


def test_nothing_in_the_image_is_setuid_or_writable_for_others_except_the_models_directory(content):
    assert [member.name for member in content["members"] if member.mode & 0o6000] == []
    writable = [member.name for member in content["members"] if member.mode & 0o022 and not member.issym()]
    assert writable == ["app/models"]
    (models,) = [member for member in content["members"] if member.name == "app/models"]
    assert (models.uid, models.gid, models.mode & 0o7777) == (10001, 0, 0o775)


def test_every_time_stamp_in_the_image_is_the_given_one(image, tmp_path):
    docker("save", "--output", tmp_path / "saved.tar", image.tag)
    found = set()
    with tarfile.open(tmp_path / "saved.tar") as saved:
        for layer in json.load(saved.extractfile("manifest.json"))[0]["Layers"]:
            with tarfile.open(fileobj=saved.extractfile(layer)) as tar:
                found |= {(member.name, member.mtime) for member in tar.getmembers()}
    assert ("usr/bin/model-prep", 0) in found  # SOURCE_DATE_EPOCH's default
    assert [entry for entry in found if entry[1] != 0] == []


def test_the_program_is_hardened(content, libraries):
    program = content["root"] / "usr/bin/model-prep"
    dynamic = command("readelf", "--dynamic", "--wide", program).stdout
    assert "NOW PIE" in dynamic and "RPATH" not in dynamic and "RUNPATH" not in dynamic
    segments = command("readelf", "--segments", "--wide", program).stdout
    assert "GNU_RELRO" in segments and re.search(r"GNU_STACK .* RW  ", segments)
    if libraries == "debian":  # tests/release/test_program.py looks for the canaries of the static program
        assert "__stack_chk_fail" in command("readelf", "--dyn-syms", "--wide", program).stdout


def test_the_program_needs_libraries_and_a_loader_only_if_it_is_not_static(content, libraries):
    program, is_shared = content["root"] / "usr/bin/model-prep", libraries == "debian"
    assert ("NEEDED" in command("readelf", "--dynamic", "--wide", program).stdout) == is_shared
    assert ("INTERP" in command("readelf", "--segments", "--wide", program).stdout) == is_shared
    assert bool(list(content["root"].rglob("*.so*"))) == is_shared


def test_every_library_in_the_image_is_needed_and_every_needed_one_is_there(content):
    libraries = {path.name: path for path in content["root"].rglob("*.so*")}
    wanted, seen = [content["root"] / "usr/bin/model-prep"], set()
    while wanted:
        dynamic = command("readelf", "--dynamic", "--wide", wanted.pop()).stdout
        for name in re.findall(r"NEEDED.*\[(.*)\]", dynamic):
            if name not in seen:
                seen.add(name)
                wanted.append(libraries[name])
    assert set(libraries) - seen == {name for name in libraries if name.startswith("ld-linux")} - seen


def test_the_sbom_is_valid_spdx(sbom, root):
    judged = command(root / "build/venv-spdx/bin/pyspdxtools", "--infile", sbom, check=False)
    assert judged.returncode == 0, judged.stdout + judged.stderr


def test_the_sbom_names_every_file_with_its_digest_and_its_package(content, sbom, libraries):
    document = json.loads(sbom.read_text())
    named = {
        file["fileName"].removeprefix("./"): next(
            sum_["checksumValue"] for sum_ in file["checksums"] if sum_["algorithm"] == "SHA256"
        )
        for file in document["files"]
    }
    there = {
        member.name: hashlib.sha256((content["root"] / member.name).read_bytes()).hexdigest()
        for member in content["members"]
        if member.isfile()
    }
    there.pop(str(sbom.relative_to(content["root"])))  # it cannot hold its own digest
    assert named == there
    owners = {
        relation["relatedSpdxElement"]: relation["spdxElementId"]
        for relation in document["relationships"]
        if relation["relationshipType"] == "CONTAINS"
    }
    by_file = {file["fileName"].rsplit("/", 1)[1]: owners[file["SPDXID"]] for file in document["files"]}
    assert libraries == "static" or by_file["libssl.so.3"] == "SPDXRef-Package-libssl3t64"
    assert by_file["model-prep"] == "SPDXRef-Package-model-prep"
    assert by_file["ca-certificates.crt"] == "SPDXRef-Package-ca-certificates"


def test_scanners_can_identify_the_distribution(content):
    release = (content["root"] / "etc/os-release").read_text()
    assert re.search(r"^ID=debian$", release, re.MULTILINE) and re.search(r'^VERSION_ID="\d+"$', release, re.MULTILINE)


def test_every_package_has_a_record_for_scanners_and_its_licence(content, sbom, libraries):
    packages = {package["name"]: package for package in json.loads(sbom.read_text())["packages"]}
    records = content["root"] / "var/lib/dpkg/status.d"
    for record in records.iterdir():
        fields = dict(re.findall(r"^(\S+): (.*)$", record.read_text(), re.MULTILINE))
        assert fields["Package"] == record.name
        assert fields["Version"] == packages[record.name]["versionInfo"]
        assert f"@{fields['Version']}?" in packages[record.name]["externalRefs"][0]["referenceLocator"]
    inside = {"static": {"curl", "openssl", "nghttp2"}, "debian": {"libc6", "libcurl4t64", "libssl3t64"}}[libraries]
    assert {"ca-certificates", *inside} <= {record.name for record in records.iterdir()}
    for name in packages.keys() - {"model-prep"}:
        copyright_file = (content["root"] / "usr/share/doc" / name / "copyright").read_text(errors="replace")
        assert len(copyright_file) > 500, name
        for licence in re.findall(r"/usr/share/common-licenses/[\w.-]*\w", copyright_file):
            assert (content["root"] / licence.lstrip("/")).exists() or licence.endswith("/Artistic"), (name, licence)


def test_the_image_has_labels_and_runs_as_a_user_without_privileges(image):
    config = inspect(image.tag, ".Config")
    assert config["User"] == "10001:0"
    assert config["Entrypoint"] == ["model-prep"] and not config.get("Cmd")
    assert config["Healthcheck"] == {"Test": ["NONE"]}
    assert set(config["Env"]) == {"PATH=/usr/bin", "HF_HOME=/app/models", "TRANSFORMERS_CACHE=/app/models"}
    labels = config["Labels"]
    assert labels["org.opencontainers.image.title"] == "homeiq-model-prep"
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    said = image.run("--version").stdout.splitlines()
    assert said[0] == f"model-prep {labels['org.opencontainers.image.version']}"
    assert [line.split()[0] for line in said[1:]] == ["OpenSSL", "libcurl", "nghttp2"]


REBUILT = ["docker/image/assemble"] + (["docker/image/compile"] if os.environ.get("MODEL_PREP_LONG") else [])


@pytest.mark.parametrize("rebuilt", REBUILT)
def test_a_second_build_in_a_monorepo_gives_the_same_layers(image, libraries, root, tmp_path, rebuilt):
    """With the monorepo's command and other file times. A change to `rebuilt` invalidates the build's cache from there on:
    from the layout or, in the long version, from the first compilation."""
    project = tmp_path / "services" / "model-prep"
    project.mkdir(parents=True)
    for name in command("git", "-C", root, "ls-files", "--cached", "--others", "--exclude-standard").stdout.splitlines():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / name, project / name)  # without its time stamp
    with open(project / rebuilt, "a") as file:
        file.write("# A comment, so that no later layer comes from the cache.\n")
    tag = new_name("image")
    arguments = ["--network=host", "--build-arg", f"LIBRARIES={libraries}", "--tag", tag]
    arguments += ["-f", "services/model-prep/Dockerfile", "services/model-prep"]
    docker("build", *arguments, cwd=tmp_path, timeout=900)
    try:
        assert inspect(tag, ".RootFS.Layers") == inspect(image.tag, ".RootFS.Layers")
    finally:
        docker("image", "rm", tag)


def test_nothing_that_builds_the_image_names_an_architecture(root):
    for file in [root / "Dockerfile", root / "docker/packages", *(root / "docker/image").glob("*[!_]")]:
        assert not re.search(r"x86|amd64|aarch64|arm64|linux-gnu", file.read_text()), file
