# SPDX-License-Identifier: Apache-2.0
"""Reads the pages of the documentation, README.md and docs/, and their code blocks.

A block marked `sh` has commands. A block marked `console` has commands after `$ ` and their output. Both are run: by
tests/container if they need a Docker engine, by tests/release if they need what docker/release makes, else by
tests/deploy. `text` marks a block that cannot run here.
"""

import dataclasses
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
USER_PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Block:
    page: pathlib.Path
    line: int
    language: str
    text: str

    @property
    def is_run(self):
        return self.language in ("sh", "console")

    @property
    def needs_engine(self):
        return self.is_run and any(re.match(r"docker(-compose)? ", command) for command in self.commands())

    @property
    def needs_release(self):
        return self.is_run and any(re.search(r"\bdist/", command) for command in self.commands())

    def commands(self):
        """One string for each command line; a line that ends in a backslash continues on the next."""
        lines = re.sub(r"\\\n\s*", "", self.text).splitlines()
        if self.language == "console":
            lines = [line[2:] for line in lines if line.startswith("$ ")]
        return [re.split(r"\s{2,}#", line.strip())[0] for line in lines if line.strip()]


def name(page):
    return str(page.relative_to(ROOT))


def blocks(page):
    text = page.read_text()
    return [
        Block(page, text.count("\n", 0, found.start()) + 1, found[2], re.sub(f"^{found[1]}", "", found[3], flags=re.M))
        for found in _FENCE.finditer(text)
    ]


def prose(page):
    """The page without its code blocks."""
    return _FENCE.sub("", page.read_text())
