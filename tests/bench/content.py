# SPDX-License-Identifier: Apache-2.0
"""The content of the benchmark's hub: repositories of random bytes from a fixed seed, with given names and sizes."""

import hashlib
import json
import subprocess
from pathlib import Path

from rivals import File, Repo

#: The files of the three default models' default variant, in their real sizes: `path size`, large ones marked with LFS.
MODELS = {
    (
        "sentence-transformers/all-MiniLM-L6-v2",
        "fa97f6e7cb1a59073dff9e6b13e2715cf7475ac9",
    ): (
        """
        1_Pooling/config.json 190
        config.json 612
        config_sentence_transformers.json 116
        data_config.json 39265
        model.safetensors 90868376 LFS
        modules.json 349
        sentence_bert_config.json 53
        special_tokens_map.json 112
        tokenizer.json 466247
        tokenizer_config.json 350
        vocab.txt 231508"""
    ),
    (
        "BAAI/bge-reranker-base",
        "2cfc18c9415c912f9d8155881c133215df768a70",
    ): (
        """
        config.json 799
        model.safetensors 1112206140 LFS
        sentencepiece.bpe.model 5069051 LFS
        special_tokens_map.json 279
        tokenizer.json 17098107 LFS
        tokenizer_config.json 443"""
    ),
    (
        "google/flan-t5-small",
        "0fc9ddf78a1e988dac52e2dac162b0ede4fd74ab",
    ): (
        """
        config.json 1401
        generation_config.json 147
        model.safetensors 307867048 LFS
        special_tokens_map.json 2201
        spiece.model 791656 LFS
        tokenizer.json 2424064
        tokenizer_config.json 2539"""
    ),
}

Wanted = tuple[str, int, bool]  # path, size, large


def file_path(root: Path, repo: Repo, path: str) -> Path:
    """Where the server finds this file."""
    return root / "files" / repo.id / repo.commit / path


def random_bytes(seed: int, size: int):
    """Blocks of `size` bytes that look random and are the same for the same seed: zeros under AES in counter mode."""
    command = ["openssl", "enc", "-aes-128-ctr", "-nosalt", "-in", "/dev/zero", "-K", f"{seed:032x}", "-iv", "0" * 32]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0) as process:
        while size > 0:
            block = process.stdout.read(min(size, 1 << 20))
            if not block:
                raise RuntimeError("openssl enc gave no more bytes")
            size -= len(block)
            yield block
        process.kill()


def head_of(path: str, size: int) -> bytes:
    """What safetensors demands at the beginning: one tensor with all the bytes that follow."""
    if not path.endswith(".safetensors"):
        return b""
    count = size - 128
    text = json.dumps({"w": {"dtype": "U8", "shape": [count], "data_offsets": [0, count]}})
    return (120).to_bytes(8, "little") + text.ljust(120).encode()


def with_head(blocks, path: str, size: int):
    """The blocks, whose first bytes are those of the format."""
    head = head_of(path, size)
    for block in blocks:
        yield head + block[len(head) :]
        head = b""


def write_repo(root: Path, repo_id: str, commit: str, wanted: list[Wanted], seed: int) -> Repo:
    """Writes the files of one repository and says what they are."""
    files = []
    if wanted and max(size for _, size, _ in wanted) <= 65536:
        # Thousands of small ones: slices of one stream, not a process for each.
        stream = b"".join(random_bytes(seed, sum(size for _, size, _ in wanted)))
    else:
        stream = None
    place = 0
    for number, (path, size, large) in enumerate(wanted):
        blocks = [stream[place : place + size]] if stream is not None else random_bytes(seed * 1000 + number, size)
        place += size
        target = root / "files" / repo_id / commit / path
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with open(target, "wb") as output:
            for block in with_head(blocks, path, size):
                digest.update(block)
                output.write(block)
        files.append(File(path, size, digest.hexdigest(), large))
    return Repo(repo_id, commit, tuple(files))


def three_models(root: Path, divisor: int = 1) -> tuple[Repo, ...]:
    """The three default models; with a divisor, their large files are that much smaller."""
    repos = []
    for seed, ((repo_id, commit), text) in enumerate(MODELS.items(), start=1):
        wanted = []
        for line in text.split("\n"):
            if line.strip():
                path, size, *mark = line.split()
                wanted.append((path, int(size) // (divisor if mark else 1), bool(mark)))
        repos.append(write_repo(root, repo_id, commit, wanted, seed))
    return tuple(repos)


def many_files(root: Path, count: int, size: int) -> Repo:
    """A repository of `count` plain files of `size` bytes."""
    wanted = [(f"data/{number:05}.json", size, False) for number in range(count)]
    commit = hashlib.sha1(f"{count} {size}".encode()).hexdigest()
    return write_repo(root, f"bench/many-{count}", commit, wanted, 1000 + count)


def one_large_file(root: Path, size: int) -> Repo:
    """A repository of one LFS file."""
    commit = hashlib.sha1(f"one {size}".encode()).hexdigest()
    return write_repo(root, "bench/large", commit, [("model.safetensors", size, True)], 77)


def sparse_file(root: Path, size: int) -> Repo:
    """A repository of one LFS file of zeros (after its head) that takes no room on the server's side."""
    repo_id, commit = "bench/sparse", hashlib.sha1(f"sparse {size}".encode()).hexdigest()
    target = root / "files" / repo_id / commit / "model.safetensors"
    target.parent.mkdir(parents=True, exist_ok=True)
    zeros, digest, left = bytes(1 << 20), hashlib.sha256(), size
    head = head_of("model.safetensors", size)
    with open(target, "wb") as output:
        output.write(head)
        output.truncate(size)
    digest.update(head)
    left -= len(head)
    while left > 0:
        digest.update(zeros[: min(left, len(zeros))])
        left -= len(zeros)
    return Repo(repo_id, commit, (File("model.safetensors", size, digest.hexdigest(), True),))
