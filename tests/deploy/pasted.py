# SPDX-License-Identifier: Apache-2.0
"""Reads the files under docker/, their shell scripts, and the variables that they set."""

import pathlib
import re

import yaml

DOCKER = pathlib.Path(__file__).resolve().parents[2] / "docker"

COMPOSE = DOCKER / "compose.yaml"
SWARM = sorted((DOCKER / "swarm").glob("*.yaml"))
IMAGE_VOLUME = DOCKER / "kubernetes" / "image-volume.yaml"
#: Those in which model-prep runs.
KUBERNETES = sorted(path for path in (DOCKER / "kubernetes").glob("*.yaml") if path != IMAGE_VOLUME)
KSERVE = DOCKER / "kserve" / "cluster-storage-container.yaml"
ACTION, WORKFLOW, GITLAB = (DOCKER / "ci" / name for name in ("action.yml", "github-workflow.yaml", "gitlab-ci.yml"))
CATALOGUE = DOCKER / "catalogue.yaml"
MIRROR_COMPOSE, MIRROR_SWARM, MIRROR_KUBERNETES = (
    DOCKER / "mirror" / f"{name}.yaml" for name in ("compose", "swarm", "kubernetes")
)
ALL = [
    COMPOSE, *SWARM, *KUBERNETES, IMAGE_VOLUME, KSERVE, ACTION, WORKFLOW, GITLAB, CATALOGUE, MIRROR_COMPOSE, MIRROR_SWARM, MIRROR_KUBERNETES,
]


def name(path):
    return str(path.relative_to(DOCKER))


def read(path):
    return yaml.safe_load(path.read_text())


def documents(path):
    return list(yaml.safe_load_all(path.read_text()))


def with_own_models(path):
    """The file's text as its user gets it by uncommenting what `# Your own models:` introduces."""
    lines, introduced = [], False
    for line in path.read_text().splitlines():
        if re.fullmatch(r" *# [A-Z][\w ]+:", line):
            introduced = line.strip() == "# Your own models:"
        elif introduced and (commented := re.fullmatch(r"( *)# (.*)", line)):
            line = commented[1] + commented[2]
        else:
            introduced = False
        lines.append(line)
    return "\n".join(lines) + "\n"


def by_kind(path, kind):
    (found,) = [document for document in documents(path) if document["kind"] == kind]
    return found


def pod_templates(path):
    """The `spec` of every pod in the file."""
    return [document["spec"]["template"]["spec"] for document in documents(path) if "template" in document["spec"]]


def containers(pod):
    return pod.get("initContainers", []) + pod["containers"]


def container_environment(container):
    return {variable["name"]: variable["value"] for variable in container.get("env", [])}


def defaults(environment):
    """A compose file's environment if the shell sets nothing: resolves `${NAME:-default}` and drops `NAME:`."""
    given = {key: str(value) for key, value in environment.items() if value is not None}
    return {key: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value) for key, value in given.items()}


def services(path):
    """name -> environment of each service or container of a compose, stack or Kubernetes file."""
    if path in [*KUBERNETES, IMAGE_VOLUME]:
        return {c["name"]: container_environment(c) for pod in pod_templates(path) for c in containers(pod)}
    return {key: defaults(service.get("environment", {})) for key, service in read(path)["services"].items()}


def scripts(path):
    """(shell, text) of each script in a CI file."""
    file = read(path)
    if path == ACTION:
        return [("bash", step["run"]) for step in file["runs"]["steps"] if "run" in step]
    if path == WORKFLOW:
        return [("bash", step["run"]) for job in file["jobs"].values() for step in job["steps"] if "run" in step]
    jobs = [job for job in file.values() if isinstance(job, dict) and "script" in job]
    return [("sh", "\n".join([*job.get("before_script", []), *job["script"]])) for job in jobs]
