# SPDX-License-Identifier: Apache-2.0
"""docker/ci: runs the steps with the real program; the cache is filled once and is enough offline."""

import json
import re
import shutil

import pytest
from pasted import ACTION, GITLAB, WORKFLOW, read, scripts
from runner import Cache, Runner
from support import run


def summary_of(folder):
    return json.loads((folder / "model-prep-summary.json").read_text())


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


@pytest.fixture
def machine(tmp_path, cache, demo):
    """Replaces the runner with a fresh one that has the manifest in its checkout."""

    def make(**variables):
        runner = Runner(tmp_path / "runner", cache, {"HF_ENDPOINT": demo.endpoint, **variables})
        shutil.copy(demo.manifest, runner.workspace / "models.lock.json")
        demo.hub.forget_requests()
        return runner

    return make


def test_a_cache_miss_fetches_and_a_hit_sends_no_request(machine, demo, model_prep, means):
    first = machine()
    good, outputs = first.run(manifest="models.lock.json", models="flan-t5-small", **means)
    assert good, first.log
    assert outputs["cache-hit"] == "false" and demo.hub.content_requests()
    assert "flan-t5-small" in first.summary
    first.leave()

    second = machine()
    good, outputs = second.run(manifest="models.lock.json", models="flan-t5-small", **means)
    assert good, second.log
    assert outputs["cache-hit"] == "true" and demo.hub.requests() == []
    # The steps after it are offline, and find the models.
    assert second.later == {"HF_HOME": outputs["hf-home"], "HF_HUB_OFFLINE": "1"}
    assert summary_of(second.home / ".cache" / "model-prep")["offline"] is True
    assert second.summary.count("flan-t5-small") == first.summary.count("flan-t5-small"), "reported once"
    later = model_prep(demo.hub, {**second.later, "MODEL_PREP_MANIFEST": demo.manifest}, "flan-t5-small")
    assert later["models"]["flan-t5-small"]["status"] == "cached" and demo.hub.requests() == []


def test_what_a_newer_program_selects_in_addition_is_fetched_and_cached_too(machine, cache, demo, build, tmp_path):
    first = machine()
    good, outputs = first.run(manifest="models.lock.json", models="flan-t5-small", program=build / "model-prep")
    assert good, first.log
    first.leave()

    # It stands for a program that selects a file which the cache does not have.
    newer = tmp_path / "newer"
    newer.write_text(f'#!/bin/sh\nexec {build}/model-prep "$@" all-MiniLM-L6-v2\n')
    newer.chmod(0o755)
    for offline in (False, True):
        # Even if the job has a variable that forbids requests.
        later = machine(TRANSFORMERS_OFFLINE="1")
        good, outputs = later.run(manifest="models.lock.json", models="flan-t5-small", program=newer)
        assert good and "::error" not in later.log, later.log
        assert outputs["cache-hit"] == "true" and (demo.hub.requests() == []) is offline
        later.leave()
    assert len(cache.keys()) == 2


def test_with_a_token_nothing_is_cached_unless_an_input_says_so(machine, cache, start_hub, means):
    hub = start_hub("--demo", "--token", "hf_secret")
    choices = {"manifest": "models.lock.json", "models": "flan-t5-small", "token": "hf_secret", **means}
    for asked, keys, hit in (("false", 0, "false"), ("false", 0, "false"), ("true", 1, "false"), ("true", 1, "true")):
        runner = machine(HF_ENDPOINT=hub.endpoint)
        hub.forget_requests()
        good, outputs = runner.run(cache_private=asked, **choices)
        assert good, runner.log
        assert (len(cache.keys()), outputs["cache-hit"]) == (keys, hit)
        assert (hub.requests() == []) is (hit == "true")
        runner.leave()


def test_no_token_but_the_inputs_is_sent(machine, demo, build, tmp_path):
    (tmp_path / "token").write_text("hf_file")
    runner = machine(HF_TOKEN="hf_job", HUGGING_FACE_HUB_TOKEN="hf_job", HF_TOKEN_PATH=str(tmp_path / "token"))
    good, _ = runner.run(manifest="models.lock.json", models="flan-t5-small", program=build / "model-prep")
    assert good, runner.log
    assert demo.hub.requests() and "hf_" not in str(demo.hub.requests())


def test_the_cache_is_saved_before_the_jobs_next_step():
    used = [step.get("uses", "").partition("@")[0] for step in read(ACTION)["runs"]["steps"]]
    assert used == ["", "actions/cache/restore", "", "actions/cache/save"], "actions/cache waits for a successful job"


def test_the_cache_key_depends_on_the_manifest_the_models_and_the_variant_only(machine, cache, means):
    runner = machine()
    choices = {"manifest": "models.lock.json", "models": "flan-t5-small", "variant": "fp32", **means}
    for change in ({}, {"models": ""}, {"variant": ""}, {"cache_path": runner.folder / "elsewhere"}):
        good, _ = runner.run(**{**choices, **change})
        assert good, runner.log
    assert len(cache.keys()) == 3
    with open(runner.workspace / "models.lock.json", "a") as manifest:
        manifest.write("\n")
    assert runner.run(**choices)[0]
    assert len(cache.keys()) == 4


def test_a_failing_model_fails_the_step_and_nothing_is_cached(machine, cache, means):
    runner = machine()
    good, _ = runner.run(manifest="models.lock.json", models="no-such-model", **means)
    assert not good and "no-such-model" in runner.log and "::error" in runner.log
    assert cache.keys() == set() and runner.later == {}


def test_a_missing_manifest_is_reported_at_once(machine, demo):
    runner = machine()
    good, _ = runner.run(manifest="nowhere.json")
    assert not good and "::error title=model-prep::there is no manifest at nowhere.json" in runner.log
    assert demo.hub.requests() == []


@pytest.mark.parametrize("name", ["models", "variant", "token", "image"])
def test_an_input_is_never_a_command(machine, build, name):
    runner = machine()
    hostile = f"\"; touch {runner.folder}/owned; '$(touch {runner.folder}/owned)`touch {runner.folder}/owned`"
    program = {} if name == "image" else {"program": build / "model-prep"}
    runner.run(manifest="models.lock.json", **program, **{name: hostile})
    assert not (runner.folder / "owned").exists()


def test_scripts_contain_no_expressions():
    for path in (ACTION, WORKFLOW):
        assert scripts(path)
        for _, text in scripts(path):
            assert "${{" not in text


def test_only_the_step_that_needs_the_token_gets_it():
    with_token = [
        step["name"] for step in read(ACTION)["runs"]["steps"]
        if "inputs.token" in str({key: value for key, value in step.items() if key != "if"})
    ]
    assert with_token == ["Prepare the models"]


def test_third_party_actions_are_pinned_to_a_commit():
    steps = read(ACTION)["runs"]["steps"] + [step for job in read(WORKFLOW)["jobs"].values() for step in job["steps"]]
    used = [step["uses"] for step in steps if "uses" in step and not step["uses"].startswith("./")]
    assert len(used) == 3 and all(re.fullmatch(r"actions/[\w/]+@[0-9a-f]{40}", name) for name in used)
    assert len({name.partition("@")[2] for name in used if name.startswith("actions/cache/")}) == 1


def test_the_workflow_uses_the_action_with_inputs_that_exist():
    (step,) = [s for job in read(WORKFLOW)["jobs"].values() for s in job["steps"] if s.get("uses", "").startswith("./")]
    inputs = read(ACTION)["inputs"]
    assert step["uses"].endswith("docker/ci") and step["with"].keys() <= inputs.keys()
    assert {name for name, rule in inputs.items() if rule.get("required")} <= step["with"].keys()


def test_gitlab_caches_under_the_manifest_that_the_job_reads():
    file = read(GITLAB)
    for job in ("models", "test"):
        assert file[job]["cache"]["key"]["files"] == ["models.lock.json"] and file[job]["cache"]["paths"] == [
            ".model-prep"
        ]
    assert [file[job]["cache"]["policy"] for job in ("models", "test")] == ["pull-push", "pull"]
    assert "$CI_PROJECT_DIR/models.lock.json:/manifest.json:ro" in file["models"]["script"][0]
    assert file["test"]["variables"] == {"HF_HOME": "$CI_PROJECT_DIR/.model-prep", "HF_HUB_OFFLINE": "1"}


def test_gitlabs_job_logs_in_to_the_registry_of_its_image():
    job = read(GITLAB)["models"]
    assert read(GITLAB)["variables"]["MODEL_PREP_IMAGE"].startswith("$CI_REGISTRY_IMAGE/")
    (login,) = job["before_script"]
    assert "docker login" in login and login.endswith('"$CI_REGISTRY"')
    assert "--password-stdin" in login, "a password among the arguments is visible to other processes"


def test_gitlabs_script_fetches_once_and_then_is_offline(demo, tmp_path, image):
    shutil.copy(demo.manifest, tmp_path / "models.lock.json")
    script = read(GITLAB)["models"]["script"][0]
    variables = {
        "CI_PROJECT_DIR": str(tmp_path),
        "MODEL_PREP_IMAGE": image,
        "MODELS_TO_DOWNLOAD": "flan-t5-small",
        "MODEL_VARIANT": "",
        "HF_ENDPOINT": demo.endpoint,
        "HOME": str(tmp_path),
    }
    for offline in (False, True):
        demo.hub.forget_requests()
        run(["sh", "-ec", f"cd {tmp_path}\n{script}"], variables)
        assert summary_of(tmp_path / ".model-prep")["offline"] is offline
        assert (demo.hub.requests() == []) is offline
