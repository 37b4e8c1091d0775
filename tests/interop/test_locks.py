# SPDX-License-Identifier: Apache-2.0
"""model-prep and huggingface_hub at once in one cache: the second one waits, and nothing is fetched twice."""

import json

import pytest
from support import SMALL, SMALL_COMMIT, SMALL_FILES, held_lock, spec_of, store, wait_until

BIG = "model.safetensors"


@pytest.fixture(scope="module")
def slow_hub(start_hub):
    """A hub whose 3 MB files take about three seconds each."""
    return start_hub("--rate", "1000000", spec=spec_of((SMALL, SMALL_COMMIT, SMALL_FILES)))


def lock_of(cache, hub):
    return cache / ".locks" / "models--org--small" / (hub.files(SMALL)[BIG]["sha256"] + ".lock")


def payload_requests(hub):
    return [request for request in hub.requests() if request["kind"] == "payload" and request["file"] == BIG]


def test_model_prep_waits_while_huggingface_hub_holds_a_blobs_lock(hub, model_prep, manifest, consumer, tmp_path):
    ready, release = tmp_path / "ready", tmp_path / "release"
    holder = consumer.start("hold_lock", {"HF_HOME": tmp_path}, path=lock_of(tmp_path / "hub", hub), ready=ready,
                            release=release)
    wait_until(ready.exists, "huggingface_hub to hold the lock")
    hub.forget_requests()
    program = model_prep.start(hub, {"HF_HOME": tmp_path}, "small", "--manifest", manifest, "--variant", "all")
    others = {file["path"] for file in SMALL_FILES if file.get("lfs") and file["path"] != BIG}
    wait_until(lambda: others <= {request["file"] for request in hub.requests() if request["kind"] == "payload"},
               "model-prep to fetch what is not locked")
    assert payload_requests(hub) == [] and program.poll() is None
    release.touch()
    _, log = program.communicate(timeout=60)
    assert program.returncode == 0, log
    _, errors = holder.communicate(timeout=60)
    assert holder.returncode == 0, errors
    assert len(payload_requests(hub)) == 1


def test_huggingface_hub_waits_while_model_prep_fetches_a_blob(slow_hub, model_prep, manifest, consumer, tmp_path):
    slow_hub.forget_requests()
    blob = store(tmp_path / "hub", SMALL) / "blobs" / slow_hub.files(SMALL)[BIG]["sha256"]
    program = model_prep.start(slow_hub, {"HF_HOME": tmp_path}, "small", "--manifest", manifest)
    wait_until(lambda: payload_requests(slow_hub), "model-prep to begin with the large file")
    seen = consumer("take_lock", {"HF_HOME": tmp_path}, path=lock_of(tmp_path / "hub", slow_hub), blob=blob)
    _, log = program.communicate(timeout=60)
    assert program.returncode == 0, log
    assert seen == {"before": False, "after": True}


def test_a_consumer_that_downloads_at_the_same_time_fetches_no_blob_again(
    slow_hub, model_prep, manifest, consumer, tmp_path
):
    slow_hub.forget_requests()
    variables = {"HF_HOME": tmp_path}
    program = model_prep.start(slow_hub, variables, "small", "--manifest", manifest)
    wait_until(lambda: payload_requests(slow_hub), "model-prep to begin with the large file")
    other = consumer.start("download", {**variables, "HF_ENDPOINT": slow_hub.endpoint}, repo=SMALL,
                           allow_patterns=[BIG])
    _, log = program.communicate(timeout=60)
    out, errors = other.communicate(timeout=60)
    assert program.returncode == 0, log
    assert other.returncode == 0, errors
    assert json.loads(out.splitlines()[-1]).endswith(SMALL_COMMIT)
    agents = {request["headers"].get("user-agent", "") for request in payload_requests(slow_hub)}
    assert all(agent.startswith("model-prep") for agent in agents), agents


def test_model_prep_waits_for_any_flock_on_the_lock_file(hub, model_prep, manifest, tmp_path):
    hub.forget_requests()
    with held_lock(lock_of(tmp_path / "hub", hub)):
        program = model_prep.start(hub, {"HF_HOME": tmp_path}, "small", "--manifest", manifest, "--deadline", "1")
        _, log = program.communicate(timeout=60)
    assert program.returncode == 1, log
    assert payload_requests(hub) == []
