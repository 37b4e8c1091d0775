# SPDX-License-Identifier: Apache-2.0
"""The archive, and what all artefacts have in common."""

import re
import struct

from artefacts import unpacked
from support import run

PAPERS = "share/doc/model-prep"

# elf(5): e_machine of a program, and the types of a segment that names a loader and of the dynamic section.
MACHINES = {"x86_64": 62, "aarch64": 183}
LOADER, DYNAMIC, NEEDED = 3, 2, 1


def test_the_archive_holds_the_program_and_its_papers(made):
    files = {path.removeprefix(f"{made.name}/") for path in made.files(made.archive)}
    licences = {path for path in files if path.startswith(f"{PAPERS}/licenses/")}
    assert files - licences == {
        "bin/model-prep",
        "share/man/man1/model-prep.1",
        "share/bash-completion/completions/model-prep",
        f"{PAPERS}/LICENSE",
        f"{PAPERS}/sbom.spdx.json",
    }
    assert {f"{PAPERS}/licenses/{name}/copyright" for name in ("curl", "openssl")} <= licences


def test_the_program_runs_from_any_prefix(made, emulator, works, tmp_path):
    prefix = tmp_path / "prefix"
    prefix.mkdir()
    run(["tar", "-xzf", made.archive, "--strip-components=1", "-C", prefix], {})
    works(made.version, *emulator, prefix / "bin" / "model-prep")


def test_a_licence_that_only_refers_to_debians_files_comes_with_their_text(made):
    files = made.files(made.archive)
    folder = f"{made.name}/{PAPERS}/licenses"
    for path, file in files.items():
        if path.endswith("/copyright"):
            for name in re.findall(rb"/usr/share/common-licenses/([\w.-]*\w)", file.content):
                assert f"{folder}/common-licenses/{name.decode()}" in files, path


def test_every_artefact_has_the_same_program(made):
    for artefact in made.all:
        files = made.files(artefact)
        programs = [path for path in files if path.endswith(("/bin/model-prep", "/scripts/model-prep"))]
        assert [files[path].content for path in programs] == [made.program()], artefact


def test_the_program_is_static_and_for_its_architecture(made):
    """No segment names a loader, and no entry of the dynamic section, which a static PIE has, names a library."""
    program = made.program()
    assert program[:6] == b"\x7fELF\x02\x01"  # 64 bits, little endian
    assert struct.unpack_from("<H", program, 18) == (MACHINES[made.arch],)
    start, size, count = *struct.unpack_from("<Q", program, 32), *struct.unpack_from("<HH", program, 54)
    for offset in range(start, start + size * count, size):
        kind, place, length = struct.unpack_from("<I4xQ16xQ", program, offset)
        assert kind != LOADER
        if kind == DYNAMIC:
            tags = [struct.unpack_from("<Q", program, at)[0] for at in range(place, place + length, 16)]
            assert NEEDED not in tags


def test_only_the_program_can_be_executed(made):
    for artefact in made.all:
        modes = {path: file.mode for path, file in made.files(artefact).items()}
        runnable = {path for path, mode in modes.items() if mode == 0o755}
        assert {path.rsplit("/", 1)[1] for path in runnable} == {"model-prep"} and len(runnable) == 1
        assert {mode for path, mode in modes.items() if path not in runnable} == {0o644}


def test_every_entry_belongs_to_root_and_has_one_time(made):
    for artefact in (made.archive, made.deb):
        entries = unpacked(artefact)
        assert {entry.owner for entry in entries.values()} == {("root", "root", 0, 0)}
        assert len({entry.time for entry in entries.values()}) == 1
        assert {entry.mode for entry in entries.values() if entry.content is None} == {0o755}


def test_the_papers_are_the_same_for_every_architecture(made, here):
    """The manual page above all: where a program cannot run, its page was made by another one."""
    theirs, ours = (
        {path.split("/", 1)[1]: file for path, file in one.files(one.archive).items()} for one in (made, here)
    )
    assert theirs.keys() == ours.keys()
    for path in theirs.keys() - {"bin/model-prep", f"{PAPERS}/sbom.spdx.json"}:
        assert theirs[path] == ours[path], path
