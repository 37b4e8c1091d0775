# SPDX-License-Identifier: Apache-2.0
"""The wheel: what pip, uv and the index that checks uploads make of it."""

import base64
import csv
import hashlib
import io
import sys
from email.parser import Parser

import pytest
from packaging.licenses import canonicalize_license_expression
from packaging.utils import parse_wheel_filename
from support import run


@pytest.fixture(scope="session")
def info(made):
    """A function that reads a text of the wheel's dist-info."""
    files = made.files(made.wheel)
    return lambda name: files[f"model_prep-{made.version}.dist-info/{name}"].content.decode()


def test_pip_puts_the_program_on_the_path_of_a_bare_environment(here, works, tmp_path):
    bare = tmp_path / "bare"
    run([sys.executable, "-m", "venv", bare], {})
    pip = [bare / "bin" / "python", "-m", "pip", "--disable-pip-version-check"]
    before = {path for path in bare.rglob("*") if "__pycache__" not in path.parts}

    # Without an index, so a dependency would be an error.
    run([*pip, "install", "--no-index", here.wheel], {"HOME": str(tmp_path)})
    works(here.version, bare / "bin" / "model-prep")
    assert "Required-by:" in run([*pip, "show", "model-prep"], {}).stdout

    run([*pip, "uninstall", "--yes", "model-prep"], {})
    assert {path for path in bare.rglob("*") if "__pycache__" not in path.parts} == before


def test_pip_unpacks_it_for_that_architecture(made, emulator, works, tmp_path):
    target = ["--target", tmp_path / "target", "--platform", f"manylinux2014_{made.arch}", "--only-binary=:all:"]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    run([*pip, "install", "--no-index", *target, made.wheel], {"HOME": str(tmp_path)})
    works(made.version, *emulator, tmp_path / "target" / "bin" / "model-prep")


def test_uvx_runs_the_program(here, works, venv, tmp_path):
    uvx = [venv / "uvx", "--offline", "--python", sys.executable, "--from", here.wheel, "model-prep"]
    works(here.version, *uvx, UV_CACHE_DIR=str(tmp_path / "uv"))


def test_the_index_would_accept_it(made, venv):
    """twine checks what PyPI does."""
    checked = run([venv / "twine", "check", "--strict", made.wheel], {}).stdout
    assert "PASSED" in checked


def test_its_name_says_the_same_as_its_tags(made, info):
    name, version, build, tags = parse_wheel_filename(made.wheel.name)
    assert (name, str(version), build) == ("model-prep", made.version, ())
    told = Parser().parsestr(info("WHEEL"))
    assert set(told.get_all("Tag")) == {str(tag) for tag in tags}
    platforms = ("manylinux_2_17", "manylinux2014", "musllinux_1_1")
    assert {tag.platform for tag in tags} == {f"{platform}_{made.arch}" for platform in platforms}
    assert told["Root-Is-Purelib"] == "false"


def test_its_metadata_needs_nothing_and_names_each_licence(made, info):
    told = Parser().parsestr(info("METADATA"))
    assert (told["Name"], told["Version"]) == ("model-prep", made.version)
    assert told["Requires-Dist"] is None and told["Requires-Python"] is None
    assert canonicalize_license_expression(told["License-Expression"]) == told["License-Expression"]
    there = {path.split("/licenses/")[1] for path in made.files(made.wheel) if "/licenses/" in path}
    assert set(told.get_all("License-File")) == there
    assert "verifies every byte" in told.get_payload()


def test_its_record_has_the_digest_of_each_file(made, info):
    rows = {path: (digest, size) for path, digest, size in csv.reader(io.StringIO(info("RECORD")))}
    for path, file in made.files(made.wheel).items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(file.content).digest()).decode().rstrip("=")
        itself = path.endswith(".dist-info/RECORD")
        assert rows.pop(path) == (("", "") if itself else (f"sha256={digest}", str(len(file.content)))), path
    assert not rows


def test_it_has_no_python_code(made):
    folders = {path.split("/")[0] for path in made.files(made.wheel)}
    assert folders == {f"model_prep-{made.version}.data", f"model_prep-{made.version}.dist-info"}
