# SPDX-License-Identifier: Apache-2.0
"""A volume that an earlier tool filled flat, as $HF_HOME/models--org--name: that directory stays real."""

import os

import pytest
from support import SMALL, SMALL_COMMIT, store, tree


@pytest.fixture
def flat(oldest, hub, tmp_path):
    """$HF_HOME with a flat cache: what `cache_dir=os.environ["HF_HOME"]` left there years ago."""
    home = tmp_path / "models"
    oldest("download", {"HF_HOME": tmp_path / "elsewhere", "HF_ENDPOINT": hub.endpoint}, repo=SMALL, cache_dir=home)
    hub.forget_requests()
    return home


def test_a_flat_directory_stays_real_and_the_cache_links_to_it(flat, hub, model_prep, manifest, consumer):
    before = tree(flat)
    variables = {"HF_HOME": flat, "TRANSFORMERS_CACHE": flat}
    model_prep(hub, variables, "small", "--manifest", manifest, "--variant", "all")
    assert hub.content_requests() == []

    real, link = store(flat, SMALL), store(flat / "hub", SMALL)
    assert not real.is_symlink()
    assert os.readlink(link) == "../models--org--small"
    assert {path: what for path, what in tree(flat).items() if path in before} == before

    consumer("offline", {**variables, "HF_HUB_OFFLINE": "1"}, repo=SMALL, commit=SMALL_COMMIT, files=hub.files(SMALL),
             whole=True, cache_dirs=[None, flat, flat / "hub"])
    consumer("scan", variables, repo=SMALL, commit=SMALL_COMMIT)


def test_an_adopted_directory_costs_no_request_the_second_time(flat, hub, model_prep, manifest):
    model_prep(hub, {"HF_HOME": flat}, "small", "--manifest", manifest, "--variant", "all")
    hub.forget_requests()
    summary = model_prep(hub, {"HF_HOME": flat}, "small", "--manifest", manifest, "--variant", "all")
    assert hub.requests() == [] and summary["models"]["small"]["status"] == "cached"


def test_files_missing_in_an_adopted_directory_are_fetched(oldest, hub, model_prep, manifest, consumer, tmp_path):
    home = tmp_path / "models"
    oldest("download", {"HF_HOME": tmp_path / "elsewhere", "HF_ENDPOINT": hub.endpoint}, repo=SMALL, cache_dir=home,
           allow_patterns=["*.json"])
    model_prep(hub, {"HF_HOME": home}, "small", "--manifest", manifest, "--variant", "all")
    assert not store(home, SMALL).is_symlink() and store(home / "hub", SMALL).is_symlink()
    consumer("offline", {"HF_HOME": home, "HF_HUB_OFFLINE": "1"}, repo=SMALL, commit=SMALL_COMMIT,
             files=hub.files(SMALL), whole=True, cache_dirs=[None, home])


def test_a_flat_directory_in_transformers_cache_is_adopted_too(oldest, hub, model_prep, manifest, consumer, tmp_path):
    flat = tmp_path / "t"
    oldest("download", {"HF_HOME": tmp_path / "elsewhere", "HF_ENDPOINT": hub.endpoint}, repo=SMALL, cache_dir=flat)
    hub.forget_requests()
    variables = {"HF_HOME": tmp_path / "home", "TRANSFORMERS_CACHE": flat}
    model_prep(hub, variables, "small", "--manifest", manifest, "--variant", "all")
    assert hub.content_requests() == [] and not store(flat, SMALL).is_symlink()
    consumer("offline", {**variables, "HF_HUB_OFFLINE": "1"}, repo=SMALL, commit=SMALL_COMMIT, files=hub.files(SMALL),
             whole=True, cache_dirs=[None, flat, tmp_path / "home", tmp_path / "home" / "hub"])
