# SPDX-License-Identifier: Apache-2.0
"""docker/mirror with the real nginx: what a fleet costs the Hub, and what it gets without the Hub or from a bad disk.

The hub signs its CDN addresses for one range each, as the real one does.
"""

import concurrent.futures
import json
import re
import shutil

import pytest
from mirror import Mirror, bytes_of, port_of
from pages import ROOT
from support import run, spec_of, store, wait_until

PAGE = ROOT / "docs" / "mirror.md"
MODEL = "org/fleet"
COMMIT = "f1ee7" + "0" * 34 + "1"
NEXT_COMMIT = "f1ee7" + "0" * 34 + "2"
WEIGHTS = "model.safetensors"
FILES = [
    {"path": "config.json", "text": '{"model_type": "bert"}'},
    {"path": "empty.txt", "text": ""},
    {"path": WEIGHTS, "size": 40_000_000, "seed": 1, "lfs": True},
    {"path": "tokenizer.json", "size": 400_000, "seed": 2, "lfs": False},
    {"path": "vocab.txt", "size": 20_000, "seed": 3, "lfs": False},
]
SIZE = 40_420_022
SMALL_MODEL = [FILES[0], FILES[4], {"path": WEIGHTS, "size": 3_000_000, "seed": 1, "lfs": True}]
NODES = 20

#: What is asked of the hub for a branch: by huggingface_hub the file, by model-prep the commit.
OF_BRANCH = [f"/{MODEL}/resolve/main/{WEIGHTS}", f"/api/models/{MODEL}/revision/main"]


@pytest.fixture(scope="module")
def fleet_hub(start_hub):
    return start_hub(spec=spec_of((MODEL, COMMIT, FILES)))


@pytest.fixture
def start_mirror(tmp_path):
    """Starts mirrors with empty caches; all of them end with the test."""
    mirrors = []

    def start(hub, **settings):
        mirrors.append(Mirror(tmp_path / f"mirror{len(mirrors)}", hub, **settings))
        return mirrors[-1]

    yield start
    for mirror in mirrors:
        mirror.stop()


@pytest.fixture
def mirror(fleet_hub, start_mirror):
    fleet_hub.forget_requests()
    return start_mirror(fleet_hub)


@pytest.fixture
def start_nodes(model_prep, tmp_path):
    """Runs model-prep on nodes at once, each with a cache of its own, and returns their summaries."""

    def start(endpoint, count, revision=COMMIT):
        arguments = (f"{MODEL}@{revision}", "--variant", "all", "--summary", "-")
        homes = [tmp_path / "nodes" / str(number) for number in range(count)]
        running = [model_prep.start(endpoint, {"HF_HOME": home}, *arguments) for home in homes]
        outputs = [process.communicate(timeout=60) for process in running]
        assert [process.returncode for process in running] == [0] * count, outputs
        shutil.rmtree(tmp_path / "nodes")
        return [json.loads(stdout) for stdout, _ in outputs]

    return start


@pytest.fixture
def cost(fleet_hub, start_nodes):
    """Runs that many nodes at once and returns the row of the page's table: what the hub and its CDN sent."""

    def run(what, endpoint, nodes):
        fleet_hub.forget_requests()
        for summary in start_nodes(endpoint, nodes):
            assert summary["totals"]["bytes_downloaded"] == SIZE
        log = fleet_hub.requests()
        at_cdn = sum(request["kind"] == "payload" for request in log)
        size = f"{bytes_of(log) / 1e6:.1f} MB" if log else "0 MB"
        return f"| {what} | {len(log) - at_cdn} | {at_cdn} | {size} |"

    return run


def test_a_fleet_costs_the_hub_one_models_bytes_and_then_nothing(fleet_hub, start_mirror, cost):
    mirror = start_mirror(fleet_hub)
    measured = [
        cost("1, without a mirror", fleet_hub, 1),
        cost("1, empty mirror", start_mirror(fleet_hub), 1),
        cost(f"{NODES} at once, empty mirror", mirror, NODES),
        cost("3 more", mirror, 3),
    ]
    assert "40.4 MB" in measured[2] and measured[3].endswith("| 0 | 0 | 0 MB |")
    table = PAGE.read_text().partition("<!-- table -->")[2].partition("<!-- end -->")[0]
    assert table.strip().splitlines()[2:] == measured


def test_commits_and_branches_are_served_without_the_hub_also_after_a_restart(start_hub, start_mirror, start_nodes):
    hub = start_hub(spec=spec_of((MODEL, COMMIT, SMALL_MODEL)))
    mirror = start_mirror(hub, keep_branches="1s")
    start_nodes(mirror, 1, "main")
    assert [mirror.get(place).status for place in OF_BRANCH] == [307, 200]
    hub.close()
    mirror.restart()
    for place in OF_BRANCH:
        wait_until(lambda: mirror.get(place).headers["X-Cache-Status"] == "STALE", "the branch to expire")
    for revision in (COMMIT, "main"):
        assert len(start_nodes(mirror, 2, revision)) == 2


def test_an_expired_file_is_fetched_by_one_request_while_others_get_what_is_there(start_hub, start_mirror):
    hub = start_hub(spec=spec_of((MODEL, COMMIT, SMALL_MODEL)))
    mirror = start_mirror(hub, keep_commits="1s")
    large, small = (f"/{MODEL}/resolve/{COMMIT}/{path}" for path in (WEIGHTS, "config.json"))
    first = mirror.get(large)
    mirror.get(small)  # expires after the large one
    wait_until(lambda: mirror.get(small).headers["X-Cache-Status"] == "EXPIRED", "the expiry")
    hub.forget_requests()
    hub.add_faults({"on": "payload", "what": "stall", "lasting": 3000})
    with concurrent.futures.ThreadPoolExecutor() as threads:
        renewing = threads.submit(mirror.get, large)
        wait_until(hub.requests, "the first request to reach the hub")
        others = [mirror.get(large) for _ in range(3)]
    assert [answer.headers["X-Cache-Status"] for answer in others] == ["UPDATING"] * 3
    assert {answer.body for answer in [renewing.result(), *others]} == {first.body}
    assert bytes_of(hub.requests()) == len(first.body)


@pytest.mark.parametrize("code", [429, 500, 503])
def test_a_branch_outlives_a_hub_that_refuses_to_answer(fleet_hub, start_mirror, code):
    mirror = start_mirror(fleet_hub, keep_branches="1s")
    before = [mirror.get(place) for place in OF_BRANCH]
    fleet_hub.add_faults({"times": -1, "what": "status", "code": code})
    try:
        for place, known in zip(OF_BRANCH, before, strict=True):
            answers = [known]
            wait_until(lambda: answers.append(mirror.get(place)) or answers[-1].headers["X-Cache-Status"] == "STALE",
                       "the branch to expire")
            assert {(answer.status, answer.headers["Location"], answer.body) for answer in answers} == {
                (known.status, known.headers["Location"], known.body)
            }
    finally:
        fleet_hub.forget_faults()


def test_a_mirror_can_have_another_mirror_for_its_hub(fleet_hub, start_mirror, start_nodes):
    fleet_hub.forget_requests()
    central = start_mirror(fleet_hub)
    central.payload = fleet_hub.payload
    sites = [start_mirror(central), start_mirror(central)]
    for site in sites:
        start_nodes(site, 1, "main")
    assert bytes_of(fleet_hub.requests()) == SIZE
    fleet_hub.forget_requests()
    for site in sites:
        start_nodes(site, 1)
    assert fleet_hub.requests() == []


def test_the_mirror_starts_without_the_hub_and_recovers_with_it(start_hub, start_mirror, start_nodes):
    first = start_hub(spec=spec_of((MODEL, COMMIT, SMALL_MODEL)))
    places = ("--port", port_of(first.endpoint), "--payload-port", port_of(first.payload))
    first.close()
    mirror = start_mirror(first)
    assert mirror.get(f"/{MODEL}/resolve/{COMMIT}/{WEIGHTS}").status == 502
    start_hub(*places, spec=spec_of((MODEL, COMMIT, SMALL_MODEL)))
    start_nodes(mirror, 1)


def test_a_branch_that_moved_is_seen_when_its_entry_has_expired(start_hub, start_mirror, start_nodes):
    first = start_hub(spec=spec_of((MODEL, COMMIT, SMALL_MODEL)))
    places = ("--port", port_of(first.endpoint), "--payload-port", port_of(first.payload))
    mirror = start_mirror(first, keep_branches="1s")
    assert [COMMIT in f"{place.headers['Location']} {place.body}" for place in map(mirror.get, OF_BRANCH)] == [True] * 2
    first.close()
    moved = [{**file, "seed": 7} if "seed" in file else file for file in SMALL_MODEL]
    start_hub(*places, spec=spec_of((MODEL, NEXT_COMMIT, moved)))

    # Never stale while the hub answers: the first request after the expiry gets the new commit.
    for place in OF_BRANCH:
        seen = []
        wait_until(lambda: seen.append(mirror.get(place)) or seen[-1].headers["X-Cache-Status"] != "HIT", "the expiry")
        assert NEXT_COMMIT in f"{seen[-1].headers['Location']} {seen[-1].body}"
    (summary,) = start_nodes(mirror, 1, "main")
    assert [model["commit"] for model in summary["models"].values()] == [NEXT_COMMIT]


def test_a_wrong_byte_on_the_mirrors_disk_is_found_and_removing_the_entry_mends_it(
    fleet_hub, mirror, start_nodes, model_prep, tmp_path
):
    start_nodes(mirror, 1)
    (bad, *_) = [file for file in mirror.files() if f"/{WEIGHTS} ".encode() in file.read_bytes()[:4096]]
    with open(bad, "r+b") as file:
        file.seek(-5, 2)
        byte = file.read(1)
        file.seek(-5, 2)
        file.write(bytes([byte[0] ^ 1]))

    variables = {"HF_HOME": tmp_path / "home"}
    arguments = [f"{MODEL}@{COMMIT}", "--variant", "all"]
    summary = model_prep(mirror, variables, *arguments, check=False)
    (model,) = summary["models"].values()
    assert not summary["success"] and model["error"]["kind"] == "digest_mismatch", model
    assert not (store(tmp_path / "home" / "hub", MODEL) / "snapshots" / COMMIT / WEIGHTS).exists()

    # The Hub as a second endpoint: nothing to do.
    both = {"HF_HOME": tmp_path / "other", "HF_ENDPOINT": f"{mirror.endpoint},{fleet_hub.endpoint}"}
    assert model_prep(mirror, both, *arguments)["success"]

    # By the page's command: the entries of a repository have its name in them.
    (remove,) = re.findall(r"^grep -rlaF .*", PAGE.read_text(), re.MULTILINE)
    for old, new in (("/org/name/", f"/{MODEL}/"), ("/var/cache/model-mirror", str(mirror.cache))):
        assert old in remove
        remove = remove.replace(old, new)
    run(["sh", "-c", remove], {})
    assert not [file for file in mirror.files() if file.is_relative_to(mirror.cache / "bytes")]
    assert model_prep(mirror, variables, *arguments)["success"]


@pytest.mark.long
def test_the_cache_shrinks_to_its_limit(fleet_hub, start_mirror, start_nodes):
    mirror = start_mirror(fleet_hub, disk="20m", slice="4m")
    start_nodes(mirror, 1)
    assert mirror.disk() > 30_000_000
    wait_until(lambda: mirror.disk() <= 21_000_000, "nginx to look at the size, every 10 s")
    start_nodes(mirror, 1)
