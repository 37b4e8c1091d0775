# SPDX-License-Identifier: Apache-2.0
"""Runs one client and measures it: time, CPU, memory; and its requests, from nginx's log."""

import hashlib
import os
import shutil
import signal
import statistics
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from rivals import Job


class Failed(Exception):
    """A client that did not do its job."""


@dataclass
class Sample:
    """One run of one client. CPU and memory are the client's, with its children; memory is its largest process's."""

    wall: float
    user: float
    system: float
    rss: int  # bytes, 0 if not measured
    requests: int = 0
    connections: int = 0
    bytes: int = 0  # bodies, as nginx sent them
    redirects: int = 0
    server: float = 0  # seconds of CPU that nginx used meanwhile

    @property
    def cpu(self) -> float:
        return self.user + self.system

    def as_json(self) -> dict:
        return asdict(self) | {"cpu": self.cpu}


class AccessLog:
    """What nginx logged since the last look."""

    def __init__(self, path: Path):
        self.path, self.place = path, path.stat().st_size if path.exists() else 0

    def skip(self) -> None:
        self.place = self.path.stat().st_size

    def read(self) -> list[list[str]]:
        """Waits until nothing more comes: nginx logs a request when it has ended, which may be after its client has."""
        size = -1
        while size != (size := self.path.stat().st_size):
            time.sleep(0.05)
        with open(self.path, "rb") as file:
            file.seek(self.place)
            text = file.read()
        self.place += len(text)
        return [line.split(" ", 6) for line in text.decode().splitlines()]


def add_log(sample: Sample, lines: list[list[str]]) -> Sample:
    sample.requests = len(lines)
    sample.connections = len({line[0] for line in lines})
    sample.redirects = sum(line[3] in ("302", "307") for line in lines)
    sample.bytes = sum(int(line[5]) for line in lines)
    return sample


def environment(extra: dict[str, str]) -> dict[str, str]:
    """Nothing is inherited: what the caller's shell has set must not change a measurement."""
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {"PATH": path, "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"} | extra


def spawn(argv: list[str], extra: dict[str, str], output: Path) -> tuple[int, float]:
    """Starts a process in a group of its own, its output in a file; also gives the moment."""
    files = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(output), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    program = argv[0] if "/" in argv[0] else shutil.which(argv[0]) or argv[0]
    started = time.perf_counter()
    return os.posix_spawn(program, argv, environment(extra), file_actions=files, setpgroup=0), started


def run(argv: list[str], extra: dict[str, str], output: Path, memory: bool = True) -> Sample:
    """Runs a command to its end. Memory is asked of GNU time: a process that Python starts is born with Python's own
    peak, one that `time` starts with that of `time`, which is small. That costs a millisecond, so it can be left out.
    """
    peak = output.with_suffix(".peak")
    if memory:
        argv = ["/usr/bin/time", "--quiet", "--format=%M", f"--output={peak}", *argv]
    pid, started = spawn(argv, extra, output)
    try:
        _, status, usage = os.wait4(pid, 0)
    except BaseException:  # the benchmark itself is being ended
        os.killpg(pid, signal.SIGKILL)
        raise
    wall = time.perf_counter() - started
    code = os.waitstatus_to_exitcode(status)
    if code != 0:
        raise Failed(f"exit code {code} of {' '.join(argv)[:500]}\n{output.read_text(errors='replace')[-2000:]}")
    rss = int(peak.read_text().split()[-1]) * 1024 if memory else 0
    return Sample(wall, usage.ru_utime, usage.ru_stime, rss)


def empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def check(job: Job) -> None:
    """Every file of the job is somewhere below its target, with the right bytes, however the client lays them out."""
    sizes = {file.size for repo in job.repos for file in repo.files}
    found = set()
    for folder, _, names in os.walk(job.target):
        for name in names:
            path = os.path.join(folder, name)
            if not os.path.islink(path) and os.path.getsize(path) in sizes:
                with open(path, "rb") as file:
                    found.add(hashlib.file_digest(file, "sha256").hexdigest())
    for repo in job.repos:
        for file in repo.files:
            if file.sha256 not in found:
                raise Failed(f"{repo.id} {file.path} is not there, or with other bytes")


def settle(folder: Path) -> None:
    """What is still to be written goes to the disk now, not in somebody's measured time."""
    subprocess.run(["sync", "-f", str(folder)], check=False)


def median(values) -> float:
    return statistics.median(values)
