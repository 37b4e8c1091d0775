# SPDX-License-Identifier: Apache-2.0
"""What docker/static/build leaves: the program as a file, and the list of what is inside."""

import hashlib
import json
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORK = ROOT / "build" / "static"
MACHINES = {"x86_64": "X86-64", "aarch64": "AArch64"}


def text_of(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module", params=MACHINES)
def built(request):
    out = WORK / f"out-{request.param}"
    if not (out / "components.json").exists():
        pytest.skip(f"THERE IS NO STATIC PROGRAM FOR {request.param}; docker/release MAKES IT")
    return out


@pytest.fixture(scope="module")
def components(built):
    return json.loads((built / "components.json").read_text())


def test_the_program_needs_no_library_and_no_loader(built):
    machine = MACHINES[built.name.removeprefix("out-")]
    headers = text_of("readelf", "--file-header", "--segments", "--dynamic", "--wide", built / "model-prep")
    assert re.search(rf"Machine: .*{machine}", headers)
    assert "INTERP" not in headers and "NEEDED" not in headers


def test_the_program_is_hardened(built):
    headers = text_of("readelf", "--file-header", "--segments", "--dynamic", "--wide", built / "model-prep")
    assert re.search(r"Type: +DYN", headers) and "NOW PIE" in headers
    assert "GNU_RELRO" in headers and re.search(r"GNU_STACK .* RW  ", headers)
    assert not re.search(r"LOAD .* RWE ", headers)


def test_functions_of_the_program_and_of_its_libraries_have_canaries():
    """Without names in the program: a function that has a canary compares it with the thread's before it returns."""
    program = WORK / "out-x86_64" / "model-prep"
    if not program.exists():
        pytest.skip("THERE IS NO STATIC PROGRAM FOR x86_64; docker/release MAKES IT")
    code = text_of("objdump", "--disassemble", "--no-show-raw-insn", program)
    assert len(re.findall(r"%fs:0x28", code)) > 1000


def test_the_program_does_not_tell_where_it_was_built(built):
    content = (built / "model-prep").read_bytes()
    for word in [str(ROOT), "zig-cache", "build/static"]:
        assert word.encode() not in content, word


def test_the_program_has_no_symbols_and_no_debug_information(built):
    sections = text_of("readelf", "--sections", "--wide", built / "model-prep")
    assert ".symtab" not in sections and ".debug" not in sections


def test_everything_that_is_compiled_in_is_listed_with_origin_digest_and_licence(built, components):
    names = [component["name"] for component in components]
    assert sorted(names) == sorted(
        ["openssl", "nghttp2", "curl", "zlib", "fmtlib", "spdlog", "cli11", "nlohmann-json3"]
        + ["musl", "libcxx", "libcxxabi", "libunwind", "zig-compiler-rt"]
    )
    assert sorted(path.name for path in (built / "licenses").iterdir()) == sorted(names)
    for component in components:
        assert re.fullmatch(r"[0-9][0-9.]*", component["version"]), component
        assert component["source"].split()[0] in ("Debian", "PyPI") and component["license"]
        file = WORK / "downloads" / component["file"]
        assert hashlib.sha256(file.read_bytes()).hexdigest() == component["sha256"]
        assert len((built / "licenses" / component["name"] / "copyright").read_text()) > 500


def test_the_versions_are_those_in_the_program(built, components):
    versions = {component["name"]: component["version"] for component in components}
    content = (built / "model-prep").read_bytes()
    assert f"OpenSSL {versions['openssl']} ".encode() in content
    assert f"libcurl/{versions['curl']}".encode() in content or versions["curl"].encode() in content
    assert versions["nghttp2"].encode() in content


def test_the_sources_of_the_sha_256_with_sha_extensions_are_in_the_program(built):
    """Without its assembly, OpenSSL hashes at a fraction of the speed."""
    assert b"SHA256 block transform for" in (built / "model-prep").read_bytes()
