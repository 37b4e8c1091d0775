# SPDX-License-Identifier: Apache-2.0
"""The manual page, which help2man makes of the program's own help."""

import errno
import os
import pathlib
import re
import subprocess
import tarfile
import tempfile

#: Its place in the archive and, below /usr, in the Debian package.
PLACE = "share/man/man1/model-prep.1"


def page(program: pathlib.Path, version: str, time: int, summary: str, dist: pathlib.Path) -> bytes:
    """The page of a program. The help is the same on every architecture, so where this program cannot run, the page is
    that of an archive in `dist`, which another architecture's program made."""
    try:
        said = text_of(program, "--version")
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
        return packed_page(program, version, dist)

    if said.split()[:2] != ["model-prep", version]:
        raise SystemExit(f"{program} is not the version of CMakeLists.txt, {version}; it says: {said.strip()}")
    return made_by_help2man(whole_help(program), version, time, summary)


def packed_page(program: pathlib.Path, version: str, dist: pathlib.Path) -> bytes:
    for archive in sorted(dist.glob(f"model-prep-{version}-linux-*.tar.gz")):
        with tarfile.open(archive) as packed:
            return packed.extractfile(f"{archive.name.removesuffix('.tar.gz')}/{PLACE}").read()
    raise SystemExit(f"{program} cannot run on this machine, so its help cannot become the manual page\n"
                     f"hint: pack this machine's architecture into {dist} first, or install qemu-user-static")


def text_of(*command) -> str:
    # Eighty columns and no colours, whatever the terminal of whoever packs.
    return subprocess.run(command, check=True, capture_output=True, text=True, env={}).stdout


def whole_help(program: pathlib.Path) -> str:
    """The program's help, which has the flags of `download`, and the flags that only other commands have."""
    text = text_of(program, "--help")
    flags, more = set(flags_in(text)), ""
    for command in re.findall(r"^  ([a-z]+) ", text.split("\n\n")[2], re.MULTILINE):
        others = [flag for flag in flags_in(text_of(program, command, "--help")) if flag not in flags]
        more += f"\n{command}:\n{''.join(others)}" if others else ""
    before, examples = text.split("\nExamples:\n")
    return f"{before}\n*Flags of other commands*\n{more}\nExamples:\n{examples}"


def flags_in(text: str) -> list[str]:
    return re.findall(r"^  --.*\n(?: {20,}.*\n)*", text, re.MULTILINE)


def made_by_help2man(text: str, version: str, time: int, summary: str) -> bytes:
    # What help2man knows as a term and its text: text in the same line, or at least 20 columns to the right.
    text = re.sub(r"^ {6}(?=\S)", " " * 20, text, flags=re.MULTILINE)
    text = text.replace("\nExit status:\n", "\n*Exit status*\n")

    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "help").write_text(text)
        speaker = pathlib.Path(folder) / "model-prep"
        speaker.write_text('#!/bin/sh\ncat "${0%/*}/help"\n')
        speaker.chmod(0o755)
        command = ["help2man", "--no-info", "--section=1", f"--name={summary}",
                   f"--version-string=model-prep {version}", speaker]
        environment = {**os.environ, "LC_ALL": "C.UTF-8", "SOURCE_DATE_EPOCH": str(time)}
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment).stdout
