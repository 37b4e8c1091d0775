# SPDX-License-Identifier: Apache-2.0
"""File systems without symlinks: model-prep and huggingface_hub find each other's files in snapshots/
(docs/developing/hub-protocol.md, section 1.4)."""

import json

import pytest
from support import SMALL, SMALL_COMMIT, run, store


@pytest.fixture
def plain(build):
    """A command prefix under which symlink(2) fails."""
    return lambda command: [build / "tests" / "model-prep-without", "symlink=EPERM", "--", *command]


def prepare(plain, model_prep, hub, manifest, variables):
    command = plain([model_prep.program, "small", "--manifest", manifest, "--variant", "all", "--summary", "-"])
    return json.loads(run(command, model_prep.environment(hub, variables)).stdout)


def test_files_stored_without_symlinks_are_found_offline(plain, model_prep, hub, manifest, consumer, tmp_path):
    variables = {"HF_HOME": tmp_path}
    prepare(plain, model_prep, hub, manifest, variables)
    snapshot = store(tmp_path / "hub", SMALL) / "snapshots" / SMALL_COMMIT
    assert not any(path.is_symlink() for path in snapshot.rglob("*"))
    consumer("offline", {**variables, "HF_HUB_OFFLINE": "1"}, repo=SMALL, commit=SMALL_COMMIT, files=hub.files(SMALL),
             whole=True, cache_dirs=[None])
    consumer("scan", variables, repo=SMALL, commit=SMALL_COMMIT)


def test_files_that_huggingface_hub_stored_without_symlinks_are_hashed_and_kept(
    plain, model_prep, hub, manifest, consumer, tmp_path
):
    variables = {"HF_HOME": tmp_path, "HF_ENDPOINT": hub.endpoint}
    # Without symlinks its threads race for a blob that two paths share: one moves what the other is about to copy.
    command = consumer._command("download", {"repo": SMALL, "max_workers": 1})
    run(plain(command), consumer.environment(variables))
    hub.forget_requests()
    summary = prepare(plain, model_prep, hub, manifest, variables)
    assert hub.content_requests() == [] and summary["models"]["small"]["success"]
    consumer("offline", {**variables, "HF_HUB_OFFLINE": "1"}, repo=SMALL, commit=SMALL_COMMIT, files=hub.files(SMALL),
             whole=True, cache_dirs=[None])
