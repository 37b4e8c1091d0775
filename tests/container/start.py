# SPDX-License-Identifier: Apache-2.0
"""Measures a satisfied run in a container, without the engine's own start-up; run tests/container/run first:

    PYTHONPATH=tests/interop build/venv-pytest/bin/python tests/container/start.py [ROUNDS]

Three kinds of containers in turn, medians: one that cannot start anything, which is the engine's part; `--version`;
and a run that finds its three models on the volume.
"""

import pathlib
import statistics
import sys
import tempfile
import time

from engine import Image, Volume, end_all
from support import Hub

ROOT = pathlib.Path(__file__).resolve().parents[2]


def milliseconds(image, *arguments, wanted, **settings):
    begun = time.monotonic()
    code = image.run(*arguments, check=False, **settings).returncode
    assert code == wanted, code
    return (time.monotonic() - begun) * 1000


def main(rounds):
    image, volume = Image("homeiq-model-prep:test"), Volume()
    with tempfile.TemporaryDirectory() as folder:
        manifest = pathlib.Path(folder) / "manifest.json"
        hub = Hub(ROOT / "build/tests/model-prep-hub", pathlib.Path(folder), "--demo", "--manifest-out", manifest)
        settings = {
            "volume": volume,
            "env": {"HF_ENDPOINT": hub.endpoint, "MODEL_PREP_MANIFEST": "/manifest.json"},
            "options": ["--volume", f"{manifest}:/manifest.json:ro"],
        }
        image.run(**settings)
        kinds = {
            "the engine alone": ((), {**settings, "options": [*settings["options"], "--entrypoint=/nothing"]}, 127),
            "--version": (("--version",), settings, 0),
            "a satisfied run": ((), settings, 0),
        }
        times = {kind: [] for kind in kinds}
        for _ in range(rounds):
            for kind, (arguments, with_, wanted) in kinds.items():
                times[kind].append(milliseconds(image, *arguments, wanted=wanted, **with_))
        hub.close()
    volume.remove()
    end_all()
    for kind, taken in times.items():
        beyond = statistics.median(taken) - statistics.median(times["the engine alone"])
        print(f"{kind:18} {statistics.median(taken):5.0f} ms, {beyond:4.0f} ms beyond the engine")


main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
