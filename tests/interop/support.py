# SPDX-License-Identifier: Apache-2.0
"""Helpers of the interop tests: the project's hub, model-prep, and consumers in their own virtual environments.

No process inherits a variable: the test states its whole environment.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.request

FOLDER = pathlib.Path(__file__).resolve().parent
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"

SMALL = "org/small"
SMALL_COMMIT = "5ba11" + "0" * 34 + "1"

#: A repository in the shape of a real one: plain and LFS files, folders, odd names, an empty file, two equal files.
SMALL_FILES = [
    {"path": ".gitattributes", "text": "*.safetensors filter=lfs diff=lfs merge=lfs -text\n"},
    {"path": "1_Pooling/config.json", "text": '{"pooling_mode_mean_tokens": true}'},
    {"path": "README.md", "text": "# A small model\n"},
    {"path": "config.json", "text": '{"model_type": "bert"}'},
    {"path": "empty.txt", "text": ""},
    {"path": "model.safetensors", "size": 3_000_000, "seed": 1, "lfs": True},
    {"path": "modules.json", "text": "[]"},
    {"path": "onnx/model.onnx", "size": 1_000_000, "seed": 2, "lfs": True},
    {"path": "onnx/same.json", "text": '{"model_type": "bert"}'},
    {"path": "pytorch_model.bin", "size": 3_000_001, "seed": 3, "lfs": True},
    {"path": "sub dir/we#ird%20 é+b.txt", "text": "odd name\n"},
    {"path": "tokenizer.json", "size": 400_000, "seed": 4, "lfs": False},
    {"path": "vocab.txt", "size": 20_000, "seed": 5, "lfs": False},
]


def spec_of(*repos):
    """The hub's --spec: (id, commit, files) each, with `main` on that commit."""
    return {
        "repos": [{"id": id, "refs": {"main": commit}, "commits": {commit: files}} for id, commit, files in repos],
        "tokens": [],
    }


class Hub:
    """The project's own hub as a process; `arguments` are those of model-prep-hub."""

    def __init__(self, program, folder, *arguments, spec=None):
        folder.mkdir(parents=True, exist_ok=True)
        if spec is not None:
            spec_file = folder / "spec.json"
            spec_file.write_text(json.dumps(spec))
            arguments = ("--spec", str(spec_file), *arguments)
        self.log = open(folder / "hub.log", "wb")
        self.process = subprocess.Popen(
            [str(program), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log,
            env={"PATH": SYSTEM_PATH}, text=True,
        )
        # A large set is hashed before the hub is ready; one that never gets ready is ended, and readline returns.
        watchdog = threading.Timer(120, self.process.kill)
        watchdog.start()
        line = self.process.stdout.readline()
        watchdog.cancel()
        assert line, f"the hub did not start: {(folder / 'hub.log').read_text()}"
        places = json.loads(line)
        self.endpoint, self.payload = places["endpoint"], places["payload"]

    def close(self):
        self.process.terminate()
        self.process.wait(10)
        self.process.stdout.close()
        self.log.close()

    def _control(self, path, method="GET", body=None):
        unverified = ssl.create_default_context()
        unverified.check_hostname = False
        unverified.verify_mode = ssl.CERT_NONE  # a hub with --tls made its authority itself
        handlers = urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=unverified)
        opener = urllib.request.build_opener(*handlers)
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.endpoint}/_hub/{path}", data, method=method)
        with opener.open(request, timeout=10) as answer:
            return answer.read()

    def requests(self):
        return json.loads(self._control("requests"))

    def forget_requests(self):
        self._control("requests", "DELETE")

    def add_faults(self, *faults):
        """Faults as tests/support/hub_fault.h reads them: {"on": "payload", "times": 1, "what": "reset", "after": 7}."""
        self._control("faults", "POST", faults)

    def forget_faults(self):
        self._control("faults", "DELETE")

    def manifest(self):
        return json.loads(self._control("manifest"))

    def files(self, repo):
        """The files of the repository's main: path -> {size, sha256 and/or git_sha1}."""
        (model,) = [model for model in self.manifest()["models"].values() if model["repo"] == repo]
        return model["files"]

    def content_requests(self):
        """The requests that transferred bytes of files: no HEAD, no API."""
        return [
            f"{request['method']} {request['target']} {request['status']}"
            for request in self.requests()
            if request["kind"] in ("resolve", "resolve_cache", "payload") and request["method"] != "HEAD"
        ]


def run(command, env, timeout=120, check=True):
    """Runs a program and waits for its end; with `check` it must exit with 0."""
    result = subprocess.run(
        [str(part) for part in command], env=_whole(env), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout,
    )
    if check:
        _must_succeed(result, env)
    return result


def _whole(env):
    return {"PATH": SYSTEM_PATH, "LANG": "C.UTF-8", **env}


def _must_succeed(result, env):
    if result.returncode != 0:
        shown = " ".join(f"{name}={value}" for name, value in env.items())
        raise AssertionError(
            f"exit code {result.returncode}: {shown} {' '.join(map(str, result.args))}\n"
            f"{result.stdout[-2000:]}\n{result.stderr[-4000:]}"
        )


_started = []


def start(command, env):
    """Starts a program in the background; end_started() stops it if the test does not."""
    _started.append(subprocess.Popen(
        [str(part) for part in command], env=_whole(env),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ))
    return _started[-1]


def end_started():
    while _started:
        process = _started.pop()
        process.kill()
        process.communicate()


class ModelPrep:
    def __init__(self, program, home):
        self.program, self.home = program, home

    def environment(self, hub, variables):
        return {"HOME": str(self.home), "HF_ENDPOINT": hub.endpoint, **{k: str(v) for k, v in variables.items()}}

    def __call__(self, hub, variables, *arguments, check=True):
        """Runs it and returns its summary; a failure with `check` is an assertion."""
        result = run([self.program, *arguments, "--summary", "-"], self.environment(hub, variables), check=check)
        return json.loads(result.stdout)

    def start(self, hub, variables, *arguments):
        return start([self.program, *arguments], self.environment(hub, variables))


def _of_another_host(name, value):
    """From 1.26 on, huggingface_hub follows a redirect to the host of the hub, whatever its port. The payload host has
    another name on the real Hub, so the hub gets one here."""
    return value.replace("//127.0.0.1:", "//localhost:") if name == "HF_ENDPOINT" else value


class Consumer:
    """One version of huggingface_hub, in its own virtual environment."""

    def __init__(self, venv, home):
        self.venv, self.home = venv, home
        self.python = venv / "bin" / "python"
        self._server = None

    def environment(self, variables):
        return {
            "HOME": str(self.home), "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "*",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_UPDATE_CHECK": "1",
            **{name: _of_another_host(name, str(value)) for name, value in variables.items()},
        }

    def _command(self, recipe, arguments):
        return [self.python, "-B", FOLDER / "recipes.py", recipe, json.dumps(arguments, default=str)]

    def __call__(self, recipe, variables, **arguments):
        """Runs a function of recipes.py there, in a process of its own, and returns what it returns."""
        env, command = self.environment(variables), self._command(recipe, arguments)
        if any(name.startswith("PYTHON") for name in env):  # Python reads these when it starts
            result = run(command, env, check=False)
        else:
            result = self._fork(command, env)
        _must_succeed(result, env)
        return json.loads(result.stdout.splitlines()[-1])

    def _fork(self, command, env):
        """What run() gives for this command, from a fork of recipes.serve()."""
        with tempfile.TemporaryDirectory() as folder:
            output, errors = pathlib.Path(folder) / "output", pathlib.Path(folder) / "errors"
            code = self._order({"command": command[-2:], "environment": _whole(env), "output": str(output),
                                "errors": str(errors), "timeout": 120})
            return subprocess.CompletedProcess(command, code, output.read_text(), errors.read_text())

    def _order(self, order):
        """The exit code of an order to recipes.serve()."""
        if self._server is None:
            self._server = subprocess.Popen([self.python, "-B", FOLDER / "recipes.py"], env=_whole(self.environment({})),
                                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        return int(self._server.stdout.readline())

    def start(self, recipe, variables, **arguments):
        return start(self._command(recipe, arguments), self.environment(variables))

    def cli(self, variables, *arguments, check=True):
        programs = [self.venv / "bin" / name for name in ("hf", "huggingface-cli")]  # the second one before 0.34
        program = next(program for program in programs if program.exists())
        return run([program, *arguments], self.environment(variables), check=check)


def store(cache, repo):
    return pathlib.Path(cache) / ("models--" + repo.replace("/", "--"))


def tree(folder, ignore=()):
    """Everything in a directory: path -> link target, 'folder', or (size, digest of the bytes)."""
    found = {}
    for path in sorted(pathlib.Path(folder).rglob("*")):
        name = str(path.relative_to(folder))
        if any(name == prefix or name.startswith(prefix + "/") for prefix in ignore):
            continue
        if path.is_symlink():
            found[name] = "-> " + os.readlink(path)
        elif path.is_dir():
            found[name] = "folder"
        else:
            found[name] = (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
    return found


@contextlib.contextmanager
def held_lock(path):
    """Holds the lock as any other program would: flock on the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def wait_until(condition, what, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s for: {what}"
        time.sleep(0.05)
