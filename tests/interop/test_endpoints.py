# SPDX-License-Identifier: Apache-2.0
"""A cache filled from several endpoints: huggingface_hub finds all of it offline."""

import socket

import pytest
from support import SMALL, SMALL_COMMIT, SMALL_FILES, run, spec_of

OTHER = "org/elsewhere"
OTHER_COMMIT = "cd" * 20


@pytest.fixture(scope="module")
def second(start_hub):
    """Has a repository that the first hub lacks, and lacks the one that the first has."""
    return start_hub(spec=spec_of((OTHER, OTHER_COMMIT, SMALL_FILES)))


@pytest.fixture
def dead():
    """A URL without a server for the duration of the test."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def test_each_endpoint_serves_the_files_that_it_has(hub, second, dead, model_prep, consumer, tmp_path):
    variables = {"HF_HOME": tmp_path, "HF_ENDPOINT": f"{dead},{hub.endpoint},{second.endpoint}"}
    summary = model_prep(hub, variables, SMALL, OTHER, "--variant", "all")
    assert summary["success"]
    assert summary["endpoints"] == [dead, hub.endpoint, second.endpoint]
    for known, repo, commit in [(hub, SMALL, SMALL_COMMIT), (second, OTHER, OTHER_COMMIT)]:
        consumer("offline", {"HF_HOME": tmp_path, "HF_HUB_OFFLINE": "1"}, repo=repo, commit=commit,
                 files=known.files(repo), whole=True, cache_dirs=[None])


def test_a_repair_continues_at_the_next_endpoint(hub, dead, model_prep, newest, tmp_path):
    variables = {"HF_HOME": tmp_path}
    (model,) = model_prep(hub, variables, SMALL, "--variant", "all")["models"].values()
    blob = tmp_path.joinpath("hub", "models--org--small", "snapshots", SMALL_COMMIT, "model.safetensors").resolve()
    blob.write_bytes(b"x" * blob.stat().st_size)
    environment = {**model_prep.environment(hub, variables), "HF_ENDPOINT": f"{dead},{hub.endpoint}"}
    run([model_prep.program, "verify", "--repair", SMALL, "--variant", "all"], environment)
    newest("offline", {**variables, "HF_HUB_OFFLINE": "1"}, repo=SMALL, commit=SMALL_COMMIT, files=hub.files(SMALL),
           whole=True, cache_dirs=[None])
    assert model["success"]
