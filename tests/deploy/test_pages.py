# SPDX-License-Identifier: Apache-2.0
"""README.md and docs/: their commands run, they print what the pages show, and the reference agrees with --help.

The blocks of a page run in order, in one shell and one directory, against the demo hub; /srv/models is a directory of
the test. After a change of messages, MODEL_PREP_UPDATE_PAGES=1 writes the current output into the pages.
"""

import os
import pathlib
import re
import secrets
import shutil
import subprocess

import pages
import pytest
from support import SYSTEM_PATH, run

WIDTH = 100
ENDPOINT = "https://huggingface.co"
COMMANDS = ["download", "verify", "list", "cleanup", "lock", "export", "kserve-init"]


# ---- running a page ---------------------------------------------------------------------------------------------------


@pytest.fixture
def run_page(build, demo, tmp_path):
    """Runs steps in one shell and returns (exit code, output) of each."""
    for script in [pages.ROOT / "docker/quickstart", *pages.ROOT.glob("tests/**/run")]:
        stub = tmp_path / script.relative_to(pages.ROOT)  # tests/run runs this; the quickstart has a test of its own
        stub.parent.mkdir(parents=True, exist_ok=True)
        stub.write_text("#!/bin/sh\n")
        stub.chmod(0o755)
    models = pathlib.Path("/tmp", secrets.token_hex(3))  # as long as /srv/models, or the columns of tables would move
    models.mkdir()
    environment = {
        "PATH": f"{build}:{SYSTEM_PATH}", "HOME": str(tmp_path), "LANG": "C.UTF-8", "HF_HOME": str(models),
        "HF_ENDPOINT": demo.endpoint, "MODEL_PREP_MANIFEST": str(demo.manifest),
    }

    def run(steps):
        status_of, end = "\x1f", "\x1e"  # around each step's exit code
        script = "set -E; trap 'failed=$?' ERR\n"
        for step in steps:
            script += f"failed=0\n{step}\nprintf '{status_of}%s{end}' \"$failed\"\n"
        shell = subprocess.run(
            ["bash", "-c", script.replace("/srv/models", str(models))], cwd=tmp_path, env=environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120,
        )
        found = []
        for part in shell.stdout.split(end)[:-1]:
            output, status = part.rsplit(status_of, 1)
            found.append((int(status), output.replace(str(models), "/srv/models").replace(demo.endpoint, ENDPOINT)))
        assert len(found) == len(steps), f"the shell ended early:\n{shell.stdout}"
        return found

    yield run
    shutil.rmtree(models)


def shown(line):
    """A line of output as a page shows it: without the time, with short digests, no wider than a page."""
    line = re.sub(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ", "", line.rstrip())
    line = re.sub(r"\b([0-9a-f]{12})[0-9a-f]{28,52}\b", r"\1…", line)
    line = re.sub(r"/models--[^/ ]+/snapshots/", "/…/snapshots/", line)
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"


def matches(documented, printed):
    """Whether a page's line is what was printed: `…` is any text, and what differs from run to run is not compared."""

    def masked(text):
        text = re.sub(r"\d+\.\d+ s\b", "0.0 s", text)
        text = re.sub(r"\d+\.\d [kMGT]B free", "0.0 GB free", text)
        return re.sub(r"\b[1-9]\d* requests", "9 requests", text)

    printed = re.sub(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ", "", masked(printed))
    return re.fullmatch(".*".join(re.escape(part) for part in masked(documented).split("…")), printed)


def differences(block, results):
    """What a console block shows and its commands did not print, and the other way round; order does not count."""
    documented = [line for line in block.text.splitlines() if not line.startswith("$ ")]
    printed = [line.rstrip() for _, output in results for line in output.splitlines()]
    for line in list(documented):
        found = next((other for other in printed if matches(line, other)), None)
        if found is not None:
            documented.remove(line)
            printed.remove(found)
    return [f"not printed: {line}" for line in documented] + [f"not on the page: {line}" for line in printed]


def update(page, runs):
    text = page.read_text()
    for block, results in runs:
        if block.language == "console":
            prompts = [line for line in block.text.splitlines() if line.startswith("$ ")]
            lines = []
            for prompt, (_, output) in zip(prompts, results, strict=True):
                lines += [prompt, *map(shown, output.splitlines())]
            text = text.replace(f"```console\n{block.text}```", "```console\n" + "\n".join(lines) + "\n```")
    page.write_text(text)


@pytest.mark.parametrize("page", pages.PAGES, ids=pages.name)
def test_the_commands_of_a_page_print_what_the_page_shows(page, run_page):
    blocks = [
        block for block in pages.blocks(page) if block.is_run and not block.needs_engine and not block.needs_release
    ]
    steps = []
    for block in blocks:
        steps += [block.text] if block.language == "sh" else block.commands()
    results = run_page(["true" if step == "echo $?" else step for step in steps])
    for index, step in enumerate(steps):
        if step == "echo $?":
            results[index], results[index - 1] = (0, f"{results[index - 1][0]}\n"), (0, results[index - 1][1])
    problems, runs = [], []
    for block in blocks:
        count = 1 if block.language == "sh" else len(block.commands())
        runs.append((block, results[:count]))
        results = results[count:]
        problems += [f"line {block.line}: exit code {code}:\n{output}" for code, output in runs[-1][1] if code != 0]
        if block.language == "console":
            problems += [f"line {block.line}: {problem}" for problem in differences(*runs[-1])]
    if os.environ.get("MODEL_PREP_UPDATE_PAGES"):
        update(page, runs)
    assert not problems, "\n".join(problems)


def test_the_quickstart_fills_a_cache_and_a_second_run_sends_no_request():
    command = [pages.ROOT / "docker" / "quickstart", "--demo", "--no-install"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "requests: 0, bytes downloaded: 0" in done.stdout


def test_only_the_bare_quickstart_falls_back_to_the_demo_and_the_demo_goes_nowhere_else(tmp_path):
    # The demo's stand-ins have the names and commits of real models.
    quickstart = pages.ROOT / "docker" / "quickstart"
    cache = tmp_path / "cache"
    for command, environment in (
        ([quickstart, "--demo", "--cache-dir", cache], {}),
        ([quickstart, "--cache-dir", cache, "--patience", "0"], {"HF_ENDPOINT": "http://127.0.0.1:9"}),
        ([quickstart, "--endpoint", "http://127.0.0.1:9", "--patience", "0", "--cache-dir", cache], {}),
    ):
        done = run([*command, "--no-install"], environment, check=False)
        assert done.returncode == 1, done.stdout + done.stderr
        assert "The demo passed" not in done.stdout
        assert not [*cache.glob("models--*/snapshots/*")]
        assert not any(path.is_symlink() for path in cache.glob("models--*")), "a link into ./models"

    models = pages.ROOT / "models"
    before = sorted(models.rglob("*"))
    bare = run([quickstart, "--no-install"], {"HTTPS_PROXY": "http://127.0.0.1:9"})
    assert "Running the demo instead" in bare.stdout and "The demo passed" in bare.stdout
    assert sorted(models.rglob("*")) == before


# ---- the form of a page -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", pages.PAGES, ids=pages.name)
def test_every_code_block_has_a_language(page):
    for block in pages.blocks(page):
        assert block.language, f"line {block.line}: a block without a language"
        assert block.language not in ("bash", "shell"), f"line {block.line}: sh if a test can run it, else text"
        assert not (block.language == "console" and block.needs_engine), f"line {block.line}: an engine's output"


@pytest.mark.parametrize("page", pages.USER_PAGES, ids=pages.name)
def test_a_page_fits_an_editor(page):
    wide = [
        line
        for line in page.read_text().splitlines()
        if len(line) > WIDTH and not line.startswith("|") and "](" not in line and "://" not in line
    ]
    assert not wide, "\n".join(wide)


def test_the_readme_is_short_and_starts_with_the_two_commands_for_a_fresh_machine():
    lines = pages.README.read_text().splitlines()
    assert len(lines) <= 130
    first_screen = [command for block in pages.blocks(pages.README) if block.line <= 30 for command in block.commands()]
    assert "docker/quickstart" in first_screen and "tests/run" in first_screen


# ---- the reference and --help -----------------------------------------------------------------------------------------

REFERENCE = pages.ROOT / "docs" / "reference.md"


@pytest.fixture(scope="module")
def help_of(build):
    return {command: run([build / "model-prep", command, "--help"], {}).stdout for command in COMMANDS}


def flags_in(text):
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))


def variables_in(text):
    return set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", text))


def test_the_reference_names_the_flags_and_variables_of_the_help_and_no_others(build, help_of):
    helps = run([build / "model-prep", "--help"], {}).stdout + "".join(help_of.values())
    assert flags_in(REFERENCE.read_text()) == flags_in(helps)
    assert variables_in(REFERENCE.read_text()) == variables_in(helps)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_reference_lists_the_commands_of_each_flag(command, help_of):
    rows = [row.split("|") for row in REFERENCE.read_text().splitlines() if row.startswith("| `--")]
    documented = {flag for row in rows if command in row[3] or row[3].strip() == "all" for flag in flags_in(row[1])}
    assert documented == set(re.findall(r"^  (--[a-z][a-z-]*)", help_of[command], re.MULTILINE))


def test_the_reference_lists_the_variables_of_each_flag(help_of):
    """In the help they follow the flag's text in brackets."""
    variables = {}
    for text in help_of.values():
        for flag, right in re.findall(r"^  (--[a-z-]+)(.*?)(?=^  -|^$)", text, re.MULTILINE | re.DOTALL):
            found = re.search(r"\[([A-Z_,\s]+)\]", right)
            variables[flag] = variables_in(found[1]) if found else set()
    for row in REFERENCE.read_text().splitlines():
        for flag in flags_in(row.split("|")[1]) & variables.keys() if row.startswith("| `--") else ():
            assert variables_in(row.split("|")[2]) == variables[flag], flag
