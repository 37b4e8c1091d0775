# SPDX-License-Identifier: Apache-2.0
"""The mirror of docker/mirror as a process: the real nginx, on loopback, in front of a hub."""

import contextlib
import os
import pathlib
import re
import shutil
import socket
import subprocess
import threading
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


def start_nginx(configuration, log):
    program = shutil.which("nginx", path=NGINX_PATH)
    assert program, "docker/packages names nginx-light"
    # Root's nginx would drop to another user, who may not write here.
    directives = "daemon off;" + (" user root;" if os.geteuid() == 0 else "")
    with open(log, "ab") as output:
        return subprocess.Popen(
            [program, "-c", configuration, "-g", directives], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            env={"PATH": NGINX_PATH},
        )


class Names:
    """A name server on loopback for which every name is 127.0.0.1."""

    def __enter__(self):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.place = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._socket.sendto(b"", self._socket.getsockname())  # ends the thread
        self._thread.join()
        self._socket.close()

    def _serve(self):
        while True:
            question, client = self._socket.recvfrom(512)
            if not question:
                return
            # RFC 1035, section 4.1: a response to one question, with one answer of type A for the name at byte 12.
            end = question.index(b"\0", 12) + 5
            header = question[:2] + b"\x81\x80\0\1\0\1\0\0\0\0"
            answer = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0\1"
            self._socket.sendto(header + question[12:end] + answer, client)


class TlsFront:
    """Gives a hub TLS and names: https://hub.test and https://cdn.test with a port, each with its own certificate. A
    client that does not send the name it wants gets a certificate for neither."""

    CONFIGURATION = """
        pid FOLDER/pid; error_log stderr; events {}
        http {
            access_log off;
            client_body_temp_path FOLDER/1; proxy_temp_path FOLDER/2; fastcgi_temp_path FOLDER/3;
            scgi_temp_path FOLDER/4; uwsgi_temp_path FOLDER/5;
            ssl_certificate_key FOLDER/key;
            server { listen 127.0.0.1:PORT ssl default_server; ssl_certificate FOLDER/nobody.test; return 403; }
            server {
                listen 127.0.0.1:PORT ssl; server_name hub.test other.test; ssl_certificate FOLDER/hub.test;
                location / { proxy_pass HUB; proxy_redirect PAYLOAD/ https://cdn.test:PORT/; }
            }
            server {
                listen 127.0.0.1:PORT ssl; server_name cdn.test evil.cdn.test; ssl_certificate FOLDER/cdn.test;
                location / { proxy_pass PAYLOAD; }
            }
        }"""

    def __init__(self, folder, hub):
        folder.mkdir()
        self.folder, self.authority, (port,) = folder, folder / "authority", free_ports(1)
        self.hub, self.cdn = f"https://hub.test:{port}", f"https://cdn.test:{port}"
        self._make_certificates()
        words = {"FOLDER": str(folder), "PORT": str(port), "HUB": hub.endpoint, "PAYLOAD": hub.payload}
        (folder / "conf").write_text(re.sub("|".join(words), lambda word: words[word[0]], self.CONFIGURATION))

    def _make_certificates(self):
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        make = ["openssl", "req", "-x509", "-days", "2"]
        ca, ca_key = self.authority, self.folder / "authority-key"
        run([*make, *key, "-subj", "/CN=authority", "-keyout", ca_key, "-out", ca], {})
        run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.folder / "key"], {})
        for name in ("hub.test", "cdn.test", "nobody.test"):
            request, extension = self.folder / "request", self.folder / "extension"
            extension.write_text(f"subjectAltName=DNS:{name}")
            run(["openssl", "req", "-new", "-key", self.folder / "key", "-subj", f"/CN={name}", "-out", request], {})
            run(["openssl", "x509", "-req", "-days", "2", "-in", request, "-extfile", extension,
                 "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-out", self.folder / name], {})

    def __enter__(self):
        self.process = start_nginx(self.folder / "conf", self.folder / "log")
        port = int(port_of(self.hub))
        wait_until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, "the TLS server to listen")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def get(endpoint, target, method="GET", body=None, **headers):
    """One request, no redirect followed; underscores in names of headers are hyphens."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(endpoint + target, method=method, headers=given, data=body)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirects())
    try:
        with opener.open(request, timeout=30) as answer:
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as answer:
        with answer:
            return Answer(answer.code, answer.headers, answer.read())


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
        file = self.folder / "nginx.conf"
        file.write_text(self.configuration())
        self.process = start_nginx(file, self.folder / "error.log")
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
        return get(self.endpoint, target, method, body, **headers)

    def files(self):
        """The files of the cache, complete ones only."""
        return [path for path in self.cache.rglob("*") if path.is_file() and re.fullmatch(r"[0-9a-f]{32}", path.name)]

    def disk(self):
        """How many bytes they take; nginx may be removing some."""
        size = 0
        for path in self.files():
            with contextlib.suppress(FileNotFoundError):
                size += path.stat().st_size
        return size
