# SPDX-License-Identifier: Apache-2.0
"""Fixtures for the tests of the files under docker/ that users paste."""

import os

import pytest

pytest_plugins = ["harness"]


def pytest_addoption(parser):
    parser.addoption("--image", default="", help="an image to run the CI steps with as well, by docker")


def pytest_generate_tests(metafunc):
    """`means`: whether a CI step runs the program by path or, only with --image, by docker."""
    image = metafunc.config.getoption("--image")
    if "means" in metafunc.fixturenames:
        metafunc.parametrize("means", ["program", "image"] if image else ["program"], indirect=True)


def pytest_collection_modifyitems(config, items):
    absent = set()
    if not config.getoption("--image"):
        absent.add("image")
    if "MODEL_PREP_LONG" not in os.environ:
        # Slurm's packages take a minute, the API server a quarter of an hour, the outage five minutes.
        absent |= {"cluster", "api_server", "hub_that_is_down"}

    left = [item for item in items if absent & set(item.fixturenames)]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]


@pytest.fixture
def image(pytestconfig):
    return pytestconfig.getoption("--image")


@pytest.fixture
def means(request, build, pytestconfig):
    return (
        {"program": build / "model-prep"}
        if request.param == "program"
        else {"image": pytestconfig.getoption("--image")}
    )


class Demo:
    """The test hub with its small demo models, and a manifest that locks them."""

    def __init__(self, hub, manifest):
        self.hub, self.endpoint, self.manifest = hub, hub.endpoint, manifest


@pytest.fixture(scope="session")
def demo(start_hub, tmp_path_factory):
    manifest = tmp_path_factory.mktemp("demo") / "models.lock.json"
    return Demo(start_hub("--demo", "--manifest-out", str(manifest)), manifest)
