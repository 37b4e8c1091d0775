# SPDX-License-Identifier: Apache-2.0
"""README.md and docs/: their commands that need a Docker engine run, and the errors that they quote are printed.

The names that an engine keeps for a user (image, volume) are replaced by the test's own; the Hub is the project's own.
All other commands run in tests/deploy/test_pages.py.
"""

import http.server
import re
import shlex
import threading

import pages
import pytest
from conftest import ROOT, hub_settings
from engine import Tinyproxy, command, docker, new_name

IMAGE = "homeiq-model-prep"


def commands():
    """Every line of the blocks that need an engine."""
    found = []
    for page in pages.PAGES:
        for block in pages.blocks(page):
            if block.needs_engine:
                found += block.commands()
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("words", commands())
def test_every_engine_command_of_the_pages_does_what_it_says(words, image, libraries, at_home, volume, hub, tmp_path):
    if words.startswith("docker build "):
        tag = new_name("image")
        words = words.replace(f"-t {IMAGE}", f"--network=host --build-arg LIBRARIES={libraries} -t {tag}")
        (tmp_path / "services").mkdir()
        (tmp_path / "services" / "model-prep").symlink_to(ROOT)
        docker(*shlex.split(words)[1:], cwd=tmp_path if "services/" in words else ROOT, timeout=900)
        assert docker("run", "--rm", tag, "--version").stdout == image.run("--version").stdout
        docker("image", "rm", tag)
    elif words.startswith("docker-compose "):
        # The file itself is tested beside this; here it is the command.
        text = (ROOT / "docker" / "compose.yaml").read_text().replace("name: homeiq_models", f"name: {volume.name}")
        (tmp_path / "compose.yaml").write_text(text)
        environment = {"COMPOSE_PROJECT_NAME": new_name("pages"), "MODEL_PREP_IMAGE": at_home.tag, **at_home.environment}
        try:
            command(*shlex.split(words), cwd=tmp_path, env=environment)
            assert volume.summary()["success"]
        finally:
            command("docker-compose", "--profile", "services", "down", cwd=tmp_path, env=environment)
    elif "chown" in words:
        take_over_the_cache_of_the_predecessor(words, image, volume, hub)
    elif words.startswith("docker run "):
        if "cleanup" in words:
            docker("run", "--rm", "--volume", f"{volume.name}:/app/models", at_home.tag)
        command(*shlex.split(words.replace("homeiq_models:", f"{volume.name}:").replace(f" {IMAGE}", f" {at_home.tag}")))
        wanted = re.search(r'MODELS_TO_DOWNLOAD="(.*?)"', words)
        models = wanted[1].split(",") if wanted else ["all-MiniLM-L6-v2", "bge-reranker-base", "flan-t5-small"]
        models = [] if "cleanup" in words else models
        assert sorted(volume.summary()["models"]) == models and volume.summary()["success"]
    else:
        raise AssertionError(f"no engine is needed for this; put it into a block of its own: {words}")


def take_over_the_cache_of_the_predecessor(words, image, volume, hub):
    """A Python script with huggingface_hub, run as root, has filled the directory above the cache."""
    repos = [model["repo"] for model in hub.manifest()["models"].values()]
    fetch = "import sys, huggingface_hub\nfor repo in sys.argv[2:]: huggingface_hub.snapshot_download(repo, cache_dir=sys.argv[1])"
    command(ROOT / "build/venv-hub-newest/bin/python", "-B", "-c", fetch, volume.folder, *repos,
            env={"HF_ENDPOINT": hub.endpoint, "HF_HUB_DISABLE_SHARED_BLOBS": "1", "HF_HUB_DISABLE_XET": "1"})
    refused = image.run(volume=volume, check=False, **hub_settings(hub))
    assert refused.returncode == 1 and "not writable" in refused.stderr
    command(*shlex.split(words.replace("homeiq_models:", f"{volume.name}:")))
    image.run(volume=volume, **hub_settings(hub))
    assert volume.summary()["totals"]["bytes_downloaded"] == 0
    for repo in repos:
        folder = "models--" + repo.replace("/", "--")
        assert not (volume.folder / folder).is_symlink() and (volume.folder / "hub" / folder).is_symlink()


# ---- troubleshooting: symptom -> what makes it happen ------------------------------------------------------------------


class Overloaded(http.server.BaseHTTPRequestHandler):
    """The Hub when the rate limit is used up."""

    def do_GET(self):
        self.send_response(429)
        self.send_header("RateLimit", '"api";r=0;t=1')
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture
def overloaded():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Overloaded) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture
def strict_proxy(tmp_path):
    """A proxy that requires user name and password."""
    proxy = Tinyproxy(tmp_path, "127.0.0.1", "BasicAuth user password")
    yield proxy.url
    proxy.close()


@pytest.fixture
def symptoms(image, volume, make_volume, hub, start_hub, overloaded, strict_proxy, tmp_path):
    def full():
        small = make_volume("--driver=local", "--opt=type=tmpfs", "--opt=device=tmpfs", "--opt=o=size=8m,uid=10001")
        return image.run(volume=small, check=False, **hub_settings(hub))

    def unknown_authority():
        tls = start_hub("--demo", "--tls", tmp_path / "authority.pem")
        return image.run("flan-t5-small", volume=volume, check=False, **hub_settings(tls))

    def other_user():
        image.run(volume=volume, **hub_settings(hub))
        settings = hub_settings(hub, "--user", "4242:4242", MODEL_VARIANT="all", MODEL_PREP_MANIFEST="")
        return image.run("flan-t5-small", volume=volume, check=False, **settings)

    def other_place():
        image.run(volume=volume, **hub_settings(hub))
        settings = hub_settings(hub, SENTENCE_TRANSFORMERS_HOME="/elsewhere")
        return image.run("verify", "all-MiniLM-L6-v2", volume=volume, **settings)

    def plain(*arguments, **env):
        return lambda: image.run("--retries=0", "--timeout=5", *arguments, volume=volume, check=False, env=env)

    return {
        "a service does not find its models": other_place,
        "a model is not there offline": plain("flan-t5-small", HF_HUB_OFFLINE="1"),
        "OpenVINO files are missing": plain("flan-t5-small", HF_HUB_OFFLINE="1", MODEL_VARIANT="openvino-int8"),
        "services do not start while the Hub is down, although the cache is full": plain(
            "org/name", "--patience=0", HF_ENDPOINT="https://huggingface.co.invalid"
        ),
        "no network": plain("flan-t5-small", HF_ENDPOINT="https://huggingface.co.invalid"),
        "a proxy is needed, or refuses": plain("flan-t5-small", HTTPS_PROXY=strict_proxy),
        "a company's own certificate authority": unknown_authority,
        "permissions": other_user,
        "rate limits": plain("flan-t5-small", HF_ENDPOINT=overloaded),
        "the disk is too small": full,
        "a gated or private model": plain("org/nosuch", HF_ENDPOINT=hub.endpoint),
    }


# These need servers, volumes or limits that an engine here does not have. tests/black_box makes them happen; here the
# words of the page are compared with those of the source.
IN_THE_SOURCE = {
    "a service loads another revision than `org/name@revision`": "still points to another commit; to load this one, services must",
    "the network or the Hub is not there yet": "is unavailable",
    "the wait was not long enough": "the run's deadline has passed",
    "a service finds a model but does not load it": " will not load ",
    "too many open files": "lower --jobs, or raise the limit of open files (ulimit -n)",
    "a variable with quotes": "models separated by commas or line ends, without quotes and brackets",
    "a result that is lost": "cannot write to ",
    "wrong bytes": "its bytes hash to ",
    "a limit of processes": "cannot start a thread: ",
    "a mirror lists only a part": "the listing is not complete: ",
    "a mirror lists no sizes": "the files are listed without sizes and digests",
    "a file name that cannot be stored": "has a control character",
    "the Hub spells the repository differently": "the Hub calls this repository ",
    "weights are only a pointer": "the repository has a Git LFS pointer of ",
    "a tag and a branch below it": " cannot be in one cache",
    "a model must be signed": "but the model must be signed",
    "a model is not what was signed": "the signature neither lists nor leaves out this file",
    "a file is not what its name says": " file that can be loaded: ",
    "a pickle is refused": ", which the policy forbids",
    "a manifest's signature": "it is not this key's signature of these bytes",
    "a web filter refuses": "the refusal is a web page, ",
    "`docker build` fails": " has left Debian's archive, whose newest version is ",
    "a fine-grained token": "the token may not read this repository",
}
SOURCE = "".join(path.read_text() for path in sorted((ROOT / "src").rglob("*.cpp")))
SOURCE += (ROOT / "docker/static/sources").read_text()

TROUBLESHOOTING = (ROOT / "docs" / "troubleshooting.md").read_text()

#: Of the first table of the page.
ROWS = [
    [cell.strip() for cell in row.strip("|").split("|")]
    for row in re.search(r"^\|.*?(?=\n\n)", TROUBLESHOOTING, re.DOTALL | re.MULTILINE)[0].splitlines()
][2:]


@pytest.mark.parametrize("symptom, words", IN_THE_SOURCE.items(), ids=IN_THE_SOURCE)
def test_troubleshooting_has_the_words_of_the_source(symptom, words):
    printed = {row[0]: row[1] for row in ROWS}[symptom]
    assert words in printed
    assert words in SOURCE


RUN_HERE = [row[:2] for row in ROWS if row[0] not in IN_THE_SOURCE]


@pytest.mark.parametrize("symptom, printed", RUN_HERE, ids=[row[0] for row in RUN_HERE])
def test_troubleshooting_quotes_what_the_program_prints(symptom, printed, symptoms):
    said = symptoms[symptom]().stderr
    for quoted in re.findall(r"`(.*?)`", printed):
        pattern = ".*".join(re.escape(part) for part in quoted.replace("huggingface.co", "\0").split("…"))
        assert re.search(pattern.replace("\0", r"huggingface\.co(\.invalid)?"), said), f"{quoted}\nis not in\n{said}"


def test_every_symptom_has_its_row(symptoms):
    assert sorted([*symptoms, *IN_THE_SOURCE]) == sorted(row[0] for row in ROWS)
