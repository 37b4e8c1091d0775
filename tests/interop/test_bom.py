# SPDX-License-Identifier: Apache-2.0
"""The bill of materials, judged by CycloneDX's own library and schema, and the licenses that SPDX knows."""

import json
import re

import pages
import pytest
from conftest import venv
from support import run, spec_of

ADAPTER, BASE = "org/adapter", "org/base"
COMMITS = {ADAPTER: "b0a" + "0" * 36 + "1", BASE: "b0a" + "0" * 36 + "2"}
FILES = {
    ADAPTER: [
        {"path": "adapter_config.json", "text": json.dumps({"base_model_name_or_path": BASE})},
        {"path": "adapter_model.safetensors", "size": 1000, "seed": 1, "lfs": True},
        {"path": 'odd # name "é".txt', "text": "x"},
    ],
    BASE: [
        {"path": "config.json", "text": "{}"},
        {"path": "model.safetensors", "size": 2000, "seed": 2, "lfs": True},
    ],
}
CARDS = {
    ADAPTER: {"license": "other", "license_name": "my own"},
    BASE: {"license": ["apache-2.0", "llama3.1"]},
}

# Prints the faults of a document, and which of the ids of SPDX after it the schema does not know.
JUDGE = """
import json, sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.spdx import is_supported_id
from cyclonedx.validation.json import JsonStrictValidator

text = open(sys.argv[1]).read()
fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
print(json.dumps({"fault": fault and str(fault), "unknown": [id for id in sys.argv[2:] if not is_supported_id(id)]}))
"""

# What Bom.from_json reads of a document.
READ = """
import json, sys
from cyclonedx.model.bom import Bom

bom = Bom.from_json(json.load(open(sys.argv[1])))
bom.validate()
print(json.dumps({
    "models": {
        str(each.purl): {
            "type": each.type.value,
            "licenses": sorted(license.id or license.name for license in each.licenses),
            "files": {
                file.name: [hash.content for hash in file.hashes if hash.alg.value == "SHA-256"]
                for file in each.components
            },
        }
        for each in bom.components
    },
    "needs": {str(each.ref.value): sorted(str(to.ref.value) for to in each.dependencies) for each in bom.dependencies},
}))
"""


@pytest.fixture(scope="module")
def hub(start_hub):
    spec = spec_of(*((repo, COMMITS[repo], FILES[repo]) for repo in COMMITS))
    for repo in spec["repos"]:
        repo["card"] = CARDS[repo["id"]]
    return start_hub(spec=spec)


@pytest.fixture
def judge(pytestconfig, tmp_path):
    """Runs a script with the official library on a document, and returns what it prints."""
    python = venv(pytestconfig, "bom") / "bin" / "python"

    def judged(script, text, *arguments):
        document = tmp_path / "bom.json"
        document.write_text(text)
        return json.loads(run([python, "-c", script, document, *arguments], {}).stdout)

    return judged


@pytest.fixture
def bom_of(model_prep, hub, tmp_path):
    def bom(*arguments):
        environment = model_prep.environment(hub, {"HF_HOME": tmp_path / "home"})
        return run([model_prep.program, "lock", "--format", "cyclonedx", *arguments], environment).stdout

    return bom


def purl(repo):
    return f"pkg:huggingface/{repo}@{COMMITS[repo]}"


@pytest.mark.parametrize("dependencies", ["report", "fetch"])
def test_the_official_library_finds_a_bill_of_materials_valid(bom_of, judge, dependencies):
    text = bom_of(ADAPTER, BASE, "--dependencies", dependencies)
    assert judge(JUDGE, text) == {"fault": None, "unknown": []}


def test_the_official_library_reads_models_licenses_files_and_dependencies(bom_of, judge, hub):
    read = judge(READ, bom_of(ADAPTER, "--dependencies", "fetch"))
    assert set(read["models"]) == {purl(ADAPTER), purl(BASE)}
    base = read["models"][purl(BASE)]
    assert base["type"] == "machine-learning-model"
    assert base["licenses"] == ["Apache-2.0", "llama3.1"]
    assert base["files"]["model.safetensors"] == [hub.files(BASE)["model.safetensors"]["sha256"]]
    assert read["models"][purl(ADAPTER)]["licenses"] == ["my-own"]
    assert read["needs"] == {purl(ADAPTER): [purl(BASE)], purl(BASE): []}


def test_a_dependency_that_is_not_locked_is_there_without_a_version(bom_of, judge):
    read = judge(READ, bom_of(ADAPTER))
    assert read["needs"][purl(ADAPTER)] == [f"pkg:huggingface/{BASE}"]
    assert f"pkg:huggingface/{BASE}" in read["models"]


def test_the_same_lock_gives_the_same_bytes(bom_of):
    assert bom_of(ADAPTER, BASE) == bom_of(BASE, ADAPTER)


def test_the_schema_knows_every_id_of_spdx_that_is_written(bom_of, judge):
    source = (pages.ROOT / "src/core/bom.cpp").read_text()
    (ids,) = re.findall(r"kSpdxIds\[\] = \{(.*?)\};", source, re.DOTALL)
    (aliases,) = re.findall(r"kAliases\[\] = \{(.*?)\};", source, re.DOTALL)
    written = re.findall(r'"([^"]+)"', ids) + re.findall(r'", "([^"]+)"', aliases)
    assert len(written) > 50
    assert judge(JUDGE, bom_of(BASE), *written) == {"fault": None, "unknown": []}


def test_the_judge_refuses_a_document_with_a_fault(bom_of, judge):
    assert judge(JUDGE, bom_of(BASE).replace('"Apache-2.0"', '"Apache-3.0"'))["fault"]
