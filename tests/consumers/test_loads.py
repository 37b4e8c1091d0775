# SPDX-License-Identifier: Apache-2.0
"""Exit 0 means that services load: every build, with the libraries themselves, offline and read-only."""

import pytest
from conftest import id_of, venvs_of
from loads import LOADS, How


def pytest_generate_tests(metafunc):
    cases = [(load, variant, venv, f"{load.library} {variant} {load.model} {number}")
             for number, load in enumerate(LOADS) for variant in load.builds
             for venv in venvs_of(load, metafunc.config)]
    if "venv" in metafunc.fixturenames:
        metafunc.parametrize("load, variant, venv", [
            pytest.param(load, variant, venv, id=f"{venv} {name}") for load, variant, venv, name in cases])
    else:
        names = {name: (load, variant) for load, variant, _, name in cases if load.verify}
        metafunc.parametrize("load, variant", [pytest.param(*case, id=name) for name, case in names.items()])


def test_a_library_loads_a_build_as_the_table_says(load, variant, venv, volume, results):
    _, failed = volume
    for filled_by in ("branch", "commit"):
        error = failed.get(id_of(load.model, variant, filled_by))
        assert not error, error

    found = {way: error for (of, build, way), error in results(load.library, venv).items()
             if (of, build) == (load, variant)}
    assert found
    for way, error in found.items():
        if load.how is How.NO:
            assert error, f"{way}: it loads now; so the table, `verify` and docs/consumers.md can say so"
        else:
            assert not error, f"{way}:\n{error}"


def test_verify_says_how_a_library_loads_a_build(load, variant, verdicts):
    how, line = verdicts[load.library, load.model, variant]
    assert how == load.how.value, line
    if load.verify == "line":
        # The class depends on the task; and a page wraps its lines.
        assert without_blanks(line.replace("For…", "ForFeatureExtraction")) in without_blanks(load.write)


def without_blanks(text):
    return "".join(text.split())
