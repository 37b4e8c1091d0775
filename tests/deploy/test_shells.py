# SPDX-License-Identifier: Apache-2.0
"""What the program prints for shells and for man, read by the real ones."""

import json
import os
import pty
import re
import select
import shlex
import subprocess
import time

import pytest
from support import run

COMMANDS = {"download", "verify", "list", "cleanup", "lock"}
KEYS = {"all-MiniLM-L6-v2", "bge-reranker-base", "flan-t5-small"}
OTHER = '{"version": 1, "models": {"only-this": {"repo": "org/name"}}}'


@pytest.fixture
def home(build, tmp_path):
    """A folder with the three scripts, a manifest and something to complete, and the program on the PATH."""
    for shell in ["bash", "zsh", "fish"]:
        script = run([build / "model-prep", "--completion", shell], {}).stdout
        (tmp_path / f"completion.{shell}").write_text(script)
    (tmp_path / "models.json").write_text(OTHER)
    (tmp_path / "folder").mkdir()
    return tmp_path


def in_bash(line):
    """What readline would be offered, from the function that `complete` names; words are split as readline does."""
    words = [part for word in shlex.split(line) for part in re.split(r"(=)", word) if part]
    if line.endswith(" ") or line.endswith("="):
        words.append("" if line.endswith(" ") else words.pop())
    array = " ".join(shlex.quote(word) for word in words)
    return [
        "bash",
        "--norc",
        "-c",
        f"compopt() {{ :; }}; . ./completion.bash; COMP_WORDS=({array}); COMP_CWORD={len(words) - 1}; COMPREPLY=(); "
        f'_model_prep model-prep; printf "%s\\n" "${{COMPREPLY[@]}}"',
    ]


def in_fish(line):
    return ["fish", "--no-config", "-c", f"source completion.fish; complete -C {shlex.quote(line)}"]


# zsh only completes for its line editor, which wants a terminal. What it is given to offer goes into a file.
ZSH = r"""
unsetopt zle_bracketed_paste
autoload -Uz compinit && compinit -D -u
source ./completion.zsh
compadd() {
  local -a hits
  [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]] && { builtin compadd "$@"; return }
  builtin compadd -A hits "$@"
  print -rl -- $hits >>offered.zsh
  builtin compadd "$@"
}
show() { : >offered.zsh; zle list-choices; : >done.zsh }
zle -N show
bindkey "^I" show
: >ready.zsh
"""


def in_zsh(line, home, environment):
    (home / "harness.zsh").write_text(ZSH)
    master, terminal = pty.openpty()
    shell = subprocess.Popen(
        ["zsh", "-f", "-i"], env=environment, cwd=home, stdin=terminal, stdout=terminal, stderr=terminal
    )
    os.close(terminal)
    try:
        os.write(master, b"source ./harness.zsh\n")
        wait_for(home / "ready.zsh", master)
        os.write(master, line.encode() + b"\t")
        wait_for(home / "done.zsh", master)
    finally:
        shell.kill()
        shell.wait()
        os.close(master)
    return (home / "offered.zsh").read_text()


def wait_for(file, terminal):
    """Reads what the shell writes meanwhile: else it would wait for that."""
    until = time.monotonic() + 30
    while not file.exists():
        assert time.monotonic() < until
        if select.select([terminal], [], [], 0.05)[0]:
            os.read(terminal, 65536)


def offered(shell, line, home, build):
    environment = {"PATH": f"{build}:/usr/bin:/bin", "HOME": str(home), "HF_HOME": str(home / "hf"), "TERM": "xterm"}
    if shell == "zsh":
        words = in_zsh(line, home, environment)
    else:
        words = run(["env", "-C", home, *{"bash": in_bash, "fish": in_fish}[shell](line)], environment).stdout
    return {word.split("\t")[0].rstrip("/") for word in words.splitlines() if word}


CASES = {
    "commands and keys come first": ("model-prep ", COMMANDS | KEYS, {"--jobs"}),
    "a key is found by its beginning": ("model-prep fl", {"flan-t5-small"}, KEYS - {"flan-t5-small"} | COMMANDS),
    "behind a command come keys only": ("model-prep verify ", KEYS, COMMANDS),
    "the value of a flag is no command": ("model-prep --summary verify ", COMMANDS | KEYS, set()),
    "flags are those of download": ("model-prep --d", {"--dry-run", "--deadline"}, {"--repair"}),
    "flags are those of the command": ("model-prep verify --re", {"--repair", "--retries"}, {"--dry-run"}),
    "a choice is completed": ("model-prep --variant o", {"openvino-int8", "onnx"}, {"fp32"} | KEYS),
    "a choice behind an equals sign too": ("model-prep --log-level=w", {"warn"}, {"debug"} | KEYS),
    "shells are a choice": ("model-prep --completion ", {"bash", "zsh", "fish"}, KEYS),
    "a file is completed": ("model-prep --manifest mo", {"models.json"}, {"folder"} | KEYS),
    "a folder is completed": ("model-prep --cache-dir ", {"folder"}, {"models.json"} | KEYS),
    "keys are those of the manifest": ("model-prep --manifest models.json ", {"only-this"}, KEYS),
}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize("case", CASES)
def test_the_shell_completes(shell, case, home, build):
    line, wanted, unwanted = CASES[case]
    found = offered(shell, line, home, build)
    ends = {word.split("=")[-1] for word in found}  # fish offers --flag=value whole
    assert wanted <= ends
    assert not unwanted & ends


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_key_of_a_manifest_is_a_word_and_no_command(shell, home, build):
    key = "$(touch${IFS}ran);`touch\tran`"
    models = {name: {"repo": "org/name"} for name in [key, "good"]}
    (home / "evil.json").write_text(json.dumps({"version": 1, "models": models}))
    assert "good" in offered(shell, "model-prep --manifest evil.json ", home, build)
    assert not (home / "ran").exists()


def test_the_script_for_bash_is_clean(home):
    run(["shellcheck", "--shell=bash", home / "completion.bash"], {})


def test_another_shell_is_refused_with_those_that_there_are(build):
    done = run([build / "model-prep", "--completion", "tcsh"], {}, check=False)
    assert done.returncode == 1
    assert "--completion is 'tcsh', but wants one of bash, zsh, fish" in done.stderr


def test_the_manual_page_is_clean_and_names_every_flag_of_every_command(build, tmp_path):
    page = tmp_path / "model-prep.1"
    page.write_text(run([build / "model-prep", "--manual"], {}).stdout)
    lint = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], capture_output=True, text=True, check=False)
    # It has no date, so that two builds give the same page.
    assert [line for line in lint.stdout.splitlines() if "missing date" not in line] == []
    shown = run(["mandoc", "-T", "ascii", "-O", "width=100", page], {}).stdout
    shown = re.sub(".\b", "", shown)
    for command in ["download", "verify", "list", "cleanup", "lock"]:
        assert re.search(rf"^ +{command}( |$)", shown, re.MULTILINE)
        for line in run([build / "model-prep", command, "--help"], {}).stdout.splitlines():
            if flag := re.match(r" +(?:-h, )?(--[a-z-]+)", line):
                assert flag[1] in shown
    assert "-1 " not in shown.split("EXIT STATUS")[0][:200]  # the title's own marks are not shown


def test_an_installation_brings_what_shells_and_man_look_for(build, tmp_path):
    run(["cmake", "--install", build, "--prefix", tmp_path], {})
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {
        "bin/model-prep",
        "share/man/man1/model-prep.1",
        "share/bash-completion/completions/model-prep",
        "share/zsh/site-functions/_model-prep",
        "share/fish/vendor_completions.d/model-prep.fish",
    }
    manual = run([build / "model-prep", "--manual"], {}).stdout
    assert (tmp_path / "share/man/man1/model-prep.1").read_text() == manual


@pytest.mark.parametrize("columns", [20, 40, 80, 100, 200])
def test_help_fits_the_terminal(columns, build):
    command = f"stty cols {columns}; {build}/model-prep --help; {build}/model-prep lock --help"
    done = subprocess.run(
        ["script", "--quiet", "--command", command, "/dev/null"], capture_output=True, text=True, check=True
    )
    lines = done.stdout.replace("\r", "").splitlines()
    assert len(lines) > 60
    most = min(max(columns, 40), 100)
    # An example and a list of variables stand as they are typed.
    assert [line for line in lines if len(line) > most and not re.match(r"  \S", line)] == []
    assert max(map(len, lines)) <= max(most, 60)
