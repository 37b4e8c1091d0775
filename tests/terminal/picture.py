#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes progress.svg in this directory: what a terminal shows in the middle of a run, captured from a real tmux.

  tests/terminal/picture.py [BUILD]

BUILD is the build directory, by default `build`. It needs tmux. The hub serves slowly and resets some connections; the
picture is taken as soon as all that WANTED lists is on the screen at once.
"""

import html
import json
import pathlib
import re
import shutil
import subprocess
import sys
import time
import urllib.request

FOLDER = pathlib.Path(__file__).resolve().parent
COLUMNS, ROWS = 100, 18
#: Name and megabytes.
MODELS = [("all-MiniLM-L6-v2", 11), ("bge-reranker-base", 14), ("flan-t5-small", 9), ("nomic-embed-text", 13),
          ("whisper-tiny", 8), ("clip-vit-base-patch32", 12), ("gte-base", 10), ("e5-small-v2", 7),
          *((f"ranker-{at}", 6) for at in range(1, 6))]
FAULTS = [{"on": "resolve", "path": f"org/{name}/", "skip": skip, "times": times, "what": "reset"}
          for name, skip, times in (("nomic-embed-text", 1, 1), ("clip-vit-base-patch32", 0, 9))]
WANTED = [r"downloading$", r"downloading, \d retr", r"retry \d in \d+ s$", r" [23]\d% .*downloading"]

CELL, LINE, EDGE = 8.0, 18, 14
STYLE = """
  .screen { fill: #f6f8fa; stroke: #d0d7de; }
  text { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #24292f;
         white-space: pre; }
  .bold { font-weight: bold; } .yellow { fill: #9a6700; }
  @media (prefers-color-scheme: dark) {
    .screen { fill: #0d1117; stroke: #30363d; } text { fill: #e6edf3; }
    .yellow { fill: #d29922; }
  }
"""
STYLES = {"1": "bold", "33": "yellow"}  # other codes end a style


def pieces(row):
    """A row of capture-pane -e as (style, text)."""
    style = None
    for part in re.split(r"(\x1b\[[\d;]*m)", row):
        if part.startswith("\x1b"):
            style = STYLES.get(part[2:-1].split(";")[-1])
        elif part:
            yield style, part


def svg(rows):
    """Every piece has its place and length, so that columns are aligned in any font."""
    high, wide = LINE * len(rows) + 2 * EDGE, CELL * COLUMNS + 2 * EDGE
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide:g} {high}" width="{wide:g}" height="{high}"'
           ' role="img">', f"<style>{STYLE}</style>",
           f'<rect class="screen" x="0.5" y="0.5" width="{wide - 1:g}" height="{high - 1}" rx="6"/>']
    for number, row in enumerate(rows):
        column = 0
        for style, text in pieces(row):
            for piece in re.findall(r" +|[^ ]+(?: [^ ]+)*", text):
                cells = len(piece)  # all of it is ASCII
                if piece.strip():
                    kind = f' class="{style}"' if style else ""
                    out.append(f'<text{kind} x="{EDGE + CELL * column:g}" y="{EDGE + LINE * number + 13}" textLength='
                               f'"{CELL * cells:g}" lengthAdjust="spacingAndGlyphs">{html.escape(piece)}</text>')
                column += cells
    return "\n".join([*out, "</svg>", ""])


def spec():
    repos = []
    for at, (name, size) in enumerate(MODELS):
        commit = f"{at:02}" + "c0" * 19
        files = [{"path": "config.json", "text": f"[{at}]"},
                 {"path": "model.safetensors", "size": size * 1_000_000, "seed": at, "lfs": True}]
        repos.append({"id": f"org/{name}", "refs": {"main": commit}, "commits": {commit: files}})
    return {"repos": repos, "tokens": []}


def capture(build, folder):
    (folder / "spec.json").write_text(json.dumps(spec()))
    tmux = ["tmux", "-S", str(folder / "tmux")]
    command = [build / "tests/model-prep-hub", "--spec", folder / "spec.json", "--rate", "1300000", "--manifest-out",
               folder / "manifest.json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as hub:
        try:
            endpoint = json.loads(hub.stdout.readline())["endpoint"]
            faults = urllib.request.Request(f"{endpoint}/_hub/faults", json.dumps(FAULTS).encode(), method="POST")
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(faults).close()
            variables = {"TERM": "screen", "LANG": "C.UTF-8", "HF_HOME": folder, "HF_ENDPOINT": endpoint}
            subprocess.run([*tmux, "-f", "/dev/null", "new-session", "-d", "-x", str(COLUMNS), "-y", str(ROWS),
                            "env", "-i", *(f"{name}={value}" for name, value in variables.items()),
                            build / "model-prep", "--manifest", folder / "manifest.json"], check=True)
            end = time.monotonic() + 60
            while time.monotonic() < end:
                shown = subprocess.run([*tmux, "capture-pane", "-p", "-e"], capture_output=True, text=True,
                                       check=False).stdout
                plain = re.sub(r"\x1b\[[\d;]*m", "", shown)
                if all(re.search(wanted, plain, re.MULTILINE) for wanted in WANTED):
                    return shown
                time.sleep(0.05)
            sys.exit("not everything was seen; the last screen was:\n" + plain)
        finally:
            subprocess.run([*tmux, "send-keys", "C-c"], capture_output=True, check=False)
            while subprocess.run([*tmux, "has-session"], capture_output=True, check=False).returncode == 0:
                time.sleep(0.05)  # it still writes into the folder
            hub.terminate()


def main():
    build = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else FOLDER.parents[1] / "build").resolve()
    if not shutil.which("tmux"):
        sys.exit("tmux is needed: apt-get install tmux")
    folder = pathlib.Path("/tmp/mp-demo")  # as long as /app/models, which takes its place
    folder.mkdir()
    try:
        shown = capture(build, folder).replace(str(folder), "/app/models")
    finally:
        shutil.rmtree(folder)
    (FOLDER / "progress.svg").write_text(svg(shown.rstrip("\n").split("\n")))
    print(re.sub(r"\x1b\[[\d;]*m", "", shown))


if __name__ == "__main__":
    main()
