# SPDX-License-Identifier: Apache-2.0
"""Datasets and spaces that model-prep fetched, read by huggingface_hub, next to a model of the same name."""

import pytest
from support import SMALL, SMALL_FILES, spec_of

DATASET_FILES = [
    {"path": ".gitattributes", "text": "*.parquet filter=lfs diff=lfs merge=lfs -text\n"},
    {"path": "README.md", "text": "---\nconfigs: []\n---\n# Rows\n"},
    {"path": "data/test.csv", "text": "a,b\n1,2\n"},
    {"path": "data/train-00000-of-00001.parquet", "size": 2_000_000, "seed": 11, "lfs": True},
    {"path": "model.safetensors", "size": 1_000, "seed": 12, "lfs": True},
    {"path": "pytorch_model.bin", "size": 1_001, "seed": 13, "lfs": True},
]
SPACE_FILES = [
    {"path": "README.md", "text": "---\nsdk: static\n---\n"},
    {"path": "app.py", "text": "print('hello')\n"},
    {"path": "weights/model.onnx", "size": 300_000, "seed": 14, "lfs": True},
]
REPOS = {
    "model": (SMALL, "5ba11" + "0" * 34 + "1", SMALL_FILES),
    "dataset": ("datasets/" + SMALL, "da7a5" + "0" * 34 + "1", DATASET_FILES),
    "space": ("spaces/" + SMALL, "59ace" + "0" * 34 + "1", SPACE_FILES),
}


@pytest.fixture(scope="module")
def kinds_hub(start_hub):
    moved = ("datasets/org/moved", "da7a5" + "0" * 34 + "2", DATASET_FILES)
    spec = spec_of(*REPOS.values(), moved)
    spec["repos"].append({"id": "datasets/rows", "renamed_to": "datasets/org/moved"})
    return start_hub(spec=spec)


@pytest.fixture(scope="module")
def hf_home(model_prep, kinds_hub, tmp_path_factory):
    """HF_HOME with all three, fetched in one run."""
    hf_home = tmp_path_factory.mktemp("kinds")
    summary = model_prep(kinds_hub, {"HF_HOME": hf_home}, *(repo for repo, _, _ in REPOS.values()), "--variant", "all")
    assert [model["status"] for model in summary["models"].values()] == ["downloaded"] * 3, summary
    return hf_home


@pytest.fixture(params=REPOS)
def kind(request):
    return request.param


def test_each_type_is_found_offline_wherever_a_service_looks(hf_home, kinds_hub, consumer, kind):
    id, commit, _ = REPOS[kind]
    consumer("offline", {"HF_HOME": hf_home, "HF_HUB_OFFLINE": "1"}, repo=SMALL, repo_type=kind, commit=commit,
             files=kinds_hub.files(id), whole=True, cache_dirs=[None, hf_home / "hub", hf_home])


def test_a_scan_finds_each_type_without_warnings(hf_home, consumer, kind):
    _, commit, files = REPOS[kind]
    found = consumer("scan", {"HF_HOME": hf_home}, repo=SMALL, repo_type=kind, commit=commit)
    assert found["files"] == len(files)


def test_names_links_and_refs_follow_the_cache_format(hf_home, newest, kind):
    _, commit, files = REPOS[kind]
    listed = newest("layout", {"HF_HOME": hf_home}, repo=SMALL, repo_type=kind, commit=commit)
    assert listed == sorted(file["path"] for file in files)


def test_an_online_consumer_downloads_nothing_again(hf_home, kinds_hub, consumer, kind):
    kinds_hub.forget_requests()
    consumer("download", {"HF_HOME": hf_home, "HF_ENDPOINT": kinds_hub.endpoint}, repo=SMALL, repo_type=kind)
    assert kinds_hub.requests(), "the hub was not asked at all, so this test shows nothing"
    assert kinds_hub.content_requests() == []


def test_the_checksums_are_those_of_the_hub(hf_home, kinds_hub, modern, kind):
    _, _, files = REPOS[kind]
    variables = {"HF_HOME": hf_home, "HF_ENDPOINT": kinds_hub.endpoint}
    result = modern("verify", variables, repo=SMALL, repo_type=kind)
    assert result == {"checked": len(files), "missing": []}


def test_a_dataset_or_space_fetched_by_huggingface_hub_is_reused(kinds_hub, model_prep, newest, tmp_path, kind):
    id, commit, _ = REPOS[kind]
    newest("download", {"HF_HOME": tmp_path, "HF_ENDPOINT": kinds_hub.endpoint}, repo=SMALL, repo_type=kind)
    kinds_hub.forget_requests()
    model_prep(kinds_hub, {"HF_HOME": tmp_path}, f"{id}@{commit}", "--variant", "all")
    assert kinds_hub.content_requests() == []


def test_a_dataset_that_has_moved_is_found_under_its_old_name(kinds_hub, model_prep, consumer, tmp_path):
    model_prep(kinds_hub, {"HF_HOME": tmp_path}, "datasets/rows")
    consumer("offline", {"HF_HOME": tmp_path, "HF_HUB_OFFLINE": "1"}, repo="rows", repo_type="dataset",
             commit="da7a5" + "0" * 34 + "2", files=kinds_hub.files("datasets/org/moved"), whole=True,
             cache_dirs=[None, tmp_path])
