# SPDX-License-Identifier: Apache-2.0
"""Variants and patterns: a service finds its files offline, and patterns have the meaning of huggingface_hub's."""

import json
import pathlib

import pytest
from support import SMALL, SMALL_COMMIT, SMALL_FILES, spec_of

MANY = "org/many-builds"
COMMIT = "ab" * 20
SHARDS = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
INDEX = {"metadata": {}, "weight_map": {f"layer.{number}": shard for number, shard in enumerate(SHARDS)}}
SMALL_ONES = ["1_Pooling/config.json", "config.json", "modules.json", "tokenizer.json"]


def weights(path, seed):
    return {"path": path, "size": 50_000 + seed, "seed": seed, "lfs": True}


#: Converted formats next to weights in two shards, and a shard of an earlier split.
FILES = [
    *({"path": path, "text": json.dumps({"of": path})} for path in SMALL_ONES),
    {"path": "model.safetensors.index.json", "text": json.dumps(INDEX)},
    {"path": "openvino/openvino_model_qint8_quantized.xml", "text": "<net/>"},
    *(weights(path, seed) for seed, path in enumerate([
        *SHARDS, "model-00001-of-00003.safetensors", "pytorch_model.bin", "2_Dense/pytorch_model.bin",
        "onnx/model.onnx", "onnx/model.onnx_data", "onnx/model_O4.onnx",
        "openvino/openvino_model_qint8_quantized.bin"])),
]
BUILDS = {
    "fp32": ["2_Dense/pytorch_model.bin", *SHARDS, "model.safetensors.index.json"],
    "onnx": ["2_Dense/pytorch_model.bin", "onnx/model.onnx", "onnx/model.onnx_data"],
    "openvino-int8": [
        "2_Dense/pytorch_model.bin",
        "openvino/openvino_model_qint8_quantized.bin",
        "openvino/openvino_model_qint8_quantized.xml",
    ],
}

#: Include and exclude patterns, in the spelling of both programs.
PATTERNS = [
    (["*.json"], []), (["*.json", "*.txt"], ["onnx/*"]), ([], ["*.bin", "*.onnx"]), (["onnx/"], []),
    (["sub dir/*"], []), (["[!a-m]*"], ["*.safetensors"]), (["**/*.json"], []), (["?onfig.json", "vocab.tx[st]"], []),
    ([".*"], []), (["onnx\\same.json"], []),
]


@pytest.fixture(scope="module")
def builds(start_hub):
    return start_hub(spec=spec_of((MANY, COMMIT, FILES)))


@pytest.mark.parametrize("variant", BUILDS)
def test_every_file_of_a_variant_is_found_offline(variant, builds, model_prep, consumer, tmp_path):
    variables = {"HF_HOME": tmp_path}
    (model,) = model_prep(builds, variables, MANY, "--variant", variant)["models"].values()
    chosen = sorted(file["path"] for file in model["files"])
    assert model["variant"] == variant
    assert chosen == sorted(SMALL_ONES + BUILDS[variant])
    known = builds.files(MANY)
    consumer("offline", {**variables, "HF_HUB_OFFLINE": "1"}, repo=MANY, commit=COMMIT,
             files={path: known[path] for path in chosen}, whole=False, cache_dirs=[None])


@pytest.mark.parametrize("include, exclude", PATTERNS)
def test_patterns_select_what_huggingface_hub_selects(include, exclude, hub, model_prep, newest, tmp_path):
    arguments = [word for pattern in include for word in ("--include", pattern)]
    arguments += [word for pattern in exclude for word in ("--exclude", pattern)]
    (model,) = model_prep(hub, {"HF_HOME": tmp_path / "ours"}, SMALL, *arguments)["models"].values()
    folder = pathlib.Path(newest(
        "download", {"HF_HOME": tmp_path / "theirs", "HF_ENDPOINT": hub.endpoint}, repo=SMALL,
        allow_patterns=include or None, ignore_patterns=exclude))
    assert folder.name == model["commit"] == SMALL_COMMIT
    theirs = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())
    assert sorted(file["path"] for file in model["files"]) == theirs
    assert 0 < len(theirs) < len(SMALL_FILES)
