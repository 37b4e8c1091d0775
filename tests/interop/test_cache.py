# SPDX-License-Identifier: Apache-2.0
"""A cache that model-prep filled, read by huggingface_hub and its tools."""

import json

import pytest
from support import SMALL, SMALL_FILES, run, store


def test_names_links_and_refs_on_disk_follow_the_cache_format(prepared, newest):
    assert newest("layout", prepared.variables, repo=SMALL, commit=prepared.commit) == sorted(prepared.files)


def test_a_scan_finds_the_repository_without_warnings(prepared, consumer):
    found = consumer("scan", prepared.variables, repo=SMALL, commit=prepared.commit)
    assert found["files"] == len(prepared.files)


def test_an_online_consumer_downloads_nothing_again(prepared, consumer, hub, tmp_path):
    copy = prepared.copy(tmp_path / "copy")
    variables = {**copy.variables, "HF_ENDPOINT": hub.endpoint}
    paths = list(copy.files)
    only = None if copy.whole else [path.replace("[", "[[]") for path in paths]
    consumer("download", variables, repo=SMALL, allow_patterns=only)
    consumer("download_each", variables, repo=SMALL, files=paths)
    consumer("download_each", variables, repo=SMALL, files=paths, revision=copy.commit)
    assert hub.requests(), "the hub was not asked at all, so this test shows nothing"
    assert hub.content_requests() == []


def test_a_later_run_sends_no_request_even_after_a_consumer_used_the_cache(
    prepared, consumer, hub, model_prep, manifest, tmp_path
):
    copy = prepared.copy(tmp_path / "copy")
    variables = {**copy.variables, "HF_ENDPOINT": hub.endpoint}
    only = None if copy.whole else list(copy.files)
    consumer("download", variables, repo=SMALL, allow_patterns=only)
    hub.forget_requests()
    variant = "all" if copy.whole else "fp32"
    summary = model_prep(hub, copy.variables, "small", "--manifest", manifest, "--variant", variant)
    assert hub.requests() == []
    assert summary["models"]["small"]["status"] == "cached"
    assert summary["totals"]["requests"] == 0 and summary["totals"]["bytes_downloaded"] == 0


def test_the_checksums_are_those_of_the_hub(prepared, modern, hub, tmp_path):
    copy = prepared.copy(tmp_path / "copy")
    result = modern("verify", {**copy.variables, "HF_ENDPOINT": hub.endpoint}, repo=SMALL)
    assert result["checked"] == len(copy.files)
    assert len(result["missing"]) == len(SMALL_FILES) - len(copy.files)


def test_hf_cache_lists_and_verifies_it_and_has_nothing_to_prune(whole, modern, hub, tmp_path):
    variables = {**whole.copy(tmp_path / "copy").variables, "HF_ENDPOINT": hub.endpoint}
    assert SMALL in modern.cli(variables, "cache", "ls").stdout
    modern.cli(variables, "cache", "verify", SMALL, "--fail-on-missing-files", "--fail-on-extra-files")
    pruned = modern.cli(variables, "cache", "prune", "--dry-run")
    assert "othing to prune" in pruned.stdout + pruned.stderr


def test_hf_cache_verifies_a_partial_repository_and_has_nothing_to_prune(prepared, modern, hub, tmp_path):
    variables = {**prepared.copy(tmp_path / "copy").variables, "HF_ENDPOINT": hub.endpoint}
    modern.cli(variables, "cache", "verify", SMALL, "--fail-on-extra-files")
    pruned = modern.cli(variables, "cache", "prune", "--dry-run")
    assert "othing to prune" in pruned.stdout + pruned.stderr


def test_the_listing_of_a_whole_commit_equals_the_hubs(whole, newest, hub):
    count = newest("listing", {**whole.variables, "HF_ENDPOINT": hub.endpoint}, repo=SMALL, commit=whole.commit)
    assert count == len(SMALL_FILES)
    cached = newest("cached_listing", {**whole.variables, "HF_HUB_OFFLINE": "1"}, repo=SMALL, commit=whole.commit)
    assert cached == sorted(whole.files)


def test_a_listing_is_written_for_a_whole_commit_only(prepared):
    assert (store(prepared.cache, SMALL) / "trees" / f"{prepared.commit}.json").exists() == prepared.whole


def test_a_locked_manifest_gives_the_same_cache_with_requests_for_content_only(
    hub, model_prep, newest, whole, tmp_path
):
    file = tmp_path / "locked.json"
    file.write_text(json.dumps(hub.manifest()))
    (key,) = hub.manifest()["models"]
    hub.forget_requests()
    home = tmp_path / "home"
    model_prep(hub, {"HF_HOME": home}, key, "--manifest", file, "--variant", "all")
    asked = {request["kind"] for request in hub.requests()}
    assert asked <= {"resolve", "resolve_cache", "payload"}, asked
    assert newest("layout", {"HF_HOME": home}, repo=SMALL, commit=whole.commit) == sorted(whole.files)
    assert newest("listing", {"HF_HOME": home, "HF_ENDPOINT": hub.endpoint}, repo=SMALL, commit=whole.commit)


def test_a_printed_lock_gives_the_same_cache_with_requests_for_content_only(
    hub, model_prep, consumer, whole, tmp_path
):
    home = tmp_path / "home"
    variables = {"HF_HOME": home}
    command = [model_prep.program, "lock", SMALL, "--variant", "all"]
    lock = run(command, model_prep.environment(hub, variables)).stdout
    file = tmp_path / "models.lock.json"
    file.write_text(lock)
    hub.forget_requests()
    model_prep(hub, variables, "--manifest", file, "--variant", "all")
    asked = {request["kind"] for request in hub.requests()}
    assert asked <= {"resolve", "resolve_cache", "payload"}, asked
    consumer("layout", variables, repo=SMALL, commit=whole.commit)
    consumer("offline", {**variables, "HF_HUB_OFFLINE": "1"}, repo=SMALL, commit=whole.commit, files=whole.files,
             whole=True, cache_dirs=[None])


@pytest.mark.parametrize("revision", ["", "@main"])
def test_a_repository_outside_the_manifest_is_fetched_at_its_main(revision, hub, model_prep, consumer, tmp_path):
    variables = {"HF_HOME": tmp_path}
    summary = model_prep(hub, variables, SMALL + revision, "--variant", "all")
    (model,) = summary["models"].values()
    assert model["status"] == "downloaded"
    consumer("offline", {**variables, "HF_HUB_OFFLINE": "1"}, repo=SMALL, commit=model["commit"],
             files=hub.files(SMALL), whole=True, cache_dirs=[None])
