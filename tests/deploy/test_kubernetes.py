# SPDX-License-Identifier: Apache-2.0
"""docker/kubernetes: valid for the API server, allowed in a restricted namespace, and consistent."""

import contextlib
import copy
import re

import kubernetes_validate
import pytest
import yaml
from pasted import (
    IMAGE_VOLUME,
    KUBERNETES,
    by_kind,
    container_environment,
    containers,
    documents,
    name,
    pod_templates,
    with_own_models,
)

#: The oldest and the newest that the validator knows, and one between.
VERSIONS = ["1.25", "1.31", "1.37"]

INVALID = pytest.raises(kubernetes_validate.ValidationError)

#: The volume types that the restricted pod security standard allows.
ALLOWED_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
}


def restricted(pod):
    """A pod's violations of the restricted pod security standard, as far as it concerns Linux containers."""
    broken = [f"{key} is the host's" for key in ("hostNetwork", "hostPID", "hostIPC") if pod.get(key)]
    for volume in pod.get("volumes", []):
        broken += [f"volume type {key}" for key in volume.keys() - {"name"} - ALLOWED_VOLUMES]
    everyone = pod.get("securityContext", {})
    if everyone.get("sysctls"):
        broken.append("sysctls")
    for container in containers(pod):
        own = container.get("securityContext", {})
        both = {**everyone, **own}
        checks = {
            "privileged": not own.get("privileged"),
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
            "drop ALL": "ALL" in own.get("capabilities", {}).get("drop", []),
            "added capabilities": set(own.get("capabilities", {}).get("add", [])) <= {"NET_BIND_SERVICE"},
            "runAsNonRoot": both.get("runAsNonRoot") is True,
            "runAsUser": both.get("runAsUser") != 0,
            "seccompProfile": both.get("seccompProfile", {}).get("type") in ("RuntimeDefault", "Localhost"),
            "procMount": own.get("procMount", "Default") == "Default",
            "hostPort": not any("hostPort" in port for port in container.get("ports", [])),
            "seLinux": not {"user", "role"} & both.get("seLinuxOptions", {}).keys(),
        }
        broken += [f"{container['name']}: {rule}" for rule, kept in checks.items() if not kept]
    return broken


def pods(path):
    found = pod_templates(path)
    assert found
    return found


def model_prep(path):
    """The container of model-prep and its pod."""
    (found,) = [(c, pod) for pod in pods(path) for c in containers(pod) if c["name"] == "model-prep"]
    return found


@pytest.fixture(params=[*KUBERNETES, IMAGE_VOLUME], ids=name)
def file(request):
    return request.param


@pytest.fixture(params=KUBERNETES, ids=name)
def filling(request):
    """A file in which model-prep runs."""
    return request.param


@pytest.mark.parametrize("version", VERSIONS)
def test_the_api_server_knows_every_field(file, version):
    has_image_volumes = version != VERSIONS[0]
    with contextlib.nullcontext() if has_image_volumes or file != IMAGE_VOLUME else INVALID:
        for document in documents(file):
            kubernetes_validate.validate(document, version, strict=True)


def test_a_field_that_kubernetes_does_not_know_is_found(file):
    document = documents(file)[-1]
    document["spec"]["template"]["spec"]["containers"][0]["securityContext"]["readOnlyRoot"] = True
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document, VERSIONS[-1], strict=True)


def test_every_pod_is_within_the_restricted_standard(file):
    for pod in pods(file):
        assert restricted(pod) == []


def test_removing_any_line_of_the_security_context_violates_the_standard(file):
    for pod in pods(file):
        for key in ("runAsNonRoot", "seccompProfile"):
            worse = copy.deepcopy(pod)
            del worse["securityContext"][key]
            assert len(restricted(worse)) == len(containers(pod)), key
        for place, container in enumerate(containers(pod)):
            for key in ("allowPrivilegeEscalation", "capabilities"):
                worse = copy.deepcopy(pod)
                del containers(worse)[place]["securityContext"][key]
                assert len(restricted(worse)) == 1 and container["name"] in restricted(worse)[0], key
        worse = copy.deepcopy(pod)
        worse["volumes"].append({"name": "node", "hostPath": {"path": "/"}})
        assert restricted(worse) == ["volume type hostPath"]


def test_beyond_the_standard_no_root_file_system_is_writable_and_no_api_token_is_mounted(file):
    for pod in pods(file):
        assert pod["automountServiceAccountToken"] is False
        assert all(container["securityContext"]["readOnlyRootFilesystem"] is True for container in containers(pod))


def test_model_prep_has_64_mib_and_every_container_a_limit(file):
    if file in KUBERNETES:
        assert model_prep(file)[0]["resources"]["limits"]["memory"] == "64Mi"
    for pod in pods(file):
        assert all("memory" in container["resources"]["limits"] for container in containers(pod))


def test_the_token_is_a_file_of_an_optional_secret_that_only_model_prep_sees(filling):
    container, pod = model_prep(filling)
    (secret,) = [volume for volume in pod["volumes"] if "secret" in volume]
    (mount,) = [mount for mount in container["volumeMounts"] if mount["name"] == secret["name"]]
    assert secret["secret"]["optional"] is True
    assert container_environment(container)["HF_TOKEN_PATH"] == mount["mountPath"] + "/token"
    # Readable for the pod's group if it has one, else for all users; not writable.
    assert secret["secret"]["defaultMode"] == (0o440 if "fsGroup" in pod["securityContext"] else 0o444)
    for other in containers(pod):
        if other is not container:
            assert secret["name"] not in {mount["name"] for mount in other.get("volumeMounts", [])}


def test_every_volume_is_mounted_and_every_claim_is_defined_in_the_file(filling):
    claims = {
        document["metadata"]["name"] for document in documents(filling) if document["kind"] == "PersistentVolumeClaim"
    }
    for pod in pods(filling):
        named = {volume["name"] for volume in pod["volumes"]}
        assert named == {mount["name"] for c in containers(pod) for mount in c.get("volumeMounts", [])}
        used = [v["persistentVolumeClaim"]["claimName"] for v in pod["volumes"] if "persistentVolumeClaim" in v]
        assert used and set(used) <= claims


def test_services_read_the_models_offline_and_cannot_write_them(file):
    for pod in pods(file):
        for container in containers(pod):
            models = [mount for mount in container.get("volumeMounts", []) if mount["mountPath"] == "/app/models"]
            if container["name"] == "model-prep":
                assert len(models) == 1 and not models[0].get("readOnly")
            elif models:
                assert models[0]["readOnly"] is True
                environment = container_environment(container)
                assert environment["HF_HOME"] == "/app/models" and environment["HF_HUB_OFFLINE"] == "1"


def test_models_of_ones_own_need_only_lines_without_their_comment_sign(filling):
    plain = list(yaml.safe_load_all(with_own_models(filling)))
    for document in plain:
        kubernetes_validate.validate(document, VERSIONS[-1], strict=True)
    (pod,) = [document["spec"]["template"]["spec"] for document in plain if "template" in document["spec"]]
    (container,) = [container for container in containers(pod) if container["name"] == "model-prep"]
    (volume,) = [volume for volume in pod["volumes"] if "configMap" in volume]
    (mount,) = [mount for mount in container["volumeMounts"] if mount["name"] == volume["name"]]
    assert container_environment(container)["MODEL_PREP_MANIFEST"] == f"{mount['mountPath']}/models.lock.json"
    # The command in the file's comment makes it.
    assert f"create configmap {volume['configMap']['name']} --from-file=models.lock.json" in filling.read_text()


def test_a_service_has_a_writable_tmp_and_the_user_of_its_own_image(file):
    for pod in pods(file):
        for container in containers(pod):
            if container["name"] == "your-service":
                (mount,) = [mount for mount in container["volumeMounts"] if mount["mountPath"] == "/tmp"]
                (volume,) = [volume for volume in pod["volumes"] if volume["name"] == mount["name"]]
                assert "emptyDir" in volume and not mount.get("readOnly")
                both = {**pod["securityContext"], **container["securityContext"]}
                assert not {"runAsUser", "runAsGroup"} & both.keys()
            elif container["name"] == "model-prep":
                both = {**pod["securityContext"], **container["securityContext"]}
                assert (both["runAsUser"], both["runAsGroup"]) == (10001, 0), "the image's user"


def test_no_claim_is_read_only_for_a_whole_pod(file):
    """Also in comments: an init container with that claim could not write."""
    assert not re.search(r"claimName: [^}\n]*readOnly", file.read_text())


def test_the_selector_finds_the_pods(file):
    for document in documents(file):
        if "selector" in document["spec"]:
            labels = document["spec"]["template"]["metadata"]["labels"]
            assert document["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_the_fleets_volumes_can_be_mounted_on_many_nodes():
    by_name = {name(path).split("/")[1]: path for path in KUBERNETES}
    for file in ("job.yaml", "daemonset.yaml"):
        assert by_kind(by_name[file], "PersistentVolumeClaim")["spec"]["accessModes"] == ["ReadWriteMany"]


def test_the_nodes_own_volume_meets_its_claim():
    (path,) = [path for path in KUBERNETES if path.name == "daemonset.yaml"]
    volume, claim = by_kind(path, "PersistentVolume"), by_kind(path, "PersistentVolumeClaim")
    assert claim["spec"]["volumeName"] == volume["metadata"]["name"]
    assert claim["spec"]["storageClassName"] == volume["spec"]["storageClassName"]
    assert claim["spec"]["accessModes"] == volume["spec"]["accessModes"]
    assert claim["spec"]["resources"]["requests"]["storage"] == volume["spec"]["capacity"]["storage"]
    assert "nodeAffinity" not in volume["spec"], "then the pods of other nodes could not mount it"


def test_the_jobs_own_deadline_comes_after_those_of_all_attempts_and_their_pauses():
    (path,) = [path for path in KUBERNETES if path.name == "job.yaml"]
    job = by_kind(path, "Job")["spec"]
    deadline = int(container_environment(model_prep(path)[0])["MODEL_PREP_DEADLINE"])
    pauses = sum(min(10 * 2**retry, 360) for retry in range(job["backoffLimit"]))
    left = job["activeDeadlineSeconds"] - deadline * (job["backoffLimit"] + 1) - pauses
    assert left >= 60 * (job["backoffLimit"] + 1), "a minute for the start of each pod"
    wait = int(re.search(r"--timeout=(\d+)h job/", path.read_text())[1])
    assert 3600 * wait > job["activeDeadlineSeconds"]


def test_an_eviction_is_no_failed_attempt():
    (path,) = [path for path in KUBERNETES if path.name == "job.yaml"]
    (rule,) = by_kind(path, "Job")["spec"]["podFailurePolicy"]["rules"]
    assert rule["action"] == "Ignore" and rule["onPodConditions"][0]["type"] == "DisruptionTarget"
    assert pods(path)[0]["restartPolicy"] == "Never", "a policy for pods that failed is refused with any other"


def test_every_container_has_the_memory_that_each_runtime_demands(file):
    for pod in pods(file):
        for container in containers(pod):
            memory = container["resources"]["limits"]["memory"]
            assert memory.endswith("Gi") or int(memory.removesuffix("Mi")) >= 12, "CRI-O's minimum"


def test_the_image_is_named_by_its_digest_and_fits_the_prefix_of_the_export():
    (pod,) = pods(IMAGE_VOLUME)
    (volume,) = [volume for volume in pod["volumes"] if "image" in volume]
    assert re.fullmatch(r"registry\.example/models@sha256:[0-9a-f]{64}", volume["image"]["reference"])
    (container,) = containers(pod)
    assert container_environment(container)["HF_HOME"] == container["volumeMounts"][0]["mountPath"]
    assert "subPath" not in container["volumeMounts"][0]
