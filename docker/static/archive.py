# SPDX-License-Identifier: Apache-2.0
"""The archive, a .tar.gz, and the tree that it shares with the Debian package."""

import gzip
import io
import pathlib
import tarfile

import inventory
import manual
from contents import Contents, mode


def tree(contents: Contents) -> dict[str, bytes]:
    """The files, in the folders that they have below /usr or /usr/local."""
    papers = "share/doc/model-prep"
    return {
        "bin/model-prep": contents.program,
        "share/bash-completion/completions/model-prep": contents.completion,
        manual.PLACE: contents.manual,
        f"{papers}/LICENSE": contents.licence,
        **{f"{papers}/licenses/{path}": text for path, text in contents.licences.items()},
        **{f"{papers}/licenses/common-licenses/{name}": text for name, text in contents.common_licences.items()},
        f"{papers}/sbom.spdx.json": inventory.of_program(contents),
    }


def write(contents: Contents, dist: pathlib.Path) -> tuple[pathlib.Path, dict[str, bytes]]:
    """Writes the archive; returns it, and its files by their paths in it."""
    name = f"model-prep-{contents.version}-linux-{contents.arch}"
    files = {f"{name}/{path}": content for path, content in tree(contents).items()}
    packed = dist / f"{name}.tar.gz"
    # gzip would add a time and the name of the file.
    with open(packed, "wb") as raw, gzip.GzipFile("", "wb", compresslevel=9, fileobj=raw, mtime=0) as zipped:
        with tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for path in sorted({*files, *folders_of(files)}):
                tar.addfile(entry(path, files.get(path), contents.time), io.BytesIO(files.get(path, b"")))
    return packed, files


def folders_of(files: dict[str, bytes]) -> set[str]:
    return {str(folder) for path in files for folder in pathlib.PurePosixPath(path).parents} - {"."}


def entry(path: str, content: bytes | None, time: int) -> tarfile.TarInfo:
    """A file or, without content, a directory. Both belong to root."""
    info = tarfile.TarInfo(path)
    info.mtime = time
    info.uname = info.gname = "root"
    if content is None:
        info.type, info.mode = tarfile.DIRTYPE, 0o755
    else:
        info.size, info.mode = len(content), mode(path)
    return info
