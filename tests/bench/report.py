# SPDX-License-Identifier: Apache-2.0
"""Writes the results as a page. Times are ratios, to curl's time if it took part: absolute times say more about the
machine than about the programs."""

import dataclasses
import statistics
from pathlib import Path

import picture

#: Whether a client verifies; the last is no client.
WORDS = {True: "yes", False: "no", None: "–"}

#: What a case's numbers are divided by: the first of these that took part.
BASES = ("curl", "curl -Z", "model-prep --jobs 1", "huggingface_hub")


def as_json(cases) -> list[dict]:
    return [
        {
            "name": case.name,
            "title": case.title,
            "job": case.job,
            "notes": case.notes,
            "targets": [dataclasses.asdict(target) for target in case.targets],
            "rows": {name: [sample.as_json() for sample in samples] for name, samples in case.rows.items()},
        }
        for case in cases
    ]


def show(case) -> None:
    for target in case.targets:
        print(f"   {'met   ' if target.met else 'MISSED'}  {target.text}: {target.measured}", flush=True)
    for text in case.notes:
        print(f"   note    {text}")


def middle(samples: list[dict], what: str) -> float:
    return statistics.median(sample[what] for sample in samples)


def base_of(rows: dict) -> str:
    return next((name for name in BASES if name in rows), next(iter(rows)))


def ratio(value: float, base: float) -> str:
    if not value:
        return "–"
    if not base:
        return "?"
    return f"{value / base:.2f}" if value < 100 * base else f"{value / base:.0f}"


def spread(samples: list[dict], base: float) -> str:
    if len(samples) < 2:
        return "one run"
    walls = [sample["wall"] for sample in samples]
    return f"{min(walls) / base:.2f} to {max(walls) / base:.2f}"


def server_share(samples: list[dict]) -> str:
    """Of what client and server took together; both take it from one machine."""
    server = middle(samples, "server")
    return f"{server / (server + middle(samples, 'cpu')):.0%}" if server else "–"


def case_lines(case: dict, verifies: dict[str, bool]) -> list[str]:
    """One case's table. The fastest comes first."""
    rows = case["rows"]
    base = base_of(rows)
    lines = [
        f"### {case['title']}",
        "",
        (
            f"{case['job']}; {max(map(len, rows.values()))} runs of each, unless fewer are "
            f"said; everything as a multiple of {base}'s."
        ),
        "",
        "| client | verifies | wall | least to most | CPU | peak RSS | bytes | requests | server's share of the CPU |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, samples in sorted(rows.items(), key=lambda row: middle(row[1], "wall")):
        over = {what: middle(rows[base], what) for what in ("wall", "cpu", "rss", "bytes", "requests")}
        cells = [ratio(middle(samples, what), over[what]) for what in over]
        shown = f"**{name}**" if name.startswith("model-prep") else name
        yes = next((value for known, value in verifies.items() if name == known), name.startswith("model-prep"))
        lines.append(
            f"| {shown} | {WORDS[yes]} | {cells[0]} | {spread(samples, over['wall'])} | "
            + " | ".join([*cells[1:], server_share(samples)])
            + " |"
        )
    lines.append("")
    for text in case["notes"]:
        lines += [text, ""]
    return lines


def page(result: dict) -> str:
    machine = result["machine"]
    lines = ["# What was measured", ""]
    if result["quick"]:
        lines += [
            "**A quick run: a tenth of the size, two repetitions. It shows that the benchmark works, and no more.**",
            "",
        ]
    lines += [
        (
            f"Made by `tests/bench/run --publish` on {result['date']}, which repeats all of it: Debian's nginx on"
            " loopback as hub and payload host, the three default models at their true sizes as random bytes on tmpfs,"
            " every client in turn (A B C A B C), eight connections where a client has such an option, medians. The"
            " server takes its CPU from the same machine; the last column says how much. CPU and memory are the"
            " client's only; memory is its largest process's."
        ),
        "",
        "![wall time as a multiple of curl's](results.svg)",
        "",
        "| | |",
        "|---|---|",
        *[f"| {name} | {value} |" for name, value in machine.items()],
        "",
        "## Targets",
        "",
        "| target | measured | met? |",
        "|---|---|---|",
    ]
    for case in result["cases"]:
        for each in case["targets"]:
            lines.append(f"| {each['text']} | {each['measured']} | {'yes' if each['met'] else '**no**'} |")
    lines += ["", "## Cases", ""]
    for case in result["cases"]:
        if case["name"] != "version":
            lines += case_lines(case, result["verifies"])
    return "\n".join(lines).rstrip() + "\n"


def write(result: dict, folder: Path) -> None:
    (folder / "results.md").write_text(page(result))
    (folder / "results.svg").write_text(picture.draw(result))
