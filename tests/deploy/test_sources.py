# SPDX-License-Identifier: Apache-2.0
"""docker/static/sources: what the static program is made of is pinned, and how a pin moves. The archive is made up."""

import hashlib
import importlib.machinery
import importlib.util
import pathlib
import platform
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PINS = ROOT / "docker" / "static" / "pins"
CONTENT = {"tool_1-1.dsc": b"the description", "tool_1.orig.tar.gz": b"the source", "tool_1-1.debian.tar.xz": b"the patches"}


def digest(content):
    return hashlib.sha256(content).hexdigest()


class Archive:
    """Holds files, and an index of versions with the digests of their files."""

    def __init__(self):
        self.files = {}
        self.index = {}
        self.requests = []

    def add(self, version, files, held=True):
        self.index[version] = {name: digest(content) for name, content in files.items()}
        if held:
            self.files |= files

    def fetch(self, pin, file, wanted, target):
        self.requests.append(file)
        if file not in self.files:
            return False
        target.write_bytes(self.files[file])
        return True


@pytest.fixture
def archive():
    return Archive()


@pytest.fixture
def sources(archive, tmp_path, monkeypatch):
    """The program as a module, with the made-up archive and a list of one package, tool 1-1, in the middle."""
    loader = importlib.machinery.SourceFileLoader("sources", str(ROOT / "docker" / "static" / "sources"))
    spec = importlib.util.spec_from_loader("sources", loader)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    monkeypatch.setitem(__import__("sys").modules, "sources", module)  # for its data class
    loader.exec_module(module)

    class Index:
        def versions(self, pin):
            return sorted(archive.index, reverse=True)

        def files(self, pin, version):
            return archive.index.get(version, {})

    pins = tmp_path / "pins"
    lines = [f"    {digest(content)}  {name}" for name, content in CONTENT.items()]
    pins.write_text("\n".join(["# A comment.", "source tool 1-1", *lines, "# The end."]) + "\n")
    monkeypatch.setattr(module, "PINS", pins)
    monkeypatch.setattr(module, "Index", Index)
    monkeypatch.setattr(module, "fetch_from_debian", archive.fetch)
    return module


def test_what_is_there_is_not_downloaded_again(sources, archive, tmp_path):
    archive.add("1-1", CONTENT)
    sources.fetch(tmp_path / "downloads")
    assert {path.name: path.read_bytes() for path in (tmp_path / "downloads").iterdir()} == CONTENT
    archive.requests.clear()
    sources.fetch(tmp_path / "downloads")
    assert archive.requests == []


def test_a_file_with_another_content_is_refused_and_not_kept(sources, archive, tmp_path):
    archive.add("1-1", CONTENT | {"tool_1.orig.tar.gz": b"something else"})
    with pytest.raises(sources.Failure, match="tool_1.orig.tar.gz has another content than the one that is pinned"):
        sources.fetch(tmp_path / "downloads")
    assert not (tmp_path / "downloads" / "tool_1.orig.tar.gz").exists()


def test_a_damaged_download_is_replaced(sources, archive, tmp_path):
    archive.add("1-1", CONTENT)
    sources.fetch(tmp_path / "downloads")
    (tmp_path / "downloads" / "tool_1-1.dsc").write_bytes(b"damaged")
    sources.fetch(tmp_path / "downloads")
    assert (tmp_path / "downloads" / "tool_1-1.dsc").read_bytes() == CONTENT["tool_1-1.dsc"]


def test_a_version_that_has_left_the_archive_is_reported_with_the_newer_one_and_how_to_move_the_pin(
    sources, archive, tmp_path
):
    archive.add("1-2", {"tool_1-2.dsc": b"newer"})
    with pytest.raises(sources.Failure) as failure:
        sources.fetch(tmp_path / "downloads")
    assert "tool 1-1 has left Debian's archive, whose newest version is 1-2." in str(failure.value)
    assert "docker/static/sources move tool" in str(failure.value)


def test_an_archive_without_any_version_is_reported_as_such(sources, tmp_path):
    with pytest.raises(sources.Failure, match="neither is another version; is the mirror complete"):
        sources.fetch(tmp_path / "downloads")


def test_moving_a_pin_changes_only_its_own_lines(sources, archive):
    archive.add("1-2", {"tool_1-2.dsc": b"newer"})
    sources.move("tool", None)
    assert sources.PINS.read_text().splitlines() == [
        "# A comment.",
        "source tool 1-2",
        f"    {digest(b'newer')}  tool_1-2.dsc",
        "# The end.",
    ]


def test_a_version_that_the_index_names_but_no_archive_holds_is_passed_over_with_a_warning(sources, archive, capsys):
    archive.add("1-3", {"tool_1-3.dsc": b"newest"}, held=False)
    archive.add("1-2", {"tool_1-2.dsc": b"newer"})
    sources.move("tool", None)
    assert "source tool 1-2" in sources.PINS.read_text()
    assert "WARNING: tool 1-3 CANNOT BE DOWNLOADED" in capsys.readouterr().err


def test_a_version_that_is_nowhere_leaves_the_pin_as_it_is(sources, archive):
    before = sources.PINS.read_text()
    archive.add("1-2", {"tool_1-2.dsc": b"newer"})
    with pytest.raises(sources.Failure, match="these versions of tool: 1-2"):
        sources.move("tool", "9-9")
    assert sources.PINS.read_text() == before


def test_a_pin_never_moves_back_to_an_older_version_by_itself(sources, archive):
    before = sources.PINS.read_text()
    archive.add("1-2", {"tool_1-2.dsc": b"the fix"}, held=False)
    archive.add("1-1", CONTENT)
    archive.add("1-0", {"tool_1-0.dsc": b"older"})
    with pytest.raises(sources.Failure, match="tool stays at 1-1; the index has these versions of tool: 1-2, 1-1, 1-0"):
        sources.move("tool", None)
    assert sources.PINS.read_text() == before


def test_only_pins_with_a_newer_version_are_listed(sources, archive, capsys):
    archive.add("1-1", CONTENT)
    sources.newer()
    assert capsys.readouterr().out == ""
    archive.add("1-2", {"tool_1-2.dsc": b"newer"})
    sources.newer()
    assert capsys.readouterr().out == "tool: 1-1, and the archive has 1-2\n"


def test_the_list_pins_every_file_of_a_source_and_a_compiler_for_each_machine(sources, monkeypatch):
    monkeypatch.setattr(sources, "PINS", PINS)
    pins = sources.read_pins()
    for pin in pins:
        assert all(re.fullmatch(r"[0-9a-f]{64}", sha256) for sha256 in pin.files.values())
        endings = sorted(re.sub(r".*(\.dsc|\.orig\.tar|\.debian\.tar|_all\.deb|\.whl).*", r"\1", file) for file in pin.files)
        wanted = {
            "source": [".debian.tar", ".dsc", ".orig.tar"],
            "headers": ["_all.deb"],
            "wheel": [".whl", ".whl"],
        }
        assert endings == wanted[pin.kind], pin.name
    (wheel,) = [pin for pin in pins if pin.kind == "wheel"]
    for machine in ("x86_64", "aarch64"):
        monkeypatch.setattr(platform, "machine", lambda machine=machine: machine)
        assert len(sources.needed(wheel)) == 1
