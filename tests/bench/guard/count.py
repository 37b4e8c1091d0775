# SPDX-License-Identifier: Apache-2.0
"""Counts instructions and compares them with the file `counts` in this directory; tests/bench/guard/run calls it.

valgrind's callgrind counts them in the program and in its libraries, but not in libc, which selects code by processor,
so that its numbers would hold for one machine only. libcrypto has an option to use no processor-specific code. The
loader is counted only in `start`. Clocks play no part.
"""

import argparse
import collections
import contextlib
import json
import os
import pathlib
import platform
import re
import subprocess
import sys
import tempfile

FOLDER = pathlib.Path(__file__).resolve().parent
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
COMMIT = "c0" * 20

#: Objects that are not counted, by parts of their names.
LOADER = "/ld-linux"
CRYPTO = "/libcrypto.so"
LEFT_OUT = ("/libc.so", "/libm.so", "/valgrind/", "[vdso]", "???")
#: The record depends on these packages, by the first two numbers of the version: security updates change only the rest.
LIBRARIES = ("libc6", "libcurl4", "libcurl4t64", "libfmt9", "libssl3", "libstdc++6", "nlohmann-json3-dev", "valgrind")

#: The tolerance of a new count, in percent; a download varies with its timing.
TOLERANCES = collections.defaultdict(lambda: 3, download=10)


def instructions(profile):
    """Object -> instructions executed in it, without its callees, from a callgrind file."""
    names, counts, current, skip = {}, collections.Counter(), "???", False
    with open(profile, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.startswith("ob="):
                number, _, name = line[3:].strip().partition(" ")
                current = names.setdefault(number, name or number)
            elif line.startswith("cob="):  # may be the first line with the full name
                number, _, name = line[4:].strip().partition(" ")
                names.setdefault(number, name or number)
            elif line.startswith("calls="):
                skip = True  # the next line counts for the callee
            elif line[0] in "0123456789+-*":
                if not skip:
                    counts[current] += int(line.split()[1])
                skip = False
    return counts


def counted(profile, left_out=(*LEFT_OUT, LOADER)):
    return sum(count for name, count in instructions(profile).items() if not any(part in name for part in left_out))


def with_loader(profile):
    return counted(profile, LEFT_OUT)


def without_hashes(profile):
    return counted(profile, (*LEFT_OUT, LOADER, CRYPTO))


def hashes(profile):
    return sum(count for name, count in instructions(profile).items() if CRYPTO in name)


def environment(**variables):
    return {"PATH": SYSTEM_PATH, "LANG": "C.UTF-8", **variables}


def under_callgrind(folder, command, env, count=counted):
    """Runs a command, which must succeed, and counts the instructions of all its threads."""
    profile = folder / "callgrind.out"
    valgrind = ["valgrind", "--tool=callgrind", "--quiet", f"--callgrind-out-file={profile}"]
    plain = {"OPENSSL_ia32cap": "0:0"}  # no SHA, AVX and so on
    result = subprocess.run([*valgrind, *map(str, command)], env=env | plain, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False)
    if result.returncode != 0:
        raise RuntimeError(f"exit code {result.returncode} of {' '.join(map(str, command))}:\n{result.stdout[-3000:]}")
    return count(profile)


@contextlib.contextmanager
def hub(build, folder, files):
    """Runs the test hub with one repository and yields its URL."""
    spec = folder / "spec.json"
    spec.write_text(json.dumps({"repos": [{"id": "org/guard", "refs": {"main": COMMIT}, "commits": {COMMIT: files}}],
                                "tokens": []}))
    with subprocess.Popen([build / "tests/model-prep-hub", "--spec", spec], env=environment(), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True) as process:
        try:
            yield json.loads(process.stdout.readline())["endpoint"]
        finally:
            process.terminate()


def job(build, folder, *options):
    """Command and environment to download the whole repository."""
    manifest = folder / "manifest.json"
    model = {"repo": "org/guard", "revision": COMMIT, "variants": {"fp32": {"include": ["*"]}}}
    manifest.write_text(json.dumps({"version": 1, "models": {"guard": model}}))
    command = [build / "model-prep", "--manifest", manifest, "--progress", "none", *options]
    return command, environment(HF_HOME=str(folder / "models"), HOME=str(folder))


def small_files(count, size):
    return [{"path": f"data/part-{i:05}.json", "size": size, "seed": i, "lfs": False} for i in range(count)]


def download(count):
    """Eight small files and one of a megabyte, on one connection."""
    def measure(build, folder):
        large = {"path": "model.safetensors", "size": 1_000_000, "seed": 99, "lfs": True}
        with hub(build, folder, [*small_files(8, 2000), large]) as endpoint:
            command, env = job(build, folder, "--endpoint", endpoint, "--jobs", "1")
            return under_callgrind(folder, command, env, count)
    return measure


def second_run(build, folder):
    """A satisfied snapshot of 1,000 files. The hub has stopped, so a request would fail the run."""
    with hub(build, folder, small_files(1000, 100)) as endpoint:
        command, env = job(build, folder, "--endpoint", endpoint)
        subprocess.run(command, env=env, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, timeout=120)
    return under_callgrind(folder, command, env)


def of_decisions(kind):
    def measure(build, folder):
        return under_callgrind(folder, [build / "tests/guard_decisions", kind], environment())
    return measure


def start(build, folder):
    return under_callgrind(folder, [build / "model-prep", "--version"], environment(), with_loader)


MEASURES = {
    "scheduler": of_decisions("scheduler"),
    "listing": of_decisions("listing"),
    "plan": of_decisions("plan"),
    "record": of_decisions("record"),
    "start": start,
    "second-run": second_run,
    "download": download(without_hashes),
    "hashing": download(hashes),
}


def here():
    """The versions on which the counts depend."""
    versions = {"machine": platform.machine()}
    versions["compiler"] = "g++ " + subprocess.run(["c++", "-dumpfullversion"], stdout=subprocess.PIPE, text=True,
                                                   check=True).stdout.split(".")[0]
    for name in LIBRARIES:
        asked = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", name], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True, check=False)
        if asked.returncode == 0 and asked.stdout:
            versions[name] = re.search(r"(?:\d+:)?(\d+(?:\.\d+)?)", asked.stdout).group(1)
    return versions


def read_record(file):
    versions, counts = {}, {}
    for line in file.read_text().splitlines():
        words = line.split()
        if line.startswith("for "):
            versions[words[1]] = " ".join(words[2:])
        elif words and not line.startswith("#"):
            counts[words[0]] = int(words[1]), int(words[2])
    return versions, counts


def write_record(file, versions, counts, recorded):
    head = [line for line in file.read_text().splitlines() if line.startswith("#")]
    lines = [f"for {name} {version}" for name, version in versions.items()]
    lines += [f"{name} {count} {recorded.get(name, (0, TOLERANCES[name]))[1]}" for name, count in counts.items()]
    file.write_text("\n".join(head + lines) + "\n")


def check(name, count, recorded):
    """Prints the count and the record; True if the count is within the tolerance."""
    if name not in recorded:
        print(f"   {name:12} {count:13,}   not recorded", flush=True)
        return False
    was, tolerance = recorded[name]
    ratio = count / was
    remark = f"(within {tolerance} %)"
    if ratio > 1 + tolerance / 100:
        remark = f"FAILED: more than {tolerance} % above the record"
    elif ratio < 1 - tolerance / 100:
        remark = f"better by more than {tolerance} %: record it, so that it is kept"
    print(f"   {name:12} {count:13,}   {ratio:6.3f} x {was:,} {remark}", flush=True)
    return ratio <= 1 + tolerance / 100


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    file = FOLDER / "counts"
    versions, recorded = read_record(file)
    found = here()
    if found != versions and not arguments.record:
        names = [name for name in {**versions, **found} if versions.get(name) != found.get(name)]
        other = ", ".join(f"{name} {found.get(name, 'none')} FOR {versions.get(name, 'none')}" for name in names)
        print(f"   INSTRUCTION COUNTS SKIPPED: THE RECORD IS FOR OTHER VERSIONS THAN THESE: {other}")
        print(f"0 passed, 0 failed, {len(MEASURES)} skipped")
        return 0
    counts, good = {}, 0
    for name, measure in MEASURES.items():
        with tempfile.TemporaryDirectory(prefix="model-prep-guard-") as folder:
            try:
                counts[name] = measure(arguments.build, pathlib.Path(folder))
            except (RuntimeError, OSError, ValueError, subprocess.SubprocessError) as error:
                print(f"   {name:12} FAILED: {error}", flush=True)
                continue
        good += check(name, counts[name], recorded)
    if arguments.record:
        if len(counts) < len(MEASURES):
            sys.exit("Nothing is recorded: not everything could be counted.")
        write_record(file, found, counts, recorded)
        print(f"   recorded in {os.path.relpath(file)}")
        return 0
    if good < len(MEASURES):
        print("   valgrind --tool=callgrind and callgrind_annotate say what a count is spent on. If that is worth it,")
        print("   record it: tests/bench/guard/run --record")
    print(f"{good} passed, {len(MEASURES) - good} failed, 0 skipped")
    return 0 if good == len(MEASURES) else 1


if __name__ == "__main__":
    sys.exit(main())
