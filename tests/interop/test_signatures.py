# SPDX-License-Identifier: Apache-2.0
"""Models that PyPI's model-signing signed: what it accepts and refuses is the judge of what model-prep does."""

import json
import shutil

import pytest
import signing
from conftest import venv as venv_of
from support import run, store, tree

REPO = "org/signed"
COMMIT = "516ed" + "0" * 34 + "1"


def safetensors(size):
    header = json.dumps({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(size)


FILES = {
    ".gitattributes": "*.safetensors filter=lfs diff=lfs merge=lfs -text\n",
    "README.md": "# A signed model\n",
    "config.json": '{"model_type": "bert"}',
    "empty.txt": "",
    "model.safetensors": safetensors(2000),
    "onnx/model.onnx": "nor these " * 100,
    "tokenizer.json": "{}",
}


@pytest.fixture(scope="module")
def venv(request):
    return venv_of(request.config, "signing")


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """A folder with a key of each curve, and a chain of certificates."""
    folder = tmp_path_factory.mktemp("keys")
    for name, curve in signing.CURVES.items():
        signing.make_key(folder, name, curve)
    signing.make_chain(folder)
    return folder


def make_model(folder, files=FILES):
    for path, content in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def by_key(keys, name="p256"):
    return "key", "--private_key", keys / f"{name}.key"


@pytest.fixture
def model(tmp_path):
    return make_model(tmp_path / "model")


def commit_of(model):
    """The folder's files as the hub serves them."""
    paths = sorted(path for path in model.rglob("*") if path.is_file())
    return [
        {"path": str(path.relative_to(model)), "from": str(path), "lfs": path.suffix in (".safetensors", ".onnx")}
        for path in paths
    ]


class Site:
    """A hub with these commits of one repository, and a manifest that wants them signed."""

    def __init__(self, model_prep, hub, folder, commits, signer, **members):
        self.model_prep, self.hub, self.folder = model_prep, hub, folder
        models = {
            key: {"repo": REPO, "revision": commit, "ref": key, "signature": signer, **members}
            for key, commit in commits.items()
        }
        self.manifest = folder / "models.json"
        self.manifest.write_text(json.dumps({"version": 1, "models": models}))

    def run(self, *arguments, check=False, **variables):
        variables = {"HF_HOME": self.folder / "home", **variables}
        return self.model_prep(self.hub, variables, "--manifest", self.manifest, *arguments, check=check)

    def error_kind(self, *arguments, key="m", **variables):
        return (self.run(*arguments, **variables)["models"][key]["error"] or {}).get("kind")

    @property
    def snapshot(self):
        return store(self.folder / "home" / "hub", REPO) / "snapshots" / COMMIT


@pytest.fixture
def site(model_prep, start_hub, tmp_path):
    """Makes a Site of one signed folder."""

    def make(model, signer, **members):
        spec = {"repos": [{"id": REPO, "refs": {"main": COMMIT}, "commits": {COMMIT: commit_of(model)}}], "tokens": []}
        return Site(model_prep, start_hub(spec=spec), tmp_path, {"m": COMMIT}, signer, **members)

    return make


def signer_of(keys, name):
    by_key = name in signing.CURVES
    return {"key": str(keys / f"{name}.pem")} if by_key else {"certificate_chain": str(keys / "root.crt")}


@pytest.mark.parametrize("name", [*signing.CURVES, "signer"])
def test_a_signed_model_is_published_and_a_second_run_asks_nothing(site, venv, keys, model, name):
    arguments = by_key(keys, name) if name in signing.CURVES else signing.with_certificate(keys)
    signing.sign(venv, model, *arguments)
    here = site(model, signer_of(keys, name))

    here.run(check=True)
    assert (here.snapshot / "model.safetensors").exists()
    assert not (here.snapshot / "onnx").exists()

    here.hub.forget_requests()
    here.run(check=True)
    here.run("--offline", check=True)
    assert here.hub.requests() == []


def test_the_whole_published_model_is_accepted_by_model_signing_too(site, venv, keys, model, tmp_path):
    signing.sign(venv, model, *by_key(keys))
    here = site(model, signer_of(keys, "p256"))
    here.run("--variant", "all", check=True)
    copy = shutil.copytree(here.snapshot, tmp_path / "copy")
    assert signing.judge(venv, keys / "p256.pem", copy, [copy / "model.sig"]) == [True]


def test_what_was_left_out_of_the_signature_may_be_anything(site, venv, keys, model):
    signing.sign(venv, model, *by_key(keys), "--ignore-paths", model / "onnx", "--ignore-paths", model / "README.md")
    (model / "README.md").write_text("changed\n")
    (model / "onnx" / "more.onnx").write_text("more\n")
    (model / ".gitattributes").write_text("changed\n")
    here = site(model, signer_of(keys, "p256"))
    here.run("--variant", "all", check=True)
    assert (here.snapshot / "README.md").read_text() == "changed\n"


@pytest.mark.parametrize("path", ["config.json", "model.safetensors", "empty.txt", "added.json", "model.sig"])
def test_a_model_whose_files_are_not_those_that_were_signed_is_not_published(site, venv, keys, model, path):
    signing.sign(venv, model, *by_key(keys))
    file = model / path
    before = file.read_bytes() if file.exists() else b""
    file.write_bytes(before[:-1] + b"X")
    here = site(model, signer_of(keys, "p256"))
    assert here.error_kind() == "signature_mismatch"
    assert not here.snapshot.exists()
    assert not (here.snapshot.parent.parent / "refs").exists()


def test_a_changed_file_that_is_not_selected_does_not_matter(site, venv, keys, model):
    signing.sign(venv, model, *by_key(keys))
    (model / "onnx" / "model.onnx").write_text("changed")
    here = site(model, signer_of(keys, "p256"))
    here.run(check=True)
    assert here.error_kind("--variant", "all") == "signature_mismatch"


def test_a_model_without_a_signature_fails_before_its_weights_are_fetched(site, keys, model):
    here = site(model, signer_of(keys, "p256"))
    assert here.error_kind() == "signature_missing"
    assert here.hub.content_requests() == []


def test_a_changed_weight_is_found_before_it_is_fetched(site, venv, keys, model):
    signing.sign(venv, model, *by_key(keys))
    (model / "model.safetensors").write_text("changed")
    here = site(model, signer_of(keys, "p256"))
    assert here.error_kind() == "signature_mismatch"
    assert [line for line in here.hub.content_requests() if "safetensors" in line] == []


def test_another_key_is_verified_anew_and_refused(site, venv, keys, model):
    signing.sign(venv, model, *by_key(keys))
    here = site(model, signer_of(keys, "p256"))
    here.run(check=True)
    assert here.error_kind("--signature-key", keys / "p384.pem") == "signature_mismatch"
    here.run("--signature-key", keys / "p256.pem", check=True)


def test_a_cache_that_was_filled_without_a_key_is_verified_without_fetching_it_again(site, venv, keys, model):
    signing.sign(venv, model, *by_key(keys))
    here = site(model, signer_of(keys, "p256"))
    unsigned = json.loads(here.manifest.read_text())
    del unsigned["models"]["m"]["signature"]
    signed, plain = here.manifest, here.folder / "unsigned.json"
    plain.write_text(json.dumps(unsigned))

    # Not selected, so it is not here, and a run that may not ask cannot tell.
    selected = ("--include", "*.json")
    here.manifest = plain
    here.run(*selected, check=True)
    here.manifest = signed
    assert here.error_kind(*selected, "--offline") == "offline_missing"
    here.hub.forget_requests()
    here.run(*selected, check=True)
    assert {request["file"] for request in here.hub.requests()} == {"model.sig"}

    # Selected, so it is here.
    here.manifest = plain
    here.run("--variant", "all", check=True)
    here.manifest = signed
    here.hub.forget_requests()
    here.run("--variant", "all", "--offline", check=True)
    here.run("--variant", "all", check=True)
    assert here.hub.requests() == []


def test_every_single_changed_byte_of_a_signature_is_refused(model_prep, start_hub, venv, keys, tmp_path):
    """One commit for each byte of a signature by key, and of one by certificate, all in one run."""
    config = {"config.json": FILES["config.json"]}
    commits, judged, manifests = {}, 0, {}
    signers = {"p256": by_key(keys), "signer": signing.with_certificate(keys, chain=("between", "root"))}
    for name, arguments in signers.items():
        model = make_model(tmp_path / name / "model", config)
        signing.sign(venv, model, *arguments)
        bundle = (model / "model.sig").read_bytes()
        changed, models = [], {}
        for i in range(-1, len(bundle)):
            file = tmp_path / name / f"{i}.sig"
            file.write_bytes(bundle if i < 0 else bundle[:i] + bytes([bundle[i] ^ 1]) + bundle[i + 1:])
            changed.append(file)
            commit = f"{len(commits):040x}"
            commits[commit] = [
                {"path": "config.json", "from": str(model / "config.json")}, {"path": "model.sig", "from": str(file)}
            ]
            models[f"{name}{i}"] = {
                "repo": REPO, "revision": commit, "ref": f"{name}{i}", "signature": signer_of(keys, name)
            }
        manifests.update(models)

        # The reference accepts the unchanged one, so its refusals mean something.
        signer = keys / ("p256.pem" if name == "p256" else "root.crt")
        reference = signing.judge(venv, signer, model, changed)
        assert reference[0], f"{name}: model-signing refuses its own signature"
        judged += len(reference)
        harmless = [i - 1 for i, accepted in enumerate(reference) if accepted and i > 0]
        print(f"{name}: {len(bundle)} bytes; model-signing accepts a change of {len(harmless)}: {harmless}")

    manifest = tmp_path / "models.json"
    manifest.write_text(json.dumps({"version": 1, "models": manifests}))
    hub = start_hub(spec={"repos": [{"id": REPO, "refs": {}, "commits": commits}], "tokens": []})
    command = [model_prep.program, "--manifest", manifest, "--log-level", "off", "--summary", "-"]
    result = run(command, model_prep.environment(hub, {"HF_HOME": tmp_path / "home"}), timeout=900, check=False)
    summary = json.loads(result.stdout)
    accepted = {key for key, found in summary["models"].items() if found["success"]}
    assert accepted == {"p256-1", "signer-1"}
    kinds = {found["error"]["kind"] for key, found in summary["models"].items() if key not in accepted}
    assert kinds == {"signature_mismatch"} and len(summary["models"]) == judged


CERTIFICATES = {
    "usage_only": signing.USAGE_ONLY,
    "code_only": signing.CODE_ONLY,
    "for_servers": signing.FOR_SERVERS,
    "no_signatures": signing.NO_SIGNATURES,
    "no_usage": signing.NO_USAGE,
}


@pytest.mark.parametrize("name", CERTIFICATES)
def test_a_certificate_must_be_one_for_signing(site, venv, keys, model, name):
    signing.make_certificate(keys, name, CERTIFICATES[name], "between")
    signing.sign(venv, model, *signing.with_certificate(keys, name))
    accepted = site(model, signer_of(keys, "signer")).error_kind() is None
    assert accepted == (name in ("usage_only", "code_only"))
    assert not accepted or signing.judge(venv, keys / "root.crt", model, [model / "model.sig"]) == [True]


def test_a_certificate_must_lead_to_a_trusted_one(site, venv, keys, model, tmp_path):
    signing.sign(venv, model, *signing.with_certificate(keys))
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    signing.make_chain(stranger)
    cases = {"another root": stranger / "root.crt", "no root": keys / "between.crt"}
    for what, trusted in cases.items():
        assert site(model, {"certificate_chain": str(trusted)}).error_kind() == "signature_mismatch", what
        assert signing.judge(venv, trusted, model, [model / "model.sig"]) == [False], what

    # One that is no authority has signed another.
    signing.make_certificate(keys, "follower", signing.SIGNER, "signer")
    signing.sign(venv, model, *signing.with_certificate(keys, "follower", ("signer", "between")))
    assert site(model, signer_of(keys, "signer")).error_kind() == "signature_mismatch"
    assert signing.judge(venv, keys / "root.crt", model, [model / "model.sig"]) == [False]


def test_a_signature_without_what_lies_between_is_refused(site, venv, keys, model):
    signing.sign(venv, model, *signing.with_certificate(keys, chain=("root",)))
    assert site(model, signer_of(keys, "signer")).error_kind() == "signature_mismatch"
    assert signing.judge(venv, keys / "root.crt", model, [model / "model.sig"]) == [False]


def test_a_signature_outlives_its_certificate(site, venv, tmp_path, model):
    """Judged by the time when the certificate began, as by model-signing: all of these have ended."""
    folder = tmp_path / "past"
    folder.mkdir()
    signing.make_past_chain(venv, folder)
    signing.sign(venv, model, *signing.with_certificate(folder, chain=("root",)))
    assert signing.judge(venv, folder / "root.crt", model, [model / "model.sig"]) == [True]
    site(model, {"certificate_chain": str(folder / "root.crt")}).run(check=True)


@pytest.mark.parametrize("method, algorithm", [("shards", "sha256"), ("files", "blake2"), ("files", "blake3")])
def test_forms_of_signatures_that_are_not_verified_are_refused_as_such(site, venv, keys, model, method, algorithm):
    signing.sign_as(venv, method, algorithm, keys / "p256.key", model)
    here = site(model, signer_of(keys, "p256"))
    error = here.run()["models"]["m"]["error"]
    assert error["kind"] == "signature_mismatch"
    assert ("shards" if method == "shards" else algorithm) in error["message"]


def test_nothing_of_a_refused_model_is_visible(site, venv, keys, model):
    signing.sign(venv, model, *by_key(keys, "p384"))
    here = site(model, signer_of(keys, "p256"))
    assert here.error_kind() == "signature_mismatch"
    visible = [path for path in tree(store(here.folder / "home" / "hub", REPO)) if path.startswith("snapshots/")]
    assert visible == []
