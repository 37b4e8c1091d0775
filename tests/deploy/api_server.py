# SPDX-License-Identifier: Apache-2.0
"""A real Kubernetes API server with its etcd, for the true admission. Nothing runs the pods.

The server is built once from the Go registry, which takes a quarter of an hour on two cores, and kept outside of the
tree. etcd is Debian's (docker/packages, section kubernetes).
"""

import json
import os
import pathlib
import re
import secrets
import shutil
import ssl
import subprocess
import urllib.error
import urllib.request

from mirror import free_ports
from support import SYSTEM_PATH, wait_until

VERSION = "1.36.3"
PACKAGE = "k8s.io/kubernetes/cmd/kube-apiserver"
BUILD_SECONDS = 3600
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "model-prep-tests"


class Unavailable(Exception):
    """Why there can be no API server here."""


def go_program():
    found = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if not found:
        raise Unavailable("GO IS NOT INSTALLED")
    return found


def server_program():
    """Built now if it was not before."""
    program = CACHE / f"kube-apiserver-{VERSION}"
    if program.exists():
        return program
    go = go_program()
    folder = CACHE / "kube-apiserver-source"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    environment = {
        **os.environ, "PATH": f"{pathlib.Path(go).parent}:{SYSTEM_PATH}", "GOFLAGS": "-mod=mod", "CGO_ENABLED": "0",
        "GOWORK": "off",
    }

    def call(*words):
        try:
            done = subprocess.run(
                [go, *words], cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                timeout=BUILD_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise Unavailable(f"`go {words[0]}` TOOK MORE THAN {BUILD_SECONDS} s") from None
        if done.returncode != 0:
            raise Unavailable(f"`go {words[0]}` FAILED: {(done.stderr.strip() or 'no output').splitlines()[-1]}")
        return done.stdout

    module = json.loads(call("mod", "download", "-json", f"k8s.io/kubernetes@v{VERSION}"))
    (folder / "go.mod").write_text(module_file(pathlib.Path(module["GoMod"]).read_text()))
    version = f"-X k8s.io/component-base/version.gitVersion=v{VERSION}"
    call("build", "-trimpath", "-ldflags", f"-s -w {version}", "-o", folder / "kube-apiserver", PACKAGE)
    (folder / "kube-apiserver").rename(program)
    shutil.rmtree(folder)
    return program


def module_file(kubernetes):
    """A module that needs Kubernetes. In its own module file the parts of it have the version v0.0.0; in the registry,
    theirs is that of Kubernetes with 0 for 1."""
    parts = sorted(set(re.findall(r"^\s+(k8s\.io/\S+) v0\.0\.0(?:\s|$)", kubernetes, re.MULTILINE)))
    assert parts, "go.mod of Kubernetes is not as it was"
    replaced = "".join(f"\t{part} => {part} v0.{VERSION[2:]}\n" for part in parts)
    go = re.search(r"^go (\S+)$", kubernetes, re.MULTILINE)[1]
    return f"module tests\n\ngo {go}\n\nrequire k8s.io/kubernetes v{VERSION}\n\nreplace (\n{replaced})\n"


class ApiServer:
    """With one user, who may do everything."""

    def __init__(self, folder):
        etcd = shutil.which("etcd")
        if not etcd:
            raise Unavailable("etcd IS NOT INSTALLED. docker/packages NAMES ITS PACKAGE")
        server = server_program()
        self.folder, self.token, self.processes = folder, secrets.token_hex(16), []
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tokens").write_text(f"{self.token},admin,admin,system:masters\n")
        run_openssl(folder, "genrsa", "-out", "key", "2048")
        client, peer, port = free_ports(3)
        self.address = f"https://127.0.0.1:{port}"
        self._start(
            etcd, f"--data-dir={folder}/etcd", f"--listen-client-urls=http://127.0.0.1:{client}",
            f"--advertise-client-urls=http://127.0.0.1:{client}", f"--listen-peer-urls=http://127.0.0.1:{peer}",
        )
        self._start(
            server, f"--etcd-servers=http://127.0.0.1:{client}", "--bind-address=127.0.0.1", f"--secure-port={port}",
            f"--cert-dir={folder}/certificates", f"--token-auth-file={folder}/tokens", "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.0.0.0/24", "--service-account-issuer=https://tests", "--anonymous-auth=true",
            f"--service-account-key-file={folder}/key", f"--service-account-signing-key-file={folder}/key",
            "--endpoint-reconciler-type=none",
        )
        try:
            wait_until(self._is_ready, "the API server", seconds=180)
        except BaseException:
            self.close()
            raise

    def _start(self, program, *arguments):
        with open(self.folder / f"{pathlib.Path(program).name}.log", "w") as log:
            self.processes.append(
                subprocess.Popen([str(program), *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            )

    def _is_ready(self):
        for process in self.processes:
            assert process.poll() is None, f"{process.args[0]} ended; its log is in {self.folder}"
        try:
            return self.request("GET", "/readyz")[0] == 200
        except OSError:
            return False

    def request(self, method, path, body=None):
        """(status, answer, warnings)."""
        request = urllib.request.Request(
            self.address + path, method=method, data=json.dumps(body).encode() if body else None,
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # on loopback, a certificate of its own
        try:
            answer = urllib.request.urlopen(request, context=context, timeout=30)
        except urllib.error.HTTPError as error:
            answer = error
        text = answer.read().decode()
        return answer.status, json.loads(text) if text.startswith("{") else text, answer.headers.get_all("Warning") or []

    def create(self, document, namespace=None):
        """Checks every field and stores it."""
        group = document["apiVersion"]
        place = f"/apis/{group}" if "/" in group else f"/api/{group}"
        if namespace:
            place += f"/namespaces/{namespace}"
        plural = document["kind"].lower() + "s"
        return self.request("POST", f"{place}/{plural}?fieldValidation=Strict", document)

    def close(self):
        for process in reversed(self.processes):
            process.terminate()
            process.wait(30)


def run_openssl(folder, *words):
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, stdin=subprocess.DEVNULL)
