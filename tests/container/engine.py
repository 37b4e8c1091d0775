# SPDX-License-Identifier: Apache-2.0
"""A real Docker engine. Everything that the tests create in it has a name of their own and is removed again."""

import itertools
import json
import os
import pathlib
import re
import socket
import subprocess
import time

#: The prefix of every name that the tests create in the engine.
PREFIX = f"model-prep-test-{os.getpid()}x"
_numbers = itertools.count(1)


def new_name(kind):
    return f"{PREFIX}-{kind}-{next(_numbers)}"


def command(*words, env=None, check=True, timeout=180, cwd=None):
    """Runs a command with the environment of this process and `env`; with `check` it must exit with 0."""
    result = subprocess.run(
        [str(word) for word in words], env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=timeout, cwd=cwd,
    )
    if check and result.returncode != 0:
        raise AssertionError(
            f"exit code {result.returncode}: {' '.join(map(str, words))}\n{result.stdout[-2000:]}\n{result.stderr[-4000:]}"
        )
    return result


def docker(*words, **settings):
    return command("docker", *words, **settings)


def inspect(name, what):
    return json.loads(docker("inspect", "--format", "{{json " + what + "}}", name).stdout)


class Volume:
    """A named volume; its content is read from the engine's directory."""

    def __init__(self, *options):
        self.name = new_name("volume")
        docker("volume", "create", *options, self.name)

    @property
    def folder(self):
        return pathlib.Path(docker("volume", "inspect", "--format", "{{.Mountpoint}}", self.name).stdout.strip())

    def summary(self):
        return json.loads((self.folder / "model-prep-summary.json").read_text())

    def remove(self):
        docker("volume", "rm", "--force", self.name)


class Image:
    """The image under test. Containers use the host's network, where hub and proxies listen on loopback."""

    def __init__(self, tag, environment=None):
        self.tag, self.environment = tag, environment or {}

    def command(self, *arguments, volume=None, env=None, options=()):
        words = ["docker", "run", "--network=host"]
        if volume is not None:
            words += ["--volume", f"{volume.name}:/app/models"]
        for name, value in (env or {}).items():
            words += ["--env", f"{name}={value}"]
        return [*words, *options, self.tag, *arguments]

    def run(self, *arguments, check=True, timeout=180, options=(), **settings):
        named = ("--rm", "--name", new_name("container"), *options)
        return command(*self.command(*arguments, options=named, **settings), check=check, timeout=timeout)

    def start(self, *arguments, options=(), **settings):
        """A container in the background; the test removes it."""
        name = new_name("container")
        command(*self.command(*arguments, options=("--detach", "--name", name, *options), **settings))
        return name


def end_all():
    """Removes what a failed test may have left."""
    for container in docker("ps", "--all", "--quiet", "--filter", f"name={PREFIX}").stdout.split():
        docker("rm", "--force", "--volumes", container)
    for volume in docker("volume", "ls", "--quiet", "--filter", f"name={PREFIX}").stdout.split():
        docker("volume", "rm", "--force", volume)
    for network in docker("network", "ls", "--quiet", "--filter", f"name={PREFIX}").stdout.split():
        docker("network", "rm", network)
    for image in docker("image", "ls", "--quiet", "--filter", f"reference={PREFIX}*").stdout.split():
        docker("image", "rm", "--force", image)


class Tinyproxy:
    """A real proxy on an address of this machine, with a log."""

    def __init__(self, folder, address, *settings):
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "tinyproxy.log"
        with socket.socket() as probe:
            probe.bind((address, 0))
            port = probe.getsockname()[1]
        lines = [f"Port {port}", f"Listen {address}", "Timeout 60", "MaxClients 100", "LogLevel Connect", *settings]
        file = folder / "tinyproxy.conf"
        file.write_text("\n".join([f'LogFile "{self.log}"', *lines]) + "\n")
        self.process = subprocess.Popen(["tinyproxy", "-d", "-c", file], stdin=subprocess.DEVNULL)
        self.url = f"http://{address}:{port}"
        self._wait(address, port)

    def _wait(self, address, port):
        end = time.monotonic() + 10
        while True:
            with socket.socket() as probe:
                if probe.connect_ex((address, port)) == 0:
                    return
            assert self.process.poll() is None and time.monotonic() < end, "tinyproxy did not start"
            time.sleep(0.05)

    def tunnels(self):
        """The hosts of all CONNECT requests."""
        return set(re.findall(r": CONNECT (\S+) HTTP", self.log.read_text()))

    def close(self):
        # SIGTERM only makes it end with the next connection, if it is about to wait for one.
        self.process.kill()
        self.process.wait(10)
