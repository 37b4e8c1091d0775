# SPDX-License-Identifier: Apache-2.0
"""docker/mirror: what must never be cached, who decides where the mirror connects, and what may share an entry."""

import hashlib
import http.client
import re
import socket

import pytest
from mirror import Mirror, Names, TlsFront, get, port_of
from support import spec_of, wait_until

MODEL, PRIVATE, GATED = "org/open", "org/private", "org/gated"
COMMIT = "5ec0" + "0" * 35 + "1"
LARGE = {"path": "model.bin", "size": 3_000_000, "seed": 1, "lfs": True}
FILES = [{"path": "config.json", "text": '{"a": 1}'}, {"path": "folder/config.json", "text": '{"b": 2}'}, LARGE]
PLACE = f"/{MODEL}/resolve/{COMMIT}"
OWNER, STRANGER = "hf_of_the_owner", "hf_of_a_stranger"
TOKEN = f"Bearer {OWNER}"


@pytest.fixture(scope="module")
def shared_hub(start_hub):
    spec = spec_of(*((id, COMMIT, FILES) for id in (MODEL, PRIVATE, GATED)))
    spec["repos"][0]["refs"]["refs/pr/1"] = COMMIT
    spec["repos"][1]["access"], spec["repos"][2]["access"] = "private", "gated"
    spec["tokens"] = [OWNER]
    return start_hub("--page-size", "2", spec=spec)


@pytest.fixture
def hub(shared_hub):
    """The hub with an empty log and without faults."""
    shared_hub.forget_requests()
    shared_hub.forget_faults()
    return shared_hub


@pytest.fixture
def start_mirror(hub, tmp_path):
    mirrors = []

    def start(**settings):
        mirrors.append(Mirror(tmp_path / f"mirror{len(mirrors)}", hub, **{"slice": "1m", **settings}))
        return mirrors[-1]

    yield start
    for mirror in mirrors:
        mirror.stop()


@pytest.fixture
def mirror(start_mirror):
    return start_mirror()


@pytest.fixture
def content(hub):
    """The bytes of the large file, straight from the hub."""
    signed = get(hub.endpoint, f"{PLACE}/model.bin").headers["Location"]
    body = get(signed, "").body
    hub.forget_requests()
    assert hashlib.sha256(body).hexdigest() == hub.files(MODEL)["model.bin"]["sha256"]
    return body


# ---- tokens --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("id", [PRIVATE, GATED])
def test_what_a_token_opens_is_not_there_without_it(mirror, model_prep, tmp_path, id):
    arguments = (f"{id}@{COMMIT}", "--variant", "all")
    assert model_prep(mirror, {"HF_HOME": tmp_path / "owner", "HF_TOKEN": OWNER}, *arguments)["success"]
    assert mirror.files() == []
    for path in (f"/{id}/resolve/{COMMIT}/model.bin", f"/{id}/resolve/main/config.json"):
        for token, statuses in ((OWNER, (200, 307)), (None, (401,)), (STRANGER, (401, 403)), (OWNER, (200, 307))):
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            assert mirror.get(path, **headers).status in statuses, (path, token)
    for token in ("", STRANGER):
        variables = {"HF_HOME": tmp_path / "stranger", "HF_TOKEN": token}
        assert not model_prep(mirror, variables, *arguments, check=False)["success"]


def test_a_private_listing_is_not_there_without_the_token(mirror):
    place = f"/api/models/{PRIVATE}/tree/main"
    assert [mirror.get(place, Authorization=TOKEN).status, mirror.get(place).status] == [200, 401]


def test_a_request_with_a_token_does_not_meet_the_cache(hub, mirror, content):
    for path in ("/model.bin", "/config.json"):
        mirror.get(PLACE + path)
    before = mirror.files()
    hub.forget_requests()
    assert mirror.get(f"{PLACE}/model.bin", Authorization=TOKEN).body == content
    assert mirror.get(f"{PLACE}/model.bin", Authorization=TOKEN, Range="bytes=5-9").body == content[5:10]
    assert len(hub.content_requests()) == 4 and mirror.files() == before
    head = mirror.get(f"{PLACE}/model.bin", "HEAD", Authorization=TOKEN)
    assert (head.status, head.headers["X-Linked-Size"], head.headers["X-Repo-Commit"]) == (200, "3000000", COMMIT)
    tokens = [request["headers"].get("authorization") for request in hub.requests()]
    assert tokens == [TOKEN, None] * 2 + [TOKEN], "the hub gets it, the CDN does not"


def test_a_mirror_can_refuse_tokens(hub, start_mirror):
    mirror = start_mirror(tokens="refuse")
    refused = mirror.get(f"{PLACE}/config.json", Authorization=TOKEN)
    assert refused.status == 403 and "send it no token" in refused.headers["X-Error-Message"]
    assert hub.requests() == []
    assert mirror.get(f"{PLACE}/config.json").status == 200


def test_no_signed_address_and_nothing_about_a_client_is_stored_or_sent_on(hub, mirror):
    personal = {"Set-Cookie": "session=of-somebody", "X-Accel-Expires": "9999", "X-Accel-Redirect": "/-/health"}
    hub.add_faults({"times": -1, "what": "change_headers", "set": personal})
    for path in (f"{PLACE}/model.bin", f"{PLACE}/config.json", f"/{MODEL}/resolve/main/model.bin",
                 f"/api/models/{MODEL}/tree/main?recursive=true"):
        answer = mirror.get(path)
        assert answer.status in (200, 307)
        private = {"set-cookie", "x-request-id", "ratelimit", "ratelimit-policy", "x-xet-hash", "x-accel-expires"}
        assert not private & {name.lower() for name in answer.headers}
    stored = b"".join(path.read_bytes() for path in mirror.files())
    assert b"KEY: " in stored
    for secret in (b"Signature=", b"session=", b"Set-Cookie", b"RateLimit", b"X-Request-Id"):
        assert secret not in stored
    assert "Signature=" not in (mirror.folder / "access.log").read_text()


def test_an_answer_that_leads_to_another_host_is_not_kept(hub, mirror):
    place, signed = f"/api/models/{MODEL}/tree/main", f"{hub.payload}/x?Signature=secret"
    for location in (signed, signed.removeprefix("http:")):
        hub.add_faults({"on": "tree", "what": "redirect", "location": location, "code": 307})
        assert mirror.get(place).headers["Location"] == location
    assert mirror.files() == [] and mirror.get(place).status == 200


# ---- where the mirror connects -------------------------------------------------------------------------------------


def leading_to(location):
    """The hub's redirect for a large file, with everything but the address."""
    return {"on": "resolve", "what": "change_headers", "set": {"Location": location}}


def test_a_redirect_to_a_host_that_nobody_allowed_is_not_followed(hub, mirror):
    with socket.create_server(("127.0.0.1", 0)) as trap:
        evil = f"127.0.0.1:{trap.getsockname()[1]}"
        cdn = hub.payload.removeprefix("http://")
        for location in (f"http://{evil}/x", f"//{evil}/x", f"http://{cdn}@{evil}/x", f"http://{cdn}.{evil}/x",
                         f"HTTP://{evil}/{cdn}/", f"{hub.payload}0/x", "file:///etc/passwd", "", "x"):
            hub.add_faults(leading_to(location))
            answer = mirror.get(f"{PLACE}/model.bin")
            assert answer.status == 502 and b"MIRROR_CDN" in answer.body, location
        trap.settimeout(0)
        with pytest.raises(BlockingIOError):
            trap.accept()
    assert mirror.files() == []
    assert mirror.get(f"{PLACE}/model.bin").status == 200


def test_a_redirect_of_the_cdn_is_not_followed_and_not_shown(hub, mirror):
    hub.add_faults({"on": "payload", "what": "redirect", "location": f"{hub.endpoint}/api/whoami-v2"})
    answer = mirror.get(f"{PLACE}/model.bin")
    assert answer.status == 502 and "Location" not in answer.headers


def test_a_revision_with_a_slash_leads_to_its_commit(mirror):
    answer = mirror.get(f"/{MODEL}/resolve/refs%2Fpr%2F1/folder/config.json")
    assert (answer.status, answer.headers["Location"]) == (307, f"{PLACE}/folder/config.json")


def test_a_redirect_to_another_name_stays_within_the_mirror(hub, mirror):
    for location in (f"/org/new/resolve/{COMMIT}/model.bin", f"{hub.endpoint}/org/new/resolve/{COMMIT}/model.bin"):
        hub.add_faults({"on": "resolve", "what": "redirect", "location": location, "code": 307})
        answer = mirror.get(f"/org/old{len(location)}/resolve/{COMMIT}/model.bin")
        assert (answer.status, answer.headers["Location"]) == (307, f"/org/new/resolve/{COMMIT}/model.bin")


# ---- what shares an entry ------------------------------------------------------------------------------------------


def test_queries_and_headers_of_a_client_do_not_reach_the_hub_and_share_one_entry(hub, mirror):
    strange = {
        "Host": "evil.example", "X_Forwarded_Host": "evil.example", "Origin": "http://evil.example",
        "Cookie": "token=x", "Accept": "text/html", "Accept_Encoding": "gzip", "If_None_Match": '"x"',
        "X_HTTP_Method_Override": "DELETE",
    }
    first = mirror.get(f"{PLACE}/config.json?download=true&revision=other", **strange)
    second = mirror.get(f"{PLACE}/config.json")
    assert (first.status, first.body) == (second.status, second.body) == (200, b'{"a": 1}')
    assert [answer.headers["X-Cache-Status"] for answer in (first, second)] == ["MISS", "HIT"]
    first_request = hub.requests()[0]
    assert first_request["target"] == f"{PLACE}/config.json"
    assert first_request["headers"].keys() == {"host", "accept-encoding", "user-agent", "range"}
    assert first_request["headers"]["accept-encoding"] == "identity"


def test_the_next_page_of_a_listing_is_at_the_address_that_the_client_used(hub, mirror):
    place = f"/api/models/{MODEL}/tree/main?recursive=true"
    for host, scheme in (("evil.example", None), ("mirror.example", "https"), ("mirror.example", "gopher")):
        extra = {"X_Forwarded_Proto": scheme} if scheme else {}
        link = mirror.get(place, Host=host, **extra).headers["Link"]
        assert link.startswith(f"<{'https' if scheme == 'https' else 'http'}://{host}/api/models/{MODEL}/tree/main?")
    assert len(hub.requests()) == 1


def test_other_addresses_and_other_spellings_are_refused(hub, mirror):
    connection = http.client.HTTPConnection("127.0.0.1", int(port_of(mirror.endpoint)))
    for target in (
        f"/{MODEL}//resolve/{COMMIT}/config.json", f"{PLACE}/folder/../config.json", f"{PLACE}/./config.json",
        f"{PLACE}/%2e%2e/config.json", f"{PLACE}/folder%2Fconfig.json", f"{PLACE}/folder%5Cconfig.json",
        f"{PLACE}/folder\\config.json", f"{PLACE}/config.json/..", f"{PLACE}/", f"{PLACE}//config.json", "/",
        f"/api/models/{MODEL}/xet-read-token/{COMMIT}", "/api/resolve-cache/models/org/open/x/y", "/settings/tokens",
        "/-/with-token",
    ):
        for headers in ({}, {"Authorization": TOKEN}):
            connection.request("GET", target, headers=headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 404, target
    connection.close()
    assert hub.requests() == []


def test_nothing_can_be_written_through_the_mirror(hub, mirror):
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        for headers in ({}, {"Authorization": TOKEN}):
            for target in (f"/api/models/{MODEL}/commit/main", f"{PLACE}/config.json"):
                assert mirror.get(target, method, b"{}", **headers).status == 404, (method, target)
    assert hub.requests() == []


def test_a_list_of_paths_is_asked_of_the_hub_each_time(hub, mirror):
    ask = b'{"paths": ["config.json"], "expand": false}'
    for _ in range(2):
        answer = mirror.get(f"/api/models/{MODEL}/paths-info/main", "POST", ask, Content_Type="application/json")
        assert answer.status == 200 and b"config.json" in answer.body
    assert len(hub.requests()) == 2 and mirror.files() == []


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
def test_every_range_has_the_bytes_of_the_file(hub, mirror, content, warm):
    place, size, slice = f"{PLACE}/model.bin", len(content), 1 << 20
    if warm:
        assert mirror.get(place, "HEAD").headers["Content-Length"] == str(size)
        assert mirror.get(place).body == content
        hub.forget_requests()
    for first, last in ((0, 0), (slice - 1, slice), (slice, 2 * slice - 1), (5, size - 1), (size - 1, size - 1)):
        answer = mirror.get(place, Range=f"bytes={first}-{last}")
        assert answer.status == 206 and answer.headers["Content-Range"] == f"bytes {first}-{last}/{size}"
        assert answer.body == content[first:last + 1]
    assert mirror.get(place, Range="bytes=-7").body == content[-7:]
    assert mirror.get(place, Range=f"bytes={size - 3}-").body == content[-3:]
    for beyond in (size, size + 1, 9 * slice):
        answer = mirror.get(place, Range=f"bytes={beyond}-")
        assert (answer.status, answer.headers["Content-Range"]) == (416, f"bytes */{size}")
    assert mirror.get(place).body == content
    if warm:  # a range beyond the last slice is the only one that the hub sees
        assert {request["status"] for request in hub.requests() if request["kind"] == "payload"} == {416}


# ---- a hub that answers badly --------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [
    {"on": "payload", "what": "content_encoding"},
    {"on": "payload", "what": "short_body", "cut": 1000},
    {"on": "payload", "what": "reset", "after": 70_000},
    {"on": "payload", "what": "wrong_range"},
    {"on": "payload", "what": "expired_signature"},
    {"on": "payload", "what": "status", "code": 500},
    {"on": "resolve", "what": "status", "code": 429, "headers": {"RateLimit": '"resolvers";r=0;t=9'}},
    {"on": "resolve", "what": "status", "code": 503},
    {"on": "resolve", "what": "change_headers", "remove": ["X-Repo-Commit"]},
], ids=lambda fault: str(fault.get("code", fault["what"])))
def test_a_bad_response_is_not_kept(hub, mirror, content, fault):
    hub.add_faults(fault)
    try:
        first = mirror.get(f"{PLACE}/model.bin")
    except (http.client.IncompleteRead, OSError):
        pass
    else:
        # A 403 of the CDN is not one of the hub: asking again helps.
        assert first.status in (429, 500, 502, 503) or first.headers["Content-Encoding"] == "gzip"
        assert (first.headers["RateLimit"] is not None) == (first.status == 429)
    answer = mirror.get(f"{PLACE}/model.bin")
    assert (answer.status, answer.headers["Content-Encoding"], answer.body == content) == (200, None, True)


def test_an_error_is_kept_for_seconds_only_with_what_the_hub_said(hub, start_mirror):
    mirror = start_mirror(keep_errors="1s")
    place, answers = f"/{MODEL}/resolve/main/missing.json", []
    wait_until(lambda: answers.append(mirror.get(place)) or len(hub.requests()) > 1, "the error to be asked again")
    assert {answer.status for answer in answers} == {404}
    assert {answer.headers["X-Error-Code"] for answer in answers} == {"EntryNotFound"}
    assert {answer.headers["X-Repo-Commit"] for answer in answers} == {COMMIT}
    assert answers[1].headers["X-Cache-Status"] == "HIT"


# ---- TLS -----------------------------------------------------------------------------------------------------------


def test_the_hub_and_its_cdn_must_prove_who_they_are(hub, start_mirror, content, tmp_path):
    """By names of the real Hub's kind, so that the name server, SNI and the certificates' names are used."""
    with Names() as names, TlsFront(tmp_path / "front", hub) as front:
        tls = {
            "upstream": front.hub, "cdn": re.escape(front.cdn), "ca": front.authority,
            "resolver": f"{names.place} ipv6=off",
        }
        good = start_mirror(**tls)
        assert good.get(f"{PLACE}/model.bin").body == content
        assert good.get(f"{PLACE}/config.json").status == 200

        strangers = start_mirror(**{**tls, "ca": "/etc/ssl/certs/ca-certificates.crt"})
        assert strangers.get(f"{PLACE}/config.json").status == 502
        assert "certificate verify error" in strangers.errors()

        other_name = start_mirror(**{**tls, "upstream": front.hub.replace("hub.test", "other.test")})
        assert other_name.get(f"{PLACE}/config.json").status == 502
        assert "certificate does not match" in other_name.errors()

        # The CDN's certificate is checked too.
        hub.add_faults(leading_to(front.cdn.replace("cdn.test", "evil.cdn.test") + "/x"))
        any_cdn = start_mirror(**{**tls, "cdn": r"https://(?:[a-z0-9-]+\.)*cdn\.test(?::\d+)?"})
        assert any_cdn.get(f"{PLACE}/model.bin").status == 502
        assert "certificate does not match" in any_cdn.errors()
