# SPDX-License-Identifier: Apache-2.0
"""The Debian package, installed into fresh systems that debootstrap makes."""

import os
import re
import shutil

import pages
import pytest
from artefacts import DEBIAN_NAMES
from support import run

PATH = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive"}


def field(deb, name):
    return run(["dpkg-deb", "--field", deb, name], {}).stdout.strip()


def test_its_fields_name_the_architecture_and_no_dependency(made):
    assert field(made.deb, "Package") == "model-prep" and field(made.deb, "Version") == made.version
    assert field(made.deb, "Architecture") == DEBIAN_NAMES[made.arch]
    assert field(made.deb, "Depends") == ""


def test_its_program_runs_without_being_installed(made, emulator, works, tmp_path):
    run(["dpkg-deb", "--extract", made.deb, tmp_path / "root"], {})
    works(made.version, *emulator, tmp_path / "root" / "usr" / "bin" / "model-prep")


def test_lintian_finds_no_error_and_every_override_is_used(made):
    if not shutil.which("lintian"):
        pytest.skip("lintian IS NOT INSTALLED; docker/packages NAMES IT")
    lintian = ["lintian", "--allow-root", "--display-info"]
    run([*lintian, "--fail-on", "error,warning", made.deb], {})

    # With this option, what is overridden would fail, too.
    shown = run([*lintian, "--show-overrides", made.deb], {}, check=False).stdout
    assert re.search(r"^O: model-prep: embedded-library curl ", shown, re.MULTILINE), shown
    assert "unused-override" not in shown and "mismatched-override" not in shown, shown


@pytest.fixture(params=["bookworm", "trixie"], scope="session")
def system(request, pytestconfig):
    """The root of a fresh Debian; it stays in build/release for the next run."""
    root = pytestconfig.getoption("build") / "release" / request.param
    if (root / "made").exists():
        return root
    if os.geteuid() != 0 or not shutil.which("debootstrap", path=PATH["PATH"]):
        pytest.skip("ONLY ROOT CAN INSTALL THE PACKAGE IN A FRESH DEBIAN, AND ONLY WITH debootstrap")

    shutil.rmtree(root, ignore_errors=True)
    proxies = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    command = ["debootstrap", "--variant=minbase", "--include=ca-certificates", request.param, root]
    run(command, {**PATH, **proxies}, timeout=900)
    # Without a source of packages, so a dependency would be an error.
    (root / "etc/apt/sources.list").unlink()
    shutil.rmtree(root / "var/lib/apt/lists")
    (root / "made").touch()
    return root


def page_command(arch):
    """What the pages say to root."""
    commands = [command for page in pages.PAGES for block in pages.blocks(page) for command in block.commands()]
    (found,) = [command for command in commands if command.startswith("apt-get install ./dist/")]
    return found.replace("amd64", DEBIAN_NAMES[arch])


def test_apt_installs_it_on_debian_12_and_13_and_removes_it_again(here, system, works, demo):
    def inside(*command):
        return run(["/usr/sbin/chroot", system, *command], PATH).stdout

    inside("dpkg", "--purge", "model-prep")  # what a failed test left
    home = system / "root"
    (home / "dist").mkdir(exist_ok=True)
    shutil.copy(here.deb, home / "dist")
    shutil.copy(demo["MODEL_PREP_MANIFEST"], system / "srv/models.lock.json")
    before = inside("dpkg", "--get-selections")

    inside("sh", "-c", f"cd /root && {page_command(here.arch)}")
    assert inside("dpkg", "--verify", "model-prep") == ""
    shutil.rmtree(system / "srv/models", ignore_errors=True)
    variables = {"HF_HOME": "/srv/models", "MODEL_PREP_MANIFEST": "/srv/models.lock.json"}
    works(here.version, "/usr/sbin/chroot", system, "model-prep", **variables)
    assert (system / "srv/models/hub").is_dir()

    inside("dpkg", "--purge", "model-prep")
    assert inside("dpkg", "--get-selections") == before
    assert not list((system / "usr").rglob("model-prep*"))
