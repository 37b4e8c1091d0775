# SPDX-License-Identifier: Apache-2.0
"""The parts of a GitHub runner that docker/ci/action.yml needs: inputs, steps in real bash, their files, and the cache.

Only actions/cache is imitated: it calls tar like the original and follows its rules, that is, it saves only after a
miss and a successful job, and restores only by the exact key and to the saved path.
"""

import hashlib
import os
import re
import shutil
import subprocess

from pasted import ACTION, read
from support import SYSTEM_PATH


class Cache:
    """The storage of actions/cache: key -> archive."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()

    def _archive(self, key, path):
        return self.folder / f"{key}.{hashlib.sha256(path.encode()).hexdigest()}"

    def keys(self):
        return {path.stem for path in self.folder.iterdir()}

    def save(self, key, path):
        subprocess.run(["tar", "--posix", "-cf", self._archive(key, path), "-P", path], check=True)

    def restore(self, key, path):
        if not self._archive(key, path).exists():
            return False
        subprocess.run(["tar", "-xf", self._archive(key, path), "-P"], check=True)
        return True


class Runner:
    """A fresh machine: only the checkout, the cache service and the variables of the test."""

    def __init__(self, folder, cache, variables):
        self.folder, self.cache = folder, cache
        self.home, self.workspace = folder / "home", folder / "work"
        for place in (self.home, self.workspace):
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True)
        self.variables = {"GITHUB_ACTIONS": "true", "HOME": str(self.home), **variables}
        self.later = {}  # what the action leaves to the steps after it
        self.log = ""
        self.summary = ""  # Markdown, as GitHub shows it below the run

    def _value(self, text, inputs, outputs):
        def of(match):
            words = match[1].split(".")
            return inputs[words[1]] if words[0] == "inputs" else outputs.get(words[1], {}).get(words[3], "")

        return re.sub(r"\$\{\{ *([\w.-]+) *\}\}", of, text)

    def _files(self):
        names = {name: self.folder / name.lower() for name in ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_STEP_SUMMARY")}
        for path in names.values():
            path.write_text("")
        return names

    def _pairs(self, path):
        return dict(line.split("=", 1) for line in path.read_text().splitlines())

    def run(self, **inputs):
        """Runs the action; returns whether it succeeded, and its outputs."""
        action = read(ACTION)
        unknown = {key.replace("_", "-") for key in inputs} - action["inputs"].keys()
        assert not unknown, unknown
        given = {
            key: str(inputs.get(key.replace("-", "_"), rule.get("default", "")))
            for key, rule in action["inputs"].items()
        }
        outputs, save = {}, None
        for number, step in enumerate(action["runs"]["steps"]):
            value = lambda text: self._value(text, given, outputs)  # noqa: E731
            if step.get("uses", "").startswith("actions/cache@"):
                key, path = value(step["with"]["key"]), value(step["with"]["path"])
                hit = self.cache.restore(key, path)
                outputs[step["id"]] = {"cache-hit": "true" if hit else ""}
                save = None if hit else (key, path)
                continue
            assert step["shell"] == "bash"
            files = self._files()
            script = self.folder / f"{number}.sh"
            script.write_text(step["run"])
            environment = {
                "PATH": SYSTEM_PATH,
                **self.variables,
                **{name: str(path) for name, path in files.items()},
                **{name: value(text) for name, text in step["env"].items()},
            }
            done = subprocess.run(
                ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", script],
                env=environment,
                cwd=self.workspace,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=120,
            )
            self.log += done.stdout
            self.summary += files["GITHUB_STEP_SUMMARY"].read_text()
            self.later.update(self._pairs(files["GITHUB_ENV"]))
            if done.returncode != 0:
                return False, {}
            outputs[step.get("id", str(number))] = self._pairs(files["GITHUB_OUTPUT"])
        if save:
            self.cache.save(*save)
        return True, {name: self._value(rule["value"], given, outputs) for name, rule in action["outputs"].items()}

    def leave(self):
        """Removes the machine and its disk."""
        shutil.rmtree(self.folder)
        assert not os.path.exists(self.folder)
