# SPDX-License-Identifier: Apache-2.0
"""Parts of the benchmark's cases: rounds of first runs, second runs, and the targets."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import content
import measure
from hub import Hub, Site
from measure import Failed, Sample, median
from rivals import Job, Repo, Rival

OURS = "model-prep"
FLOOR = "cp + openssl dgst"
ONE_CORE = f"{OURS}, on one core"
HASH = "openssl dgst"
LINE = "the line itself"
BASELINE = f"{OURS} (0.1.0)"  # --compare 0.1.0=PROGRAM
LARGEST = "openssl dgst, largest file"


@dataclass
class Target:
    """One row of `target | measured | met`."""

    text: str
    measured: str
    met: bool


@dataclass
class Case:
    name: str
    title: str
    job: str
    rows: dict[str, list[Sample]] = field(default_factory=dict)
    targets: list[Target] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def value(self, rival: str, what: str = "wall") -> float | None:
        samples = self.rows.get(rival)
        return median(getattr(sample, what) for sample in samples) if samples else None

    def ratio(self, text: str, over: str, most: float, what: str = "wall") -> None:
        """A target of the form: ours at most so many times another's."""
        ours, others = self.value(OURS, what), self.value(over, what)
        if ours is None or not others:
            self.notes.append(f"NOT COMPARED with {over}, which did not run: {text}.")
            return
        self.targets.append(
            Target(f"{text}: {what} ≤ {most:.2f} × {over}", f"{ours / others:.2f} ×", ours <= most * others)
        )

    def since(self, text: str, most: float, suffix: str = "") -> None:
        """A target of that form for each build of ours, over version 0.1.0, if that takes part."""
        then = self.value(BASELINE + suffix)
        for name in self.rows if then else ():
            if not name.startswith(OURS) or not name.endswith(suffix) or name == BASELINE + suffix:
                continue
            ratio = self.value(name) / then
            text_of_build = f"{text}, {name.removesuffix(suffix)}: ≤ {most:.2f} × 0.1.0"
            self.targets.append(Target(text_of_build, f"{ratio:.2f} ×", ratio <= most))

    def near_bound(self, most: float) -> None:
        """A verified download takes at least its CPU on all cores, and at least the hash of the largest file on one."""
        parts = [self.value(*part) for part in (("curl", "cpu"), ("curl", "server"), (HASH, "cpu"), (LARGEST, "cpu"))]
        if None in parts:
            self.notes.append("NOT COMPARED with the bound: curl or openssl did not run.")
            return
        *work, largest = parts
        cores = len(os.sched_getaffinity(0))
        bound, wall = max(sum(work) / cores, largest), self.value(OURS)
        self.targets.append(
            Target(
                f"{self.title}: wall ≤ {most:.2f} × bound = the larger of "
                f"(curl's + its server's + the bare hash's CPU) / {cores} cores and the hash of the largest file",
                f"{wall / bound:.2f} ×",
                wall <= most * bound,
            )
        )
        self.notes.append(
            f"The bound is {bound:.2f} s: CPU of curl {work[0]:.2f} s, of its server {work[1]:.2f} s, of the bare hash "
            f"{work[2]:.2f} s, together {sum(work) / cores:.2f} s on {cores} cores; of the largest file's hash "
            f"{largest:.2f} s."
        )


@dataclass
class Bench:
    """What every case needs."""

    root: Path  # on tmpfs
    disk: Path
    hub: Hub
    sites: dict[str, Site]
    rivals: list[Rival]
    models: tuple[Repo, ...]
    large: Repo
    many: dict[int, Repo]
    sparse: Repo | None
    repetitions: int
    log: measure.AccessLog = None

    def chosen(self, *names: str) -> list[Rival]:
        """These rivals, as far as they are there; and always model-prep, with a second build of it if one was given."""
        return [rival for rival in self.rivals if rival.name.startswith(OURS) or rival.name in names]

    def ours(self) -> list[Rival]:
        return self.chosen()

    def on_one_core(self) -> Rival:
        """Its CPU seconds are those of its work alone: two cores that share their units slow each other down."""
        ours = next(rival for rival in self.ours() if rival.name == OURS)
        core = min(os.sched_getaffinity(0))

        def pinned(job: Job):
            argv, extra = ours.command(job)
            return ["taskset", "--cpu-list", str(core), *argv], extra

        return replace(ours, name=ONE_CORE, command=pinned)

    def job(self, site: str, repos, target: Path, connections: int = 8) -> Job:
        where = self.sites[site]
        return Job(where.endpoint, self.hub.ca if where.scheme == "https" else None, tuple(repos), target, connections)

    def one(self, rival: Rival, job: Job, memory: bool = True, after: list[str] | None = None) -> Sample:
        """One measured run. `after` is a shell command that belongs to it."""
        argv, extra = rival.command(job)
        if after:
            argv = ["sh", "-c", '"$@" && ' + " ".join(after), "sh", *argv]
        self.log.skip()
        before = self.hub.cpu()
        sample = measure.run(argv, extra, self.root / "output", memory)
        measure.add_log(sample, self.log.read())
        sample.server = self.hub.cpu() - before
        return sample

    def say(self, case: Case, name: str, sample: Sample) -> None:
        columns = [
            f"   {case.name:<10} {name:<22} {sample.wall:8.3f} s",
            f"cpu {sample.cpu:7.3f} s",
            f"nginx {sample.server:5.2f} s",
            f"rss {sample.rss / 2**20:6.1f} MiB",
            f"{sample.requests:6} requests",
            f"{sample.connections:4} connections",
            f"{sample.bytes / 1e6:8.1f} MB",
        ]
        print("  ".join(columns), flush=True)

    def rounds(
        self,
        case: Case,
        rivals: list[Rival],
        make: Callable[[Path], Job],
        repetitions: int,
        folder: Path | None = None,
        after: Callable[[Rival, Job], list[str] | None] = lambda *_: None,
    ) -> None:
        """First runs, A B C A B C; what arrived is checked once for each rival, outside the measured time."""
        target = (folder or self.root) / "target"
        for number in range(repetitions):
            for rival in rivals:
                measure.empty(target)
                if folder:
                    measure.settle(folder)
                job = make(target)
                sample = self.one(rival, job, after=after(rival, job))
                if number == 0 and rival.name not in (FLOOR, HASH, LARGEST):
                    measure.check(job)
                case.rows.setdefault(rival.name, []).append(sample)
                self.say(case, rival.name, sample)
        shutil.rmtree(target, ignore_errors=True)

    def floor(self) -> Rival:
        """What no downloader can beat by much: copying the files and hashing them."""

        def copy(job: Job):
            folders = [str(self.root / "files" / repo.id / repo.commit) for repo in job.repos]
            script = (
                'target=$1; shift; for folder; do cp -r "$folder" "$target/" && '
                'find "$folder" -type f -exec openssl dgst -sha256 {} + >/dev/null || exit 1; done'
            )
            return ["sh", "-c", script, "sh", str(job.target), *folders], {}

        return Rival(FLOOR, "", True, copy)

    def bare(self) -> list[Rival]:
        """The hash alone, of all files and of the largest, for its CPU."""

        def sources(job: Job) -> list[str]:
            files = [(file.size, repo, file) for repo in job.repos for file in repo.files]
            files.sort(key=lambda entry: -entry[0])
            return [str(content.file_path(self.root, repo, file.path)) for _, repo, file in files]

        return [
            Rival(HASH, "", True, lambda job: (["openssl", "dgst", "-sha256", *sources(job)], {})),
            Rival(LARGEST, "", True, lambda job: (["openssl", "dgst", "-sha256", sources(job)[0]], {})),
        ]


def size_of(repos) -> str:
    files = [file for repo in repos for file in repo.files]
    total = sum(file.size for file in files)
    return (
        f"{total / 1e9:.2f} GB in {len(files):,} files"
        if total > 1e9
        else f"{total / 1e6:.1f} MB in {len(files):,} files"
    )


class Link:
    """link.py before one site."""

    def __init__(self, site: Site, *options: str):
        lines = [f"{site.hub_front}:{site.hub_port}", f"{site.payload_front}:{site.payload_port}"]
        self.argv = [sys.executable, str(Path(__file__).with_name("link.py")), *options, *lines]

    def __enter__(self) -> None:
        self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL)
        time.sleep(0.5)
        if self.process.poll() is not None:
            raise Failed("link.py did not start")

    def __exit__(self, *_) -> None:
        self.process.terminate()
        self.process.wait()


def second_runs(bench: Bench, case: Case, rivals: list[Rival], repos, repetitions: int, suffix: str = "") -> None:
    """Each rival fills a target of its own, unmeasured; then all of them run again, in turn."""
    jobs = {}
    for number, rival in enumerate(rivals):
        jobs[rival.name] = bench.job("http", repos, bench.root / f"again-{number}")
        measure.empty(jobs[rival.name].target)
        bench.one(rival, jobs[rival.name])
        measure.check(jobs[rival.name])
    for _ in range(repetitions):
        for rival in rivals:
            sample = bench.one(rival, jobs[rival.name], memory=False)
            case.rows.setdefault(rival.name + suffix, []).append(sample)
            bench.say(case, rival.name + suffix, sample)
    for job in jobs.values():
        shutil.rmtree(job.target)
