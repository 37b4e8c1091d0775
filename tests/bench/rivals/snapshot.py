# SPDX-License-Identifier: Apache-2.0
"""snapshot.py CONNECTIONS ORG/NAME@COMMIT...: whole snapshots by huggingface_hub, into $HF_HOME from $HF_ENDPOINT."""

import sys

from huggingface_hub import snapshot_download

for pin in sys.argv[2:]:
    repo, commit = pin.split("@")
    snapshot_download(repo, revision=commit, max_workers=int(sys.argv[1]))
