# SPDX-License-Identifier: Apache-2.0
"""Writes the SBOM of the image as SPDX 2.3 JSON, from the packages' records.

    sbom.py ROOT VERSION OWNERS COMPILED-IN     the image's root directory, model-prep's version, a file of paths with
                                                their packages, and a file of packages that are compiled into the
                                                program

It lists every file with its sha256 and its package. libcurl is built here, so it has the version of Debian's source
package (/usr/local/share/libcurl.version). SOURCE_DATE_EPOCH is the time of creation.
"""

import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
from datetime import datetime, timezone

FIELDS = ["binary:Package", "Version", "Architecture", "source:Package", "source:Version", "Homepage"]


def text_of(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def identifier(kind: str, name: str) -> str:
    return f"SPDXRef-{kind}-" + re.sub(r"[^A-Za-z0-9.-]", "-", name)


def package(name: str, version: str, supplier: str, licence: str, comment: str, references: list[str]) -> dict:
    return {
        "SPDXID": identifier("Package", name),
        "name": name,
        "versionInfo": version,
        "supplier": supplier,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": licence,
        "copyrightText": "NOASSERTION",
        "comment": comment,
        "externalRefs": [
            {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": locator}
            for locator in references
        ],
    }


def debian_package(name: str, release: str, comment: str) -> dict:
    shown = text_of("dpkg-query", "--show", "--showformat=" + "\t".join(f"${{{field}}}" for field in FIELDS), name)
    _, version, architecture, source, source_version, homepage = shown.split("\t")
    result = package(
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


def main(root: pathlib.Path, version: str, owners: dict[str, str], compiled_in: list[str]) -> None:
    release = text_of("sh", "-c", ". /etc/os-release; printf %s \"$VERSION_ID\"")
    curl = pathlib.Path("/usr/local/share/libcurl.version").read_text().strip()
    newest = pathlib.Path("/usr/local/share/libcurl.newest").read_text().strip()
    linked = sorted(set(owners.values()))
    created = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), timezone.utc)

    program = package("model-prep", version, "NOASSERTION", "Apache-2.0", "the program", [f"pkg:generic/model-prep@{version}"])
    libcurl = package(
        "curl",
        curl,
        "Organization: Debian",
        "curl",
        "compiled into the program from Debian's source package, with http, https and proxies only; "
        "licence in /usr/share/doc/curl/copyright" + (f"; NOT THE NEWEST, WHICH IS {newest}" if newest != curl else ""),
        [f"pkg:deb/debian/curl@{curl}?arch=source&distro=debian-{release}"],
    )
    linked_packages = [debian_package(name, release, "files of it are in the image") for name in linked]
    inner_packages = [debian_package(name, release, "compiled into the program") for name in compiled_in]

    files, relations, sums = [], [], {}

    def relate(left: str, kind: str, right: str) -> None:
        relations.append({"spdxElementId": left, "relationshipType": kind, "relatedSpdxElement": right})

    relate("SPDXRef-DOCUMENT", "DESCRIBES", program["SPDXID"])
    for one in linked_packages:
        kind = "DYNAMIC_LINK" if one["name"].startswith("lib") else "DEPENDS_ON"
        relate(program["SPDXID"], kind, one["SPDXID"])
    for one in [libcurl, *inner_packages]:
        relate(program["SPDXID"], "STATIC_LINK", one["SPDXID"])
    for path in sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink()):
        name = "/" + str(path.relative_to(root))
        content = path.read_bytes()
        owner = identifier("Package", owner_of(name, owners, {*linked, *compiled_in, "curl"}))
        files.append(
            {
                "SPDXID": identifier("File", name.lstrip("/")),
                "fileName": "." + name,
                "checksums": [
                    {"algorithm": "SHA1", "checksumValue": hashlib.sha1(content).hexdigest()},
                    {"algorithm": "SHA256", "checksumValue": hashlib.sha256(content).hexdigest()},
                ],
                "licenseConcluded": "NOASSERTION",
                "copyrightText": "NOASSERTION",
            }
        )
        relate(owner, "CONTAINS", files[-1]["SPDXID"])
        sums.setdefault(owner, []).append(files[-1]["checksums"][0]["checksumValue"])
    packages = [program, libcurl, *linked_packages, *inner_packages]
    for one in packages:
        if one["SPDXID"] in sums:  # SPDX 2.3, 7.9: over those of its files that are in the image
            code = hashlib.sha1("".join(sorted(sums[one["SPDXID"]])).encode()).hexdigest()
            one |= {"filesAnalyzed": True, "packageVerificationCode": {"packageVerificationCodeValue": code}}

    digest = hashlib.sha256(json.dumps([files, linked_packages, inner_packages, curl]).encode()).hexdigest()
    json.dump(
        {
            "spdxVersion": "SPDX-2.3",
            "dataLicense": "CC0-1.0",
            "SPDXID": "SPDXRef-DOCUMENT",
            "name": f"homeiq-model-prep {version}",
            "documentNamespace": f"https://spdx.org/spdxdocs/homeiq-model-prep-{version}-{digest}",
            "creationInfo": {
                "created": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "creators": ["Tool: model-prep docker/image/sbom.py"],
            },
            "packages": packages,
            "files": files,
            "relationships": relations,
        },
        sys.stdout,
        indent=1,
    )
    print()


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
        pathlib.Path(sys.argv[4]).read_text().split(),
    )
