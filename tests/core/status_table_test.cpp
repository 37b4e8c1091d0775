// SPDX-License-Identifier: Apache-2.0
// The outcome of every HTTP status, as one text, so that a change of any of them is visible.
#include <fmt/format.h>

#include "core/builders.h"
#include "model_prep/base/error.h"
#include "model_prep/core/response_check.h"
#include "support/catch.h"

using namespace model_prep;

namespace {

enum class Question { query, payload_at_hub, payload_elsewhere };

constexpr std::int64_t kTableSize = 1000;

RequestContext asked_of(Question question, bool with_token) {
  return {.object = "org/name",
          .repo = "org/name",
          .of_hub = question != Question::payload_elsewhere,
          .token = with_token ? TokenUse::sent : TokenUse::none};
}

ResponseVerdict answer_to(Question question, int status, bool with_token) {
  ResponseHead head;
  head.status = status;
  const RequestContext asked = asked_of(question, with_token);
  if (question == Question::query) return check_api_response(head, asked);
  return check_payload_response(
      head,
      {.context = asked, .range = ByteRange{0, 10}, .blob = {testing::sha256('a'), kTableSize}});
}

std::string word(Disposition disposition) {
  switch (disposition) {
    case Disposition::retry: return "again";
    case Disposition::fail_item: return "fails";
    case Disposition::abort_run: return "ends the run";
  }
  return "?";
}

std::string word(const ResponseVerdict& answer) {
  switch (answer.kind) {
    case VerdictKind::body: return "bytes";
    case VerdictKind::redirect: return "follow";
    case VerdictKind::signature_spent: return "ask the hub again";
    case VerdictKind::range_ignored: return "whole file";
    case VerdictKind::restart: return "restart, once";
    case VerdictKind::failed:
      return fmt::format("{}, {}", to_string(answer.error.kind),
                         word(disposition(answer.error.kind)));
  }
  return "?";
}

/// `100-199 protocol, fails`, one line for each run of statuses that lead to the same.
std::string table_of(Question question, bool with_token) {
  std::string text;
  int first = 100;
  for (int status = 101; status <= 600; ++status) {
    const std::string before = word(answer_to(question, status - 1, with_token));
    if (status < 600 && word(answer_to(question, status, with_token)) == before) continue;
    text += first == status - 1 ? fmt::format("{} {}\n", first, before)
                                : fmt::format("{}-{} {}\n", first, status - 1, before);
    first = status;
  }
  return text;
}

}  // namespace

TEST_CASE("every status of a JSON request has its outcome") {
  CHECK(table_of(Question::query, false) == R"(100-199 protocol, fails
200 bytes
201-300 protocol, fails
301-303 follow
304-306 protocol, fails
307-308 follow
309-400 protocol, fails
401 not_found, fails
402 protocol, fails
403 unauthorized, fails
404 not_found, fails
405-407 protocol, fails
408 timeout, again
409 protocol, fails
410 not_found, fails
411-424 protocol, fails
425 server, again
426-428 protocol, fails
429 rate_limited, again
430-499 protocol, fails
500 server, again
501 protocol, fails
502-599 server, again
)");
}

TEST_CASE("every status of a part requested from the Hub has its outcome") {
  CHECK(table_of(Question::payload_at_hub, false) == R"(100-199 protocol, fails
200 whole file
201-205 protocol, fails
206 whole file
207-300 protocol, fails
301-303 follow
304-306 protocol, fails
307-308 follow
309-400 protocol, fails
401 not_found, fails
402 protocol, fails
403 unauthorized, fails
404 not_found, fails
405-407 protocol, fails
408 timeout, again
409 protocol, fails
410 not_found, fails
411-415 protocol, fails
416 restart, once
417-424 protocol, fails
425 server, again
426-428 protocol, fails
429 rate_limited, again
430-499 protocol, fails
500 server, again
501 protocol, fails
502-599 server, again
)");
}

TEST_CASE("every status of a part requested from a payload host has its outcome") {
  CHECK(table_of(Question::payload_elsewhere, false) == R"(100-199 protocol, fails
200 whole file
201-205 protocol, fails
206 whole file
207-300 protocol, fails
301-303 follow
304-306 protocol, fails
307-308 follow
309-399 protocol, fails
400-401 ask the hub again
402 protocol, fails
403-404 ask the hub again
405-407 protocol, fails
408 timeout, again
409 protocol, fails
410 ask the hub again
411-415 protocol, fails
416 restart, once
417-424 protocol, fails
425 server, again
426-428 protocol, fails
429 rate_limited, again
430-499 protocol, fails
500 server, again
501 protocol, fails
502-599 server, again
)");
}

TEST_CASE("with a token, a 401 concerns the token, and nothing else changes") {
  for (int status = 100; status < 600; ++status)
    for (const Question question :
         {Question::query, Question::payload_at_hub, Question::payload_elsewhere}) {
      const bool is_token = status == 401 && question != Question::payload_elsewhere;
      INFO(status);
      CHECK(word(answer_to(question, status, true)) ==
            (is_token ? "unauthorized, fails" : word(answer_to(question, status, false))));
    }
}
