# SPDX-License-Identifier: Apache-2.0
"""What every artefact of a release holds: the program and its papers, read from the tree and from a build."""

import dataclasses
import json
import os
import pathlib
import re

import manual

ROOT = pathlib.Path(__file__).resolve().parents[2]
ARCHITECTURES = ("x86_64", "aarch64")
#: One line, as it follows the name in `man` and in Debian's lists.
SUMMARY = "fill a Hugging Face cache with verified models"

#: The first time that a wheel, which is a zip file, can hold: 1980-01-01.
EARLIEST = 315532800


@dataclasses.dataclass(frozen=True)
class Contents:
    arch: str
    version: str
    time: int  # of every file, in seconds since 1970
    description: str  # one paragraph
    program: bytes
    manual: bytes
    completion: bytes
    licence: bytes
    licences: dict[str, bytes]  # of what is compiled in: `<name>/copyright`
    common_licences: dict[str, bytes]  # to which those refer by Debian's path: `GPL-2`
    components: list[dict]  # what is compiled in; see `package`


def read(arch: str, out: pathlib.Path, dist: pathlib.Path) -> Contents:
    """The contents for one architecture; see `package` for OUT and DIST."""
    project = re.search(r"project\(model-prep VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())
    version = project[1]
    time = max(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), EARLIEST)
    licences = files_below(out / "licenses")
    return Contents(
        arch=arch,
        version=version,
        time=time,
        description=" ".join((ROOT / "README.md").read_text().split("\n\n")[1].split()),
        program=(out / "model-prep").read_bytes(),
        manual=manual.page(out / "model-prep", version, time, SUMMARY, dist),
        completion=(ROOT / "src/cli/completion.bash").read_bytes(),
        licence=(ROOT / "LICENSE").read_bytes(),
        licences=licences,
        common_licences=common_licences(licences),
        components=sorted(json.loads((out / "components.json").read_text()), key=lambda one: one["name"]),
    )


def files_below(folder: pathlib.Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def common_licences(licences: dict[str, bytes]) -> dict[str, bytes]:
    """The texts to which these only refer. Outside Debian nobody has them."""
    folder = pathlib.Path("/usr/share/common-licenses")
    names = re.findall(rb"/usr/share/common-licenses/([A-Za-z0-9.-]*[A-Za-z0-9])", b"\n".join(licences.values()))
    found = (folder / name.decode() for name in sorted(set(names)))
    return {path.name: path.read_bytes() for path in found if path.exists()}


def mode(path: str) -> int:
    """The mode of a file in any artefact: only the program can be executed."""
    return 0o755 if path.endswith(("/bin/model-prep", "/scripts/model-prep")) else 0o644
