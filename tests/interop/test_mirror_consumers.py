# SPDX-License-Identifier: Apache-2.0
"""docker/mirror with every version of huggingface_hub: what it downloads through the mirror is what the hub has."""

import pytest
from mirror import Mirror
from recipes import digest_is
from support import SMALL, SMALL_COMMIT, SMALL_FILES, spec_of, store

OLD_NAME, NEW_NAME = "org/old-name", "org/new-name"


@pytest.fixture(scope="module")
def hub(start_hub):
    spec = spec_of((SMALL, SMALL_COMMIT, SMALL_FILES), (NEW_NAME, SMALL_COMMIT, SMALL_FILES))
    spec["repos"].append({"id": OLD_NAME, "renamed_to": NEW_NAME})
    return start_hub("--page-size", "4", spec=spec)  # so that a listing has several pages


@pytest.fixture
def mirror(hub, tmp_path):
    """Empty; its slices are small, so that a file has several."""
    hub.forget_requests()
    mirror = Mirror(tmp_path / "mirror", hub, slice="1m")
    yield mirror
    mirror.stop()


@pytest.fixture
def through(mirror):
    """The variables of a download through the mirror. Xet is allowed, and must not go past the mirror."""
    return lambda home: {"HF_HOME": home, "HF_ENDPOINT": mirror.endpoint, "HF_HUB_DISABLE_XET": "0"}


def check(hub, home, repo=SMALL):
    """Every file is there, with the right bytes."""
    for path, entry in hub.files(SMALL).items():
        digest_is((store(home / "hub", repo) / "snapshots" / SMALL_COMMIT / path).read_bytes(), entry)


def test_hf_download_comes_through_the_mirror_and_the_next_one_from_it(hub, through, consumer, tmp_path):
    consumer.cli(through(tmp_path / "first"), "download", SMALL)
    check(hub, tmp_path / "first")
    asked = hub.requests()
    assert {request["headers"].get("user-agent") for request in asked} == {"model-mirror"}, "all by the mirror"
    assert sum(request["file"] == "model.safetensors" for request in asked) == 6, "three slices, two requests each"

    hub.forget_requests()
    consumer("download", through(tmp_path / "next"), repo=SMALL, revision=SMALL_COMMIT)
    check(hub, tmp_path / "next")
    assert hub.content_requests() == []


@pytest.mark.parametrize("version", ["oldest", "newest"])
def test_files_of_a_branch_and_of_a_renamed_repository_come_from_the_mirror(hub, through, request, version, tmp_path):
    consumer = request.getfixturevalue(version)
    for repo in (SMALL, OLD_NAME):
        consumer("download_each", through(tmp_path), repo=repo, files=[file["path"] for file in SMALL_FILES])
        check(hub, tmp_path, repo)
