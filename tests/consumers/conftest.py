# SPDX-License-Identifier: Apache-2.0
"""A volume with every model in every build, filled by model-prep, and loads from it without network or write access.

The tests of a library run in one process of its environment. That process has no network interface and sees the volume
read-only. Where namespaces are not permitted, the files are read-only and the process is not root.
"""

import inspect
import json
import os
import pathlib
import re
import subprocess

import models
import pytest
from loads import LOADS, How
from support import SYSTEM_PATH, store

pytest_plugins = ["harness"]

FOLDER = pathlib.Path(__file__).resolve().parent
COMMIT = "c0" * 20
LONG_MAKER = "venv-long-transformers-5"
REVISIONS = {"branch": "main", "commit": COMMIT}
READ_ONLY = 'mount --bind -o ro "$1" "$1" && shift && exec "$@"'
NAMESPACES = [["unshare", "--net", "--mount"], ["unshare", "--map-root-user", "--net", "--mount"]]


def id_of(model, build, filled_by="branch"):
    """Each build has an organisation of its own, so that none finds the files of another."""
    return f"{build.replace(':', '-')}-{filled_by}/{model}"


def venvs_of(load, config):
    """The virtual environments in which this run tries a load."""
    if load.is_long and "MODEL_PREP_LONG" not in os.environ:
        return []
    found = sorted(config.getoption("venvs").glob(f"venv-{load.needs}*/bin/python"))
    return [python.parents[1].name.removeprefix("venv-") for python in found]


@pytest.fixture(scope="session")
def wanted(pytestconfig):
    """(model, build) of every load that this run makes."""
    return sorted({(load.model, build) for load in LOADS if venvs_of(load, pytestconfig) for build in load.builds})


def made(model, venvs):
    """The files of a repository; those that need PyTorch are made where it is."""
    make = getattr(models, model)
    return make(venvs / LONG_MAKER / "bin" / "python") if inspect.signature(make).parameters else make()


@pytest.fixture(scope="session")
def hub_of_models(start_hub, wanted, tmp_path_factory, pytestconfig):
    folder = tmp_path_factory.mktemp("models")
    listings = {}
    for model in {model for model, _ in wanted}:
        listings[model] = []
        for path, data in made(model, pytestconfig.getoption("venvs")).items():
            file = folder / model / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
            is_weights = path.endswith((".safetensors", ".bin", ".onnx", ".gguf", ".pb", ".h5"))
            listings[model].append({"path": path, "from": str(file), "lfs": is_weights})
    repos = [{"id": id_of(model, build, by), "refs": {"main": COMMIT}, "commits": {COMMIT: listings[model]}}
             for model, build in wanted for by in ("branch", "commit")]
    return start_hub(spec={"repos": repos, "tokens": []})


@pytest.fixture(scope="session")
def volume(hub_of_models, model_prep, wanted, tmp_path_factory):
    """$HF_HOME: each model once by its branch and once by its commit. Also how each download ended."""
    home = tmp_path_factory.mktemp("volume")
    failed = {}
    for build in sorted({build for _, build in wanted}):
        of_build = [model for model, other in wanted if other == build]
        named = [id_of(model, build) for model in of_build]
        named += [f"{id_of(model, build, 'commit')}@{COMMIT}" for model in of_build]
        summary = model_prep(hub_of_models, {"HF_HOME": home}, *named, "--variant", build, check=False)
        for found in summary["models"].values():
            if not found["success"] or found["variant"] != build:
                failed[found["repo"]] = found["error"] or f"model-prep took {found['variant']} instead of {build}"
    return home, failed


@pytest.fixture(scope="session")
def verdicts(volume, hub_of_models, model_prep, wanted):
    """What `verify --for` says: (library, model, build) -> (how, line)."""
    home, _ = volume
    asked = [word for library in sorted({load.library for load in LOADS}) for word in ("--for", library)]
    found = {}
    for build in sorted({build for _, build in wanted}):
        models_of = {id_of(model, build): model for model, other in wanted if other == build}
        summary = model_prep(hub_of_models, {"HF_HOME": home}, "verify", *models_of, "--variant", build, *asked,
                             check=False)
        for entry in summary["loads"]:
            line = entry["write"].replace(entry["model"], "org/name").partition("  # ")[0]
            found[entry["library"], models_of[entry["model"]], build] = entry["loads"], line
    return found


def sandbox(volume):
    """The beginning of a command that runs the rest without a network and without a way to write."""
    for unshare in NAMESPACES:
        command = [*unshare, "sh", "-c", READ_ONLY, "sh", str(volume)]
        if subprocess.run([*command, "true"], stderr=subprocess.DEVNULL).returncode == 0:
            return command
    for path in [volume, *volume.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o555 if path.is_dir() else 0o444)
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.getuid() == 0 else []


@pytest.fixture(scope="session")
def results(volume, pytestconfig, tmp_path_factory):
    """Runs all loads of a library in an environment, once: (load, build, way) -> the traceback, or None."""
    home, _ = volume
    prefix = sandbox(home)
    ran = {}

    def of(library, venv):
        if (library, venv) not in ran:
            cases = {(load, build, way): code for load in LOADS if load.library == library
                     and venv.startswith(load.needs) for build in load.builds
                     for way, code in code_of(load, build, home).items()}
            scratch = tmp_path_factory.mktemp("scratch")
            scratch.chmod(0o777)
            done = subprocess.run(
                [*prefix, pytestconfig.getoption("venvs") / f"venv-{venv}/bin/python", FOLDER / "run_loads.py"],
                input=json.dumps(list(cases.values())), env=environment(home, scratch), cwd=scratch,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=600)
            found = [json.loads(line) for line in done.stdout.splitlines()]
            found += [f"the process ended with {done.returncode}: {done.stderr[-2000:]}"] * (len(cases) - len(found))
            ran[library, venv] = dict(zip(cases, found, strict=True))
        return ran[library, venv]

    return of


def environment(home, scratch):
    return {
        "PATH": SYSTEM_PATH, "LANG": "C.UTF-8", "HOME": str(scratch), "HF_HOME": str(home), "HF_HUB_OFFLINE": "1",
        "HF_MODULES_CACHE": str(scratch / "modules"), "FASTEMBED_CACHE_PATH": f"{home}/hub", "TMPDIR": str(scratch),
        "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }


def code_of(load, build, home):
    """The code for each way to fill the volume (branch, commit) and to name the model (id, branch, commit, path)."""
    ways = {}
    for filled_by in ("branch", "commit"):
        model = id_of(load.model, build, filled_by)
        named = {"its id": (model, "")}
        named |= {f"its {kind}": (model, f', revision="{REVISIONS[kind]}"') for kind in load.revisions}
        if load.how is How.BY_NAME and load.takes_path:
            named["its directory"] = (f"{store(home / 'hub', model)}/snapshots/{COMMIT}", "")
        for way, (name, revision) in named.items():
            # The revision follows all other arguments of the call.
            asked = re.sub(r'"org/name"([^()]*)\)', rf'"{name}"\1{revision})', load.write)
            ways[f"filled by {filled_by}, asked for by {way}"] = (
                load.before.replace("org/name", model) + asked + load.check)
    return ways
