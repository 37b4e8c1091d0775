# SPDX-License-Identifier: Apache-2.0
"""The Debian package, made by dpkg-deb. It depends on nothing, so one package is for every release of Debian."""

import gzip
import hashlib
import os
import pathlib
import subprocess
import tempfile
import textwrap
from datetime import datetime, timezone
from email.utils import format_datetime

import archive
import inventory
import manual
from contents import ROOT, SUMMARY, Contents, mode

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

# dpkg wants an address. example.org belongs to nobody (RFC 2606, section 3); SECURITY.md says where to write.
MAINTAINER = "The maintainers of model-prep <model-prep@example.org>"

OVERRIDES = """\
# One static program that runs on every Linux is the purpose of this package. sbom.spdx.json names the version of each
# library inside; a fix of one of them is a new version of the package.
model-prep: embedded-library *

# A static program that is position-independent is taken for a library.
model-prep: shared-library-lacks-prerequisites *
"""


def write(contents: Contents, dist: pathlib.Path) -> tuple[pathlib.Path, dict[str, bytes]]:
    """Writes the package; returns it, and the files that it installs."""
    architecture = ARCHITECTURES[contents.arch]
    packed = dist / f"model-prep_{contents.version}_{architecture}.deb"
    files = installed(contents)
    with tempfile.TemporaryDirectory() as folder:
        stage = pathlib.Path(folder) / "stage"
        lay_out(stage, {**files, **control(contents, files, architecture)}, contents.time)
        # The number of threads would show in the compressed bytes.
        command = ["dpkg-deb", "--build", "--root-owner-group", "-Zxz", "-z6", "--threads-max=1", stage, packed]
        environment = {**os.environ, "SOURCE_DATE_EPOCH": str(contents.time)}
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    return packed, files


def installed(contents: Contents) -> dict[str, bytes]:
    """The archive's tree below /usr, in the form that Debian's policy wants (chapter 12)."""
    files = {f"usr/{path}": content for path, content in archive.tree(contents).items()}
    files[f"usr/{manual.PLACE}.gz"] = zipped(files.pop(f"usr/{manual.PLACE}"))

    # Every Debian has the texts of common licences.
    papers = "usr/share/doc/model-prep"
    del files[f"{papers}/LICENSE"]
    for name in contents.common_licences:
        del files[f"{papers}/licenses/common-licenses/{name}"]

    files[f"{papers}/copyright"] = copyright_file(contents)
    files[f"{papers}/changelog.gz"] = zipped(changelog(contents))
    files[f"{papers}/CHANGELOG.md.gz"] = zipped((ROOT / "CHANGELOG.md").read_bytes())
    files["usr/share/lintian/overrides/model-prep"] = OVERRIDES.encode()
    return files


def zipped(content: bytes) -> bytes:
    return gzip.compress(content, 9, mtime=0)


def copyright_file(contents: Contents) -> bytes:
    inside = "\n".join(
        f" {one['name']} {inventory.version_of(one)}, {one['license']}: licenses/{one['name']}/copyright"
        for one in contents.components
    )
    return f"""\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: model-prep

Files: *
Copyright: 2026 the authors of model-prep, and those of what is compiled into it
License: Apache-2.0
Comment: Compiled into the program, with licences of their own in this directory:
{inside}

License: Apache-2.0
 The licence is in /usr/share/common-licenses/Apache-2.0.
""".encode()


def changelog(contents: Contents) -> bytes:
    date = format_datetime(datetime.fromtimestamp(contents.time, timezone.utc))
    return f"""\
model-prep ({contents.version}) unstable; urgency=medium

  * CHANGELOG.md.gz in this directory says what changed.

 -- {MAINTAINER}  {date}
""".encode()


def control(contents: Contents, files: dict[str, bytes], architecture: str) -> dict[str, bytes]:
    size = sum(-(-len(content) // 1024) for content in files.values())
    description = contents.description.replace("`", "")
    text = f"""\
Package: model-prep
Version: {contents.version}
Architecture: {architecture}
Maintainer: {MAINTAINER}
Installed-Size: {size}
Recommends: ca-certificates
Section: utils
Priority: optional
Description: {SUMMARY}
{textwrap.fill(description, 78, initial_indent=" ", subsequent_indent=" ", break_on_hyphens=False)}
"""
    sums = [f"{hashlib.md5(content).hexdigest()}  {path}\n" for path, content in sorted(files.items())]
    return {"DEBIAN/control": text.encode(), "DEBIAN/md5sums": "".join(sums).encode()}


def lay_out(stage: pathlib.Path, files: dict[str, bytes], time: int) -> None:
    for path, content in files.items():
        file = stage / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        file.chmod(mode(path))
    for path in [stage, *stage.rglob("*")]:
        if path.is_dir():
            path.chmod(0o755)  # whatever the umask
        os.utime(path, (time, time))
