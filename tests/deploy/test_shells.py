# SPDX-License-Identifier: Apache-2.0
"""The bash completion and --help: bash completes what the help lists, and the help fits the terminal."""

import json
import re
import shlex
import subprocess

import pages
import pytest
from support import run

COMPLETION = pages.ROOT / "src" / "cli" / "completion.bash"
COMMANDS = {"download", "verify", "list", "cleanup", "lock", "export", "kserve-init"}
KEYS = {"all-MiniLM-L6-v2", "bge-reranker-base", "flan-t5-small"}
OTHER = '{"version": 1, "models": {"only-this": {"repo": "org/name"}}}'


@pytest.fixture
def home(tmp_path):
    """A directory with a manifest and another file to complete."""
    (tmp_path / "models.json").write_text(OTHER)
    (tmp_path / "folder").mkdir()
    return tmp_path


def offered(line, home, build, **variables):
    """What readline would offer, from the function that `complete` names; words are split as readline does."""
    words = [part for word in shlex.split(line) for part in re.split(r"([=:])", word) if part]
    if line.endswith(" ") or line.endswith("="):
        words.append("" if line.endswith(" ") else words.pop())
    array = " ".join(shlex.quote(word) for word in words)
    script = (
        f"compopt() {{ :; }}; . {COMPLETION}; COMP_WORDS=({array}); COMP_CWORD={len(words) - 1}; COMPREPLY=(); "
        f'_model_prep model-prep; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    environment = {"PATH": f"{build}:/usr/bin:/bin", "HOME": str(home), "HF_HOME": str(home / "hf"), "TERM": "xterm"}
    found = run(["env", "-C", home, "bash", "--norc", "-c", script], environment | variables).stdout
    return {word for word in found.splitlines() if word}


CASES = {
    "commands and keys come first": ("model-prep ", COMMANDS | KEYS, {"--jobs"}),
    "a key is found by its beginning": ("model-prep fl", {"flan-t5-small"}, KEYS - {"flan-t5-small"} | COMMANDS),
    "after a command come keys only": ("model-prep verify ", KEYS, COMMANDS),
    "the value of a flag is no command": ("model-prep --summary verify ", COMMANDS | KEYS, set()),
    "flags are those of download": ("model-prep --d", {"--dry-run", "--deadline"}, {"--repair"}),
    "flags are those of the command": ("model-prep verify --re", {"--repair", "--retries"}, {"--dry-run"}),
    "a choice is completed": ("model-prep --variant o", {"openvino-int8", "onnx"}, {"fp32"} | KEYS),
    "a choice after an equals sign too": ("model-prep --log-level=w", {"warn"}, {"debug"} | KEYS),
    "a file is completed": ("model-prep --manifest mo", {"models.json"}, {"folder"} | KEYS),
    "a folder is completed": ("model-prep --cache-dir ", {"folder"}, {"models.json"} | KEYS),
    "keys are those of the manifest": ("model-prep --manifest models.json ", {"only-this"}, KEYS),
    "also after an equals sign": ("model-prep --manifest=models.json ", {"only-this"}, KEYS),
    "also below the home folder": ("model-prep --manifest ~/models.json ", {"only-this"}, KEYS),
    "after a model come keys only": ("model-prep flan-t5-small ", KEYS, COMMANDS),
    "an address is one value": ("model-prep --endpoint http://host:80/hf ", COMMANDS | KEYS, set()),
    "a destination of KServe is a folder": ("model-prep kserve-init hf://org/name ", {"folder"}, KEYS),
    "the value of a number is not completed": ("model-prep --jobs ", set(), COMMANDS | KEYS),
}


@pytest.mark.parametrize("case", CASES)
def test_bash_completes_words(case, home, build):
    line, wanted, unwanted = CASES[case]
    found = offered(line, home, build)
    assert wanted <= found
    assert not unwanted & found


def test_keys_are_those_of_the_manifest_whatever_the_shell_downloads(home, build):
    assert offered("model-prep verify ", home, build, MODELS_TO_DOWNLOAD="flan-t5-small") == KEYS


def help_of(command, build):
    return run([build / "model-prep", command, "--help"], {}).stdout


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_bash_offers_the_flags_that_the_help_of_the_command_lists(command, home, build):
    listed = re.findall(r"^  (?:-h, )?(--[a-z-]+)", help_of(command, build), re.MULTILINE)
    assert offered(f"model-prep {command} --", home, build) == {*listed, "--help", "--version"}


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_bash_offers_the_known_values_of_a_flag_and_nothing_after_a_flag_with_free_values(command, home, build):
    # With a valid value nothing must run: the endpoint is invalid, and the cache is empty and offline.
    environment = {"HOME": str(home), "HF_ENDPOINT": "ftp://none", "HF_HUB_OFFLINE": "1"}
    for flag in re.findall(r"^  (--[a-z-]+) [A-Z]+", help_of(command, build), re.MULTILINE):
        line = ["env", "-C", home, build / "model-prep", command, flag, "?"]
        refused = run(line, environment, check=False).stderr
        choices = re.search(rf"{flag} is '\?', but .* one of (.*)", refused)
        found = offered(f"model-prep {command} {flag} ", home, build)
        if choices:
            assert found == set(choices[1].split(", ")), flag
        else:
            assert not found & (COMMANDS | KEYS), flag


def test_a_key_of_a_manifest_is_completed_and_never_executed(home, build):
    key = "$(touch${IFS}ran);`touch\tran`"
    models = {name: {"repo": "org/name"} for name in [key, "good"]}
    (home / "evil.json").write_text(json.dumps({"version": 1, "models": models}))
    assert "good" in offered("model-prep --manifest evil.json ", home, build)
    assert not (home / "ran").exists()


def test_shellcheck_finds_nothing_in_the_completion_script():
    run(["shellcheck", "--shell=bash", COMPLETION], {})


def test_an_installation_contains_the_program_and_its_completion(build, tmp_path):
    run(["cmake", "--install", build, "--prefix", tmp_path], {})
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {"bin/model-prep", "share/bash-completion/completions/model-prep"}


@pytest.mark.parametrize("columns", [20, 40, 80, 100, 200])
def test_help_fits_the_terminal(columns, build):
    command = f"stty cols {columns}; {build}/model-prep --help; {build}/model-prep lock --help"
    done = subprocess.run(
        ["script", "--quiet", "--command", command, "/dev/null"], capture_output=True, text=True, check=True
    )
    lines = done.stdout.replace("\r", "").splitlines()
    assert len(lines) > 60
    most = min(max(columns, 40), 100)
    # Examples and lists of variables are not wrapped.
    assert [line for line in lines if len(line) > most and not re.match(r"  \S", line)] == []
    assert max(map(len, lines)) <= max(most, 60)
