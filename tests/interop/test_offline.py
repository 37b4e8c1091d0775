# SPDX-License-Identifier: Apache-2.0
"""Exit 0 means usable offline: in every cache that a service may use, with every version of huggingface_hub."""

import os
import pathlib

import pytest
from support import SMALL, store

# The variables when model-prep runs, {} being a directory of the test; the directory of the cache; and the variant.
ROWS = {
    "HF_HOME": ({"HF_HOME": "{}/home"}, "{}/home/hub", "fp32"),
    "HF_HUB_CACHE beside HF_HOME": ({"HF_HOME": "{}/home", "HF_HUB_CACHE": "{}/c"}, "{}/c", "fp32"),
    "TRANSFORMERS_CACHE beside HF_HOME": ({"HF_HOME": "{}/home", "TRANSFORMERS_CACHE": "{}/t"}, "{}/home/hub", "fp32"),
    "TRANSFORMERS_CACHE is HF_HOME": ({"HF_HOME": "{}/home", "TRANSFORMERS_CACHE": "{}/home"}, "{}/home/hub", "all"),
    "all three apart": (
        {"HF_HOME": "{}/home", "HF_HUB_CACHE": "{}/c", "TRANSFORMERS_CACHE": "{}/t"}, "{}/c", "all"),
    "HF_HUB_CACHE is HF_HOME": ({"HF_HOME": "{}/home", "HF_HUB_CACHE": "{}/home"}, "{}/home", "fp32"),
    "HF_HUB_CACHE alone": ({"HF_HUB_CACHE": "{}/c"}, "{}/c", "fp32"),
    "HUGGINGFACE_HUB_CACHE alone": ({"HUGGINGFACE_HUB_CACHE": "{}/c"}, "{}/c", "fp32"),
    "XDG_CACHE_HOME alone": ({"XDG_CACHE_HOME": "{}/x"}, "{}/x/huggingface/hub", "fp32"),
    "--cache-dir": ({}, "{}/c", "all"),
}


@pytest.fixture(scope="module", params=ROWS)
def row(request, prepare, tmp_path_factory):
    folder = tmp_path_factory.mktemp("row")
    variables, cache, variant = ROWS[request.param]
    variables = {name: value.format(folder) for name, value in variables.items()}
    cache = cache.format(folder)
    return prepare(variables, cache, variant, *(("--cache-dir", cache) if request.param == "--cache-dir" else ()))


def places(row):
    """Every directory that some service uses as the cache with these variables."""
    home = row.variables.get("HF_HOME")
    named = [row.variables.get("HF_HUB_CACHE"), row.variables.get("TRANSFORMERS_CACHE"), home, home and home + "/hub"]
    return {str(row.cache), *(place for place in named if place)}


def test_every_file_is_found_offline_wherever_a_service_looks(row, consumer):
    where = sorted(places(row))
    if row.variables:
        where.append(None)  # where the environment says
    consumer("offline", {**row.variables, "HF_HUB_OFFLINE": "1"}, repo=SMALL, commit=row.commit, files=row.files,
             whole=row.whole, cache_dirs=where)


def test_a_reader_that_searches_all_refs_for_the_revision_finds_it(row):
    # The old Rust hf-hub: $HF_HOME/hub, and refs/<revision> as it stands, also for a commit.
    for place in places(row):
        folder = store(place, SMALL)
        for revision in ("main", row.commit):
            commit = (folder / "refs" / revision).read_text()
            for path in row.files:
                assert (folder / "snapshots" / commit / path).is_file()


def test_the_repository_has_one_real_directory_and_all_other_paths_are_relative_links(row):
    for place in places(row):
        folder = store(place, SMALL)
        if pathlib.Path(place) == row.cache:
            assert not folder.is_symlink()
        else:
            assert not pathlib.Path(os.readlink(folder)).is_absolute()
            assert folder.resolve() == store(row.cache, SMALL).resolve()


def test_the_default_weights_are_safetensors_only(row):
    weights = {path for path in row.files if path.endswith((".safetensors", ".bin", ".onnx"))}
    if row.whole:
        assert weights == {"model.safetensors", "pytorch_model.bin", "onnx/model.onnx"}
    else:
        assert weights == {"model.safetensors"}
