# SPDX-License-Identifier: Apache-2.0
"""The hub's repositories and the versions of huggingface_hub that the tests use. tests/run creates all of them."""

import json
import pathlib
import shutil

import pytest
from support import SMALL, SMALL_COMMIT, SMALL_FILES, Consumer, spec_of

pytest_plugins = ["harness"]


def pytest_terminal_summary(terminalreporter, config):
    for venv in sorted(config.getoption("venvs").glob("venv-hub-*")):
        for found in sorted(venv.glob("lib/python*/site-packages/huggingface_hub-*.dist-info")):
            version = found.name.removeprefix("huggingface_hub-").removesuffix(".dist-info")
            terminalreporter.write_line(f"NOTE: {venv.name.removeprefix('venv-')} is huggingface_hub {version}")


def venv(config, name):
    folder = config.getoption("venvs") / f"venv-{name}"
    if not (folder / "bin" / "python").exists():
        pytest.skip(f"THE VIRTUAL ENVIRONMENT {folder.name} IS NOT THERE; tests/run makes it")
    return folder


@pytest.fixture(scope="session")
def small_hub(start_hub):
    return start_hub(spec=spec_of((SMALL, SMALL_COMMIT, SMALL_FILES)))


@pytest.fixture
def hub(small_hub):
    """The hub with org/small and an empty log."""
    small_hub.forget_requests()
    return small_hub


VERSIONS = ["hub-0.23.5", "hub-0.36.2", "hub-1.9.2", "hub-1.33.0", "hub-newest"]


@pytest.fixture(scope="session", params=VERSIONS)
def consumer(request, home):
    """Each version of huggingface_hub in turn."""
    return Consumer(venv(request.config, request.param), home)


@pytest.fixture(scope="session", params=["hub-1.9.2", "hub-newest"])
def modern(request, home):
    """The versions that have `hf cache verify` and `hf cache prune`."""
    return Consumer(venv(request.config, request.param), home)


@pytest.fixture(scope="session")
def newest(request, home):
    return Consumer(venv(request.config, "hub-newest"), home)


@pytest.fixture(scope="session")
def oldest(request, home):
    return Consumer(venv(request.config, "hub-0.23.5"), home)


@pytest.fixture(scope="session")
def weights(request, home):
    """The environment with safetensors, tokenizers and the real files of all-MiniLM-L6-v2."""
    return Consumer(venv(request.config, "weights"), home)


@pytest.fixture(scope="session")
def manifest(tmp_path_factory):
    """A manifest with org/small under the key `small`: pinned, not locked, without variants of its own."""
    file = tmp_path_factory.mktemp("manifest") / "manifest.json"
    small = {"repo": SMALL, "revision": SMALL_COMMIT, "ref": "main"}
    file.write_text(json.dumps({"version": 1, "models": {"small": small}}))
    return file


class Prepared:
    """A directory with a cache that model-prep filled, and its expected content."""

    def __init__(self, variables, cache, commit, files, whole):
        self.variables, self.cache, self.commit, self.files, self.whole = variables, cache, commit, files, whole

    def copy(self, folder):
        """A copy in another directory, for tests that change it."""
        root = pathlib.Path(self.variables["HF_HOME"])
        shutil.copytree(root, folder, symlinks=True)
        cache = folder / self.cache.relative_to(root)
        return Prepared({**self.variables, "HF_HOME": folder}, cache, self.commit, self.files, self.whole)


@pytest.fixture(scope="session")
def prepare(model_prep, small_hub, manifest):
    """Downloads org/small with model-prep in one variant, with the variables that select the cache."""

    def run(variables, cache, variant, *arguments):
        summary = model_prep(small_hub, variables, "small", "--manifest", manifest, "--variant", variant, *arguments)
        (model,) = summary["models"].values()
        assert model["status"] == "downloaded" and model["commit"] == SMALL_COMMIT, model
        known = small_hub.files(SMALL)
        files = {file["path"]: known[file["path"]] for file in model["files"]}
        return Prepared(variables, pathlib.Path(cache), SMALL_COMMIT, files, files.keys() == known.keys())

    return run


@pytest.fixture(scope="session", params=["fp32", "all"])
def prepared(request, prepare, tmp_path_factory):
    """org/small in a cache at $HF_HOME/hub, in each of the two variants in turn. To change it, use copy()."""
    home = tmp_path_factory.mktemp("prepared")
    return prepare({"HF_HOME": home}, home / "hub", request.param)


@pytest.fixture(scope="session")
def whole(prepare, tmp_path_factory):
    """The same with `--variant all`."""
    home = tmp_path_factory.mktemp("whole")
    return prepare({"HF_HOME": home}, home / "hub", "all")
