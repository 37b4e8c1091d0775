# SPDX-License-Identifier: Apache-2.0
"""huggingface_hub finds nothing wrong with a cache after `verify --repair`."""

import os

from support import SMALL, store


def damage(folder, commit, files):
    """Damages one of each: bytes, a blob, a link, a ref, a foreign ref, an unexpected file."""
    snapshot = folder / "snapshots" / commit
    weights = (snapshot / "model.safetensors").resolve()
    times = weights.stat().st_atime_ns, weights.stat().st_mtime_ns
    with open(weights, "r+b") as file:
        file.write(b"rot")
    os.utime(weights, ns=times)
    (snapshot / "tokenizer.json").resolve().unlink()
    (snapshot / "config.json").unlink()
    (folder / "refs" / "main").write_text(commit + "\n")
    (folder / "refs" / "v1").write_text("f" * 40)
    os.symlink("../../blobs/" + "e" * 40, snapshot / "stranger.json")


def test_a_repaired_cache_is_complete_for_every_reader(prepared, hub, model_prep, manifest, consumer, tmp_path):
    copy = prepared.copy(tmp_path / "home")
    damage(store(copy.cache, SMALL), copy.commit, copy.files)
    ask = ("--manifest", manifest, "--variant", "all" if copy.whole else "fp32")
    found = model_prep(hub, copy.variables, "verify", "small", *ask, check=False)
    assert not found["success"] and hub.requests() == []
    assert {fault["kind"] for fault in found["models"]["small"]["faults"]} == {
        "damaged", "dangling", "missing", "ref"}

    repaired = model_prep(hub, copy.variables, "verify", "--repair", "small", *ask)
    assert repaired["models"]["small"]["status"] == "repaired"
    consumer("offline", {**copy.variables, "HF_HUB_OFFLINE": "1"}, repo=SMALL, commit=copy.commit, files=copy.files,
             whole=copy.whole, cache_dirs=[None, copy.cache])
    consumer("scan", copy.variables, repo=SMALL, commit=copy.commit)


def test_hf_cache_verify_passes_after_a_repair(prepared, hub, model_prep, manifest, modern, tmp_path):
    copy = prepared.copy(tmp_path / "home")
    damage(store(copy.cache, SMALL), copy.commit, copy.files)
    variables = {**copy.variables, "HF_ENDPOINT": hub.endpoint}
    assert modern.cli(variables, "cache", "verify", SMALL, check=False).returncode != 0
    model_prep(hub, copy.variables, "verify", "--repair", "small", "--manifest", manifest, "--variant",
               "all" if copy.whole else "fp32")
    modern.cli(variables, "cache", "verify", SMALL)
