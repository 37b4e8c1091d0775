# SPDX-License-Identifier: Apache-2.0
"""The mirror of docker/mirror as a process: the real nginx, on loopback, in front of a hub."""

import os
import pathlib
import re
import shutil
import socket
import subprocess
import urllib.error
import urllib.request

from support import SYSTEM_PATH, run, wait_until

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "docker" / "mirror"
NGINX_PATH = f"/usr/local/sbin:/usr/sbin:/sbin:{SYSTEM_PATH}"


def free_ports(count):
    """Ports that nobody listens on; taken together, so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    for taken in sockets:
        taken.bind(("127.0.0.1", 0))
    ports = [taken.getsockname()[1] for taken in sockets]
    for taken in sockets:
        taken.close()
    return ports


def port_of(origin):
    return origin.rpartition(":")[2]


def bytes_of(log):
    """How many bytes of files a hub sent, by its log."""
    return sum(request["body_bytes_sent"] for request in log if request["kind"] in ("payload", "resolve_cache"))


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


class Mirror:
    """nginx with the configuration that users get; `settings` are those of mirror.env, `disk` for MIRROR_DISK."""

    def __init__(self, folder, hub, **settings):
        self.folder, self.cache = folder, folder / "cache"
        for place in (self.folder, self.cache, folder / "tmp"):
            place.mkdir(parents=True, exist_ok=True)
        outer, inner = free_ports(2)
        self.endpoint = f"http://127.0.0.1:{outer}"
        self.settings = {
            "upstream": hub.endpoint, "cdn": re.escape(hub.payload), "listen": f"127.0.0.1:{outer}",
            "inner_port": inner, "resolver": "127.0.0.1", "cache": self.cache, "tmp": folder / "tmp",
            "log": folder / "access.log", "min_free": "100m", **settings,
        }
        self.process = None
        self.start()

    def configuration(self):
        environment = {f"MIRROR_{name.upper()}": str(value) for name, value in self.settings.items()}
        return run([FOLDER / "configure"], environment).stdout

    def start(self):
        program = shutil.which("nginx", path=NGINX_PATH)
        assert program, "docker/packages names nginx-light"
        file = self.folder / "nginx.conf"
        file.write_text(self.configuration())
        # Root's nginx would drop to another user, who may not write here.
        directives = "daemon off;" + (" user root;" if os.geteuid() == 0 else "")
        with open(self.folder / "error.log", "ab") as log:
            self.process = subprocess.Popen(
                [program, "-c", file, "-g", directives], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={"PATH": NGINX_PATH},
            )
        wait_until(self._answers, f"nginx to listen; its log is {self.folder / 'error.log'}")

    def _answers(self):
        assert self.process.poll() is None, self.errors()
        try:
            return self.get("/-/health").body == b"ok\n"
        except OSError:
            return False

    def stop(self):
        self.process.terminate()
        self.process.wait(10)

    def restart(self):
        self.stop()
        self.start()

    def errors(self):
        return (self.folder / "error.log").read_text()

    def get(self, target, method="GET", body=None, **headers):
        """One request, no redirect followed; underscores in names of headers are hyphens."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.endpoint + target, method=method, headers=given, data=body)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirects())
        try:
            with opener.open(request, timeout=30) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as answer:
            with answer:
                return Answer(answer.code, answer.headers, answer.read())

    def files(self):
        """The files of the cache, complete ones only."""
        return [path for path in self.cache.rglob("*") if path.is_file() and re.fullmatch(r"[0-9a-f]{32}", path.name)]

    def disk(self):
        return sum(path.stat().st_size for path in self.files())
