# SPDX-License-Identifier: Apache-2.0
"""A cache after `cleanup`, checked by huggingface_hub: kept revisions are complete, removed ones left nothing."""

import json

import pytest
from support import SMALL_FILES, held_lock, store

MOVING = "org/moving"
OLD, NEW = "01d" + "0" * 37, "4e3" + "0" * 37
NEW_FILES = [
    {**file, "seed": 9} if file["path"] == "model.safetensors" else file
    for file in SMALL_FILES
    if file["path"] != "README.md"
]


@pytest.fixture(scope="module")
def moving_hub(start_hub):
    commits = {OLD: SMALL_FILES, NEW: NEW_FILES}
    refs = {"main": NEW, "v1.0": OLD, "refs/pr/1": OLD}
    return start_hub(spec={"repos": [{"id": MOVING, "refs": refs, "commits": commits}], "tokens": []})


def manifest_at(folder, commit):
    file = folder / f"{commit}.json"
    file.write_text(json.dumps({"version": 1, "models": {"moving": {"repo": MOVING, "revision": commit}}}))
    return file


@pytest.mark.parametrize("before", ["model-prep", "consumer"])
def test_after_cleanup_only_the_pinned_revision_is_left(before, moving_hub, model_prep, consumer, tmp_path):
    variables = {"HF_HOME": tmp_path / "home"}
    if before == "model-prep":
        model_prep(moving_hub, variables, "--manifest", manifest_at(tmp_path, OLD), "--variant", "all")
    else:
        online = {**variables, "HF_ENDPOINT": moving_hub.endpoint}
        for revision in (OLD, "v1.0", "refs/pr/1"):
            consumer("download", online, repo=MOVING, revision=revision)
    summary = model_prep(
        moving_hub, variables, "--manifest", manifest_at(tmp_path, NEW), "--variant", "all", "--cleanup"
    )
    (cleaned,) = summary["cleanup"]
    assert [revision["commit"] for revision in cleaned["revisions"]] == [OLD]
    cache = tmp_path / "home" / "hub"
    assert cleaned["bytes"] == 3_000_000 + len("# A small model\n")
    assert consumer("scan", variables, repo=MOVING, commit=NEW)["files"] == len(NEW_FILES)
    consumer("layout", variables, repo=MOVING, commit=NEW)
    consumer("offline", {**variables, "HF_HUB_OFFLINE": "1"}, repo=MOVING, commit=NEW, files=moving_hub.files(MOVING),
             whole=True, cache_dirs=[None])
    assert sorted(path.name for path in (store(cache, MOVING) / "refs").rglob("*") if path.is_file()) == [NEW, "main"]


def test_a_consumer_can_download_a_removed_revision_again(moving_hub, model_prep, consumer, tmp_path):
    variables = {"HF_HOME": tmp_path / "home"}
    model_prep(moving_hub, variables, f"{MOVING}@{OLD}", "--variant", "all")
    model_prep(moving_hub, variables, "--manifest", manifest_at(tmp_path, NEW), "--variant", "all", "--cleanup")
    online = {**variables, "HF_ENDPOINT": moving_hub.endpoint}
    consumer("download", online, repo=MOVING, revision="v1.0")
    assert consumer("warnings_of", variables, cache_dirs=[None]) == [[]]


def test_a_repository_in_which_a_consumer_holds_a_lock_is_left_alone(moving_hub, model_prep, newest, tmp_path):
    variables = {"HF_HOME": tmp_path / "home"}
    manifest = manifest_at(tmp_path, NEW)
    model_prep(moving_hub, variables, f"{MOVING}@{OLD}", "--variant", "all")
    model_prep(moving_hub, variables, "--manifest", manifest, "--variant", "all")
    lock = tmp_path / "home" / "hub" / ".locks" / "models--org--moving" / ("a" * 64 + ".lock")
    with held_lock(lock):
        (cleaned,) = model_prep(moving_hub, variables, "cleanup", "--manifest", manifest)["cleanup"]
        assert cleaned["kept_because"] and not cleaned["revisions"]
    (cleaned,) = model_prep(moving_hub, variables, "cleanup", "--manifest", manifest)["cleanup"]
    assert cleaned["revisions"]
    newest("scan", variables, repo=MOVING, commit=NEW)


def test_a_consumers_download_succeeds_during_repeated_cleanups(moving_hub, model_prep, consumer, tmp_path):
    variables = {"HF_HOME": tmp_path / "home"}
    manifest = manifest_at(tmp_path, NEW)
    model_prep(moving_hub, variables, f"{MOVING}@{OLD}", "--variant", "all")
    online = {**variables, "HF_ENDPOINT": moving_hub.endpoint}
    process = consumer.start("download", online, repo=MOVING, max_workers=1)
    cleanups = 0
    while process.poll() is None:
        model_prep(moving_hub, variables, "cleanup", "--manifest", manifest)
        cleanups += 1
    assert process.returncode == 0, process.communicate()
    assert cleanups > 1
    model_prep(moving_hub, variables, "--manifest", manifest, "--variant", "all", "--cleanup")
    consumer("scan", variables, repo=MOVING, commit=NEW)
    consumer("layout", variables, repo=MOVING, commit=NEW)
