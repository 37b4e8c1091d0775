# SPDX-License-Identifier: Apache-2.0
"""Caches that huggingface_hub filled: they have the same tree as ours, and are reused without a transfer."""

import os
import shutil

import pytest
from support import SMALL, SMALL_COMMIT, SMALL_FILES, store, tree

REPO = "models--org--small"


@pytest.fixture(scope="module")
def filled(consumer, small_hub, tmp_path_factory):
    """A cache that huggingface_hub filled from the hub."""
    home = tmp_path_factory.mktemp("filled")
    consumer("download", {"HF_HOME": home, "HF_ENDPOINT": small_hub.endpoint}, repo=SMALL)
    return home


def test_huggingface_hub_can_download_from_the_hub(filled, consumer, small_hub):
    consumer("offline", {"HF_HOME": filled, "HF_HUB_OFFLINE": "1"}, repo=SMALL, commit=SMALL_COMMIT,
             files=small_hub.files(SMALL), whole=False, cache_dirs=[None])


def test_both_programs_create_the_same_tree(filled, whole):
    ours = tree(whole.cache, ignore=[".locks", f"{REPO}/.model-prep", f"{REPO}/refs/{SMALL_COMMIT}", "CACHEDIR.TAG"])
    theirs = tree(filled / "hub", ignore=[".locks", "CACHEDIR.TAG"])
    if f"{REPO}/trees" not in theirs:  # before 1.22
        ours = {path: what for path, what in ours.items() if not path.startswith(f"{REPO}/trees")}
    assert ours == theirs


def test_a_cache_filled_by_huggingface_hub_is_reused_without_a_transfer(
    filled, consumer, hub, model_prep, manifest, tmp_path
):
    home = tmp_path / "home"
    shutil.copytree(filled, home, symlinks=True)
    before = tree(home / "hub")
    summary = model_prep(hub, {"HF_HOME": home}, "small", "--manifest", manifest, "--variant", "all")
    assert hub.content_requests() == []
    assert summary["totals"]["bytes_downloaded"] == 0
    after = tree(home / "hub")
    assert {path: what for path, what in after.items() if path in before} == before
    consumer("scan", {"HF_HOME": home}, repo=SMALL, commit=SMALL_COMMIT)
    hub.forget_requests()
    model_prep(hub, {"HF_HOME": home}, "small", "--manifest", manifest, "--variant", "all")
    assert hub.requests() == []


def test_only_the_files_that_a_consumer_left_out_are_fetched(
    consumer, hub, model_prep, manifest, tmp_path
):
    variables = {"HF_HOME": tmp_path}
    consumer("download", {**variables, "HF_ENDPOINT": hub.endpoint}, repo=SMALL, allow_patterns=["*.json", "*.txt"])
    hub.forget_requests()
    model_prep(hub, variables, "small", "--manifest", manifest, "--variant", "fp32")
    fetched = {request["file"] for request in hub.requests() if request["kind"] == "payload"}
    assert fetched == {"model.safetensors"}


def test_a_garbage_blob_that_huggingface_hub_would_trust_is_detected_and_replaced(
    consumer, hub, model_prep, manifest, tmp_path
):
    variables = {"HF_HOME": tmp_path}
    consumer("download", {**variables, "HF_ENDPOINT": hub.endpoint}, repo=SMALL)
    blob = store(tmp_path / "hub", SMALL) / "blobs" / hub.files(SMALL)["model.safetensors"]["sha256"]
    blob.chmod(0o644)
    with open(blob, "r+b") as file:
        file.write(b"garbage")
    model_prep(hub, variables, "small", "--manifest", manifest, "--variant", "all")
    consumer("offline", {**variables, "HF_HUB_OFFLINE": "1"}, repo=SMALL, commit=SMALL_COMMIT,
             files=hub.files(SMALL), whole=True, cache_dirs=[None])


# ---- the shared store of huggingface_hub >= 1.32: <cache>/blobs/<2 hex>/<xet hash> ---------------------------------

XET_HASH = "ab" * 32


def shared_cache(newest, hub, home, cache_dir):
    """A cache whose model.safetensors is in the shared store; returns the blob's path."""
    newest("download", {"HF_HOME": home, "HF_ENDPOINT": hub.endpoint}, repo=SMALL, cache_dir=cache_dir)
    blob = store(cache_dir, SMALL) / "blobs" / hub.files(SMALL)["model.safetensors"]["sha256"]
    # huggingface_hub does this only with Xet, by the same function.
    variables = {"HF_HOME": home}
    assert newest("share_blob", variables, blob=blob, xet_hash=XET_HASH, cache_dir=cache_dir)
    assert blob.is_symlink()
    return blob


def test_a_blob_in_the_shared_store_is_used_in_place(newest, hub, model_prep, manifest, tmp_path):
    blob = shared_cache(newest, hub, tmp_path, tmp_path / "hub")
    before = tree(tmp_path / "hub" / "blobs")
    target = os.readlink(blob)
    hub.forget_requests()
    model_prep(hub, {"HF_HOME": tmp_path}, "small", "--manifest", manifest, "--variant", "all")
    assert hub.content_requests() == []
    assert os.readlink(blob) == target and tree(tmp_path / "hub" / "blobs") == before
    newest("scan", {"HF_HOME": tmp_path}, repo=SMALL, commit=SMALL_COMMIT)


def test_a_blob_missing_in_the_shared_store_is_fetched_into_the_repository(
    newest, hub, model_prep, manifest, tmp_path
):
    blob = shared_cache(newest, hub, tmp_path, tmp_path / "hub")
    shared = tmp_path / "hub" / "blobs" / XET_HASH[:2] / XET_HASH
    shared.unlink()
    hub.forget_requests()
    model_prep(hub, {"HF_HOME": tmp_path}, "small", "--manifest", manifest, "--variant", "all")
    assert not blob.is_symlink() and not shared.exists()
    assert {request["file"] for request in hub.requests() if request["kind"] == "payload"} == {"model.safetensors"}
    newest("offline", {"HF_HOME": tmp_path, "HF_HUB_OFFLINE": "1"}, repo=SMALL, commit=SMALL_COMMIT,
           files=hub.files(SMALL), whole=True, cache_dirs=[None])


def test_a_garbage_blob_in_the_shared_store_is_not_written_to(newest, hub, model_prep, manifest, tmp_path):
    blob = shared_cache(newest, hub, tmp_path, tmp_path / "hub")
    shared = tmp_path / "hub" / "blobs" / XET_HASH[:2] / XET_HASH
    shared.chmod(0o644)
    garbage = b"x" * shared.stat().st_size
    shared.write_bytes(garbage)
    model_prep(hub, {"HF_HOME": tmp_path}, "small", "--manifest", manifest, "--variant", "all")
    assert not blob.is_symlink() and shared.read_bytes() == garbage
    newest("offline", {"HF_HOME": tmp_path, "HF_HUB_OFFLINE": "1"}, repo=SMALL, commit=SMALL_COMMIT,
           files=hub.files(SMALL), whole=True, cache_dirs=[None])


def test_two_paths_of_the_small_repository_share_one_blob():
    # The tests above rely on it.
    texts = [file.get("text") for file in SMALL_FILES if "text" in file]
    assert len(texts) == len(set(texts)) + 1
