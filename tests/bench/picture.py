# SPDX-License-Identifier: Apache-2.0
"""The picture of the results: wall time as horizontal bars, one group for each case in which curl took part.

Plain SVG without a font; text and lines follow the reader's light or dark mode, and the bars are visible on both.
"""

import statistics
from html import escape

PANELS = ("http", "https", "disk")
WIDTH, LEFT, RIGHT, BAR, STEP = 760, 190, 70, 16, 24

STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #24292f; }
  .title { font-weight: 600; font-size: 14px; }
  .small { font-size: 12px; fill: #57606a; }
  .ours { fill: #1f883d; } .verifies { fill: #0969da; } .plain { fill: #8c959f; } .floor { fill: #bf8700; }
  .line { stroke: #24292f; stroke-width: 1; } .curl { stroke: #8c959f; stroke-dasharray: 4 3; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .line { stroke: #e6edf3; } .small { fill: #9198a1; }
    .ours { fill: #2ea043; } .verifies { fill: #4493f8; } .plain { fill: #6e7681; } .floor { fill: #d29922; }
  }
"""


def kind(name: str, verifies: dict[str, bool]) -> str:
    if name.startswith("model-prep"):
        return "ours"
    if "openssl" in name:
        return "floor"
    return "verifies" if verifies.get(name) else "plain"


def draw(result: dict) -> str:
    verifies = result["verifies"]
    panels = [case for case in result["cases"] if case["name"] in PANELS and "curl" in case["rows"]]
    walls = []
    for case in panels:
        middle = {
            name: statistics.median(sample["wall"] for sample in samples) for name, samples in case["rows"].items()
        }
        walls.append(
            {
                name: (value / middle["curl"], [sample["wall"] / middle["curl"] for sample in case["rows"][name]])
                for name, value in middle.items()
                if not name.startswith("openssl dgst")
            }
        )
    most = max([1.0] + [max(all_of) for rows in walls for _, all_of in rows.values()])
    scale = (WIDTH - LEFT - RIGHT) / most
    body, y = [], 24
    body.append(f'<text class="title" x="8" y="{y}">Wall time, as a multiple of curl’s (shorter is faster)</text>')
    y += 22
    x = 8
    for style, text in (
        ("ours", "model-prep, verifies"),
        ("verifies", "verifies"),
        ("plain", "does not verify"),
        ("floor", "no network: copy and hash"),
    ):
        body.append(
            f'<rect class="{style}" x="{x}" y="{y - 11}" width="12" height="12" rx="2"/>'
            f'<text class="small" x="{x + 18}" y="{y}">{text}</text>'
        )
        x += 36 + 7 * len(text)
    y += 14
    for case, rows in zip(panels, walls):
        y += 22
        body.append(
            f'<text class="title" x="8" y="{y}">{escape(case["title"])}</text>'
            f'<text class="small" x="{WIDTH - 8}" y="{y}" text-anchor="end">{escape(case["job"])}</text>'
        )
        y += 10
        top = y
        for name, (value, all_of) in sorted(rows.items(), key=lambda row: row[1][0]):
            low, high = LEFT + min(all_of) * scale, LEFT + max(all_of) * scale
            centre = y + BAR / 2
            body.append(
                f'<text x="{LEFT - 8}" y="{centre + 4.5}" text-anchor="end">{escape(name)}</text><rect'
                f' class="{kind(name, verifies)}" x="{LEFT}" y="{y}" width="{value * scale:.1f}" height="{BAR}"'
                f' rx="2"/><line class="line" x1="{low:.1f}" x2="{high:.1f}" y1="{centre}" y2="{centre}"/><text'
                f' class="small" x="{max(high, LEFT + value * scale) + 6:.1f}" y="{centre + 4.5}">{value:.2f}</text>'
            )
            y += STEP
        body.append(f'<line class="curl" x1="{LEFT + scale:.1f}" x2="{LEFT + scale:.1f}" y1="{top - 3}" y2="{y - 5}"/>')
    y += 6
    body.append(
        f'<text class="small" x="8" y="{y + 6}">Bars are medians, the thin line is the fastest to the slowest'
        " run.</text>"
    )
    y += 18
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}" role="img" '
        f'aria-label="Wall time of downloaders as a multiple of curl’s">\n<style>{STYLE}</style>\n'
        + "\n".join(body)
        + "\n</svg>\n"
    )
