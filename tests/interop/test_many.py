# SPDX-License-Identifier: Apache-2.0
"""model-prep and huggingface_hub fill one cache at the same time, with versions of filelock that remove the lock file
when they release it (3.20.4 to 3.29.4) and versions that keep it; and a scan of a cache in which model-prep was
killed."""

import json
import random
import shutil
import time

import pytest
from conftest import venv
from support import SMALL, SMALL_COMMIT, SMALL_FILES, Consumer, spec_of, store, wait_until

BIG = "model.safetensors"
COMMIT = SMALL_COMMIT
KILLS = 12

#: The last version that keeps the lock file, the first and the last that remove it, and the current one.
FILELOCKS = ["3.20.3", "3.20.4", "3.29.4", "newest"]


@pytest.fixture(scope="module")
def slow_hub(start_hub):
    """A hub whose 3 MB files take about a second each."""
    return start_hub("--rate", "3000000", spec=spec_of((SMALL, SMALL_COMMIT, SMALL_FILES)))


@pytest.fixture(scope="module", params=FILELOCKS)
def filelock(request, home):
    """huggingface_hub with this version of filelock first on the path."""
    consumer = Consumer(venv(request.config, "hub-1.9.2"), home)
    variables = {}
    if request.param != "newest":
        (packages,) = venv(request.config, f"filelock-{request.param}").glob("lib/python*/site-packages")
        variables["PYTHONPATH"] = packages
    version = consumer("version_of", variables, package="filelock")
    assert request.param in ("newest", version)
    return consumer, variables


def download(filelock, hub, variables):
    consumer, more = filelock
    return consumer.start("download", {**variables, **more, "HF_ENDPOINT": hub.endpoint}, repo=SMALL)


def payload_requests(hub):
    return [request for request in hub.requests() if request["kind"] == "payload" and request["file"] == BIG]


def agents(hub):
    return {request["headers"].get("user-agent", "-").split()[0] for request in payload_requests(hub)}


def end_well(*programs):
    for program in programs:
        out, errors = program.communicate(timeout=120)
        assert program.returncode == 0, out + errors


def check(newest, cache, hub):
    """Checks every name, link and byte, and that a scan has no warning."""
    files = sorted(file["path"] for file in SMALL_FILES)
    assert newest("layout", {}, repo=SMALL, commit=COMMIT, cache_dir=cache) == files
    assert newest("scan", {}, repo=SMALL, commit=COMMIT, cache_dir=cache)["files"] == len(files)


def test_model_prep_joins_a_download_of_huggingface_hub(slow_hub, model_prep, manifest, filelock, newest, tmp_path):
    slow_hub.forget_requests()
    variables = {"HF_HOME": tmp_path}
    other = download(filelock, slow_hub, variables)
    wait_until(lambda: payload_requests(slow_hub), "huggingface_hub to begin with the large file")
    program = model_prep.start(slow_hub, variables, "small", "--manifest", manifest, "--variant", "all")
    end_well(other, program)
    assert "model-prep" not in agents(slow_hub)
    check(newest, tmp_path / "hub", slow_hub)


def test_huggingface_hub_joins_a_download_of_model_prep(slow_hub, model_prep, manifest, filelock, newest, tmp_path):
    slow_hub.forget_requests()
    variables = {"HF_HOME": tmp_path}
    program = model_prep.start(slow_hub, variables, "small", "--manifest", manifest, "--variant", "all")
    wait_until(lambda: payload_requests(slow_hub), "model-prep to begin with the large file")
    other = download(filelock, slow_hub, variables)
    end_well(program, other)
    assert agents(slow_hub) == {"model-prep"}
    check(newest, tmp_path / "hub", slow_hub)


def test_two_of_each_started_together_leave_a_correct_cache(
    slow_hub, model_prep, manifest, filelock, newest, tmp_path
):
    slow_hub.forget_requests()
    variables = {"HF_HOME": tmp_path}
    arguments = ("small", "--manifest", manifest, "--variant", "all", "--summary", "-")
    end_well(*[
        start() for _ in range(2)
        for start in (lambda: download(filelock, slow_hub, variables),
                      lambda: model_prep.start(slow_hub, variables, *arguments))
    ])
    check(newest, tmp_path / "hub", slow_hub)


def test_a_scan_after_killing_model_prep_has_no_warnings(slow_hub, model_prep, manifest, newest, tmp_path):
    seed = random.randrange(1_000_000)
    moments = random.Random(seed)
    variables = {"HF_HOME": tmp_path / "home", "MODEL_PREP_SUMMARY": tmp_path / "summary.json"}
    cache, copies, kills = tmp_path / "home" / "hub", [], 0
    for number in range(KILLS):
        program = model_prep.start(slow_hub, variables, "small", "--manifest", manifest, "--variant", "all")
        time.sleep(moments.uniform(0, 0.7))  # the moment is what is tried here: there is nothing to wait for
        program.kill()
        program.communicate()
        kills += program.returncode == -9
        if cache.exists():
            copies.append(tmp_path / f"copy{number}")
            shutil.copytree(cache, copies[-1], symlinks=True)
        if (store(cache, SMALL) / "refs").exists():
            shutil.rmtree(cache)
    assert kills > KILLS / 2 and copies, seed
    warnings = newest("warnings_of", {}, cache_dirs=copies)
    assert warnings == [[]] * len(copies), (seed, json.dumps(warnings))
    model_prep(slow_hub, variables, "small", "--manifest", manifest, "--variant", "all")
    assert newest("scan", {}, repo=SMALL, commit=COMMIT, cache_dir=cache)["files"] == len(SMALL_FILES)
