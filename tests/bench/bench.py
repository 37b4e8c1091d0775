# SPDX-License-Identifier: Apache-2.0
"""Run by tests/bench/run: makes the content, starts the server, runs the cases, writes the results."""

import argparse
import dataclasses
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cases
import content
import report
import runs
from hub import Hub, linked_site, plain_site
from measure import AccessLog, Failed
from rivals import Repo, model_prep, rivals

HERE = Path(__file__).resolve().parent
BUILD = HERE.parent.parent / "build"


def first_line(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return (done.stdout or done.stderr).splitlines()[0].strip()
    except (OSError, IndexError):
        return "?"


def filesystem(folder: Path) -> str:
    return first_line("findmnt", "-n", "-o", "FSTYPE", "-T", str(folder))


def machine(options, found) -> dict[str, str]:
    """What this was measured on."""
    lines = [line.partition(":") for line in Path("/proc/cpuinfo").read_text().splitlines()]
    about = {name.strip(): value.strip() for name, _, value in lines}
    can = set(about.get("flags", about.get("Features", "")).split())
    memory = int(Path("/proc/meminfo").read_text().split()[1]) / 2**20
    return {
        "CPU": f"{about.get('model name', platform.machine())}, {os.cpu_count()} cores"
        + (" of a virtual machine" if "hypervisor" in can else ""),
        "instructions for SHA-256": "yes" if can & {"sha_ni", "sha2"} else "no",
        "RAM": f"{memory:.0f} GiB",
        "kernel": platform.release(),
        "disk": filesystem(options.disk),
        "load before": f"{options.load:.1f}",
        "server": f"{first_line('nginx', '-v').replace('nginx version: ', '')}, worker_processes {options.workers}",
        "OpenSSL": first_line("openssl", "version"),
        "clients": ", ".join(dict.fromkeys(f"{rival.name} {rival.version}".strip() for rival in found)),
    }


def link_large(root: Path, models) -> Repo:
    """The largest file of the three models once more, in a repository of its own, without its bytes once more."""
    repo, file = max(((repo, file) for repo in models for file in repo.files), key=lambda pair: pair[1].size)
    alone = Repo("bench/large", repo.commit, (dataclasses.replace(file, path="model.safetensors"),))
    target = content.file_path(root, alone, "model.safetensors")
    target.parent.mkdir(parents=True)
    os.link(content.file_path(root, repo, file.path), target)
    return alone


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tests/bench/run", description="Measures model-prep against other downloaders."
    )
    parser.add_argument(
        "--repetitions", type=int, default=5, metavar="N", help="runs of each client (slow cases: fewer)"
    )
    parser.add_argument("--only", metavar="CASE,...", help="only these cases: " + " ".join(cases.CASES))
    parser.add_argument(
        "--quick", action="store_true", help="a tenth of the size, two repetitions: does it all still work?"
    )
    parser.add_argument("--publish", action="store_true", help="write tests/bench/results.md and results.svg")
    parser.add_argument("--program", type=Path, default=BUILD / "model-prep", help="the model-prep to measure")
    parser.add_argument(
        "--compare",
        action="append",
        default=[],
        metavar="[NAME=]PROGRAM",
        help="another build of it, measured in the same run; may be repeated. 0.1.0=PROGRAM is that version, for the "
        "targets that are ratios to it",
    )
    parser.add_argument("--rivals", metavar="NAME,...", help="only these rivals, in addition to model-prep")
    parser.add_argument(
        "--sparse", type=float, metavar="GB", help="size of the sparse file (default: 60 if there is room for 65)"
    )
    parser.add_argument("--workers", default="auto", help="nginx's worker_processes")
    parser.add_argument("--disk", type=Path, default=BUILD / "bench" / "disk", help="a folder on a disk")
    options = parser.parse_args()
    if options.quick:
        options.repetitions = min(options.repetitions, 2)
        options.sparse = 0.5
    options.names = options.only.split(",") if options.only else list(cases.CASES)
    for name in options.names:
        if name not in cases.CASES:
            parser.error(f"no case {name}; there are {' '.join(cases.CASES)}")
    return options


def choose_rivals(options, tools: Path):
    found = rivals(tools, options.program.resolve())
    if options.rivals:
        names = options.rivals.split(",")
        found = [rival for rival in found if rival.name == runs.OURS or rival.name in names]
    for number, given in enumerate(options.compare, start=1):
        name, equals, program = given.partition("=")
        if not equals:
            name, program = "compared", given
        found.insert(number, dataclasses.replace(model_prep(Path(program).resolve()), name=f"{runs.OURS} ({name})"))
    return found


def sparse_repo(options, root: Path) -> Repo | None:
    """The file of the size that the target names, unless that would fill somebody's disk."""
    if "sparse" not in options.names:
        return None
    free = shutil.disk_usage(options.disk).free / 1e9
    size = options.sparse or (60 if free >= 65 else min(10, free / 4))
    if size > free - 1:
        print(f"NO SPARSE FILE: {options.disk} HAS NO ROOM FOR {size:.0f} GB.")
        return None
    if size < 60:
        print(f"THE SPARSE FILE IS {size:.1f} GB, NOT 60: {options.disk} HAS {free:.0f} GB FREE, OR IT WAS ASKED FOR.")
    return content.sparse_file(root, int(size * 1e9))


def main() -> int:
    options = parse()
    options.load = os.getloadavg()[0]
    tools = BUILD / "bench"
    tools.mkdir(parents=True, exist_ok=True)
    options.disk.mkdir(parents=True, exist_ok=True)
    found = choose_rivals(options, tools)
    root = Path(tempfile.mkdtemp(prefix="model-prep-bench.", dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    failed, done = [], []
    started = time.time()
    try:
        models = content.three_models(root, 10 if options.quick else 1)
        counts = (200, 250, 1000) if options.quick else (200, 2500, 10000)
        many = {count: content.many_files(root, count, 4096) for count in counts}
        large, sparse = link_large(root, models), sparse_repo(options, root)
        sites = {
            "http": plain_site("http"),
            "https": plain_site("https"),
            "line": linked_site("http"),
            "far": linked_site("http"),
            "narrow": linked_site("http"),
        }
        repos = [*models, large, *many.values(), *([sparse] if sparse else [])]
        with Hub(root, repos, list(sites.values()), options.workers) as hub:
            bench = runs.Bench(
                root,
                options.disk,
                hub,
                sites,
                found,
                models,
                large,
                many,
                sparse,
                options.repetitions,
                AccessLog(hub.log),
            )
            for name in options.names:
                print(f"== {name}", flush=True)
                try:
                    case = cases.CASES[name](bench)
                except Failed as error:
                    print(f"   FAILED: {error}", file=sys.stderr)
                    failed.append(name)
                    continue
                if case is not None:
                    done.append(case)
                    report.show(case)
    finally:
        shutil.rmtree(root, ignore_errors=True)
        shutil.rmtree(options.disk / "target", ignore_errors=True)
    result = {
        "date": time.strftime("%Y-%m-%d"),
        "quick": options.quick,
        "repetitions": options.repetitions,
        "seconds": round(time.time() - started),
        "machine": machine(options, found),
        "cases": report.as_json(done),
        "verifies": {rival.name: rival.verifies for rival in found}
        | {runs.FLOOR: True, runs.HASH: True, runs.LARGEST: True, runs.LINE: None},
    }
    (tools / "results.json").write_text(json.dumps(result, indent=1) + "\n")
    report.write(result, HERE if options.publish else tools)
    print(f"Written: {(HERE if options.publish else tools) / 'results.md'}")
    if failed:
        print(f"FAILED: {' '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
