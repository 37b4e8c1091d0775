# SPDX-License-Identifier: Apache-2.0
"""The files under docker/ that users paste, on a real engine, with image and volume names of the test."""

import json

import pytest
from engine import PREFIX, Volume, command, docker, new_name
from support import wait_until


@pytest.fixture
def paste(root, make_volume, tmp_path):
    """Copies a file of docker/ and replaces its volume with one of the test."""

    def copy(name):
        volume = make_volume()
        text = (root / "docker" / name).read_text()
        assert "name: homeiq_models" in text
        pasted = tmp_path / name.replace("/", "-")
        pasted.write_text(text.replace("name: homeiq_models", f"name: {volume.name}"))
        return pasted, volume

    return copy


@pytest.fixture
def compose(paste, at_home, tmp_path):
    """docker-compose on compose.yaml, as a separate project."""
    file, volume = paste("compose.yaml")
    project = new_name("compose")

    def run(*arguments, check=True, **env):
        words = ["docker-compose", "--project-name", project, "--file", file, *arguments]
        return command(*words, env={"MODEL_PREP_IMAGE": at_home.tag, **at_home.environment, **env}, check=check)

    run.volume = volume
    yield run
    run("--profile", "services", "down")


def test_the_setup_profile_of_compose_fills_the_volume(compose):
    compose("--profile", "setup", "up", "model-prep")
    assert compose.volume.summary()["success"]
    assert len(compose("--profile", "services", "ps", "--all", "--quiet").stdout.split()) == 1
    ran = compose("--profile", "setup", "up", "--exit-code-from", "model-prep", "model-prep")
    assert "nothing downloaded, 0 requests" in ran.stdout


def test_compose_passes_on_the_exit_code_of_a_failure(compose):
    ran = compose("--profile", "setup", "up", "--exit-code-from", "model-prep", "model-prep",
                  MODELS_TO_DOWNLOAD="no-such-key", check=False)
    assert ran.returncode == 1 and "no-such-key" in ran.stdout + ran.stderr


def test_compose_starts_the_service_only_when_the_models_are_ready(compose, at_home):
    # The program stands in for a service: under a service's environment it exits 0 only if it finds everything offline.
    services = {"SERVICE_IMAGE": at_home.tag}
    compose("--profile", "services", "up", MODELS_TO_DOWNLOAD="no-such-key", check=False, **services)
    assert exit_codes(compose) == {"model-prep": 1}
    compose("--profile", "services", "up", **services)
    assert exit_codes(compose) == {"model-prep": 0, "your-service": 0}


def exit_codes(compose):
    """The names of the services with a started container."""
    containers = compose("--profile", "services", "ps", "--all", "--quiet").stdout.split()
    found = [json.loads(docker("inspect", container).stdout)[0] for container in containers]
    return {
        one["Config"]["Labels"]["com.docker.compose.service"]: one["State"]["ExitCode"]
        for one in found
        if not one["State"]["StartedAt"].startswith("0001-")
    }


@pytest.fixture
def swarm():
    """A swarm of one node."""
    state = docker("info", "--format", "{{.Swarm.LocalNodeState}}").stdout.strip()
    if state != "inactive":
        pytest.skip(f"THIS ENGINE IS PART OF A SWARM ALREADY ({state}), WHICH IS NOT OURS TO TEST ON")
    bridge = "docker_gwbridge"  # which a swarm makes and does not take with it
    was_there = bridge in docker("network", "ls", "--format", "{{.Name}}").stdout.split()
    docker("swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr", "127.0.0.1")
    yield
    docker("swarm", "leave", "--force")
    wait_until(lambda: not containers_of_tasks(), "the end of the swarm's containers")
    if not was_there:
        docker("network", "rm", bridge, check=False)


def containers_of_tasks():
    return docker("ps", "--all", "--quiet", "--filter", "label=com.docker.swarm.task").stdout.split()


def task_states(service):
    return docker("service", "ps", "--no-trunc", "--format", "{{.CurrentState}} {{.Error}}", service).stdout.splitlines()


@pytest.mark.parametrize("mode", ["global-job", "replicated-job"])
def test_a_swarm_fills_a_volume_by_a_service(volume, at_home, swarm, mode):
    name = new_name("service")
    docker(
        "service", "create", "--name", name, "--mode", mode, "--no-resolve-image",
        "--mount", f"type=volume,source={volume.name},target=/app/models", "--read-only", "--cap-drop", "ALL",
        "--limit-memory", "64M", "--restart-condition", "on-failure", "--restart-max-attempts", "3", at_home.tag,
    )
    assert [state.split()[0] for state in task_states(name)] == ["Complete"]
    assert volume.summary()["success"]
    docker("service", "rm", name)


@pytest.mark.parametrize("file", ["per-node.yaml", "shared.yaml"])
def test_a_swarm_fills_a_volume_by_a_stack(paste, at_home, swarm, file):
    pasted, volume = paste(f"swarm/{file}")
    name = PREFIX
    deployed = docker("stack", "deploy", "--resolve-image", "never", "--compose-file", pasted, name, check=False,
                      env={"MODEL_PREP_IMAGE": at_home.tag, **at_home.environment})
    if "Unknown mode" in deployed.stderr:
        pytest.skip("THE STACK FILES OF THIS docker CLIENT DO NOT KNOW JOBS")
    assert deployed.returncode == 0, deployed.stderr
    try:
        service = f"{name}_model-prep"
        wait_until(lambda: any(s.startswith(("Complete", "Failed")) for s in task_states(service)), "the stack's end", 60)
        assert [state.split()[0] for state in task_states(service)] == ["Complete"]
        assert volume.summary()["success"]
    finally:
        docker("stack", "rm", name)
