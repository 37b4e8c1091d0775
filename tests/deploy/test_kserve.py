# SPDX-License-Identifier: Apache-2.0
"""docker/kserve: the container that KServe makes of it is valid, restricted, and fills what KServe mounts."""

import copy

import kubernetes_validate
import pytest
from pasted import KSERVE, container_environment, read
from support import run
from test_kubernetes import VERSIONS, restricted

COMMIT = "1" * 40

#: What KServe 0.16 to 0.21 put into its init container (pkg/utils, CreateInitContainerWithConfig), and add to it after
#: the merge.
VARIABLES = {"HF_HUB_ENABLE_HF_TRANSFER": "1", "HF_XET_HIGH_PERFORMANCE": "1", "HF_XET_NUM_CONCURRENT_RANGE_GETS": "8"}


def injected(*arguments):
    """The init container of a service: KServe's own, merged with that of the file, which wins; lists of names add up."""
    ours = copy.deepcopy(read(KSERVE)["spec"]["container"])
    kserves = {
        "name": "storage-initializer",
        "image": "kserve/storage-initializer:latest",
        "args": list(arguments),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": "kserve-provision-location", "mountPath": "/mnt/models"}],
    }
    environment = {name: {"name": name, "value": value} for name, value in VARIABLES.items()}
    environment.update({variable["name"]: variable for variable in ours.get("env", [])})
    return {**kserves, **ours, "env": list(environment.values())}


def pod(*arguments):
    volume = {"name": "kserve-provision-location", "emptyDir": {}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "service"},
        "spec": {"initContainers": [injected(*arguments)], "containers": [], "volumes": [volume]},
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_the_container_that_kserve_makes_of_it_is_valid_and_restricted(version):
    service = pod("hf://org/name", "/mnt/models")
    assert restricted(service["spec"]) == []
    service["spec"]["containers"] = [{"name": "kserve-container", "image": "server"}]
    kubernetes_validate.validate(service, version, strict=True)


def test_kserve_finds_it_for_the_hub_alone_and_gives_it_several_models():
    assert "# KServe 0.16 to 0.21: " in KSERVE.read_text(), "as above"
    file = read(KSERVE)
    assert (file["apiVersion"], file["kind"]) == ("serving.kserve.io/v1alpha1", "ClusterStorageContainer")
    assert file["spec"]["container"]["name"] == "storage-initializer", "or KServe injects its own as well"
    assert file["spec"]["supportedUriFormats"] == [{"prefix": "hf://"}]
    assert file["spec"]["supportsMultiModelDownload"] is True, "KServe 0.16 crashes if it is absent"
    assert file["spec"]["workloadType"] == "initContainer"
    assert "args" not in file["spec"]["container"], "they would replace KServe's"


def test_it_has_64_mib_and_writes_nothing_outside_of_the_destination():
    container = injected("hf://org/name", "/mnt/models")
    assert container["resources"]["limits"]["memory"] == "64Mi"
    assert container["securityContext"]["readOnlyRootFilesystem"] is True


def run_injected(build, hub, *arguments):
    container = injected(*arguments)
    assert container["command"][0] == "model-prep"
    environment = {**container_environment(container), "HF_ENDPOINT": hub.endpoint, "HF_HOME": "/proc/none"}
    return run([build / "model-prep", *container["command"][1:], *container["args"]], environment)


def test_the_program_fills_one_destination_and_several(build, demo, tmp_path):
    one, two = tmp_path / "models", tmp_path / "adapters" / "other"
    done = run_injected(build, demo.hub, "hf://google/flan-t5-small", one, "hf://BAAI/bge-reranker-base", two)
    assert "2 of 2 models ready" in done.stderr
    for folder in (one, two):
        assert {"config.json", ".model-prep.json"} <= {path.name for path in folder.iterdir()}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapters", "models"]

    # The container restarts: nothing is fetched again.
    demo.hub.forget_requests()
    run_injected(build, demo.hub, "hf://google/flan-t5-small", one)
    assert {request["kind"] for request in demo.hub.requests()} <= {"repo_info", "tree"}
