# SPDX-License-Identifier: Apache-2.0
"""docs/consumers.md: its beginning is written by hand, the rest from the table that the tests try out."""

import itertools
import pathlib
import re

from loads import LOADS

FOLDER = pathlib.Path(__file__).resolve().parent
PAGE = FOLDER.parents[1] / "docs/consumers.md"
IMPORT = re.compile("from .* import ")
MARK = "<!-- The rest is written by MODEL_PREP_UPDATE_PAGES=1 tests/run consumers. -->\n"


def versions_of(library, needs):
    """The versions with which the tests run."""
    lines = [line for line in (FOLDER / "requirements").read_text().splitlines() if line.startswith(needs)]
    found = itertools.chain.from_iterable(re.findall(rf"[ ]{library}(?:\[\w+\])?==(\S+)", line) for line in lines)
    return sorted(set(found), key=lambda version: [int(part) for part in version.split(".")])


def section(library, loads):
    versions = sorted({version for load in loads for version in versions_of(library, load.needs)})
    code = [line for load in loads for line in load.write.splitlines()]
    lines = [f"## {library} {' and '.join(versions)}", "", "```python"]
    lines += dict.fromkeys(line for line in code if IMPORT.match(line))
    for load in loads:
        lines.append(f"# {', '.join(load.builds)}: {load.how.value}")
        lines += [line for line in load.write.splitlines() if not IMPORT.match(line)]
    return [*lines, "```", ""]


def generated():
    shown = [load for load in LOADS if load.shown]
    libraries = dict.fromkeys(load.library for load in shown)
    lines = [line for library in libraries
             for line in section(library, [load for load in shown if load.library == library])]
    return "\n".join(lines).rstrip() + "\n"
