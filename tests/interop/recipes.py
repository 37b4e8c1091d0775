# SPDX-License-Identifier: Apache-2.0
"""Actions of a consumer, each run with a version of huggingface_hub in a process of its own:

    python recipes.py FUNCTION '{"argument": value, ...}'
    python recipes.py                                           reads orders; see serve()

The environment is read by huggingface_hub when it is imported, so it must be set before; the result is printed as JSON.
Recipes assert, so a wrong cache ends the process with a traceback. `cache_dir` is None if the environment decides.
"""

import hashlib
import importlib
import json
import os
import pathlib
import signal
import sys


def digest_is(data, entry):
    """Checks that the bytes match the manifest's entry."""
    assert len(data) == entry["size"], (len(data), entry)
    if "sha256" in entry:
        assert hashlib.sha256(data).hexdigest() == entry["sha256"], entry
    if "git_sha1" in entry:
        assert hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest() == entry["git_sha1"], entry


def store(repo, cache_dir, repo_type="model"):
    from huggingface_hub import constants

    return pathlib.Path(cache_dir or constants.HF_HUB_CACHE) / "--".join([repo_type + "s", *repo.split("/")])


def layout(repo, commit, cache_dir=None, repo_type="model"):
    """Checks every name and every link on disk, without huggingface_hub."""
    folder = store(repo, cache_dir, repo_type)
    for ref in ("main", commit):
        assert (folder / "refs" / ref).read_bytes() == commit.encode(), ref
    root = folder / "snapshots" / commit
    files = [path for path in root.rglob("*") if not path.is_dir()]
    for path in files:
        assert path.is_symlink(), path
        target, name = os.readlink(path), pathlib.Path(os.readlink(path)).name
        assert target == "../" * (len(path.relative_to(root).parts) + 1) + "blobs/" + name, target
        data = path.read_bytes()
        want = hashlib.sha256(data) if len(name) == 64 else hashlib.sha1(b"blob %d\0" % len(data) + data)
        assert name == want.hexdigest(), path
    blobs = {path.name for path in (folder / "blobs").iterdir()}
    assert blobs == {pathlib.Path(os.readlink(path)).name for path in files}, "blobs and links differ"
    return sorted(str(path.relative_to(root)) for path in files)


def scan(repo, commit, cache_dir=None, repo_type="model"):
    """Checks `hf cache ls`: no warning, the repository, and no revision that `hf cache prune` would delete."""
    from huggingface_hub import scan_cache_dir

    info = scan_cache_dir(cache_dir)
    assert not info.warnings, info.warnings
    (found,) = [entry for entry in info.repos if (entry.repo_type, entry.repo_id) == (repo_type, repo)]
    (revision,) = found.revisions
    assert revision.commit_hash == commit and {"main", commit} <= set(revision.refs), revision
    return {"files": len(revision.files), "size": found.size_on_disk}


def warnings_of(cache_dirs):
    """The warnings of `hf cache ls` for each of these caches."""
    from huggingface_hub import scan_cache_dir

    return [[str(warning) for warning in scan_cache_dir(cache_dir).warnings] for cache_dir in cache_dirs]


def version_of(package):
    return importlib.import_module(package).__version__


def offline(repo, commit, files, whole, cache_dirs, repo_type="model"):
    """Finds, in each cache and without the network, the whole default revision, and each file by commit."""
    from huggingface_hub import hf_hub_download, snapshot_download, try_to_load_from_cache

    assert os.environ["HF_HUB_OFFLINE"] == "1"
    for cache_dir in cache_dirs:
        where = {"repo_type": repo_type, "cache_dir": cache_dir}
        folder = snapshot_download(repo, **where)
        assert pathlib.Path(folder).name == commit
        assert snapshot_download(repo, **where, local_files_only=True) == folder
        assert snapshot_download(repo, **where, revision=commit, local_files_only=True) == folder
        if whole:  # 1.26 to 2.1 need the listing for this, which is there only for a whole commit
            assert snapshot_download(repo, **where, revision=commit) == folder
        for path, entry in files.items():
            for revision in (None, "main", commit):
                found = hf_hub_download(repo, path, **where, revision=revision)
                assert found == os.path.join(folder, path), found
            assert isinstance(try_to_load_from_cache(repo, path, **where), str), path
            digest_is(pathlib.Path(found).read_bytes(), entry)
        below = [path for path in pathlib.Path(folder).rglob("*") if not path.is_dir()]
        assert sorted(str(path.relative_to(folder)) for path in below) == sorted(files)


def download(repo, cache_dir=None, revision=None, allow_patterns=None, ignore_patterns=None, max_workers=8,
             repo_type="model"):
    from huggingface_hub import snapshot_download

    return snapshot_download(repo, cache_dir=cache_dir, revision=revision, allow_patterns=allow_patterns,
                             ignore_patterns=ignore_patterns, max_workers=max_workers, repo_type=repo_type)


def download_each(repo, files, cache_dir=None, revision=None):
    from huggingface_hub import hf_hub_download

    return [hf_hub_download(repo, path, cache_dir=cache_dir, revision=revision) for path in files]


def verify(repo, cache_dir=None, repo_type="model"):
    """The same check as `hf cache verify`."""
    from huggingface_hub import HfApi

    if not hasattr(HfApi, "verify_repo_checksums"):
        return None
    result = HfApi().verify_repo_checksums(repo, cache_dir=cache_dir, repo_type=repo_type)
    assert not result.mismatches and not result.extra_paths, result
    return {"checked": result.checked_count, "missing": result.missing_paths}


def listing(repo, commit, cache_dir=None):
    """Checks that trees/<commit>.json has the same entries as the Hub."""
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    mine = json.loads((store(repo, cache_dir) / "trees" / f"{commit}.json").read_text("utf-8"))
    remote = HfApi().list_repo_tree(repo, recursive=True, revision=commit)
    want = {file.path: file for file in remote if isinstance(file, RepoFile)}
    assert mine["format_version"] == 1 and list(mine["files"]) == sorted(want)
    for path, entry in mine["files"].items():
        file = want[path]
        assert (entry["size"], entry["blob_id"]) == (file.size, file.blob_id), path
        assert entry.get("lfs_sha256") == (file.lfs.sha256 if file.lfs else None), path
        assert entry.get("lfs_size") == (file.lfs.size if file.lfs else None), path
        assert entry.get("xet_hash") in (None, getattr(file, "xet_hash", None)), path
    return len(want)


def cached_listing(repo, commit, cache_dir=None):
    """The listing as huggingface_hub itself reads it back, offline."""
    from huggingface_hub import get_cached_repo_tree

    return sorted(file.path for file in get_cached_repo_tree(repo, revision=commit, cache_dir=cache_dir))


def hold_lock(path, ready, release):
    """Holds the lock that huggingface_hub takes for a blob, from creating `ready` until `release` exists."""
    import time

    from huggingface_hub.utils import WeakFileLock

    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(path):
        pathlib.Path(ready).touch()
        while not pathlib.Path(release).exists():
            time.sleep(0.02)
    return None


def take_lock(path, blob):
    """Takes the lock that huggingface_hub takes for a blob; returns whether the blob existed before and after."""
    from huggingface_hub.utils import WeakFileLock

    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    before = pathlib.Path(blob).exists()
    with WeakFileLock(path):
        return {"before": before, "after": pathlib.Path(blob).exists()}


def share_blob(blob, xet_hash, cache_dir):
    """Moves a blob into the shared store of huggingface_hub >= 1.32, as it does after a download by Xet."""
    try:
        from huggingface_hub.utils._shared_blobs import publish_blob_to_shared_store
    except ImportError:
        return None
    size = os.path.getsize(blob)
    return publish_blob_to_shared_store(blob_path=blob, xet_hash=xet_hash, cache_dir=cache_dir, expected_size=size)


def load_weights(repo):
    """Uses a model like a service: weights with safetensors, text with tokenizers."""
    from huggingface_hub import hf_hub_download, snapshot_download
    from safetensors import safe_open
    from tokenizers import Tokenizer

    folder = pathlib.Path(snapshot_download(repo, local_files_only=True))
    with safe_open(hf_hub_download(repo, "model.safetensors"), framework="numpy") as weights:
        shapes = {name: list(weights.get_slice(name).get_shape()) for name in weights.keys()}
        mean = float(abs(weights.get_tensor("embeddings.word_embeddings.weight")).mean())
    tokenizer = Tokenizer.from_file(hf_hub_download(repo, "tokenizer.json"))
    tokenizer.no_padding()
    encoded = tokenizer.encode("Turn on the kitchen lights")
    config = json.loads((folder / "config.json").read_text())
    modules = json.loads((folder / "modules.json").read_text())
    pooling = [m["path"] for m in modules if (folder / m["path"] / "config.json").exists() and m["path"]]
    return {"shapes": shapes, "mean": mean, "tokens": encoded.tokens, "ids": encoded.ids, "config": config,
            "pooling": pooling}


def run(recipe, arguments):
    print(json.dumps(globals()[recipe](**json.loads(arguments))), flush=True)


# ---- a process for each recipe, without the time that it takes to start one ----------------------------------------------


def dependencies():
    """The modules that huggingface_hub imports, but for its own."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        from huggingface_hub import HfApi, hf_hub_download, scan_cache_dir, snapshot_download  # noqa: F401

        os.write(writer, "\n".join(name for name in sys.modules if name.split(".")[0] != "huggingface_hub").encode())
        os._exit(0)
    os.close(writer)
    with open(reader) as names:
        found = names.read().split()
    os.wait()
    return found


def serve():
    """Runs each order that it reads, a line of JSON, in a fork of itself, and answers with the fork's exit code. The fork
    imports huggingface_hub, with the order's environment; what huggingface_hub needs, half of the time of an import, is
    there already."""
    for name in dependencies():
        try:
            importlib.import_module(name)
        except ImportError:
            pass  # a name that only looks like a module

    for line in sys.stdin:
        order = json.loads(line)
        if os.fork() == 0:
            signal.alarm(order["timeout"])
            for number, path in ((1, order["output"]), (2, order["errors"])):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
            os.environ.clear()
            os.environ.update(order["environment"])
            sys.stdin.close()
            run(*order["command"])
            sys.exit()
        print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        serve()
    else:
        run(*sys.argv[1:])
