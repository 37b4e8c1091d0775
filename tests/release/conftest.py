# SPDX-License-Identifier: Apache-2.0
"""Fixtures: the artefacts of docker/release, and a hub to download from."""

import json
import os
import pathlib
import shutil
import sys

import pytest
from artefacts import DEBIAN_NAMES, HERE, ROOT, Artefacts
from support import run

pytest_plugins = ["harness"]


def pytest_addoption(parser):
    given = os.environ.get("MODEL_PREP_DIST", ROOT / "dist")
    parser.addoption("--dist", type=pathlib.Path, default=given, help="what docker/release made; also MODEL_PREP_DIST")


@pytest.fixture(scope="session")
def dist(pytestconfig):
    return pytestconfig.getoption("dist").resolve()


@pytest.fixture(scope="session", params=DEBIAN_NAMES)
def made(request, dist):
    """The artefacts of each architecture in turn."""
    if not list(dist.glob(f"*{request.param}.tar.gz")):
        pytest.skip(f"{dist} HAS NOTHING FOR {request.param}; docker/release MAKES IT")
    return Artefacts(dist, request.param)


@pytest.fixture(scope="session")
def here(dist):
    """The artefacts for this machine."""
    return Artefacts(dist, HERE)


@pytest.fixture(scope="session")
def emulator(made):
    """What goes before a program of that architecture, so that it runs here."""
    if made.arch == HERE:
        return []
    found = shutil.which(f"qemu-{made.arch}-static")
    if not found:
        pytest.skip(f"qemu-user-static IS NOT INSTALLED, SO THE PROGRAM FOR {made.arch} IS NOT RUN")
    return [found]


@pytest.fixture(scope="session")
def venv():
    """The folder of the tools in the virtual environment of these tests."""
    return pathlib.Path(sys.executable).parent


@pytest.fixture(scope="session")
def demo(start_hub, tmp_path_factory):
    """The variables under which a program downloads three small models from a hub on loopback."""
    manifest = tmp_path_factory.mktemp("demo") / "models.lock.json"
    hub = start_hub("--demo", "--manifest-out", manifest)
    return {"HF_ENDPOINT": hub.endpoint, "MODEL_PREP_MANIFEST": str(manifest)}


@pytest.fixture
def works(demo, tmp_path):
    """Checks that a command is the program: its version, a download, and a second run without a request."""

    def check(version, *command, **variables):
        environment = {**demo, "HOME": str(tmp_path), "HF_HOME": str(tmp_path / "models"), **variables}
        assert run([*command, "--version"], environment).stdout.split()[:2] == ["model-prep", version]
        runs = (run([*command, "--summary", "-"], environment) for _ in range(2))
        first, second = (json.loads(done.stdout)["totals"] for done in runs)
        assert first["bytes_downloaded"] > 40_000_000 and first["requests"] > 0
        assert second["bytes_downloaded"] == 0 and second["requests"] == 0

    return check
