# SPDX-License-Identifier: Apache-2.0
"""Every Kubernetes file goes through the admission of a real API server, in a namespace with the label `restricted`."""

import copy

import pytest
from api_server import ApiServer, Unavailable
from pasted import IMAGE_VOLUME, KUBERNETES, MIRROR_KUBERNETES, containers, documents, name, pod_templates
from test_kserve import pod as kserve_pod

FILES = [*KUBERNETES, IMAGE_VOLUME, MIRROR_KUBERNETES]
CLUSTER_WIDE = {"PersistentVolume"}
LEVEL = "pod-security.kubernetes.io"


@pytest.fixture(scope="module")
def api_server(tmp_path_factory):
    try:
        server = ApiServer(tmp_path_factory.mktemp("api-server"))
    except Unavailable as error:
        pytest.skip(f"ADMISSION TESTS SKIPPED: {error}.")
    yield server
    server.close()


@pytest.fixture
def restricted_namespace(api_server, request):
    """A fresh one, which refuses pods beyond `restricted` and warns of what would make such pods."""
    space = f"space-{abs(hash(request.node.name)) % 10**9}"
    labels = {f"{LEVEL}/{mode}": "restricted" for mode in ("enforce", "warn")}
    metadata = {"name": space, "labels": labels}
    status, answer, _ = api_server.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    assert status == 201, answer
    # In a whole cluster a controller makes it.
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    assert api_server.create(account, space)[0] == 201
    return space


def as_pod(spec, number):
    spec = {**spec, "restartPolicy": spec.get("restartPolicy", "Always")}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"pod-{number}"}, "spec": spec}


@pytest.mark.parametrize("path", FILES, ids=name)
def test_the_server_takes_the_file_and_its_pods_without_a_warning(path, api_server, restricted_namespace):
    for document in documents(path):
        space = None if document["kind"] in CLUSTER_WIDE else restricted_namespace
        document["metadata"].pop("namespace", None)
        status, answer, warnings = api_server.create(document, space)
        assert (status, warnings) == (201, []), answer

    # A workload is only warned of; the pods that its controller would make can be refused.
    for number, spec in enumerate(pod_templates(path)):
        status, answer, warnings = api_server.create(as_pod(spec, number), restricted_namespace)
        assert (status, warnings) == (201, []), answer


@pytest.mark.parametrize("path", FILES, ids=name)
def test_the_server_refuses_the_pods_without_their_security_context(path, api_server, restricted_namespace):
    for number, spec in enumerate(pod_templates(path)):
        for place, container in enumerate(containers(spec)):
            worse = copy.deepcopy(spec)
            containers(worse)[place].pop("securityContext")
            status, answer, _ = api_server.create(as_pod(worse, number), restricted_namespace)
            assert status == 403 and container["name"] in answer["message"], answer


def test_the_server_takes_the_pod_that_kserve_makes(api_server, restricted_namespace):
    service = kserve_pod("hf://org/name:main", "/mnt/models")
    context = service["spec"]["initContainers"][0]["securityContext"]
    service["spec"]["containers"] = [{"name": "kserve-container", "image": "server", "securityContext": context}]
    status, answer, warnings = api_server.create(service, restricted_namespace)
    assert (status, warnings) == (201, []), answer


def test_an_unknown_field_is_refused(api_server, restricted_namespace):
    document = documents(IMAGE_VOLUME)[0]
    document["spec"]["template"]["spec"]["volumes"][0]["image"]["digest"] = "none"
    status, answer, _ = api_server.create(document, restricted_namespace)
    assert status == 400 and "unknown field" in answer["message"], answer
