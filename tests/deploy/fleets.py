# SPDX-License-Identifier: Apache-2.0
"""What a run costs the Hub, measured, and what that makes for a fleet: the numbers of docs/fleets.md.

The real program fetches the three built-in models, in their true sizes and cut as it would cut them, from the project's
own hub. Names, sizes and which files are LFS come from the built-in manifest; the bytes are made up.
"""

import collections
import copy
import dataclasses
import json
import math
import pathlib

from support import spec_of

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILT_IN = json.loads((ROOT / "src" / "program" / "built_in_manifest.json").read_text())["models"]
PAGE = ROOT / "docs" / "fleets.md"

NODES = [10, 100, 1000]

#: What the manifest does not lock, because its git id is not known: why that model's first run asks for a listing.
UNLOCKED = {"bge-reranker-base": {"config.json": {"size": 799, "git_sha1": ""}}}

#: Requests in five minutes, as the Hub's documentation of its rate limits has them: without a token for each address,
#: with a free account's token for the account.
WINDOW_MINUTES = 5
ANONYMOUS = {"api": 500, "resolvers": 3000}
FREE_TOKEN = {"api": 1000, "resolvers": 5000}


@dataclasses.dataclass(frozen=True)
class Cost:
    """Of one run: requests against each of the Hub's two limits, all requests as the summary counts them, and bytes."""

    api: int
    resolvers: int
    requests: int
    bytes: int

    def times(self, nodes):
        return Cost(*(nodes * value for value in dataclasses.astuple(self)))

    def minutes(self, limits):
        """The least time that the limits allow: the first window is free."""
        windows = max(math.ceil(self.api / limits["api"]), math.ceil(self.resolvers / limits["resolvers"]), 1)
        return (windows - 1) * WINDOW_MINUTES


def files_of(key):
    """The files of a built-in model that a default run fetches: path -> {size, git_sha1 if it is a plain git file}."""
    wanted = BUILT_IN[key]["variants"]["fp32"]
    known = {**BUILT_IN[key]["files"], **UNLOCKED.get(key, {})}
    chosen = {path: file for path, file in known.items() if _is_wanted(path, wanted)}
    assert sum(file["size"] for file in chosen.values()) == wanted["size"], key
    return chosen


def _is_wanted(path, wanted):
    def one_of(patterns):
        return any(
            path == p or p.startswith("*") and path.endswith(p[1:]) or p.endswith("*") and path.startswith(p[:-1])
            for p in patterns
        )

    return one_of(wanted["include"]) and not one_of(wanted.get("exclude", []))


def spec():
    """The hub's repositories."""
    repos = []
    for key, model in BUILT_IN.items():
        files = [
            {"path": path, "size": file["size"], "seed": seed, "lfs": "git_sha1" not in file}
            for seed, (path, file) in enumerate(files_of(key).items())
        ]
        repos.append((model["repo"], model["revision"], files))
    return spec_of(*repos)


def manifest(hub):
    """The built-in manifest with the digests of the bytes that the hub made up, and what it locks as before."""
    models = copy.deepcopy(BUILT_IN)
    for key, model in models.items():
        true = hub.files(model["repo"])
        model["files"] = {path: true[path] for path in files_of(key) if path in model["files"]}
        model["variants"] = {"fp32": model["variants"]["fp32"]}
        model["locked"] = [variant for variant in model.get("locked", []) if variant == "fp32"]
    return {"version": 1, "models": models}


def cost_of(hub, summaries):
    """What the hub was asked for since its log was cleared, in the way of the Hub's own count.

    `/resolve/` and each hop of it count against the resolvers' limit; where a redirect leads to the CDN, that does not
    count at all; everything else is the API.
    """
    kinds = collections.Counter(request["kind"] for request in hub.requests())
    asked = sum(summary["totals"]["requests"] for summary in summaries)
    assert sum(kinds.values()) == asked, "the summary counts what the hub counts"
    resolvers = kinds.pop("resolve", 0) + kinds.pop("resolve_cache", 0)
    kinds.pop("payload", 0)
    return Cost(
        sum(kinds.values()), resolvers, asked, sum(summary["totals"]["bytes_downloaded"] for summary in summaries)
    )


def size(count):
    if count >= 1e12:
        return f"{count / 1e12:.2f} TB"
    return f"{count / 1e9:.0f} GB" if count >= 1e11 else f"{count / 1e9:.2f} GB"


def duration(minutes):
    if minutes == 0:
        return "at once"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def facts(run, mirrored):
    """The page's paragraph of numbers."""
    fit = [min(limits["api"] // run.api, limits["resolvers"] // run.resolvers) for limits in (ANONYMOUS, FREE_TOKEN)]
    return f"""\
One run into an empty cache moves {size(run.bytes)} and sends {run.requests} requests, the summary's `requests`.
Of these, {run.resolvers} count against the resolvers' limit and {run.api} against the API's.
The other {run.requests - run.resolvers - run.api} go to the CDN, which has no limit.
So {fit[0]} nodes behind one address can start in the same five minutes without a token, {fit[1]} with one.
A mirror that serves files itself gets {mirrored.requests} requests from a node.
A run that finds everything in place sends 0 requests."""


def table(run):
    """The page's table."""

    def load(cost):
        return f"{cost.api:,} + {cost.resolvers:,}, {size(cost.bytes)}"

    lines = [
        "| nodes | one shared volume | per-node caches | … no token | … free token | behind a caching mirror |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for nodes in NODES:
        fleet = run.times(nodes)
        times = " | ".join(duration(fleet.minutes(limits)) for limits in (ANONYMOUS, FREE_TOKEN))
        lines.append(f"| {nodes:,} | {load(run)} | {load(fleet)} | {times} | {load(run)} |")
    return "\n".join(lines)


def block(name):
    """What the page holds between `<!-- NAME -->` and `<!-- end -->`."""
    text = PAGE.read_text()
    return text.partition(f"<!-- {name} -->\n")[2].partition("\n<!-- end -->")[0]
