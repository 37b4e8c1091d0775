# SPDX-License-Identifier: Apache-2.0
"""The parts of a GitHub runner that docker/ci/action.yml needs: inputs, steps in real bash, their files, and the cache.

Only actions/cache/restore and actions/cache/save are imitated: they call tar like the originals and follow their rules.
An archive is never overwritten, and restored only to the saved path: that of the exact key, else the newest whose key
begins with it, else with one of restore-keys. Conditions are those of the action: `==`, `!=`, `&&`, `||` and brackets.
"""

import hashlib
import os
import re
import secrets
import shutil
import subprocess

from pasted import ACTION, read
from support import SYSTEM_PATH


class Cache:
    """The storage of actions/cache: key -> archive."""

    def __init__(self, folder):
        self.folder = folder
        self._saved = []  # the archives, oldest first
        folder.mkdir()

    def _archive(self, key, path):
        return self.folder / f"{key}.{hashlib.sha256(path.encode()).hexdigest()}"

    def keys(self):
        return {path.stem for path in self.folder.iterdir()}

    def save(self, key, path):
        archive = self._archive(key, path)
        if archive not in self._saved:  # else the original warns, and the step succeeds
            subprocess.run(["tar", "--posix", "-cf", archive, "-P", path], check=True)
            self._saved.append(archive)

    def restore(self, path, key, *prefixes):
        """The key of what was restored; nothing if there was none."""
        mine = [archive for archive in reversed(self._saved) if archive.suffix == self._archive(key, path).suffix]
        found = [archive for archive in mine if archive.stem == key]
        for prefix in (key, *prefixes):
            found += [archive for archive in mine if archive.stem.startswith(prefix)]
        if not found:
            return ""
        subprocess.run(["tar", "-xf", found[0], "-P"], check=True)
        return found[0].stem


class Expression:
    """The value of a GitHub expression; `value_of` gives that of a name, such as inputs.token."""

    _TOKEN = re.compile(r"\s*(==|!=|&&|\|\||[()]|'[^']*'|[\w.-]+)")

    def __init__(self, text, value_of):
        self._value_of = value_of
        self._tokens, end = [], 0
        while match := self._TOKEN.match(text, end):
            self._tokens.append(match[1])
            end = match.end()
        assert not text[end:].strip(), text
        self.value = self._either()
        assert not self._tokens, text

    def _take(self, *wanted):
        return self._tokens.pop(0) if self._tokens and (not wanted or self._tokens[0] in wanted) else None

    def _either(self):
        value = self._both()
        while self._take("||"):
            other = self._both()
            value = value or other
        return value

    def _both(self):
        value = self._compared()
        while self._take("&&"):
            other = self._compared()
            value = value and other
        return value

    def _compared(self):
        value = self._single()
        if operator := self._take("==", "!="):
            # Texts are compared without regard to case.
            value = (value.lower() == self._single().lower()) == (operator == "==")
        return value

    def _single(self):
        if self._take("("):
            value = self._either()
            assert self._take(")")
            return value
        token = self._take()
        return token[1:-1] if token.startswith("'") else self._value_of(token)


class Runner:
    """A fresh machine: only the checkout, the cache service and the variables of the test."""

    def __init__(self, folder, cache, variables):
        self.folder, self.cache = folder, cache
        self.home, self.workspace = folder / "home", folder / "work"
        for place in (self.home, self.workspace):
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True)
        self.variables = {
            "GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": secrets.token_hex(4), "HOME": str(self.home), **variables
        }
        self.later = {}  # what the action leaves to the steps after it
        self.log = ""
        self.summary = ""  # Markdown, as GitHub shows it below the run

    def _result(self, expression, inputs, outputs):
        def value_of(name):
            words = name.split(".")
            if words[0] == "inputs":
                return inputs[words[1]]
            if words[0] == "github":
                return self.variables[f"GITHUB_{words[1].upper()}"]
            assert words[0] == "steps" and words[2] == "outputs", name
            return outputs.get(words[1], {}).get(words[3], "")  # a step that did not run has no outputs

        return Expression(expression, value_of).value

    def _value(self, text, inputs, outputs):
        def of(match):
            value = self._result(match[1], inputs, outputs)
            return str(value).lower() if isinstance(value, bool) else value

        return re.sub(r"\$\{\{(.*?)\}\}", of, text)

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
        outputs = {}
        for number, step in enumerate(action["runs"]["steps"]):
            value = lambda text: self._value(text, given, outputs)  # noqa: E731
            if "if" in step and not self._result(step["if"], given, outputs):
                continue
            if "uses" in step:
                name = step["uses"].partition("@")[0]
                options = {key: value(text) for key, text in step["with"].items()}
                if name == "actions/cache/restore":
                    found = self.cache.restore(
                        options["path"], options["key"], *options.get("restore-keys", "").split("\n")
                    )
                    hit = str(found == options["key"]).lower() if found else ""
                    outputs[step["id"]] = {"cache-hit": hit, "cache-matched-key": found}
                else:
                    assert name == "actions/cache/save", name
                    self.cache.save(options["key"], options["path"])
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
        return True, {name: self._value(rule["value"], given, outputs) for name, rule in action["outputs"].items()}

    def leave(self):
        """Removes the machine and its disk."""
        shutil.rmtree(self.folder)
        assert not os.path.exists(self.folder)
