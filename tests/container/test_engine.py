# SPDX-License-Identifier: Apache-2.0
"""The image in a real engine: users, limits, exit codes, signals, shared and full volumes, proxies, CAs, tokens."""

import datetime
import json
import re
import time

import pytest
from conftest import hub_settings
from engine import docker, inspect
from support import SMALL_COMMIT, SMALL_FILES, spec_of, wait_until

RESTRICTED = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--memory=64m")
MODELS = ["all-MiniLM-L6-v2", "bge-reranker-base", "flan-t5-small"]


def state(container):
    return inspect(container, ".State")


def wait_for_end(container, seconds):
    wait_until(lambda: not state(container)["Running"], f"the end of {container}", seconds)
    return state(container)["ExitCode"]


@pytest.mark.parametrize("user", ["10001:0", "4242:0", "1000930000"])
def test_any_user_of_group_0_fills_a_fresh_volume_under_every_restriction(image, volume, at_hub, user):
    at_hub["options"] += (*RESTRICTED, "--user", user)
    ran = image.run(volume=volume, **at_hub)
    assert "3 of 3 models ready" in ran.stderr and ran.stdout == ""
    summary = volume.summary()
    assert summary["success"] and sorted(summary["models"]) == MODELS
    ran = image.run(volume=volume, **at_hub)
    assert "3 of 3 models ready, nothing downloaded, 0 requests" in ran.stderr


def test_64_mib_of_memory_without_swap_are_enough_for_a_model_in_its_real_size(image, volume, start_hub):
    hub = start_hub("--minilm")
    container = image.start(
        "sentence-transformers/all-MiniLM-L6-v2", volume=volume, env={"HF_ENDPOINT": hub.endpoint},
        options=(*RESTRICTED, "--memory-swap=64m"),
    )
    try:
        assert wait_for_end(container, 120) == 0, docker("logs", container).stderr
        assert not state(container)["OOMKilled"]
        assert volume.summary()["totals"]["bytes_downloaded"] > 90_000_000
    finally:
        docker("rm", "--force", container)


def test_a_complete_read_only_volume_is_enough(image, volume, at_hub):
    image.run(volume=volume, **at_hub)
    at_hub["options"] += (*RESTRICTED, "--volume", f"{volume.name}:/app/models:ro", "--user", "4242:4242")
    ran = image.run(**at_hub)
    assert "3 of 3 models ready, nothing downloaded, 0 requests" in ran.stderr


def test_a_user_without_write_permission_gets_both_user_ids_and_a_hint(image, volume, at_hub):
    at_hub["options"] += ("--user", "4242:4242")
    ran = image.run(volume=volume, check=False, **at_hub)
    assert ran.returncode == 1
    assert "4242" in ran.stderr and "10001" in ran.stderr and "hint: " in ran.stderr


def test_the_engine_passes_on_the_exit_code(image, volume, at_hub):
    assert image.run("--dry-run", volume=volume, **at_hub).returncode == 0
    assert image.run("--help").stdout.startswith("Downloads models")
    ran = image.run("no-such-key", volume=volume, check=False, **at_hub)
    assert ran.returncode == 1 and "no-such-key" in ran.stderr and "flan-t5-small" in ran.stderr


def test_docker_stop_ends_process_1_within_a_second_and_the_next_run_resumes(image, volume, start_hub):
    hub = start_hub("--demo", "--rate", "2000000")
    container = image.start(volume=volume, **hub_settings(hub))
    try:
        wait_until(lambda: "downloading" in docker("logs", container).stderr, "the beginning")
        wait_until(lambda: sum(f.stat().st_blocks for f in volume.folder.rglob("*.incomplete")) > 2000, "a megabyte")
        asked = time.time()
        docker("stop", "--time=10", container)
        second, fraction = re.fullmatch(r"(.*?)(\.\d+)?Z", state(container)["FinishedAt"]).groups("0")
        ended = datetime.datetime.fromisoformat(second + "+00:00").timestamp() + float(fraction)
        assert state(container)["ExitCode"] == 143 == volume.summary()["exit_code"], docker("logs", container).stderr
        assert ended - asked <= 1
    finally:
        docker("rm", "--force", container)
    image.run(volume=volume, **hub_settings(hub))
    assert volume.summary()["totals"]["bytes_reused"] > 0


def test_two_containers_at_once_fetch_each_blob_once_and_both_succeed(image, volume, start_hub):
    hub = start_hub("--demo", "--rate", "4000000")
    containers = [image.start("--summary", f"/app/models/{n}.json", volume=volume, **hub_settings(hub)) for n in (1, 2)]
    try:
        assert [wait_for_end(container, 60) for container in containers] == [0, 0]
    finally:
        docker("rm", "--force", *containers)
    totals = [json.loads((volume.folder / f"{n}.json").read_text())["totals"] for n in (1, 2)]
    assert totals[0]["bytes"] == totals[1]["bytes"] == totals[0]["bytes_downloaded"] + totals[1]["bytes_downloaded"]


READ_ALL = """
import json, os, sys
from huggingface_hub import scan_cache_dir, snapshot_download
found = {}
for repo in json.loads(sys.argv[1]):
    folder = snapshot_download(repo)
    for root, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(root, name), "rb") as file:
                found[repo + "/" + os.path.relpath(os.path.join(root, name), folder)] = len(file.read())
print(json.dumps([os.getuid(), found, len(scan_cache_dir().warnings)]))
"""


def test_another_user_in_another_container_reads_it_offline_with_the_real_huggingface_hub(image, volume, at_hub, root):
    image.run(volume=volume, **at_hub)
    models = volume.summary()["models"].values()
    # Any image with Python: here the base image with this machine's own, whose virtual environment has the library.
    base = re.search(r"^ARG DEBIAN=(.*)$", (root / "Dockerfile").read_text(), re.MULTILINE)[1]
    venv = root / "build/venv-hub-newest"
    ran = docker(
        "run", "--rm", "--network=none", "--user=5000:5000", "--volume", f"{volume.name}:/app/models:ro",
        "--volume", "/usr:/usr:ro", "--volume", f"{venv}:{venv}:ro",
        "--env", "HF_HOME=/app/models", "--env", "HF_HUB_OFFLINE=1", f"debian:{base}",
        venv / "bin/python", "-B", "-c", READ_ALL, json.dumps([model["repo"] for model in models]),
    )
    user, found, warnings = json.loads(ran.stdout)
    assert (user, warnings) == (5000, 0)
    assert found == {f"{m['repo']}/{file['path']}": file["size"] for m in models for file in m["files"]}


def test_a_volume_that_is_too_small_is_reported_before_the_first_byte(image, make_volume, at_hub):
    small = make_volume("--driver=local", "--opt=type=tmpfs", "--opt=device=tmpfs", "--opt=o=size=8m,uid=10001")
    ran = image.run("--summary=-", volume=small, check=False, **at_hub)
    summary = json.loads(ran.stdout)
    assert ran.returncode == summary["exit_code"] == 1
    assert summary["error"]["kind"] == "disk_full" and summary["totals"]["bytes_downloaded"] == 0
    assert "8.4 MB free" in ran.stderr


def test_a_proxy_is_read_from_the_environment(image, volume, start_hub, proxy, tmp_path):
    authority = tmp_path / "authority.pem"
    hub = start_hub("--demo", "--tls", authority)
    mount = ("--volume", f"{authority}:/authority.pem:ro")
    ran = image.run(volume=volume, **hub_settings(hub, *mount, HTTPS_PROXY=proxy.url, SSL_CERT_FILE="/authority.pem"))
    assert "3 of 3 models ready" in ran.stderr
    assert proxy.tunnels() == {url.removeprefix("https://") for url in (hub.endpoint, hub.payload)}


def test_a_private_ca_is_trusted_only_if_its_file_is_mounted_and_named(
    image, make_volume, start_hub, tmp_path
):
    authority = tmp_path / "authority.pem"
    hub = start_hub("--demo", "--tls", authority)
    mount = ("--volume", f"{authority}:/authority.pem:ro")
    ran = image.run("flan-t5-small", volume=make_volume(), check=False, **hub_settings(hub, *mount))
    assert ran.returncode == 1 and "CN=model-prep-hub" in ran.stderr and "--ca-file" in ran.stderr
    ran = image.run("flan-t5-small", volume=make_volume(), **hub_settings(hub, *mount, SSL_CERT_FILE="/authority.pem"))
    assert "1 of 1 model ready" in ran.stderr
    # Or mounted over the image's own CA bundle, which it replaces.
    system = ("--volume", f"{authority}:/etc/ssl/certs/ca-certificates.crt:ro")
    assert "1 of 1 model ready" in image.run("flan-t5-small", volume=make_volume(), **hub_settings(hub, *system)).stderr


def test_the_token_is_read_from_a_secret_file_and_printed_nowhere(image, volume, start_hub, tmp_path):
    spec = spec_of(("org/small", SMALL_COMMIT, SMALL_FILES))
    spec["repos"][0]["access"] = "private"
    spec["tokens"] = ["hf_correct"]
    hub = start_hub(spec=spec)
    ran = image.run("org/small", volume=volume, env={"HF_ENDPOINT": hub.endpoint}, check=False)
    assert ran.returncode == 1 and "HF_TOKEN" in ran.stderr
    secret = tmp_path / "token"
    secret.write_text("hf_correct\n")
    secret.chmod(0o644)
    container = image.start(
        "org/small", "--log-level=debug", volume=volume,
        env={"HF_ENDPOINT": hub.endpoint, "HF_TOKEN_PATH": "/run/secrets/hf_token"},
        options=("--volume", f"{secret}:/run/secrets/hf_token:ro"),
    )
    try:
        log = docker("logs", "--follow", container)
        assert state(container)["ExitCode"] == 0, log.stderr
        assert "hf_correct" not in log.stderr + docker("inspect", container).stdout
    finally:
        docker("rm", "--force", container)


def test_names_in_the_hosts_file_resolve(image, volume, hub, at_hub):
    """--add-host writes there; without /etc/nsswitch.conf the C library asks only the name server."""
    at_hub["env"]["HF_ENDPOINT"] = hub.endpoint.replace("127.0.0.1", "the-hub.test")
    at_hub["options"] += ("--add-host", "the-hub.test:127.0.0.1")
    assert "3 of 3 models ready" in image.run(volume=volume, **at_hub).stderr


def test_the_result_is_written_where_kubernetes_reads_it(image, volume, at_hub, tmp_path):
    message = tmp_path / "termination-log"
    message.touch()
    message.chmod(0o666)
    at_hub["options"] += (*RESTRICTED, "--volume", f"{message}:/dev/termination-log")
    image.run(volume=volume, **at_hub)
    assert re.fullmatch(r"3 of 3 models ready, .*", message.read_text())
    image.run("no-such-key", volume=volume, check=False, **at_hub)
    assert "no-such-key" in message.read_text() and "\n" not in message.read_text()
