# SPDX-License-Identifier: Apache-2.0
"""docs/fleets.md: its numbers are measured. A wrong number is printed with the measured one."""

import concurrent.futures
import json
import re
import shutil

import fleets
import pages
import pytest


@pytest.fixture(scope="module")
def cost(model_prep, tmp_path_factory):
    """Runs model-prep on that many nodes at once and returns the requests that the hub received."""

    def run(hub, home, manifest, nodes=1):
        hub.forget_requests()
        variables = {"HF_HOME": home, "MODEL_PREP_MANIFEST": manifest}
        running = [model_prep.start(hub, variables, "--summary", "-") for _ in range(nodes)]
        outputs = [process.communicate(timeout=120) for process in running]
        assert [process.returncode for process in running] == [0] * nodes, outputs
        return fleets.cost_of(hub, [json.loads(stdout) for stdout, _ in outputs])

    return run


#: Bytes per second and connection, so that all connections of a run are equally fast. If one is much slower than the
#: others, as on loopback of a busy machine, a range or two are split in half and counted twice.
RATE = ("--rate", "25000000")


@pytest.fixture(scope="module")
def true_sizes(start_hub, cost, tmp_path_factory):
    """Costs of the built-in models in their real sizes: with an empty cache, with a full one, from a mirror."""
    folder = tmp_path_factory.mktemp("fleet")
    hubs = {"run": start_hub(*RATE, spec=fleets.spec()), "mirror": start_hub(*RATE, "--mirror", spec=fleets.spec())}
    manifest = folder / "models.json"
    manifest.write_text(json.dumps(fleets.manifest(hubs["run"])))

    def measure():
        shutil.rmtree(folder / "caches", ignore_errors=True)
        with concurrent.futures.ThreadPoolExecutor() as executor:
            runs = {name: executor.submit(cost, hub, folder / "caches" / name, manifest) for name, hub in hubs.items()}
        found = {name: run.result() for name, run in runs.items()}
        return {**found, "again": cost(hubs["run"], folder / "caches" / "run", manifest)}

    return measure


def test_the_pages_numbers_are_measured(true_sizes):
    for tries_left in (1, 0):
        costs = true_sizes()
        assert costs["again"] == fleets.Cost(api=0, resolvers=0, requests=0, bytes=0)
        assert costs["mirror"].bytes == costs["run"].bytes
        measured = fleets.facts(costs["run"], costs["mirror"]), fleets.table(costs["run"])
        if tries_left and measured != (fleets.block("facts"), fleets.block("table")):
            continue  # the machine may have been too busy: see RATE
        assert (fleets.block("facts"), fleets.block("table")) == measured
        break


def test_the_readme_has_the_pages_numbers():
    facts = fleets.block("facts")
    size, requests = re.search(r"moves (\S+ GB) and sends (\d+) requests", facts).groups()
    resolvers, api = re.search(r"these, (\d+) count against .* and (\d+) against", facts).groups()
    readme = pages.README.read_text()
    assert f"| requests | {requests}, of which {int(resolvers) + int(api)} count against" in readme
    assert f"| {size} |" in readme


def test_ten_nodes_at_once_on_one_volume_cost_as_much_as_one(cost, demo, tmp_path):
    one = cost(demo.hub, tmp_path / "one", demo.manifest)
    assert one.resolvers > 0 and cost(demo.hub, tmp_path / "ten", demo.manifest, nodes=10) == one


def test_only_completed_rate_limit_windows_count_as_time():
    cost = fleets.Cost(api=0, resolvers=3000, requests=3000, bytes=0)
    assert [cost.times(n).minutes(fleets.ANONYMOUS) for n in (1, 2, 36)] == [0, 5, 175]
    assert fleets.Cost(api=501, resolvers=0, requests=501, bytes=0).minutes(fleets.ANONYMOUS) == 5


def test_the_page_states_the_limits_that_its_numbers_assume():
    text = fleets.PAGE.read_text()
    for limits in (fleets.ANONYMOUS, fleets.FREE_TOKEN):
        assert f"{limits['api']:,} API and {limits['resolvers']:,} resolver requests" in text
