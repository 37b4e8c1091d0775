# SPDX-License-Identifier: Apache-2.0
"""The SPDX files, inside the artefacts and beside them, and SHA256SUMS."""

import hashlib
import json

from support import run

INSIDE = ("/sbom.spdx.json", "/sboms/model-prep.spdx.json")


def beside(artefact):
    return artefact.with_name(f"{artefact.name}.spdx.json")


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def digest_of(described):
    return next(one["checksumValue"] for one in described["checksums"] if one["algorithm"] == "SHA256")


def inside(document):
    """What is compiled into the program, by name."""
    ids = {
        relation["relatedSpdxElement"]
        for relation in document["relationships"]
        if relation["relationshipType"] == "STATIC_LINK"
    }
    return {package["name"]: package for package in document["packages"] if package["SPDXID"] in ids}


def test_every_spdx_file_is_valid(made, venv, tmp_path):
    for artefact in made.all:
        (text,) = [file.content for path, file in made.files(artefact).items() if path.endswith(INSIDE)]
        packed = tmp_path / beside(artefact).name
        packed.write_bytes(text)
        for file in (packed, beside(artefact)):
            assert run([venv / "pyspdxtools", "--infile", file], {}).returncode == 0


def test_an_artefacts_spdx_file_has_its_digest_and_that_of_each_of_its_files(made):
    for artefact in made.all:
        document = json.loads(beside(artefact).read_text())
        (whole,) = [package for package in document["packages"] if package["name"] == artefact.name]
        assert digest_of(whole) == sha256(artefact.read_bytes())
        listed = {file["fileName"].removeprefix("./"): digest_of(file) for file in document["files"]}
        assert listed == {path: sha256(file.content) for path, file in made.files(artefact).items()}


def test_every_spdx_file_names_what_is_compiled_in_with_source_and_licence(made):
    for artefact in made.all:
        document = json.loads(beside(artefact).read_text())
        parts = inside(document)
        assert {"curl", "openssl", "nghttp2"} <= parts.keys()
        for name, part in parts.items():
            assert part["versionInfo"] and part["licenseDeclared"] != "NOASSERTION", name
            assert len(digest_of(part)) == 64, name
        (text,) = [file.content for path, file in made.files(artefact).items() if path.endswith(INSIDE)]
        assert inside(json.loads(text)) == parts


def test_what_is_compiled_in_has_its_licence_in_every_artefact(made):
    parts = inside(json.loads(beside(made.archive).read_text()))
    for artefact in made.all:
        files = made.files(artefact)
        for name in parts:
            assert [path for path in files if path.endswith(f"/licenses/{name}/copyright")], (artefact.name, name)


def test_sha256sums_names_every_file_with_its_digest(dist):
    lines = [line.split("  ", 1) for line in (dist / "SHA256SUMS").read_text().splitlines()]
    there = {path.name: sha256(path.read_bytes()) for path in dist.iterdir() if path.name != "SHA256SUMS"}
    assert {name: digest for digest, name in lines} == there
    assert [name for _, name in lines] == sorted(there)
    run(["env", "-C", dist, "sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], {})
