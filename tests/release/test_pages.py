# SPDX-License-Identifier: Apache-2.0
"""The commands of the pages that install what docker/release made."""

import shlex
import sys

import pages
import pytest
from support import SYSTEM_PATH, run

BLOCKS = [block for page in pages.PAGES for block in pages.blocks(page) if block.needs_release]

#: The others are root's; test_debian.py runs them.
AS_USER = [block for block in BLOCKS if not block.commands()[0].startswith("apt-get ")]


def name(block):
    return f"{pages.name(block.page)}:{block.line}"


@pytest.fixture
def user(here, venv, tmp_path):
    """Variables and directory of a user with a bare virtual environment in the path, and with dist/."""
    run([sys.executable, "-m", "venv", tmp_path / "bare"], {})
    for tool in ("uv", "uvx"):
        (tmp_path / "bare" / "bin" / tool).symlink_to(venv / tool)
    (tmp_path / "dist").symlink_to(here.dist)
    return {"HOME": str(tmp_path), "PATH": f"{tmp_path}/bare/bin:{tmp_path}/.local/bin:{SYSTEM_PATH}"}


@pytest.mark.parametrize("block", AS_USER, ids=name)
def test_a_user_can_run_the_commands(block, here, user, tmp_path):
    text = block.text.replace("x86_64", here.arch)
    script = f"set -eu; cd {shlex.quote(str(tmp_path))}\n{text}"
    said = run(["bash", "-c", script], user).stdout
    assert said.count(f"model-prep {here.version}") == text.count("model-prep --version")


def test_the_pages_show_every_way_in_and_no_name_on_a_public_index():
    commands = [command for block in BLOCKS for command in block.commands()]
    for way in ("pip install ./dist/", "uvx --from ./dist/", "tar -xzf dist/", "apt-get install ./dist/"):
        assert [command for command in commands if way in command], way
    for page in pages.PAGES:
        for word in ("pip install model", "uvx model", "uv tool install model", "pipx run model", "pipx install model"):
            assert word not in page.read_text(), f"{pages.name(page)}: {word}"
