# SPDX-License-Identifier: Apache-2.0
"""Fixtures: image, hub, volumes, proxy. tests/container/run builds the image and runs pytest."""

import ipaddress
import json
import pathlib

import pytest
from engine import Image, Tinyproxy, Volume, docker, end_all, new_name

pytest_plugins = ["harness"]
ROOT = pathlib.Path(__file__).resolve().parents[2]


def pytest_addoption(parser):
    parser.addoption("--image", required=True, help="the image's tag")
    parser.addoption("--libraries", required=True, choices=["static", "debian"], help="the build argument it was built with")


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture(scope="session")
def image(pytestconfig):
    yield Image(pytestconfig.getoption("image"))
    end_all()


@pytest.fixture(scope="session")
def libraries(pytestconfig):
    """Which way the image was built: static, or with Debian's shared libraries."""
    return pytestconfig.getoption("libraries")


@pytest.fixture(scope="session")
def start_hub(start_hub, tmp_path_factory):
    """Starts hubs that write a manifest with locks of all their files."""

    def start(*arguments, spec=None):
        manifest = tmp_path_factory.mktemp("manifest") / "manifest.json"
        hub = start_hub(*arguments, "--manifest-out", manifest, spec=spec)
        hub.manifest_file = manifest
        return hub

    return start


@pytest.fixture(scope="session")
def hub(start_hub):
    """Three small repositories named like the default models."""
    return start_hub("--demo")


def hub_settings(hub, *options, **env):
    """Arguments that connect a container to a hub: environment, and the manifest as a mounted file."""
    return {
        "env": {"HF_ENDPOINT": hub.endpoint, "MODEL_PREP_MANIFEST": "/manifest.json", **env},
        "options": ("--volume", f"{hub.manifest_file}:/manifest.json:ro", *options),
    }


@pytest.fixture
def at_hub(hub):
    return hub_settings(hub)


@pytest.fixture
def make_volume():
    volumes = []

    def make(*options):
        volumes.append(Volume(*options))
        return volumes[-1]

    yield make
    for volume in volumes:
        volume.remove()


@pytest.fixture
def volume(make_volume):
    return make_volume()


@pytest.fixture
def proxy(tmp_path):
    proxy = Tinyproxy(tmp_path, "127.0.0.1")
    yield proxy
    proxy.close()


@pytest.fixture(scope="session")
def at_home(image, hub, tmp_path_factory):
    """The image with the hub's address inside, so that commands of the pages run unchanged. A container on its own network
    reaches the hub through a proxy on the engine's bridge."""
    folder = tmp_path_factory.mktemp("at-home")
    subnet = docker("network", "inspect", "--format", "{{(index .IPAM.Config 0).Subnet}}", "bridge").stdout.strip()
    gateway = str(next(ipaddress.ip_network(subnet).hosts()))  # the engine takes the first one for the machine itself
    proxy = Tinyproxy(folder / "proxy", gateway)
    context = folder / "context"
    context.mkdir()
    (context / "manifest.json").write_text(json.dumps(hub.manifest()))
    environment = {"MODEL_PREP_MANIFEST": "/manifest.json", "HF_ENDPOINT": hub.endpoint, "HTTP_PROXY": proxy.url}
    (context / "Dockerfile").write_text(
        f"FROM {image.tag}\nCOPY manifest.json /manifest.json\n"
        + "".join(f"ENV {name}={value}\n" for name, value in environment.items())
    )
    tag = new_name("image")
    docker("build", "--tag", tag, context)
    yield Image(tag, environment)
    docker("image", "rm", "--force", tag)
    proxy.close()
