# SPDX-License-Identifier: Apache-2.0
"""--from: a cache that huggingface_hub filled, imported without a network, and read by name."""

import json
import shutil

import pytest
from support import SMALL, SMALL_COMMIT, store


@pytest.fixture
def filled(newest, hub, tmp_path):
    """A cache of the newest huggingface_hub, with its shared store if it has one."""
    cache = tmp_path / "theirs"
    newest("download", {"HF_HOME": tmp_path / "elsewhere", "HF_ENDPOINT": hub.endpoint}, repo=SMALL, cache_dir=cache)
    hub.forget_requests()
    return cache


def read_offline(consumer, home, hub):
    variables = {"HF_HOME": home, "HF_HUB_OFFLINE": "1"}
    consumer("offline", variables, repo=SMALL, commit=SMALL_COMMIT, files=hub.files(SMALL), whole=True,
             cache_dirs=[None])
    consumer("scan", {"HF_HOME": home}, repo=SMALL, commit=SMALL_COMMIT)


def test_a_cache_of_huggingface_hub_is_imported_offline_and_read_by_name(filled, hub, model_prep, consumer, tmp_path):
    home = tmp_path / "home"
    model = f"{SMALL}@{SMALL_COMMIT}"
    summary = model_prep(hub, {"HF_HOME": home}, model, "--variant", "all", "--offline", "--from", filled)
    assert hub.requests() == [] and summary["totals"]["bytes_downloaded"] == 0
    assert {file["source"] for file in summary["models"][model]["files"] if file["size"]} == {str(filled)}

    shutil.rmtree(filled)  # nothing of it is needed any more
    read_offline(consumer, home, hub)


def test_with_a_lock_a_copy_without_links_and_listing_will_do(filled, hub, model_prep, consumer, tmp_path):
    usb = tmp_path / "usb"
    shutil.copytree(filled, usb)  # follows links, as for a disk that has none
    for name in ("blobs", "trees", "refs"):
        shutil.rmtree(store(usb, SMALL) / name, ignore_errors=True)
    shutil.rmtree(filled)
    lock = hub.manifest()
    lock["models"] = {key: model for key, model in lock["models"].items() if model["repo"] == SMALL}
    (tmp_path / "lock.json").write_text(json.dumps(lock))

    home = tmp_path / "home"
    model_prep(hub, {"HF_HOME": home}, "--manifest", tmp_path / "lock.json", "--variant", "all", "--offline", "--from",
               usb)
    assert hub.requests() == []
    variables = {"HF_HOME": home, "HF_HUB_OFFLINE": "1"}
    consumer("offline", variables, repo=SMALL, commit=SMALL_COMMIT, files=hub.files(SMALL), whole=False,
             cache_dirs=[None])
