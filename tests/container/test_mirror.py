# SPDX-License-Identifier: Apache-2.0
"""docker/mirror/compose.yaml on a real engine: nginx without root and with a read-only root fills a fresh volume.

Where the image `nginx` cannot be pulled, Debian's nginx stands in, with an entrypoint that does what the image's does
with templates. What the configuration does is tested in tests/interop/test_mirror*.py.
"""

import re
import subprocess

import pytest
from engine import command, docker, inspect, new_name
from mirror import free_ports, get
from support import wait_until

DOCKERFILE = """
FROM debian:trixie-slim
RUN apt-get update -qq \\
 && apt-get install -y -qq --no-install-recommends ca-certificates curl gettext-base nginx-light >/dev/null
COPY entrypoint /
ENTRYPOINT ["/entrypoint"]
"""
ENTRYPOINT = """#!/bin/sh
set -e
names=$(env | sed -nE 's/^([A-Z_]+)=.*/\\1/p' | grep "$NGINX_ENVSUBST_FILTER" | sed 's/.*/${&}/')
for template in /etc/nginx/templates/*.template; do
  envsubst "$names" <"$template" >"$NGINX_ENVSUBST_OUTPUT_DIR/$(basename "$template" .template)"
done
exec "$@"
"""


@pytest.fixture(scope="module")
def nginx(root, tmp_path_factory):
    """The tag of the stock image, or of what stands in for it."""
    (stock,) = re.findall(r"MIRROR_IMAGE:-(\S+)\}", (root / "docker" / "mirror" / "compose.yaml").read_text())
    try:
        there = docker("image", "inspect", stock, check=False).returncode == 0
        if there or docker("pull", "--quiet", stock, check=False, timeout=60).returncode == 0:
            yield stock
            return
    except subprocess.TimeoutExpired:
        pass  # no registry
    context, tag = tmp_path_factory.mktemp("nginx"), new_name("image")
    (context / "Dockerfile").write_text(DOCKERFILE)
    (context / "entrypoint").write_text(ENTRYPOINT)
    (context / "entrypoint").chmod(0o755)
    docker("build", "--network=host", "--tag", tag, context, timeout=600)
    yield tag
    docker("image", "rm", "--force", tag)


@pytest.fixture
def mirror(root, nginx, hub, make_volume, tmp_path):
    """docker-compose on the file, as a separate project, on the host's network, where the hub listens on loopback."""
    volume, (port, inner) = make_volume(), free_ports(2)
    text = (root / "docker" / "mirror" / "compose.yaml").read_text()
    for old, new in {
        "name: hf_mirror": f"name: {volume.name}",
        '    ports:\n      - "${MIRROR_PORT:-8080}:8080"\n': "    network_mode: host\n",
        'MIRROR_LISTEN: "8080"': f'MIRROR_LISTEN: "127.0.0.1:{port}"',
        'MIRROR_INNER_PORT: "8081"': f'MIRROR_INNER_PORT: "{inner}"',
        "http://127.0.0.1:8080/-/health": f"http://127.0.0.1:{port}/-/health",
    }.items():
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "compose.yaml").write_text(text)
    (tmp_path / "nginx.conf.template").symlink_to(root / "docker" / "mirror" / "nginx.conf.template")
    env = {
        "MIRROR_IMAGE": nginx, "MIRROR_UPSTREAM": hub.endpoint, "MIRROR_CDN": re.escape(hub.payload),
        "MIRROR_RESOLVER": "127.0.0.1", "MIRROR_MIN_FREE": "100m",
    }

    def compose(*arguments):
        words = ["docker-compose", "--project-name", project, "--file", tmp_path / "compose.yaml", *arguments]
        return command(*words, env=env).stdout

    project = new_name("mirror")
    compose.volume, compose.endpoint = volume, f"http://127.0.0.1:{port}"
    yield compose
    compose("down")


def test_the_mirrors_compose_file_fills_a_fresh_volume_without_root_and_serves_from_it(
    mirror, hub, model_prep, tmp_path
):
    hub.forget_requests()
    mirror("up", "--detach")
    wait_until(lambda: answers(mirror), "nginx to listen", 60)
    here = {"HF_HOME": tmp_path, "HF_ENDPOINT": mirror.endpoint, "MODEL_PREP_MANIFEST": hub.manifest_file}
    assert model_prep(hub, here)["totals"]["models"] == 3
    owners = {path.stat().st_uid for path in mirror.volume.folder.rglob("*") if path != mirror.volume.folder}
    assert owners == {101}
    mirror("down")

    # A new container finds what the first one fetched.
    places = {request["path"] for request in hub.requests() if request["kind"] == "resolve"}
    assert len(places) > 20
    mirror("up", "--detach")
    wait_until(lambda: health(mirror) == "healthy", "the mirror to be healthy", 60)
    assert {get(mirror.endpoint, place, "HEAD").headers["X-Cache-Status"] for place in places} == {"HIT"}
    assert " HIT" in mirror("logs")


def answers(mirror):
    try:
        return get(mirror.endpoint, "/-/health").status == 200
    except OSError:
        return False


def health(mirror):
    (container,) = mirror("ps", "--quiet").split()
    return inspect(container, ".State.Health.Status")
