# SPDX-License-Identifier: Apache-2.0
"""A pytest plugin for all Python tests: their options, and the programs and hubs that tests/run builds."""

import os
import pathlib

import pytest
from support import Hub, ModelPrep, end_started

ROOT = pathlib.Path(__file__).resolve().parents[2]


def pytest_addoption(parser):
    parser.addoption("--build", type=pathlib.Path, default=ROOT / "build", help="where the programs are")
    parser.addoption("--venvs", type=pathlib.Path, default=ROOT / "build", help="where the folders venv-<name> are")
    parser.addoption("--name", default="", help="only tests whose name contains this")


def pytest_configure(config):
    config.addinivalue_line("markers", "long: only with tests/run --long")


def pytest_collection_modifyitems(config, items):
    chosen = [item for item in items if config.getoption("name").lower() in item.name.replace("_", " ").lower()]
    if "MODEL_PREP_LONG" not in os.environ:
        chosen = [item for item in chosen if not item.get_closest_marker("long")]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


@pytest.fixture(scope="session")
def build(pytestconfig):
    folder = pytestconfig.getoption("build")
    assert (folder / "model-prep").exists(), f"{folder}/model-prep is not built"
    return folder


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """$HOME of every process: empty, so that no process finds a cache or a token by accident."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def start_hub(build, tmp_path_factory):
    """Starts hubs; all of them end with the session."""
    hubs = []

    def start(*arguments, spec=None):
        hubs.append(Hub(build / "tests" / "model-prep-hub", tmp_path_factory.mktemp("hub"), *arguments, spec=spec))
        return hubs[-1]

    yield start
    for hub in hubs:
        hub.close()


@pytest.fixture(scope="session")
def model_prep(build, home):
    return ModelPrep(build / "model-prep", home)


@pytest.fixture(autouse=True)
def no_process_is_left():
    yield
    end_started()
