# SPDX-License-Identifier: Apache-2.0
"""The case `mirror`: a node behind a warm mirror of docker/mirror, beside a node at nginx with the files themselves."""

import dataclasses
import sys
from pathlib import Path

import measure
from rivals import Rival
from runs import OURS, Bench, Case, Target, size_of

sys.path.append(str(Path(__file__).resolve().parents[1] / "interop"))
from mirror import Mirror  # noqa: E402

BEHIND = f"{OURS}, warm mirror"


@dataclasses.dataclass
class Upstream:
    """The benchmark's hub as `Mirror` wants it."""

    endpoint: str
    payload: str


def mirror(bench: Bench) -> Case:
    site = bench.sites["http"]
    case = Case("mirror", "one large file, http, tmpfs, from a warm mirror", size_of([bench.large]))
    upstream = Upstream(site.endpoint, f"http://127.0.0.1:{site.payload_front}")
    cache = Mirror(bench.root / "mirror", upstream)
    try:
        direct = next(rival for rival in bench.ours() if rival.name == OURS)
        behind = dataclasses.replace(
            direct,
            name=BEHIND,
            command=lambda job: direct.command(dataclasses.replace(job, endpoint=cache.endpoint)),
        )
        fill(bench, behind)
        bench.rounds(
            case, [direct, behind], lambda target: bench.job("http", [bench.large], target), bench.repetitions
        )
    finally:
        cache.stop()
        measure.empty(cache.folder)  # as large as the content
    asked = max(sample.requests for sample in case.rows[BEHIND])
    case.targets.append(Target("a warm mirror asks its hub nothing", f"{asked} requests", asked == 0))
    times = case.value(BEHIND) / case.value(OURS)
    case.targets.append(
        Target("one large file from a warm mirror: wall ≤ 1.25 × from nginx itself", f"{times:.2f} ×", times <= 1.25)
    )
    return case


def fill(bench: Bench, behind: Rival) -> None:
    target = bench.root / "target"
    measure.empty(target)
    bench.one(behind, bench.job("http", [bench.large], target))
