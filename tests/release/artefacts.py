# SPDX-License-Identifier: Apache-2.0
"""The folder that docker/release fills, and the files inside its artefacts."""

import dataclasses
import io
import pathlib
import platform
import subprocess
import tarfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACK = ROOT / "docker" / "static" / "package"
DEBIAN_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}
HERE = platform.machine()


@dataclasses.dataclass(frozen=True)
class File:
    content: bytes
    mode: int
    time: int | None = None  # a wheel has local times, without a zone
    owner: tuple = ("root", "root", 0, 0)


class Artefacts:
    """Those of one architecture."""

    def __init__(self, dist, arch):
        self.dist, self.arch = dist, arch
        self.archive = self._only(f"model-prep-*-linux-{arch}.tar.gz")
        self.wheel = self._only(f"model_prep-*_{arch}.whl")
        self.deb = self._only(f"model-prep_*_{DEBIAN_NAMES[arch]}.deb")
        self.all = [self.archive, self.wheel, self.deb]
        self.name = self.archive.name.removesuffix(".tar.gz")
        self.version = self.name.split("-")[2]

    def _only(self, pattern):
        found = list(self.dist.glob(pattern))
        assert len(found) == 1, f"{self.dist} has {len(found)} files for {pattern}; docker/release fills it"
        return found[0]

    def files(self, artefact):
        """The files of an artefact by their paths in it."""
        if artefact == self.wheel:
            with zipfile.ZipFile(artefact) as zipped:
                return {
                    entry.filename: File(zipped.read(entry), entry.external_attr >> 16 & 0o7777)
                    for entry in zipped.infolist()
                }
        return {path: file for path, file in unpacked(artefact).items() if file.content is not None}

    def program(self):
        return self.files(self.archive)[f"{self.name}/bin/model-prep"].content


def unpacked(artefact):
    """Files and, without content, directories of an archive or a Debian package."""
    data = artefact.read_bytes()
    if artefact.suffix == ".deb":
        data = subprocess.run(["dpkg-deb", "--fsys-tarfile", artefact], check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {
            member.name.removeprefix("./"): File(
                tar.extractfile(member).read() if member.isfile() else None,
                member.mode, member.mtime, (member.uname, member.gname, member.uid, member.gid),
            )
            for member in tar
        }
