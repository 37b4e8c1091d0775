# SPDX-License-Identifier: Apache-2.0
"""What was measured, as a page and a picture. Times are given as ratios to curl's only: absolute ones are the machine's."""

import dataclasses
import statistics
from pathlib import Path

COLUMNS = ("wall", "cpu", "rss", "bytes", "requests", "connections")


def as_json(cases) -> list[dict]:
    return [{"name": case.name, "title": case.title, "job": case.job, "notes": case.notes,
             "targets": [dataclasses.asdict(target) for target in case.targets],
             "rows": {name: [sample.as_json() for sample in samples] for name, samples in case.rows.items()}}
            for case in cases]


def show(case) -> None:
    for target in case.targets:
        print(f"   {'met   ' if target.met else 'MISSED'}  {target.text}: {target.measured}", flush=True)


def middle(samples: list[dict], what: str) -> float:
    return statistics.median(sample[what] for sample in samples)


def write(result: dict, folder: Path) -> None:
    lines = ["target | measured | met?", "---|---|---"]
    for case in result["cases"]:
        lines += [f"{each['text']} | {each['measured']} | {'yes' if each['met'] else '**no**'}" for each in case["targets"]]
    (folder / "results.md").write_text("\n".join(lines) + "\n")
