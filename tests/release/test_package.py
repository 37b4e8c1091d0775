# SPDX-License-Identifier: Apache-2.0
"""docker/static/package: the same content gives the same bytes, and what it cannot pack it refuses."""

import json
import os
import re
import shutil
import subprocess

import pytest
from artefacts import PACK, ROOT, unpacked


def pack(arch, out, dist, **variables):
    environment = {**os.environ, **variables}
    return subprocess.run([PACK, arch, out, dist], env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture
def out(made, tmp_path):
    """What docker/static/build made of that architecture, taken out of its archive."""
    folder = tmp_path / "out"
    papers = f"{made.name}/share/doc/model-prep"
    for path, file in made.files(made.archive).items():
        inner = path.removeprefix(f"{papers}/")
        if inner.startswith("licenses/") and not inner.startswith("licenses/common-licenses/"):
            (folder / inner).parent.mkdir(parents=True, exist_ok=True)
            (folder / inner).write_bytes(file.content)
    (folder / "model-prep").write_bytes(made.program())
    (folder / "model-prep").chmod(0o755)
    document = json.loads(made.files(made.archive)[f"{papers}/sbom.spdx.json"].content)
    (folder / "components.json").write_text(json.dumps([component(one) for one in document["packages"][1:]]))
    return folder


def component(package):
    return {
        "name": package["name"],
        "version": package["versionInfo"],
        "source": re.search("from (.*);", package["comment"])[1],
        "file": package["packageFileName"],
        "sha256": package["checksums"][0]["checksumValue"],
        "license": package["licenseDeclared"],
    }


def time_of(made):
    return str(unpacked(made.archive)[made.name].time)


def test_packing_again_gives_the_same_bytes(made, out, tmp_path):
    """Elsewhere, later, in another time zone, with another umask, and with the files in another order."""
    other = tmp_path / "other"
    shutil.copytree(out, other / "out")
    parts = json.loads((other / "out/components.json").read_text())
    (other / "out/components.json").write_text(json.dumps(parts[::-1]))
    dist = other / "dist"
    dist.mkdir()
    for archive in made.dist.glob("*.tar.gz"):  # for the manual page of a program that cannot run here
        if archive != made.archive:
            shutil.copy(archive, dist)

    previous = os.umask(0o077)
    try:
        done = pack(made.arch, other / "out", dist, SOURCE_DATE_EPOCH=time_of(made), TZ="Asia/Kolkata", LC_ALL="C")
    finally:
        os.umask(previous)
    assert done.returncode == 0, done.stderr
    for artefact in made.all:
        for name in (artefact.name, f"{artefact.name}.spdx.json"):
            assert (dist / name).read_bytes() == (made.dist / name).read_bytes(), name


def test_the_manual_page_has_every_flag_and_variable_of_the_reference(made):
    page = made.files(made.archive)[f"{made.name}/share/man/man1/model-prep.1"].content.decode()
    page = re.sub(r"\\f[BIPR]", "", page).replace("\\-", "-")
    reference = (ROOT / "docs" / "reference.md").read_text()
    for pattern in (r"(?<![\w-])--[a-z][a-z-]*", r"\b[A-Z]+(?:_[A-Z]+)+\b"):
        assert set(re.findall(pattern, reference)) <= set(re.findall(pattern, page))
    for section in ("NAME", "SYNOPSIS", "DESCRIPTION", '"EXIT STATUS"', "ENVIRONMENT", "EXAMPLES"):
        assert f"\n.SH {section}\n" in page


def test_a_program_of_another_version_is_refused(here, tmp_path):
    program = tmp_path / "model-prep"
    program.write_text("#!/bin/sh\necho model-prep 99.0\n")
    program.chmod(0o755)
    done = pack(here.arch, tmp_path, tmp_path / "dist")
    assert done.returncode == 1 and "it says: model-prep 99.0" in done.stderr


def test_a_program_that_cannot_run_here_needs_the_manual_page_of_another(tmp_path):
    program = tmp_path / "model-prep"
    program.write_bytes(b"\x7fELF")
    program.chmod(0o755)
    done = pack("aarch64", tmp_path, tmp_path / "dist")
    assert done.returncode == 1 and "hint: pack this machine's architecture into" in done.stderr
