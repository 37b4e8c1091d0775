# SPDX-License-Identifier: Apache-2.0
"""The parts of an SBOM in SPDX 2.3 JSON, for the image (sbom.py) and for the artefacts of a release (docker/static)."""

import hashlib
import json
import re
from datetime import datetime, timezone

DOCUMENT = "SPDXRef-DOCUMENT"


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


def file(path: str, content: bytes) -> dict:
    """A file; `path` is relative to the root of what the document describes."""
    return {
        "SPDXID": identifier("File", path),
        "fileName": f"./{path}",
        "checksums": [
            {"algorithm": "SHA1", "checksumValue": hashlib.sha1(content).hexdigest()},
            {"algorithm": "SHA256", "checksumValue": hashlib.sha256(content).hexdigest()},
        ],
        "licenseConcluded": "NOASSERTION",
        "copyrightText": "NOASSERTION",
    }


def relation(left: str, kind: str, right: str) -> dict:
    return {"spdxElementId": left, "relationshipType": kind, "relatedSpdxElement": right}


def count_files(packages: list[dict], files: list[dict], relations: list[dict]) -> None:
    """Adds to each package that contains files the code over them (SPDX 2.3, 7.9)."""
    sums = {one["SPDXID"]: one["checksums"][0]["checksumValue"] for one in files}
    for one in packages:
        inside = [
            sums[each["relatedSpdxElement"]]
            for each in relations
            if each["spdxElementId"] == one["SPDXID"] and each["relatedSpdxElement"] in sums
        ]
        if inside:
            code = hashlib.sha1("".join(sorted(inside)).encode()).hexdigest()
            one |= {"filesAnalyzed": True, "packageVerificationCode": {"packageVerificationCodeValue": code}}


def document(name: str, tool: str, time: int, packages: list[dict], files: list[dict], relations: list[dict]) -> str:
    """The text of a document. Its namespace has a digest of the rest, so different documents have different ones."""
    count_files(packages, files, relations)
    digest = hashlib.sha256(json.dumps([packages, files, relations]).encode()).hexdigest()
    return json.dumps(
        {
            "spdxVersion": "SPDX-2.3",
            "dataLicense": "CC0-1.0",
            "SPDXID": DOCUMENT,
            "name": name,
            "documentNamespace": f"https://spdx.org/spdxdocs/{re.sub(r'[^A-Za-z0-9.-]', '-', name)}-{digest}",
            "creationInfo": {
                "created": datetime.fromtimestamp(time, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "creators": [f"Tool: model-prep {tool}"],
            },
            "packages": packages,
            "files": files,
            "relationships": relations,
        },
        indent=1,
    ) + "\n"
