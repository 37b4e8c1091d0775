# SPDX-License-Identifier: Apache-2.0
"""The cases of the benchmark. Each is a function from the bench to a `Case` with its runs and the targets it met."""

import hashlib
import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable

import measure
from hub import listing_pages
from measure import Sample
from rivals import Job, Rival
from runs import BASELINE, HASH, LINE, ONE_CORE, OURS, Bench, Case, Link, Target, second_runs, size_of
from warm_mirror import mirror

SEGMENT = 32 << 20  # what the engine takes in one request of a file of less than 4 GiB


def three_models(bench: Bench, scheme: str, most: dict[str, float]) -> Case:
    """`most`: the targets, as multiples of what others take."""
    case = Case(scheme, f"three models, {scheme}, tmpfs", size_of(bench.models))
    rivals = bench.rivals + ([bench.floor(), bench.on_one_core()] if scheme == "http" else []) + bench.bare()
    bench.rounds(case, rivals, lambda target: bench.job(scheme, bench.models, target), bench.repetitions)
    for over, times in most.items():
        case.ratio(case.title, over, times)
    case.near_bound(1.15)
    return case


def http(bench: Bench) -> Case:
    case = three_models(bench, "http", {"curl": 0.85, "huggingface_hub": 0.50, "curl -Z + sha256sum": 0.50})
    ours, theirs, bare = (case.value(name, "cpu") for name in (OURS, "curl", HASH))
    if ours and theirs and bare:
        case.targets.append(
            Target(
                "CPU seconds ≤ 1.05 × (curl's + the bare hash's)",
                f"{ours / (theirs + bare):.2f} ×",
                ours <= 1.05 * (theirs + bare),
            )
        )
        case.notes.append(
            f"On one core model-prep takes {case.value(ONE_CORE, 'cpu') / (theirs + bare):.2f} × the CPU of curl and "
            "the bare hash, which use one core each. On all cores it also has what they lose to each other."
        )
    peak = max(sample.rss for sample in case.rows[OURS])
    case.targets.append(
        Target("peak RSS, eight connections, three models ≤ 32 MiB", f"{peak / 2**20:.1f} MiB", peak <= 32 << 20)
    )
    return case


def https(bench: Bench) -> Case:
    return three_models(bench, "https", {"curl": 1.0, "huggingface_hub": 0.50, "curl -Z + sha256sum": 0.55})


def disk(bench: Bench) -> Case:
    case = Case("disk", "three models, http, on disk, durable", size_of(bench.models))
    case.notes.append(
        "model-prep syncs each file before it is published. After curl, `sync` is given curl's files by name, "
        "so that it does not wait for what other programs wrote. huggingface_hub syncs nothing."
    )

    def after(rival: Rival, job: Job):
        return [f"find {job.target} -type f -exec sync {{}} +"] if rival.name.startswith("curl") else None

    bench.rounds(
        case,
        bench.chosen("curl", "huggingface_hub") + bench.bare(),
        lambda target: bench.job("http", bench.models, target),
        bench.repetitions,
        bench.disk,
        after,
    )
    case.ratio("three models, http, on disk, durable", "curl", 1.25)
    case.near_bound(1.25)
    return case


def sparse(bench: Bench) -> Case | None:
    if bench.sparse is None:
        return None
    size = bench.sparse.files[0].size
    case = Case("sparse", "one sparse file, http, on disk", f"{size / 1e9:.0f} GB in one file")
    bench.rounds(case, bench.ours(), lambda target: bench.job("http", [bench.sparse], target), 1, bench.disk)
    peak = case.rows[OURS][0].rss
    case.targets.append(
        Target(
            f"peak RSS, eight connections, one sparse file of {size / 1e9:.0f} GB ≤ 32 MiB",
            f"{peak / 2**20:.1f} MiB",
            peak <= 32 << 20,
        )
    )
    if size < 60e9:
        case.notes.append(f"The file was {size / 1e9:.0f} GB, not 60: `--sparse 60` needs 65 GB free on the disk.")
    return case


def narrow(bench: Bench) -> Case:
    case = Case("narrow", "20 MB/s per connection, one large file, http", size_of([bench.large]))
    case.notes.append(
        "The rate is kept by a proxy: nginx's limit_rate gives every request its first second's worth at "
        "once, which would flatter a client that asks for ranges."
    )
    with Link(bench.sites["narrow"], "--rate", "20e6"):
        for jobs, repetitions in ((8, min(3, bench.repetitions)), (1, 1)):
            rounds = Case(case.name, "", "")
            rivals = bench.chosen("aria2c", "aria2c -x8 -s8") if jobs == 8 else bench.ours()[:1]
            bench.rounds(
                rounds, rivals, lambda target, jobs=jobs: bench.job("narrow", [bench.large], target, jobs), repetitions
            )
            case.rows |= {name if jobs == 8 else f"{name} --jobs 1": rows for name, rows in rounds.rows.items()}
    gain = case.value(f"{OURS} --jobs 1") / case.value(OURS)
    case.targets.append(
        Target(
            "20 MB/s per connection, one large file: eight connections ≥ 7.0 × as fast as one",
            f"{gain:.2f} ×",
            gain >= 7.0,
        )
    )
    return case


def line(bench: Bench) -> Case:
    """What most clients have: a line that is slower than the server, the disk and the processor."""
    rate, trip = 125e6, 0.030
    case = Case("line", "a line of 1 Gbit/s and 30 ms for all connections, three models, http", size_of(bench.models))
    with Link(bench.sites["line"], "--delay", str(trip / 2), "--line", str(rate)):
        bench.rounds(
            case, bench.rivals, lambda target: bench.job("line", bench.models, target), min(3, bench.repetitions)
        )
    least = sum(file.size for repo in bench.models for file in repo.files) / rate
    case.rows[LINE] = [Sample(least, 0, 0, 0)]
    case.ratio("1 Gbit/s and 30 ms, three models", LINE, 1.05)
    case.notes.append(
        "The line itself is the size of the files divided by its rate. A proxy keeps the rate, and takes its CPU from "
        "the same machine."
    )
    return case


def far(bench: Bench) -> Case:
    repo, jobs, trip = bench.many[200], 8, 0.05
    case = Case("far", "50 ms round trip, 200 small files, http", size_of([repo]))
    with Link(bench.sites["far"], "--delay", str(trip / 2)):
        bench.rounds(
            case,
            bench.chosen("huggingface_hub", "curl -Z"),
            lambda target: bench.job("far", [repo], target, jobs),
            min(3, bench.repetitions),
        )
    limit, wall = 1.5 * (200 / jobs) * 2 * trip, case.value(OURS)
    case.targets.append(
        Target(
            f"50 ms of round trip, 200 small files ≤ 1.5 × (200 / {jobs}) × 2 round trips = {limit:.2f} s",
            f"{wall:.2f} s",
            wall <= limit,
        )
    )
    used = max(sample.connections for sample in case.rows[OURS])
    case.targets.append(Target(f"the same: connections reused (≤ {jobs})", f"{used} connections", used <= jobs))
    return case


def again(bench: Bench) -> Case:
    case = Case("again", "second run, three models satisfied", size_of(bench.models))
    for rival in bench.chosen("huggingface_hub"):  # one after the other: two filled caches at once need not be
        second_runs(bench, case, [rival], bench.models, max(bench.repetitions, 5))
    asked, wall = max(sample.requests for sample in case.rows[OURS]), case.value(OURS)
    case.targets.append(Target("second run, three models: zero requests", f"{asked} requests", asked == 0))
    case.targets.append(Target("second run, three models ≤ 15 ms", f"{wall * 1000:.1f} ms", wall <= 0.015))
    case.ratio("second run, three models", "huggingface_hub", 0.02)
    case.since("second run, three models", 0.50)
    return case


def verify(bench: Bench) -> Case:
    """Two files at a time, the largest first, each by a process of its own, is what a shell can do on two cores."""
    case = Case("verify", "verify, three models, tmpfs", size_of(bench.models))
    ours = bench.ours()[0]
    job = bench.job("http", bench.models, bench.root / "target")
    measure.empty(job.target)
    bench.one(ours, job)
    measure.check(job)
    argv, extra = ours.command(job)
    find = 'find "$0" -path "*/blobs/*" -type f -printf "%s %p\\n"'
    largest_first = find + ' | sort -rn | cut -d" " -f2- | xargs -P2 -n1 '
    rows = {OURS: ([argv[0], "verify", *argv[1:]], extra)}
    for hasher in ("sha256sum", HASH + " -sha256"):
        rows[f"2 × {hasher}"] = (["sh", "-c", largest_first + hasher, str(job.target)], {})
    for _ in range(max(bench.repetitions, 5)):
        for name, command in rows.items():
            sample = measure.run(*command, bench.root / "output")
            case.rows.setdefault(name, []).append(sample)
            bench.say(case, name, sample)
    shutil.rmtree(job.target)
    case.ratio("verify, three models", "2 × sha256sum", 1 / 0.9)
    case.ratio("verify, three models", f"2 × {HASH} -sha256", 1 / 0.9)
    case.notes.append("Debian's sha256sum does not use the processor's instructions for it; openssl does.")
    return case


def again_many(bench: Bench) -> Case:
    counts = sorted(count for count in bench.many if count != 200)
    case = Case("again-many", f"second run, one snapshot of {counts[-1]:,} files", size_of([bench.many[counts[-1]]]))
    for count in counts:
        second_runs(bench, case, bench.ours(), [bench.many[count]], max(bench.repetitions, 5), f", {count:,} files")
    few, many = (case.value(f"{OURS}, {count:,} files") for count in (counts[0], counts[-1]))
    case.targets.append(Target(f"second run, {counts[-1]:,} files ≤ 150 ms", f"{many * 1000:.1f} ms", many <= 0.150))
    # The start of the process is in both: a linear program's ratio is below that of the counts.
    growth, ratio = many / few, counts[-1] / counts[0]
    case.targets.append(
        Target(
            f"the same: linear in files (≤ {ratio:.0f} × the time of {counts[0]:,} files)",
            f"{growth:.2f} ×",
            growth <= 1.05 * ratio,
        )
    )
    case.since(f"second run, {counts[-1]:,} files", 0.50, f", {counts[-1]:,} files")
    return case


def lock(bench: Bench) -> Case:
    """As `lock` writes it. Of a model that is not in the cache, `list` reads the lock and hardly anything else."""
    count = 4 * max(bench.many)
    commit = hashlib.sha1(b"lock").hexdigest()
    files = {
        f"data/{number:05}.json": {"size": 4096, "git_sha1": hashlib.sha1(b"%d" % number).hexdigest()}
        for number in range(count)
    }
    variants = {"fp32": {"include": list(files), "size": 4096 * count}}
    model = {"repo": "bench/lock", "revision": commit, "variants": variants, "locked": ["fp32"], "files": files}
    manifest = bench.root / "lock.json"
    manifest.write_text(json.dumps({"version": 1, "models": {"lock": model}}, indent=1))

    case = Case("lock", f"a lock of {count:,} files is read", "no download")
    command = ["list", "--manifest", str(manifest)]
    for number in range(min(3, bench.repetitions)):
        for rival in bench.ours():
            if number > 0 and rival.name == BASELINE:  # which takes more than a minute
                continue
            program, environment = program_of(bench, rival), {"HF_HOME": str(bench.root / "empty")}
            sample = measure.run([program, *command], environment, bench.root / "output")
            case.rows.setdefault(rival.name, []).append(sample)
            bench.say(case, rival.name, sample)
    case.since(case.title, 0.05)
    return case


def many(bench: Bench) -> Case:
    count = max(bench.many)
    repo = bench.many[count]
    case = Case("many", f"first run, {count:,} files of 4 KiB, http, tmpfs", size_of([repo]))
    make = lambda target: bench.job("http", [repo], target)  # noqa: E731
    bench.rounds(case, bench.chosen("curl", "curl -Z"), make, min(3, bench.repetitions))
    bench.rounds(case, [rival for rival in bench.rivals if rival.name == "huggingface_hub"], make, 1)
    ours, others = case.value(OURS), case.value("huggingface_hub")
    if others:
        case.targets.append(
            Target(
                f"first run, {count:,} files of 4 KiB: ≥ 3 × as fast as huggingface_hub",
                f"{others / ours:.1f} ×",
                others >= 3 * ours,
            )
        )
        case.notes.append("huggingface_hub was run once here.")
    case.since(case.title, 0.60)
    asked = max(sample.requests for sample in case.rows[OURS])
    redirects = max(sample.redirects for sample in case.rows[OURS])
    limit = count + listing_pages(repo) + 1
    case.targets.append(
        Target(
            f"the same: requests, without what redirects lead to ≤ files + listing pages + 1 = {limit:,}",
            f"{asked - redirects:,} and {redirects:,} redirects",
            asked - redirects <= limit,
        )
    )
    case.notes.append(
        "The Hub answers a small file's address with a redirect to another path of itself, so every client "
        "sends two requests for each; the second one is counted apart."
    )
    return case


def program_of(bench: Bench, rival: Rival) -> str:
    return rival.command(bench.job("http", [], bench.root / "target"))[0][0]


def version(bench: Bench) -> Case:
    case = Case("version", "model-prep --version", "no download")
    for _ in range(50):
        for rival in bench.ours():
            sample = measure.run([program_of(bench, rival), "--version"], {}, bench.root / "output", False)
            case.rows.setdefault(rival.name, []).append(sample)
    for name, samples in case.rows.items():
        bench.say(case, name, samples[0])
    wall = case.value(OURS)
    text = "`model-prep --version` ≤ 5 ms (median of 50)"
    case.targets.append(Target(text, f"{wall * 1000:.1f} ms", wall <= 0.005))
    case.since("`model-prep --version`", 0.25)
    return case


def kill(bench: Bench) -> Case:
    case = Case("kill", "SIGKILL at a random moment, then a second run, http, tmpfs", size_of(bench.models))
    ours = bench.ours()[0]
    job = bench.job("http", bench.models, bench.root / "target")
    size, dice, worst, line = sum(file.size for repo in bench.models for file in repo.files), random.Random(4), 0, []
    measure.empty(job.target)
    whole = bench.one(ours, job).wall
    for number in range(2 * bench.repetitions):
        measure.empty(job.target)
        argv, extra = ours.command(job)
        bench.log.skip()
        pid, _ = measure.spawn(argv, extra, bench.root / "output")
        time.sleep(dice.uniform(0.05, 0.95) * whole)
        os.killpg(pid, signal.SIGKILL)
        os.wait4(pid, 0)
        before = bench.log.read()
        sample = measure.run(argv, extra, bench.root / "output")
        after = bench.log.read()
        measure.add_log(sample, before + after)
        refetched = sum(int(entry[5]) for entry in before + after if entry[3] in ("200", "206")) - size
        worst = max(worst, refetched)
        line.append(f"{refetched / 2**20:.0f}")
        case.rows.setdefault("killed, and the run after it", []).append(sample)
        bench.say(case, f"refetched {refetched / 2**20:.1f} MiB", sample)
        if number == 0:
            measure.check(job)
    shutil.rmtree(job.target)
    limit = job.connections * SEGMENT
    text = f"refetched after SIGKILL ≤ jobs × segment = {limit >> 20} MiB"
    case.targets.append(Target(text, f"{worst / 2**20:.0f} MiB", worst <= limit))
    case.notes.append(
        f"MiB sent by the server more than the files are long, for each kill: {', '.join(line)}. What was in "
        "the sockets when the process died is in it."
    )
    return case


CASES: dict[str, Callable[[Bench], Case | None]] = {
    "version": version,
    "http": http,
    "https": https,
    "disk": disk,
    "again": again,
    "again-many": again_many,
    "lock": lock,
    "verify": verify,
    "many": many,
    "line": line,
    "far": far,
    "kill": kill,
    "narrow": narrow,
    "mirror": mirror,
    "sparse": sparse,
}
