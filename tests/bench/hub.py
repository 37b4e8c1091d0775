# SPDX-License-Identifier: Apache-2.0
"""The benchmark's hub: Debian's nginx, with the Hub's API as static files and its redirects as configuration.

A large file's /resolve/ is a 302 to the payload server, a small one's a relative 307 to /api/resolve-cache/, as on the
Hub. Hub and payload are two servers on two ports, each over http and over https with its own CA. A `Site` is a hub with
its payload server; a site behind a link (link.py) is one more pair of ports.
"""

import hashlib
import json
import os
import random
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from content import file_path
from rivals import Repo

PAGE = 1000  # entries of one page of a listing


@dataclass(frozen=True)
class Site:
    """One pair of servers. Behind a link, clients come by other ports than nginx listens on."""

    scheme: str
    hub_port: int
    payload_port: int
    hub_front: int  # the port that clients use
    payload_front: int

    @property
    def endpoint(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.hub_front}"


def free_ports(count: int) -> list[int]:
    """Below those that the kernel gives to outgoing connections: some of these ports are listened on much later."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as limits:
        lowest = int(limits.read().split()[0])
    found: list[int] = []
    for port in random.sample(range(max(1024, lowest - 12_000), lowest), 1_000):
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise OSError(f"fewer than {count} free ports below {lowest}")


def plain_site(scheme: str) -> Site:
    hub, payload = free_ports(2)
    return Site(scheme, hub, payload, hub, payload)


def linked_site(scheme: str) -> Site:
    return Site(scheme, *free_ports(4))


def git_sha1(path: Path) -> str:
    data = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def listing(root: Path, repo: Repo) -> list[dict]:
    """The entries of the tree API: folders first, as on the Hub."""
    folders = {str(parent) for file in repo.files for parent in Path(file.path).parents if str(parent) != "."}
    entries = [
        {"type": "directory", "oid": hashlib.sha1(folder.encode()).hexdigest(), "size": 0, "path": folder}
        for folder in sorted(folders)
    ]
    for file in repo.files:
        entry = {"type": "file", "size": file.size, "path": file.path}
        if file.large:
            pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{file.sha256}\nsize {file.size}\n"
            entry["oid"] = hashlib.sha1(f"blob {len(pointer)}\0{pointer}".encode()).hexdigest()
            entry["lfs"] = {"oid": file.sha256, "size": file.size, "pointerSize": len(pointer)}
        else:
            entry["oid"] = git_sha1(file_path(root, repo, file.path))
        entries.append(entry)
    return entries


def listing_pages(repo: Repo) -> int:
    folders = {str(parent) for file in repo.files for parent in Path(file.path).parents if str(parent) != "."}
    return max(1, -(-(len(repo.files) + len(folders)) // PAGE))


def write_api(root: Path, repo: Repo, maps: dict[str, list[str]]) -> None:
    """The static answers of the API, and what nginx's maps must know of this repository."""
    folder = root / "api" / repo.id / repo.commit
    folder.mkdir(parents=True, exist_ok=True)
    siblings = [{"rfilename": file.path} for file in repo.files]
    info = {
        "id": repo.id,
        "modelId": repo.id,
        "sha": repo.commit,
        "private": False,
        "gated": False,
        "disabled": False,
        "siblings": siblings,
    }
    (folder / "info").write_text(json.dumps(info))
    entries = listing(root, repo)
    pages = [entries[start : start + PAGE] for start in range(0, len(entries), PAGE)]
    for number, page in enumerate(pages, start=1):
        (folder / f"tree{number}").write_text(json.dumps(page))
        if number < len(pages):
            maps["next_page"].append(f'"{repo.id} {number}" {number + 1};')
    maps["commit"] += [f'"{repo.id} {revision}" {repo.commit};' for revision in (repo.commit, "main")]
    for entry in entries:
        key = f'"{repo.id} {entry["path"]}"'
        if "lfs" in entry:
            maps["linked_sha256"].append(f"{key} {entry['lfs']['oid']};")
            maps["linked_size"].append(f"{key} {entry['size']};")
        elif entry["type"] == "file":
            maps["blob"].append(f"{key} {entry['oid']};")


HUB = """
location ~ ^/(?!api/)(?<repo>[^/]+/[^/]+)/resolve/(?<revision>[^/]+)/(?<file>.+)$ {
  add_header X-Repo-Commit $commit;
  add_header X-Linked-Etag $linked_etag;
  add_header X-Linked-Size $linked_size;
  if ($linked_sha256) { return 302 $payload/$repo/$commit/$file; }
  if ($blob = "") { return 404; }
  return 307 /api/resolve-cache/models/$repo/$commit/$file?etag=%22$blob%22;
}
location ~ ^/api/resolve-cache/models/(?<repo>[^/]+/[^/]+)/(?<revision>[^/]+)/(?<file>.+)$ {
  etag off;
  add_header ETag '"$blob"';
  add_header X-Repo-Commit $commit;
  alias ROOT/files/$repo/$commit/$file;
}
location ~ ^/api/models/(?<repo>[^/]+/[^/]+)/revision/(?<revision>[^/]+)$ {
  default_type application/json;
  alias ROOT/api/$repo/$commit/info;
}
location ~ ^/api/models/(?<repo>[^/]+/[^/]+)/tree/(?<revision>[^/]+)$ {
  default_type application/json;
  add_header Link $next_link;
  alias ROOT/api/$repo/$commit/tree$page;
}
location ~ ^/api/models/(?<repo>[^/]+/[^/]+)$ {
  default_type application/json;
  set $revision main;
  alias ROOT/api/$repo/$commit/info;
}
location / { return 404; }
"""

NGINX = """USER
worker_processes WORKERS;
daemon off;
pid PREFIX/nginx.pid;
error_log PREFIX/error.log;
events { worker_connections 8192; }
http {
  default_type application/octet-stream;
  log_format bench '$connection $server_port $request_method $status $bytes_sent $body_bytes_sent $request_uri';
  access_log PREFIX/access.log bench;
  client_body_temp_path PREFIX/body;
  proxy_temp_path PREFIX/proxy;
  fastcgi_temp_path PREFIX/fastcgi;
  uwsgi_temp_path PREFIX/uwsgi;
  scgi_temp_path PREFIX/scgi;
  sendfile on;
  tcp_nopush on;
  keepalive_timeout 300s;
  keepalive_requests 1000000;
  absolute_redirect off;
  ssl_certificate PREFIX/server.pem;
  ssl_certificate_key PREFIX/server.key;
  ssl_session_cache shared:bench:10m;
  map_hash_max_size 131072;
  map_hash_bucket_size 256;
  map $arg_cursor $page { default $arg_cursor; "" 1; }
  map $linked_sha256 $linked_etag { default '"$linked_sha256"'; "" ""; }
  map $next_page $next_link {
    default '<$scheme://$http_host/api/models/$repo/tree/$revision?recursive=true&cursor=$next_page>; rel="next"';
    "" "";
  }
"""

KEYS = {
    "next_page": '"$repo $page"',
    "commit": '"$repo $revision"',
    "linked_sha256": '"$repo $file"',
    "linked_size": '"$repo $file"',
    "blob": '"$repo $file"',
}


class Hub:
    """A running nginx. Its folder holds its configuration, its log and its certificates."""

    def __init__(self, root: Path, repos: list[Repo], sites: list[Site], workers: str = "auto"):
        self.root, self.folder, self.sites = root, root / "nginx", sites
        self.folder.mkdir(parents=True)
        self.ca = self.folder / "ca.pem"
        self.log = self.folder / "access.log"
        self.make_certificates()
        maps = {name: [] for name in KEYS}
        for repo in repos:
            write_api(root, repo, maps)
        text = NGINX
        for name, lines in maps.items():
            text += f'  map {KEYS[name]} ${name} {{\n    default "";\n    ' + "\n    ".join(lines) + "\n  }\n"
        for site in sites:
            tls = " ssl" if site.scheme == "https" else ""
            text += f"""  server {{
    listen 127.0.0.1:{site.hub_port}{tls} backlog=4096;
    set $payload {site.scheme}://127.0.0.1:{site.payload_front};
    include PREFIX/hub.conf;
  }}
  server {{
    listen 127.0.0.1:{site.payload_port}{tls} backlog=4096;
    root ROOT/files;
  }}
"""
        text += "}\n"
        user = "user root;" if os.getuid() == 0 else ""  # else workers could not read a folder of our own
        for word, value in {"USER": user, "WORKERS": workers, "PREFIX": str(self.folder), "ROOT": str(root)}.items():
            text = text.replace(word, value)
        (self.folder / "nginx.conf").write_text(text)
        (self.folder / "hub.conf").write_text(HUB.replace("ROOT", str(root)))
        self.process = None

    def make_certificates(self) -> None:
        folder = self.folder
        (folder / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        for command in (
            [
                "req",
                "-x509",
                *key,
                "-keyout",
                "ca.key",
                "-out",
                "ca.pem",
                "-days",
                "30",
                "-subj",
                "/CN=bench authority",
            ],
            ["req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost"],
            [
                "x509",
                "-req",
                "-in",
                "server.csr",
                "-CA",
                "ca.pem",
                "-CAkey",
                "ca.key",
                "-CAcreateserial",
                "-days",
                "30",
                "-out",
                "server.pem",
                "-extfile",
                "names",
            ],
        ):
            subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True)

    def __enter__(self) -> "Hub":
        program = shutil.which("nginx") or "/usr/sbin/nginx"
        command = [
            program,
            "-p",
            str(self.folder),
            "-e",
            str(self.folder / "error.log"),
            "-c",
            str(self.folder / "nginx.conf"),
        ]
        output = open(self.folder / "output", "wb")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        until = time.monotonic() + 20
        for site in self.sites:
            for port in (site.hub_port, site.payload_port):
                while True:
                    try:
                        socket.create_connection(("127.0.0.1", port), 1).close()
                        break
                    except OSError:
                        if self.process.poll() is not None or time.monotonic() > until:
                            raise RuntimeError("nginx: " + (self.folder / "output").read_text()[-2000:]) from None
                        time.sleep(0.02)
        return self

    def cpu(self) -> float:
        """Seconds of CPU that the workers have used so far; they take them from the machine that the clients run on."""
        ticks = 0
        for worker in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            fields = Path(f"/proc/{worker}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def __exit__(self, *_) -> None:
        self.process.terminate()
        self.process.wait()
