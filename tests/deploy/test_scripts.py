# SPDX-License-Identifier: Apache-2.0
"""The project's own scripts, also those that only a release or a benchmark runs."""

import ast
import os
import re

import pages
from support import run

SCRIPTS = [
    path
    for folder in (".ci", "docker", "tests")
    for path in sorted((pages.ROOT / folder).rglob("*"))
    if path.is_file() and os.access(path, os.X_OK)
]


def scripts_of(interpreter):
    first_line = re.compile(rb"#!.*\b" + interpreter + rb"\n")
    return [path for path in SCRIPTS if first_line.match(path.read_bytes())]


def test_shellcheck_finds_nothing_in_any_shell_script():
    found = scripts_of(rb"(ba)?sh")
    assert pages.ROOT / "tests" / "run" in found and pages.ROOT / ".ci" / "run" in found
    for path in found:
        # Where the scripts find what they source.
        run(["env", f"--chdir={pages.ROOT}", "shellcheck", "--external-sources", path], {})


def test_every_python_file_can_be_parsed():
    found = [path for folder in ("docker", "tests") for path in (pages.ROOT / folder).rglob("*.py")]
    for path in [*scripts_of(rb"python3"), *found]:
        ast.parse(path.read_bytes(), path)
