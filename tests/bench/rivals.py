# SPDX-License-Identifier: Apache-2.0
"""The programs that the benchmark compares, each as a command for a job: fetch these repositories into this folder.

A command gets only its arguments and the few variables that it lists; the user's configuration files are not read, if
the program has an option for that. Input files of a command (lists of URLs, a manifest) are written next to the target
directory before the measurement.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "rivals"


@dataclass(frozen=True)
class File:
    path: str
    size: int
    sha256: str
    large: bool  # in LFS: served by the payload host


@dataclass(frozen=True)
class Repo:
    id: str
    commit: str
    files: tuple[File, ...]


@dataclass(frozen=True)
class Job:
    endpoint: str
    ca: Path | None  # the authority of an https endpoint
    repos: tuple[Repo, ...]
    target: Path
    connections: int = 8


@dataclass(frozen=True)
class Rival:
    name: str
    version: str
    verifies: bool  # compares what it fetched with digests, so that wrong bytes fail
    command: Callable[[Job], tuple[list[str], dict[str, str]]]  # arguments, and variables on top of the environment


def missing(name: str, why: str) -> None:
    print(f"BENCHMARK WITHOUT {name.upper()}: {why.upper()}", file=sys.stderr, flush=True)


def output_of(*command) -> str:
    """What a command prints on both streams; empty if it cannot be started."""
    try:
        result = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout


def version_of(*command) -> str:
    """The first thing in a command's output that looks like a version."""
    found = re.search(r"\d+(\.\d+)+\S*", output_of(*command))
    return found.group() if found else "?"


def write_input(job: Job, name: str, text: str) -> Path:
    """Writes an input file of a command, next to the target directory."""
    path = job.target.parent / f"{job.target.name}.{name}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def places(job: Job):
    """(URL, where to put it, sha256) of every file, for the tools that know nothing of the Hub."""
    for repo in job.repos:
        for file in repo.files:
            url = f"{job.endpoint}/{repo.id}/resolve/{repo.commit}/{urllib.parse.quote(file.path)}"
            yield url, job.target / repo.id / file.path, file.sha256


def pins(job: Job) -> list[str]:
    return [f"{repo.id}@{repo.commit}" for repo in job.repos]


def hub_environment(job: Job) -> dict[str, str]:
    """What the clients of the Hub read. The authority goes by the two names that one or another of them honours."""
    environment = {
        "HF_HOME": str(job.target),
        "HF_ENDPOINT": job.endpoint,
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    if job.ca:
        environment |= {"SSL_CERT_FILE": str(job.ca), "REQUESTS_CA_BUNDLE": str(job.ca)}
    return environment


def model_prep(program: Path) -> Rival:
    """Pinned to commits and without digests, as the others are: it asks the hub for the listings."""
    def command(job: Job):
        models = {repo.id.replace("/", "--"): {"repo": repo.id, "revision": repo.commit, "ref": "main",
                                               "variants": {"fp32": {"include": ["*"]}}} for repo in job.repos}
        manifest = write_input(job, "manifest.json", json.dumps({"version": 1, "models": models}))
        argv = [str(program), "--manifest", str(manifest), "--jobs", str(job.connections), "--progress", "none"]
        argv += ["--ca-file", str(job.ca)] if job.ca else []
        return argv, {"HF_HOME": str(job.target), "HF_ENDPOINT": job.endpoint}

    return Rival("model-prep", version_of(program, "--version"), True, command)


def curl_command(job: Job, *options: str) -> list[str]:
    """One process for all files, so connections are used again. -q: no .curlrc; the rest is in every README's curl."""
    def quoted(value) -> str:
        text = str(value).replace("\\", "\\\\").replace('"', '\\"')
        return f'"{text}"'

    entries = [f"url = {quoted(url)}\noutput = {quoted(path)}\n" for url, path, _ in places(job)]
    config = write_input(job, "curl", "".join(entries))
    authority = ["--cacert", str(job.ca)] if job.ca else []
    return ["curl", "-q", "-sS", "-L", "-f", "--create-dirs", *authority, *options, "-K", str(config)]


def curl_parallel(job: Job) -> list[str]:
    # Immediately: else curl first waits whether a connection turns out to be one that can be shared.
    return curl_command(job, "-Z", "--parallel-immediate", "--parallel-max", str(job.connections))


def curls() -> list[Rival]:
    def sequential(job: Job):
        return curl_command(job), {}

    def parallel(job: Job):
        return curl_parallel(job), {}

    def parallel_checked(job: Job):
        sums = write_input(job, "sha256", "".join(f"{sha256}  {path}\n" for _, path, sha256 in places(job)))
        script = f"{shlex.join(curl_parallel(job))} && sha256sum -c --quiet {shlex.quote(str(sums))}"
        return ["sh", "-c", script], {}

    version = version_of("curl", "--version")
    return [Rival("curl", version, False, sequential), Rival("curl -Z", version, False, parallel),
            Rival("curl -Z + sha256sum", version, True, parallel_checked)]


def aria2() -> Rival:
    """All of its own defaults (5 files at once, pieces of 20 MB or more, space allocated first) but -x8 -s8."""
    def command(job: Job):
        entries = [f"{url}\n dir={path.parent}\n out={path.name}\n" for url, path, _ in places(job)]
        entries_file = write_input(job, "aria2", "".join(entries))
        most = str(job.connections)
        argv = ["aria2c", "--no-conf", "--quiet", "-x", most, "-s", most, "-i", str(entries_file)]
        return argv + ([f"--ca-certificate={job.ca}"] if job.ca else []), {}

    return Rival("aria2c -x8 -s8", version_of("aria2c", "--version"), False, command)


def huggingface_hub(venv: Path, name: str, **variables: str) -> Rival:
    """One Python process that takes one repository after the other, as a setup script does. It compares sizes only.

    hf_transfer uses a signed URL for many ranges: a hub that signs the range too, as model-prep-hub does, refuses it.
    """
    def command(job: Job):
        argv = [str(venv / "bin/python"), str(FOLDER / "snapshot.py"), str(job.connections), *pins(job)]
        return argv, hub_environment(job) | {"PYTHONDONTWRITEBYTECODE": "1", "HF_HUB_DISABLE_XET": "1", **variables}

    asked = f"from importlib.metadata import version; print(version('{name}'))"
    return Rival(name, version_of(venv / "bin/python", "-c", asked), False, command)


def hf_download(venv: Path, name: str, xet: bool) -> Rival:
    """The command of that library, a process for each repository. The hub here has no Xet: the files come by http."""
    def command(job: Job):
        lines = [shlex.join([str(venv / "bin/hf"), "download", repo.id, "--revision", repo.commit, "--quiet",
                             "--max-workers", str(job.connections)]) for repo in job.repos]
        extra = {"PYTHONDONTWRITEBYTECODE": "1", "HF_HUB_DISABLE_XET": "0" if xet else "1"}
        return ["sh", "-c", " && ".join(lines)], hub_environment(job) | extra

    return Rival(name, version_of(venv / "bin/hf", "version"), False, command)


def rust_hub(program: Path, name: str, version: str) -> Rival:
    """Fetches by Xet every file with an X-Xet-Hash, which cannot be turned off: for hubs without that header."""
    def command(job: Job):
        return [str(program), str(job.connections), *pins(job)], hub_environment(job)

    return Rival(name, version, False, command)


def hfdownloader(program: Path) -> Rival:
    """By its own documentation of the command line, at the pinned commit; it checks the sha256 of LFS files.

    Not tried: no Go registry that was asked gave it. What comes of it is checked as every rival's result is.
    """
    def command(job: Job):
        lines = []
        for repo in job.repos:
            lines.append(shlex.join([str(program), "download", repo.id, "-b", repo.commit, "--endpoint", job.endpoint,
                                     "-c", str(job.connections), "--cache-dir", str(job.target), "--quiet"]))
        return ["sh", "-c", " && ".join(lines)], hub_environment(job) | {"HOME": str(job.target)}

    return Rival("hfdownloader", version_of(program, "version"), True, command)


def rivals(tools: Path, program: Path) -> list[Rival]:
    """Those that can be had here, made in the folder `tools` if need be. Says loudly which cannot, and why."""
    # On the other stream, which is not the table's.
    subprocess.run([str(FOLDER / "build"), str(tools)], stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
    found = [model_prep(program)]
    if shutil.which("curl"):
        found += curls()
    else:
        missing("curl", "it is not installed")
    if shutil.which("aria2c"):
        found.append(aria2())
    else:
        missing("aria2c", "it is not installed")
    # `build` has said of each of these why it is not there.
    if (tools / "venv-hub/made-from").exists():
        found.append(huggingface_hub(tools / "venv-hub", "huggingface_hub"))
        found.append(hf_download(tools / "venv-hub", "hf download", False))
        found.append(hf_download(tools / "venv-hub", "hf download + hf_xet", True))
    if (tools / "venv-hf_transfer/made-from").exists():
        found.append(huggingface_hub(tools / "venv-hf_transfer", "hf_transfer", HF_HUB_ENABLE_HF_TRANSFER="1"))
    if (tools / "bin/hf-hub.made-from").exists():
        newest, pieces = re.findall(r'"=([0-9.]+)"', (FOLDER / "hf-hub/Cargo.toml").read_text())
        found.append(rust_hub(tools / "bin/hf-hub-1", "hf-hub (Rust)", newest))
        found.append(rust_hub(tools / "bin/hf-hub-0", "hf-hub 0.5 (Rust)", pieces))
    if os.access(tools / "bin/hfdownloader", os.X_OK):
        found.append(hfdownloader(tools / "bin/hfdownloader"))
    return found
