# SPDX-License-Identifier: Apache-2.0
"""What model-prep says of a file is what the library of its format says: safetensors, gguf, and PyTorch's pickles.

Each file of the fuzzing corpora, and a thousand mutations of them, is judged by both. model-prep may leave a file
unjudged, but never refuses one that the library opens, or accepts one that it does not.
"""

import io
import json
import pathlib
import pickle
import random
import signal
import struct
import subprocess

import pytest

FUZZ = pathlib.Path(__file__).resolve().parents[1] / "fuzz"
LONG_VENV = "venv-long-transformers-5"
MUTATIONS = 1000


def opens_safetensors(path):
    from safetensors import safe_open

    with safe_open(path, "numpy"):
        pass


def opens_gguf(path):
    from gguf import GGUFReader

    GGUFReader(path)


class Endless(BaseException):
    """The library would read on for hours."""


def verdict_of(opens, path):
    def stop(*_):
        raise Endless

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(2)
    try:
        opens(path)
        return "sound"
    except Endless:
        return "endless"
    except Exception:  # as different as the libraries' ways to refuse
        return "malformed"
    finally:
        signal.alarm(0)


def safetensors_of(header, data=b""):
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(header)) + header + data


def tensor(dtype="U8", shape=(2,), offsets=(0, 2), **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets), **more}


def deep(depth):
    return b'{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1],"x":' + b"[" * depth + b"]" * depth + b"}}"


TYPES = ["BOOL", "F4", "F6_E2M3", "F6_E3M2", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ",
         "I16", "U16", "F16", "BF16", "I32", "U32", "F32", "C64", "F64", "I64", "U64", "F128", "u8", ""]

#: Files that mutations rarely reach.
SAFETENSORS = [
    b"", b"1234567", struct.pack("<Q", 0), struct.pack("<Q", 100_000_001), struct.pack("<Q", 2**63),
    *[safetensors_of({"a": tensor(dtype, (count,), (0, size))}, bytes(size))
      for dtype in TYPES for count, size in ((4, 2), (4, 3), (4, 4), (2, 4), (1, 4), (1, 8))],
    *[safetensors_of(header, b"xy") for header in (
        {"a": tensor()}, {"a": tensor(more=None)}, {"a": tensor(shape=(2**64,))}, {"a": tensor(shape=(2.0,))},
        {"a": tensor(shape=(2, True))}, {"a": tensor(offsets=(0, 2, 3))}, {"a": tensor(offsets=(2, 0))},
        {"a": tensor(dtype={"U8": None})}, {"a": tensor(dtype={"U8": {}})}, {"a": tensor(dtype={"U8": 1})},
        {"a": tensor(dtype={})}, {"a": tensor(dtype=["U8"])}, {"a": ["U8", [2], [0, 2]]}, {"a": ["U8", [2], [0, 2], 1]},
        {"a": []}, {"a": {}}, {"a": None}, {"a": "x"}, [], None, "x", 1,
        {"a": tensor(), "__metadata__": None}, {"a": tensor(), "__metadata__": {"k": "v"}},
        {"a": tensor(), "__metadata__": {"k": 1}}, {"a": tensor(), "__metadata__": []},
        {"a": tensor(), "__metadata__": {"k": None}}, {"a": tensor(), "b": tensor(shape=(0, 2**62, 4), offsets=(2, 2))},
        {"a": tensor(shape=(2**62, 0, 2**62))}, {"a": tensor(shape=(2**63, 2))})],
    *[safetensors_of(header, b"x") for header in (deep(n) for n in (1, 63, 120, 124, 125, 126, 127, 200))],
    *[safetensors_of(header) for header in (
        b"{}", b" {} \n\t", b"{}\0", b"\0{}", b"\xef\xbb\xbf{}", b"{}x", b"{", b'{"__metadata__":{},"__metadata__":{}}',
        b'{"__metadata__":{"a":"b","a":"c"}}', b'{"__metadata__":{"a":"\\ud800"}}', b'{"__metadata__":{"a":"\xff"}}',
        b'{"__metadata__":{"a":"\\ud83d\\ude00"}}', b'{"__metadata__":{"a":"\\u0000"}}', b'{"__metadata__":{"a":"\t"}}',
        b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"x":1e999}}',
        b'{"a":{"dtype":"U8","shape":[-0],"data_offsets":[0,0]}}', b'{"a":{"dtype":"U8","shape":[00],"data_offsets":[0,0]}}',
        b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[5],"data_offsets":[0,0]}}',
        b'{"a":{"dtype":"U8","shape":[5],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}',
        b'{"a":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}}', b'{"a":{"dtype":"U8"},"a":1}',
    )],
]


def gguf_of(tensors=(), pairs=(), data=b"", version=3, order="<", align=32):
    out = b"GGUF" + struct.pack(order + "IQQ", version, len(tensors), len(pairs)) + b"".join(pairs)
    for name, shape, kind, offset in tensors:
        out += struct.pack(order + "Q", len(name)) + name + struct.pack(order + "I", len(shape))
        out += struct.pack(f"{order}{len(shape)}QIQ", *shape, kind, offset)
    return out + bytes(-len(out) % align) + data if data else out


def pair(key, kind, value):
    return struct.pack("<Q", len(key)) + key + struct.pack("<I", kind) + value


GGUF = [
    *[gguf_of(version=version, order=order) for version in (0, 1, 2, 3, 4, 65536, 2**24) for order in "<>"],
    *[gguf_of([(b"t", (256, 2), kind, 0)], data=bytes(size)) for kind in range(48)
      for size in (28, 512, 1024, 2048, 4096)],
    *[gguf_of([(b"t", shape, kind, offset)], data=bytes(512)) for kind in (0, 2, 24, 30)
      for shape in ((), (0,), (32,), (31,), (32, 0), (2**63,), (2**32, 2**32), (2**64 - 1,), (1,) * 5, (1,) * 70)
      for offset in (0, 1, 480, 512, 2**63, 2**64 - 8)],
    *[gguf_of(pairs=[pair(b"general.alignment", kind, value)]) for kind, value in (
        (4, struct.pack("<I", 64)), (4, struct.pack("<I", 0)), (4, struct.pack("<I", 48)), (4, b""), (4, b"ab"),
        (10, struct.pack("<Q", 32)), (8, struct.pack("<Q", 0)))],
    *[gguf_of(pairs=[pair(b"a", kind, value)]) for kind in range(15) for value in (b"", bytes(3), bytes(8), bytes(16))],
    *[gguf_of(pairs=[pair(b"a", 9, struct.pack("<IQ", kind, count) + rest)]) for kind in (0, 4, 8, 9, 12, 13)
      for count in (0, 1, 2) for rest in (b"", bytes(4), bytes(8), bytes(20))],
    gguf_of(pairs=[pair(b"a", 0, b"x")] * 2), gguf_of(pairs=[pair(b"GGUF.version", 0, b"x")]),
    gguf_of(pairs=[pair(b"\xff", 0, b"x")]), gguf_of(pairs=[pair(b"\xed\xa0\x80", 0, b"x")]),
    gguf_of([(b"t", (1,), 0, 0)] * 2, data=bytes(64)), gguf_of([(b"\xff", (1,), 0, 0)], data=bytes(64)), b"", b"GGUF",
]


def mutated(data, words, rng):
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 3])):
        at, word = rng.randrange(len(data) + 1), rng.choice(words)
        match rng.randrange(6):
            case 0:
                data[at:at + 1] = bytes([rng.randrange(256)])
            case 1:
                del data[at:at + rng.randrange(1, 9)]
            case 2:
                data[at:at] = word
            case 3:
                data[at:at + len(word)] = word
            case 4:
                data[at:at + 1] = bytes((byte + rng.choice([1, -1])) % 256 for byte in data[at:at + 1])
            case 5:
                del data[at:]
    return bytes(data)


def with_right_length(data):
    """Most mutations of a safetensors file would fail by the length of the header alone."""
    end = data.rfind(b"}")
    return (end - 7).to_bytes(8, "little") + data[8:] if end >= 8 else data


def files_of(name, table):
    rng = random.Random(name)
    seeds = sorted((FUZZ / "corpus" / name).iterdir())
    lines = (FUZZ / "dictionaries" / f"{name}.dict").read_text().splitlines()
    words = [line[1:-1].encode().decode("unicode_escape").encode("latin-1") for line in lines if line.startswith('"')]
    files = [seed.read_bytes() for seed in seeds]
    changed = [mutated(rng.choice(files), words, rng) for _ in range(MUTATIONS)]
    if name == "safetensors":
        changed = [with_right_length(data) if rng.random() < 0.7 else data for data in changed]
    return [*table, *files, *changed]


def look(build, name, folder, files):
    """model-prep's line for each of the files."""
    paths = []
    for number, data in enumerate(files):
        paths.append(folder / str(number))
        paths[-1].write_bytes(data)
    done = subprocess.run([build / "tests" / "model-prep-look", name, *paths], stdout=subprocess.PIPE, check=True)
    lines = done.stdout.decode().splitlines()
    assert len(lines) == len(files)
    return list(zip(paths, lines, strict=True))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name, opens, table", [
    ("safetensors", opens_safetensors, SAFETENSORS), ("gguf", opens_gguf, GGUF)])
def test_a_file_is_judged_as_its_library_judges_it(name, opens, table, build, tmp_path):
    seen = {}
    for path, line in look(build, name, tmp_path, files_of(name, table)):
        ours, _, why = line.partition("\t")
        theirs = verdict_of(opens, path)
        if ours == "unknown" and "has the unknown type" in why:  # of a fork of llama.cpp
            assert theirs == "malformed", f"{why}: {path.read_bytes()[:400]}"
            continue
        seen[ours, theirs] = seen.get((ours, theirs), 0) + 1
        if theirs != "endless" and ours != "unknown":
            assert ours == theirs, f"{why}: {path.read_bytes()[:400]}"

    assert seen["sound", "sound"] > 50 and seen["malformed", "malformed"] > 50, seen
    assert sum(count for (ours, _), count in seen.items() if ours == "unknown") < 50, seen


#: Loads each of the files as torch does by default, and says why it would not: a line of JSON for each.
TORCH = """
import json, re, sys, warnings
import torch
warnings.simplefilter("ignore")
for path in sys.argv[1:]:
    try:
        torch.load(path, weights_only=True)
        found = {"loads": True}
    except Exception as error:
        refused = re.search("(?:Unsupported global:|unsupported) GLOBAL (.*?) (?:was not|whose module)", str(error), re.S)
        found = {"loads": False, "refused": refused and re.sub("[^ -~]", "?", refused[1])}
    print(json.dumps(found))
"""

#: Writes checkpoints in both of torch's forms: what it allows, and what it does not.
CHECKPOINTS = """
import argparse, collections, fractions, pathlib, sys
import torch
folder = pathlib.Path(sys.argv[1])
model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
values = {
    "state": model.state_dict(), "optimizer": torch.optim.Adam(model.parameters()).state_dict(), "whole": model,
    "types": [torch.zeros(2, dtype=getattr(torch, t)) for t in ("bfloat16", "float16", "int8", "bool", "complex64")],
    "sparse": torch.eye(3).to_sparse(), "parameter": torch.nn.Parameter(torch.ones(1)), "size": torch.Size([1, 2]),
    "counter": collections.Counter("aab"), "bytes": bytearray(b"x"), "set": {1, 2}, "complex": 1j,
    "namespace": argparse.Namespace(a=1), "fraction": fractions.Fraction(1, 2), "print": print, "none": None,
    "quantised": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8), "strided": torch.strided,
    "fp8": torch.zeros(2, dtype=torch.float8_e4m3fn), "generator": torch.device("cpu"),
}
for name, value in values.items():
    for form in (True, False):
        torch.save(value, folder / f"{name}-{form}.pt", _use_new_zipfile_serialization=form)
"""


class Called(Exception):
    """A pickle has called what it imported."""


class Callee:
    def __new__(cls, *_):
        raise Called


class Recorder(pickle._Unpickler):
    """Imports nothing, and ends at the first call."""

    def find_class(self, module, name):
        if not name:
            raise AttributeError(f"{module} has nothing without a name")
        return Callee


def calls_something(data):
    """Whether a file that does not begin like a pickle is one all the same: loads, or calls before it breaks off."""
    try:
        Recorder(io.BytesIO(data)).load()
    except Called:
        return True
    except Exception:
        return False
    return True


def test_a_pickle_that_calls_something_is_never_taken_for_another_file(build, tmp_path):
    seen = {}
    for path, line in look(build, "pickle", tmp_path, files_of("pickles", [])):
        form, calls = line.partition("\t")[0], calls_something(path.read_bytes())
        seen[form, calls] = seen.get((form, calls), 0) + 1
        assert form != "none" or not calls, path.read_bytes()[:400]
    assert seen["pickle", True] > 50 and seen["none", False] > 50, seen


@pytest.mark.long
def test_what_torch_loads_as_weights_only_imports_nothing_else(build, tmp_path, pytestconfig):
    python = pytestconfig.getoption("venvs") / LONG_VENV / "bin" / "python"
    made = tmp_path / "made"
    made.mkdir()
    subprocess.run([python, "-c", CHECKPOINTS, made], check=True)
    checkpoints = [path.read_bytes() for path in sorted(made.iterdir())]
    files = look(build, "pickle", tmp_path, [*checkpoints, *files_of("pickles", [])])
    done = subprocess.run([python, "-c", TORCH, *[path for path, _ in files]], stdout=subprocess.PIPE, check=True)
    seen, named_count = {}, 0
    for (path, line), found in zip(files, map(json.loads, done.stdout.splitlines()), strict=True):
        form, *imports = line.split("\t")
        refused = found.get("refused")
        seen[found["loads"], refused is not None] = seen.get((found["loads"], refused is not None), 0) + 1
        if found["loads"]:
            assert form != "none" and not imports, f"{line}: {path.read_bytes()[:400]}"
        if refused:
            named = any(name.endswith(refused) for name in imports)
            harmless = form == "none" and not calls_something(path.read_bytes())
            assert named or form == "opaque" or harmless, f"{refused}, not {line}: {path.read_bytes()[:400]}"
            named_count += named
    assert seen[True, False] > 20 and named_count > 100, (seen, named_count)


@pytest.mark.long
def test_the_list_of_imports_is_that_of_torch(pytestconfig):
    core = FUZZ.parents[1] / "src" / "core"
    python = pytestconfig.getoption("venvs") / LONG_VENV / "bin" / "python"
    made = subprocess.run([python, core / "weights_only_imports.py"], stdout=subprocess.PIPE, text=True, check=True)
    assert made.stdout == (core / "weights_only_imports.txt").read_text()
