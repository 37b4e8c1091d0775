#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints weights_only_imports.txt: what torch.load(weights_only=True) imports.

To renew it: run this with the torch whose list is wanted, and write the output to the file.

    pip install torch==2.15.0
    python src/core/weights_only_imports.py > src/core/weights_only_imports.txt

torch's `_get_allowed_globals` gives the names. Python 2 had other names for some of them, which torch and pickle
translate, so those are allowed too.
"""

import sys

import torch
from torch._utils import IMPORT_MAPPING, NAME_MAPPING
from torch._weights_only_unpickler import _get_allowed_globals


def older_names(name: str) -> set[str]:
    """The names of Python 2 that are translated to this one."""
    names = {".".join(old) for old, new in NAME_MAPPING.items() if ".".join(new) == name}
    for old, new in IMPORT_MAPPING.items():
        if name.startswith(new + "."):
            names.add(old + name[len(new) :])
    return names


def main() -> int:
    allowed = set(_get_allowed_globals())
    for name in sorted(allowed):
        module, _, attribute = name.rpartition(".")
        if (module, attribute) in NAME_MAPPING or module in IMPORT_MAPPING:
            sys.exit(f"{name} is translated to another name: it cannot be allowed by this one")

    for name in set(allowed):
        allowed |= older_names(name)
    print(f"# torch {torch.__version__.split('+')[0]}, made by weights_only_imports.py")
    print("\n".join(sorted(allowed)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
