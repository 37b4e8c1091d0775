# SPDX-License-Identifier: Apache-2.0
"""The wheel: pip, uv and pipx put its program on the path. It has no Python code and needs no other package.

Form: https://packaging.python.org/en/latest/specifications/binary-distribution-format/. Licences are where PEP 639 wants
them, and the SBOM is where PEP 770 does.
"""

import base64
import hashlib
import pathlib
import stat
import time
import zipfile

import inventory
from contents import SUMMARY, Contents, mode

# A static program runs on any Linux. These are the names for the oldest: glibc 2.17, which has two, and musl 1.1.
PLATFORMS = ("manylinux_2_17_{}", "manylinux2014_{}", "musllinux_1_1_{}")


def write(contents: Contents, dist: pathlib.Path) -> tuple[pathlib.Path, dict[str, bytes]]:
    """Writes the wheel; returns it, and its files by their paths in it."""
    name = f"model_prep-{contents.version}"
    platforms = [platform.format(contents.arch) for platform in PLATFORMS]
    info = f"{name}.dist-info"
    licences = {
        "LICENSE": contents.licence,
        **contents.licences,
        **{f"common-licenses/{licence}": text for licence, text in contents.common_licences.items()},
    }
    files = {
        f"{name}.data/scripts/model-prep": contents.program,
        **{f"{info}/licenses/{path}": text for path, text in sorted(licences.items())},
        f"{info}/sboms/model-prep.spdx.json": inventory.of_program(contents),
        f"{info}/METADATA": metadata(contents, sorted(licences)),
        f"{info}/WHEEL": wheel(contents, platforms),
    }
    record = f"{info}/RECORD"
    files[record] = "".join([line(path, content) for path, content in files.items()] + [f"{record},,\n"]).encode()

    packed = dist / f"{name}-py3-none-{'.'.join(platforms)}.whl"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as zipped:
        for path, content in files.items():
            entry = zipfile.ZipInfo(path, time.gmtime(contents.time)[:6])
            entry.create_system = 3  # Unix, so that the mode counts
            entry.external_attr = (stat.S_IFREG | mode(path)) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            zipped.writestr(entry, content)
    return packed, files


def metadata(contents: Contents, licences: list[str]) -> bytes:
    lines = [
        "Metadata-Version: 2.4",
        "Name: model-prep",
        f"Version: {contents.version}",
        f"Summary: {SUMMARY}",
        f"License-Expression: {inventory.licence_expression(contents)}",
        *[f"License-File: {path}" for path in licences],
        "Classifier: Environment :: Console",
        "Classifier: Operating System :: POSIX :: Linux",
        "Classifier: Programming Language :: C++",
        "Description-Content-Type: text/markdown",
        "",
        f"# model-prep\n\n{contents.description}",
    ]
    return "\n".join([*lines, ""]).encode()


def wheel(contents: Contents, platforms: list[str]) -> bytes:
    lines = [
        "Wheel-Version: 1.0",
        f"Generator: model-prep ({contents.version})",
        "Root-Is-Purelib: false",
        *[f"Tag: py3-none-{platform}" for platform in platforms],
    ]
    return "\n".join([*lines, ""]).encode()


def line(path: str, content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"{path},sha256={digest},{len(content)}\n"
