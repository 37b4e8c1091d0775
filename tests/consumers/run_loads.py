# SPDX-License-Identifier: Apache-2.0
"""Runs code of services, each piece by itself, in one process: a JSON list on stdin, one line for each on stdout.

A line is null if the code ran to its end, else the traceback.
"""

import contextlib
import json
import os
import sys
import traceback

out = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # libraries print to stdout

for code in json.load(sys.stdin):
    error = None
    try:
        exec(compile("import json\nimport numpy\n" + code, "the service", "exec"), {})
    except BaseException:
        error = traceback.format_exc()
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(error), file=out, flush=True)
