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

    def make():
        runner = Runner(tmp_path / "runner", cache, {"HF_ENDPOINT": demo.endpoint})
        shutil.copy(demo.manifest, runner.workspace / "models.lock.json")
        demo.hub.forget_requests()
        return runner

    return make


def test_a_cache_miss_fetches_and_a_hit_sends_no_request(machine, demo, model_prep, means):
    first = machine()
    good, outputs = first.run(manifest="models.lock.json", models="flan-t5-small", **means)
    assert good, first.log
    assert outputs["cache-hit"] == "" and demo.hub.content_requests()
    assert "flan-t5-small" in first.summary
    first.leave()

    second = machine()
    good, outputs = second.run(manifest="models.lock.json", models="flan-t5-small", **means)
    assert good, second.log
    assert outputs["cache-hit"] == "true" and demo.hub.requests() == []
    # The steps after it are offline, and find the models.
    assert second.later == {"HF_HOME": outputs["hf-home"], "HF_HUB_OFFLINE": "1"}
    assert summary_of(second.home / ".cache" / "model-prep")["offline"] is True
    later = model_prep(demo.hub, {**second.later, "MODEL_PREP_MANIFEST": demo.manifest}, "flan-t5-small")
    assert later["models"]["flan-t5-small"]["status"] == "cached" and demo.hub.requests() == []


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
    with_token = [step["name"] for step in read(ACTION)["runs"]["steps"] if "inputs.token" in str(step)]
    assert with_token == ["Prepare the models"]


def test_third_party_actions_are_pinned_to_a_commit():
    steps = read(ACTION)["runs"]["steps"] + [step for job in read(WORKFLOW)["jobs"].values() for step in job["steps"]]
    used = [step["uses"] for step in steps if "uses" in step and not step["uses"].startswith("./")]
    assert len(used) == 2 and all(re.fullmatch(r"actions/\w+@[0-9a-f]{40}", name) for name in used)


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
