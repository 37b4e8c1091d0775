# SPDX-License-Identifier: Apache-2.0
"""docs/fleets.md: its numbers are measured. A wrong number is printed with the measured one."""

import collections
import concurrent.futures
import json
import os
import re
import shutil

import fleets
import pages
import pytest
from mirror import Mirror, bytes_of
from support import run


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
def measure(start_hub, cost, build, tmp_path_factory):
    """Costs of the built-in models in their real sizes: with an empty cache, with a full one, from a mirror of either
    kind; and the image that is made of them."""
    folder = tmp_path_factory.mktemp("fleet")
    hubs = {
        "run": start_hub(*RATE, spec=fleets.spec()), "plain": start_hub(*RATE, "--mirror", spec=fleets.spec()),
        "behind": start_hub(spec=fleets.spec()),
    }
    manifest = folder / "models.json"
    manifest.write_text(json.dumps(fleets.manifest(hubs["run"])))
    caches = folder / "caches"

    def run_all():
        shutil.rmtree(caches, ignore_errors=True)
        with concurrent.futures.ThreadPoolExecutor() as executor:
            runs = {name: executor.submit(cost, hubs[name], caches / name, manifest) for name in ("run", "plain")}
        found = {name: run.result() for name, run in runs.items()}
        assert found["plain"].bytes == found["run"].bytes
        assert cost(hubs["run"], caches / "run", manifest) == fleets.Cost(api=0, resolvers=0, requests=0, bytes=0)
        shutil.rmtree(caches / "plain")

        layers, image = export(caches / "run", manifest)
        return fleets.Measured(found["run"], found["plain"].requests, behind_the_mirror(manifest), layers, image)

    def export(home, manifest):
        environment = {"HF_HOME": str(home), "MODEL_PREP_MANIFEST": str(manifest)}
        done = run([build / "model-prep", "export", "--to", f"oci:{folder / 'image'}", "--summary", "-"], environment)
        layers = json.loads(done.stdout)["export"]["layers"]
        image = sum(path.stat().st_size for path in (folder / "image" / "blobs").rglob("*") if path.is_file())
        shutil.rmtree(folder / "image")
        return len(layers), image

    def behind_the_mirror(manifest):
        hub = hubs["behind"]
        mirror = Mirror(folder / "mirror", hub)
        try:
            hub.forget_requests()
            environment = {"HF_HOME": str(caches / "behind"), "MODEL_PREP_MANIFEST": str(manifest)}
            run([build / "model-prep"], {**environment, "HF_ENDPOINT": mirror.endpoint, "NO_PROXY": "*"}, timeout=300)
            kinds = collections.Counter(request["kind"] for request in hub.requests())
            sent = bytes_of(hub.requests())
        finally:
            mirror.stop()
            shutil.rmtree(folder / "mirror")
            shutil.rmtree(caches / "behind")
        kinds.pop("payload")
        resolvers = kinds.pop("resolve", 0) + kinds.pop("resolve_cache", 0)
        return fleets.Cost(sum(kinds.values()), resolvers, resolvers + sum(kinds.values()), sent)

    return run_all


def test_the_pages_numbers_are_measured(measure):
    for tries_left in (1, 0):
        measured = measure()
        blocks = {"facts": fleets.facts(measured), **fleets.tables(measured)}
        if os.environ.get("MODEL_PREP_UPDATE_PAGES"):
            fleets.write(blocks)
        on_the_page = {name: fleets.block(name) for name in blocks}
        if tries_left and on_the_page != blocks:
            continue  # the machine may have been too busy: see RATE
        assert on_the_page == blocks
        assert measured.behind.bytes == measured.run.bytes
        break


@pytest.mark.parametrize("name", ["requests", "bytes", "disk", "first", "start"])
def test_the_pages_tables_follow_from_its_measured_numbers(name):
    assert fleets.block(name) == fleets.tables(fleets.stated())[name]


def test_the_readme_has_the_pages_numbers():
    facts = fleets.block("facts")
    size, requests = re.search(r"moves (\S+ GB) and sends (\d+) requests", facts).groups()
    resolvers, api = re.search(r"these, (\d+) count against .* and (\d+) against", facts).groups()
    readme = pages.README.read_text()
    assert f"| requests | {requests}, of which {int(resolvers) + int(api)} count against" in readme
    assert f"| {size} |" in readme


def test_the_page_and_the_mirrors_page_agree_on_what_the_mirror_asks():
    behind = fleets.stated().behind
    text = " ".join((pages.ROOT / "docs" / "mirror.md").read_text().split())
    assert f"The three built-in models, 1.54 GB, cost {behind.requests} and" in text


def test_the_page_states_the_limits_of_images_that_the_program_keeps():
    header = (pages.ROOT / "include" / "model_prep" / "core" / "image_plan.h").read_text()
    (layers,) = re.search(r"kMaxLayers = (\d+)", header).groups()
    (largest,) = re.search(r"kMaxCommonLayer = ([\d']+)", header).groups()
    text = " ".join(fleets.PAGE.read_text().split())
    assert f"at most {layers} layers" in text
    assert f"more than {int(largest.replace(chr(39), '')) // 10**9} GB" in text


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
