# SPDX-License-Identifier: Apache-2.0
"""Writes the SBOM of the image as SPDX 2.3 JSON, from the packages' records.

    sbom.py ROOT VERSION OWNERS COMPILED-IN     the image's root directory, model-prep's version, a file of paths with
                                                their packages, and what is compiled into the program: the
                                                components.json of docker/static/build, or a file of Debian packages

It lists every file with its sha256 and its package. SOURCE_DATE_EPOCH is the time of creation.
"""

import json
import os
import pathlib
import re
import subprocess
import sys

import spdx

FIELDS = ["binary:Package", "Version", "Architecture", "source:Package", "source:Version", "Homepage"]


def text_of(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def debian_package(name: str, release: str, comment: str) -> dict:
    shown = text_of("dpkg-query", "--show", "--showformat=" + "\t".join(f"${{{field}}}" for field in FIELDS), name)
    _, version, architecture, source, source_version, homepage = shown.split("\t")
    result = spdx.package(
        name,
        version,
        "Organization: Debian",
        "NOASSERTION",
        f"{comment}; source package {source} {source_version}; licence in /usr/share/doc/{name}/copyright",
        [f"pkg:deb/debian/{name}@{version}?arch={architecture}&distro=debian-{release}"],
    )
    if homepage:
        result["homepage"] = homepage
    return result


def component_package(component: dict[str, str], release: str) -> dict:
    """Something that docker/static/build compiled in. Scanners know Debian's sources by Debian's version."""
    origin, source, source_version = component["source"].split(" ")
    name, version = component["name"], component["version"]
    comment = (
        f"compiled into the program from {component['source']}, {component['file']} with sha256 {component['sha256']}; "
        f"licence in /usr/share/doc/{name}/copyright"
    )
    if origin == "Debian":
        reference = f"pkg:deb/debian/{source}@{source_version}?arch=source&distro=debian-{release}"
        supplier = "Organization: Debian"
        return spdx.package(name, source_version, supplier, component["license"], comment, [reference])
    return spdx.package(name, version, "NOASSERTION", component["license"], comment, [f"pkg:generic/{name}@{version}"])


def main(root: pathlib.Path, version: str, owners: dict[str, str], compiled_in: str) -> None:
    release = text_of("sh", "-c", ". /etc/os-release; printf %s \"$VERSION_ID\"")
    linked = sorted(set(owners.values()))
    created = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))

    reference = f"pkg:generic/model-prep@{version}"
    program = spdx.package("model-prep", version, "NOASSERTION", "Apache-2.0", "the program", [reference])
    linked_packages = [debian_package(name, release, "files of it are in the image") for name in linked]
    if compiled_in.startswith("["):
        inner_packages = [component_package(component, release) for component in json.loads(compiled_in)]
    else:
        names = compiled_in.split()
        inner_packages = [debian_package(name, release, "compiled into the program") for name in names]
    described = {*linked, *(one["name"] for one in inner_packages)}

    relations = [spdx.relation(spdx.DOCUMENT, "DESCRIBES", program["SPDXID"])]
    for one in linked_packages:
        kind = "DYNAMIC_LINK" if one["name"].startswith("lib") else "DEPENDS_ON"
        relations.append(spdx.relation(program["SPDXID"], kind, one["SPDXID"]))
    for one in inner_packages:
        relations.append(spdx.relation(program["SPDXID"], "STATIC_LINK", one["SPDXID"]))

    files = []
    for path in sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink()):
        name = path.relative_to(root)
        owner = spdx.identifier("Package", owner_of(f"/{name}", owners, described))
        files.append(spdx.file(str(name), path.read_bytes()))
        relations.append(spdx.relation(owner, "CONTAINS", files[-1]["SPDXID"]))

    packages = [program, *linked_packages, *inner_packages]
    name = f"homeiq-model-prep {version}"
    sys.stdout.write(spdx.document(name, "docker/image/sbom.py", created, packages, files, relations))


def owner_of(name: str, owners: dict[str, str], packages: set[str]) -> str:
    """The package of a file; documents and records belong to the package they describe, the rest to model-prep."""
    papers = re.match(r"/(?:usr/share/doc|var/lib/dpkg/status\.d)/([^/]+)", name)
    if papers and papers[1] in packages:
        return papers[1]
    return owners.get(name, "base-files" if name.startswith("/usr/share/common-licenses/") else "model-prep")


if __name__ == "__main__":
    lines = pathlib.Path(sys.argv[3]).read_text().splitlines()
    main(
        pathlib.Path(sys.argv[1]),
        sys.argv[2],
        dict(line.split("\t") for line in lines),
        pathlib.Path(sys.argv[4]).read_text(),
    )
