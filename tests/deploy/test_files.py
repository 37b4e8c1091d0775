# SPDX-License-Identifier: Apache-2.0
"""docker/: every file against its schema, every variable against the program, and the program with these variables."""

import re
import shutil
import subprocess
import sys

import pytest
from pasted import (
    ACTION,
    ALL,
    CATALOGUE,
    COMPOSE,
    DOCKER,
    GITLAB,
    KUBERNETES,
    MIRROR_COMPOSE,
    MIRROR_SWARM,
    SWARM,
    WORKFLOW,
    documents,
    name,
    read,
    scripts,
    services,
    with_own_models,
)
from support import run

SCHEMAS = {
    COMPOSE: "compose-spec",
    **{path: "compose-spec" for path in [*SWARM, MIRROR_COMPOSE, MIRROR_SWARM]},
    ACTION: "github-actions",
    WORKFLOW: "github-workflows",
    GITLAB: "gitlab-ci",
}

@pytest.mark.parametrize("path", SCHEMAS, ids=name)
def test_the_file_follows_its_schema(path):
    run([sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{SCHEMAS[path]}", path], {})


@pytest.mark.parametrize("path", SCHEMAS, ids=name)
def test_a_misspelt_member_does_not_follow_the_schema(path, tmp_path):
    worse = tmp_path / path.name
    old, new = {
        "compose-spec": ("read_only:", "readonly:"),
        "github-actions": ("using:", "use:"),
        "github-workflows": ("runs-on:", "run-on:"),
        "gitlab-ci": ("policy: pull", "policy: fetch"),
    }[SCHEMAS[path]]
    assert old in path.read_text()
    worse.write_text(path.read_text().replace(old, new))
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{SCHEMAS[path]}", worse]
    assert run(command, {}, check=False).returncode != 0


def known_variables(build):
    """The variables that `model-prep --help` names."""
    return set(re.findall(r"\b[A-Z]+_[A-Z_]+\b", run([build / "model-prep", "--help"], {}).stdout))


def set_variables(path):
    """The variables that a file sets for model-prep or a service, also in commands and in comments."""
    text = path.read_text()
    found = set(re.findall(r"--env '?([A-Z_]+)", text)) | set(re.findall(r"\{name: ([A-Z_]+), value:", text))
    if path == ACTION:
        found |= {
            key
            for step in read(path)["runs"]["steps"]
            for key in step.get("env", {})
            if key.startswith(("HF_", "MODEL_"))
        }
    elif path == GITLAB:
        jobs = [job for job in read(path).values() if isinstance(job, dict)]
        found |= {key for job in jobs for key in job.get("variables", {}) if not key.startswith("DOCKER_")}
    elif path == COMPOSE or path in SWARM:
        found |= {key for service in read(path)["services"].values() for key in service.get("environment", {})}
    elif path in KUBERNETES:
        found |= {key for environment in services(path).values() for key in environment}
    return found


@pytest.mark.parametrize("path", [COMPOSE, *SWARM, *KUBERNETES, ACTION, GITLAB], ids=name)
def test_every_variable_is_one_that_the_program_knows(path, build):
    found = set_variables(path)
    assert {"MODELS_TO_DOWNLOAD", "MODEL_VARIANT"} <= found
    assert found <= known_variables(build)


@pytest.mark.parametrize("path", [COMPOSE, *SWARM, *KUBERNETES], ids=name)
def test_the_program_does_its_job_with_what_the_file_sets(path, demo, model_prep, tmp_path):
    environment = services(path)["model-prep"]
    assert environment["HF_ENDPOINT"] == "" and environment["MODELS_TO_DOWNLOAD"] == ""
    here = {"HF_HOME": tmp_path, "HF_ENDPOINT": demo.endpoint, "MODEL_PREP_MANIFEST": demo.manifest}
    assert model_prep(demo.hub, {**environment, **here})["totals"]["models"] == 3
    # A service's variables find them all without a network.
    for service in services(path).keys() - {"model-prep", "done"}:
        offline = {**services(path)[service], "HF_HOME": tmp_path, "MODEL_PREP_MANIFEST": demo.manifest}
        demo.hub.forget_requests()
        summary = model_prep(demo.hub, offline)
        assert summary["offline"] and summary["success"] and demo.hub.requests() == []


@pytest.mark.parametrize("path", [ACTION, WORKFLOW, GITLAB], ids=name)
def test_shellcheck_finds_nothing_in_the_scripts(path):
    assert shutil.which("shellcheck"), "docker/packages names it"
    assert scripts(path)
    for shell, text in scripts(path):
        command = ["shellcheck", f"--shell={shell}", "-"]
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout


def test_compose_and_swarm_run_it_confined_and_services_cannot_write():
    for path in [COMPOSE, *SWARM]:
        file = read(path)
        for key, service in file["services"].items():
            if key == "model-prep":
                assert "homeiq_models:/app/models" in service["volumes"]
            else:
                (volume,) = service["volumes"]
                assert (volume["source"], volume["target"]) == ("homeiq_models", "/app/models")
                assert volume["read_only"] is True and volume["volume"]["nocopy"] is True
        ours = file["services"]["model-prep"]
        assert ours["read_only"] is True and ours["cap_drop"] == ["ALL"]
        memory = ours["mem_limit"] if path == COMPOSE else ours["deploy"]["resources"]["limits"]["memory"]
        assert memory.upper() == "64M"
        assert file["volumes"]["homeiq_models"]["name"] == "homeiq_models"
    assert read(COMPOSE)["services"]["model-prep"]["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("path", [COMPOSE, *SWARM], ids=name)
def test_models_of_ones_own_need_only_lines_without_their_comment_sign(path, tmp_path):
    own = tmp_path / path.name
    own.write_text(with_own_models(path))
    run([sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", own], {})
    service = read(own)["services"]["model-prep"]
    place = service["environment"].pop("MODEL_PREP_MANIFEST")
    if path == COMPOSE:
        assert service["volumes"][1:] == [f"./models.lock.json:{place}:ro"]
    else:
        assert service["configs"] == [{"source": "models", "target": place}]
        assert read(own)["configs"] == {"models": {"file": "./models.lock.json"}}
    assert service["environment"] == read(path)["services"]["model-prep"]["environment"]


def test_nfs_is_of_version_4_in_the_stack_as_by_command():
    (text,) = [path.read_text() for path in SWARM if path.stem == "shared"]
    assert re.findall(r"\bo[:=] ?addr=nfs\.example(\S*)", text) == [",nfsvers=4\"'", ",nfsvers=4"]


def test_compose_profiles_let_the_setup_step_run_alone_and_before_the_services():
    both = read(COMPOSE)["services"]
    assert both["model-prep"]["profiles"] == ["setup", "services"]
    for key, service in both.items():
        if key != "model-prep":
            assert service["depends_on"]["model-prep"]["condition"] == "service_completed_successfully"
            assert "setup" not in service["profiles"], "then the setup step would start services"
            assert set(service["profiles"]) <= set(both["model-prep"]["profiles"]), "then compose refuses the file"


def test_swarm_runs_it_as_a_job_in_the_stack_as_by_command():
    modes = {}
    for path in SWARM:
        deploy = read(path)["services"]["model-prep"]["deploy"]
        modes[path.stem] = deploy["mode"]
        assert f"--mode {deploy['mode']} " in path.read_text()
        assert deploy["restart_policy"]["condition"] == "on-failure", "a job may not have another"
        attempts, delay = deploy["restart_policy"]["max_attempts"], deploy["restart_policy"]["delay"]
        assert (
            f"--restart-condition on-failure --restart-max-attempts {attempts} --restart-delay {delay}"
            in path.read_text()
        )
    assert modes == {"per-node": "global-job", "shared": "replicated-job"}


def test_the_catalogue_has_no_health_check():
    (entry,) = read(CATALOGUE)
    assert entry["name"] == "model-prep" and entry["kind"] == "init-container"
    assert entry["health_check"] is None and "port" not in entry


def test_systemd_accepts_the_units_of_the_deployment_page(build, tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("THE UNITS ARE NOT CHECKED BY systemd, WHICH IS NOT INSTALLED HERE")
    page = (DOCKER.parent / "docs" / "deploy.md").read_text()
    ours, service = re.findall(r"^```ini\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "model-prep.service").write_text(ours.replace("/usr/bin/", f"{build}/"))
    (tmp_path / "your-service.service").write_text(service + "ExecStart=/bin/true\n")
    found = run(["systemd-analyze", "verify", *sorted(tmp_path.glob("*.service"))], {})
    assert found.stdout + found.stderr == ""


def test_every_file_is_tested_and_begins_with_licence_and_purpose():
    folders = [DOCKER, *(DOCKER / folder for folder in ("swarm", "kubernetes", "kserve", "ci", "mirror"))]
    assert sorted(ALL) == sorted(path for folder in folders for path in folder.glob("*.y*ml"))
    for path in ALL:
        first, second = path.read_text().splitlines()[:2]
        assert first == "# SPDX-License-Identifier: Apache-2.0" and second.startswith("# ")
        assert documents(path)


def test_the_deployment_page_links_every_file():
    page = (DOCKER.parent / "docs" / "deploy.md").read_text()
    for path in ALL:
        assert f"](../docker/{name(path)})" in page, name(path)
