# SPDX-License-Identifier: Apache-2.0
"""What is in the program and in an artefact, as SPDX 2.3 JSON."""

import hashlib
import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "image"))

import spdx

from contents import Contents

TOOL = "docker/static/package"


def of_program(contents: Contents) -> bytes:
    """The program and what is compiled into it; every artefact has this inside."""
    program = program_package(contents)
    packages, relations = with_components(contents, program)
    relations.insert(0, spdx.relation(spdx.DOCUMENT, "DESCRIBES", program["SPDXID"]))
    file = spdx.file("model-prep", contents.program)
    relations.append(spdx.relation(program["SPDXID"], "CONTAINS", file["SPDXID"]))
    name = f"model-prep {contents.version} linux {contents.arch}"
    return spdx.document(name, TOOL, contents.time, packages, [file], relations).encode()


def write(contents: Contents, artefact: pathlib.Path, files: dict[str, bytes]) -> None:
    """Writes the document of an artefact, with each of its files, to a file beside it."""
    program = program_package(contents)
    packages, relations = with_components(contents, program)
    licence = licence_expression(contents)
    whole = spdx.package(artefact.name, contents.version, "NOASSERTION", licence, "the artefact", [])
    whole["packageFileName"] = artefact.name
    whole["checksums"] = [sha256(hashlib.sha256(artefact.read_bytes()).hexdigest())]

    entries = [spdx.file(path, content) for path, content in sorted(files.items())]
    relations = [
        spdx.relation(spdx.DOCUMENT, "DESCRIBES", whole["SPDXID"]),
        spdx.relation(whole["SPDXID"], "CONTAINS", program["SPDXID"]),
        *relations,
        *[spdx.relation(whole["SPDXID"], "CONTAINS", entry["SPDXID"]) for entry in entries],
    ]
    text = spdx.document(artefact.name, TOOL, contents.time, [whole, *packages], entries, relations)
    artefact.with_name(f"{artefact.name}.spdx.json").write_text(text)


def licence_expression(contents: Contents) -> str:
    """The licences of the program and of what is compiled into it: all of them hold for an artefact."""
    others = {one["license"] for one in contents.components} - {"Apache-2.0"}
    return " AND ".join(["Apache-2.0", *(f"({one})" if " OR " in one else one for one in sorted(others))])


def program_package(contents: Contents) -> dict:
    reference = f"pkg:generic/model-prep@{contents.version}?arch={contents.arch}&os=linux"
    return spdx.package("model-prep", contents.version, "NOASSERTION", "Apache-2.0", "the program", [reference])


def with_components(contents: Contents, program: dict) -> tuple[list[dict], list[dict]]:
    """The packages, with that of the program, and how they are related."""
    parts = [component(one) for one in contents.components]
    return [program, *parts], [spdx.relation(program["SPDXID"], "STATIC_LINK", part["SPDXID"]) for part in parts]


def component(one: dict) -> dict:
    # Scanners find advisories by the package that the source comes from: of docker/static/pins, or of PyPI.
    origin, name, version = one["source"].split()
    places = {
        "Debian": f"pkg:deb/debian/{name}@{version}?arch=source&distro=debian-13",
        "PyPI": f"pkg:pypi/{name}@{version}",
    }
    comment = f"compiled into the program, from {one['source']}; licence in licenses/{one['name']}/copyright"
    supplier = "Organization: Debian" if origin == "Debian" else "NOASSERTION"
    part = spdx.package(one["name"], version_of(one), supplier, one["license"], comment, [places[origin]])
    return {**part, "packageFileName": one["file"], "checksums": [sha256(one["sha256"])]}


def version_of(one: dict) -> str:
    """Debian's version, which counts its fixes; of a part of a wheel, the part's own."""
    origin, _, version = one["source"].split()
    return version if origin == "Debian" else one["version"]


def sha256(digest: str) -> dict:
    return {"algorithm": "SHA256", "checksumValue": digest}
