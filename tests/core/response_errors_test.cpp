// SPDX-License-Identifier: Apache-2.0
// Every error of docs/developing/hub-protocol.md, section 4.1 and of docs/reliability.md: its kind
// and its message.
#include "core/builders.h"
#include "model_prep/core/response_check.h"
#include "support/catch.h"

using namespace model_prep;
using namespace model_prep::testing;

namespace {

constexpr bool kAnonymous = false;
constexpr bool kToken = true;

struct Situation {
  const char* what;
  int status;
  const char* code;
  const char* said;
  bool token;
  ErrorKind kind;
  const char* message;  // after "org/name x: "
  const char* in_hint;
};

constexpr const char* kGatedSaid =
    "Access to model X is restricted. You must have access to it and be authenticated to access it. Please log in.";

const Situation kSituations[] = {
    {"a missing or private repository, anonymous", 401, "", "Invalid username or password.",
     kAnonymous, ErrorKind::not_found,
     "no such repository, or it is private (the Hub says: Invalid username or password.)",
     "set HF_TOKEN"},
    {"a missing or private repository, with a token", 404, "RepoNotFound", "Repository not found",
     kToken, ErrorKind::not_found,
     "no such repository, or it is private (the Hub says: Repository not found)",
     "check the spelling"},
    {"an invalid token", 401, "", "Invalid credentials in Authorization header", kToken,
     ErrorKind::unauthorized,
     "the token was refused with status 401 (the Hub says: Invalid credentials in Authorization header)",
     "check HF_TOKEN"},
    {"an invalid token, in the other words (in a test's text, not a comment) drop it; the section is docs/developing/hub-protocol.md, section 4.1",
     401, "", "Invalid username or password.", kToken, ErrorKind::unauthorized,
     "the token was refused with status 401 (the Hub says: Invalid username or password.)",
     "check HF_TOKEN"},
    {"gated, anonymous", 401, "GatedRepo", kGatedSaid, kAnonymous, ErrorKind::gated,
     "access to this repository is restricted", "set HF_TOKEN"},
    {"gated, with a token that was not granted", 403, "GatedRepo",
     "you are not in the authorized list.", kToken, ErrorKind::gated,
     "access to this repository is restricted (the Hub says: you are not in the authorized list.)",
     "open https://huggingface.co/org/name and accept"},
    {"an unknown revision", 404, "RevisionNotFound", "Invalid rev id: v9", kAnonymous,
     ErrorKind::revision_not_found, "no such revision (the Hub says: Invalid rev id: v9)",
     "check the branch, tag or commit"},
    {"an unknown file", 404, "EntryNotFound", "Entry not found", kAnonymous, ErrorKind::not_found,
     "no such file at this revision", "check the revision"},
    {"a disabled repository", 403, "", "Access to this resource is disabled.", kAnonymous,
     ErrorKind::disabled, "the Hub has disabled this repository", "another model"},
    {"the rate limit, anonymous", 429, "", "", kAnonymous, ErrorKind::rate_limited,
     "the Hub responded with status 429", "set HF_TOKEN"},
    {"the rate limit, with a token", 429, "", "", kToken, ErrorKind::rate_limited,
     "the Hub responded with status 429", ""},
    {"a 403 without a code, with a token", 403, "", "no read scope", kToken,
     ErrorKind::unauthorized, "the token was refused with status 403 (the Hub says: no read scope)",
     "check HF_TOKEN"},
    {"a web filter's page, with a token", 403, "", "", kToken, ErrorKind::unauthorized,
     "access was refused with status 403", "web filter"},
    {"a token without the permission", 403, "",
     "Please enable access to public gated repositories in your fine-grained token settings",
     kToken, ErrorKind::unauthorized,
     "the token may not read this repository (the Hub says: Please enable", "settings/tokens"},
    {"a gated one, and a token without the permission", 403, "GatedRepo",
     "Please enable access to public gated repositories in your fine-grained token settings",
     kToken, ErrorKind::unauthorized, "the token may not read this repository", "settings/tokens"},
    {"a 403 without a code, anonymous", 403, "", "", kAnonymous, ErrorKind::unauthorized,
     "access was refused with status 403", "HF_TOKEN"},
    {"a 404 of something that is no hub", 404, "", "", kAnonymous, ErrorKind::not_found,
     "not found (status 404)", "endpoint"},
    {"a 410", 410, "", "", kAnonymous, ErrorKind::not_found, "not found (status 410)", "endpoint"},
    {"a 408", 408, "", "", kAnonymous, ErrorKind::timeout, "the Hub responded with status 408", ""},
    {"a 425", 425, "", "", kAnonymous, ErrorKind::server, "the Hub responded with status 425", ""},
    {"a 500", 500, "", "Internal Error", kAnonymous, ErrorKind::server,
     "the Hub responded with status 500 (the Hub says: Internal Error)", ""},
    {"a 503", 503, "", "", kAnonymous, ErrorKind::server, "the Hub responded with status 503", ""},
    {"a 400", 400, "", "", kAnonymous, ErrorKind::protocol, "the Hub responded with status 400",
     ""},
    {"a 407", 407, "", "", kAnonymous, ErrorKind::protocol, "the Hub responded with status 407",
     ""},
};

ResponseHead head_of(const Situation& situation) {
  ResponseHead head;
  head.status = situation.status;
  head.error_code = situation.code;
  head.error_message = situation.said;
  head.content_type =
      "text/html";  // error bodies may be pages: no reason to take them for a captive portal
  return head;
}

RequestContext asked(bool with_token, bool of_hub = true) {
  return {"org/name x", "org/name", of_hub, with_token ? TokenUse::sent : TokenUse::none};
}

PayloadRequest payload(const RequestContext& who) {
  return {who, ByteRange{0, 10}, {sha256('a'), 100}};
}

}  // namespace

TEST_CASE("every error of the Hub gets the right kind, with a message and a hint") {
  for (const Situation& situation : kSituations) {
    CAPTURE(situation.what);
    const RequestContext who = asked(situation.token);
    const ResponseVerdict of_query = check_api_response(head_of(situation), who);
    const ResponseVerdict of_payload = check_payload_response(head_of(situation), payload(who));
    for (const ResponseVerdict& answer : {of_query, of_payload}) {
      CHECK(answer.kind == VerdictKind::failed);
      CHECK(to_string(answer.error.kind) == to_string(situation.kind));
      CHECK(answer.error.message.starts_with(std::string("org/name x: ") + situation.message));
      CHECK(answer.error.hint.find(situation.in_hint) != std::string::npos);
      CHECK((situation.in_hint[0] != '\0' || answer.error.hint.empty()));
    }
  }
}

TEST_CASE("what to do about a refusal depends on the token that was sent") {
  const std::pair<TokenUse, const char*> kHints[] = {
      {TokenUse::none, "set HF_TOKEN if the repository is private"},
      {TokenUse::sent, "check HF_TOKEN"},
      {TokenUse::withheld, "no token was sent, because none is configured for this endpoint"},
      {TokenUse::login, "check the user name and the password in HF_ENDPOINT"},
      {TokenUse::left_home, "no token is sent to where HF_ENDPOINT redirects"}};
  for (const auto& [token, hint] : kHints) {
    CAPTURE(hint);
    ResponseHead head;
    head.status = 403;
    RequestContext who = asked(false);
    who.token = token;
    CHECK(check_api_response(head, who).error.hint.starts_with(hint));
  }
}

TEST_CASE("a rate limit asks for a token only where one is missing") {
  ResponseHead head;
  head.status = 429;
  RequestContext who = asked(false);
  CHECK(check_api_response(head, who).error.hint.ends_with("set HF_TOKEN"));

  who.token = GENERATE(TokenUse::sent, TokenUse::login, TokenUse::left_home);
  CHECK(check_api_response(head, who).error.hint.empty());
}

TEST_CASE("an error code of the Hub takes precedence over the status") {
  ResponseHead head;
  head.status = GENERATE(401, 403, 404, 500);
  head.error_code = "RevisionNotFound";
  CHECK(check_api_response(head, asked(kToken)).error.kind == ErrorKind::revision_not_found);
}

TEST_CASE("a missing file that is exempt from the gate is reported as missing") {
  ResponseHead head;
  head.status = 404;
  head.error_code = "EntryNotFound";
  head.error_message = "Entry not found";
  CHECK(check_payload_response(head, payload(asked(kAnonymous))).error.kind ==
        ErrorKind::not_found);
}

TEST_CASE("a refusal by a payload host means that the signature has expired") {
  ResponseHead head;
  head.status = GENERATE(400, 401, 403, 404, 410);
  head.content_type = "application/xml";
  const ResponseVerdict answer = check_payload_response(head, payload(asked(kAnonymous, false)));
  CHECK(answer.kind == VerdictKind::signature_spent);
  CHECK(answer.error.kind == ErrorKind::protocol);
  CHECK(answer.error.message == "org/name x: the CDN rejected the Hub's signed URL (status " +
                                    std::to_string(head.status) + ")");
  CHECK(answer.error.hint.find("proxy") != std::string::npos);
}

TEST_CASE("a transient error of a payload host is attributed to it") {
  ResponseHead head;
  head.status = 503;
  const ResponseVerdict answer = check_payload_response(head, payload(asked(kAnonymous, false)));
  CHECK(answer.kind == VerdictKind::failed);
  CHECK(answer.error.kind == ErrorKind::server);
  CHECK(answer.error.message == "org/name x: the CDN responded with status 503");
}

TEST_CASE("only 408, 425, 429 and 5xx but 501 may be retried") {
  for (int status = 100; status <= 599; ++status) {
    ResponseHead head;
    head.status = status;
    const ResponseVerdict answer = check_api_response(head, asked(kAnonymous));
    if (answer.kind != VerdictKind::failed) continue;
    CAPTURE(status);
    const bool may_retry =
        status == 408 || status == 425 || status == 429 || (status >= 500 && status != 501);
    CHECK((disposition(answer.error.kind) == Disposition::retry) == may_retry);
  }
}
