// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/source_selector.h"

#include "core/builders.h"
#include "support/catch.h"

using namespace model_prep;
using namespace model_prep::testing;

namespace {

const std::vector<Endpoint> kTwoEndpoints = {{"https://a.example", "https://a.example"},
                                             {"https://b.example", "https://b.example"}};

Error error(ErrorKind kind) { return {kind, "org/name: it failed", "do this"}; }

SourceSelector two() {
  return SourceSelector({{0, url("https://a.example/x")}, {1, url("https://b.example/x")}});
}

/// A mirror that may lack the tree API, and another one.
SourceSelector with_fallback() {
  return SourceSelector({{0, url("https://a.example/tree")},
                         {0, url("https://a.example/blobs"), true},
                         {1, url("https://b.example/tree")}});
}

}  // namespace

TEST_CASE("a round ends when every remaining source has failed, and then all are available again") {
  SourceSelector sources = two();
  CHECK_FALSE(sources.mark_failed(0, error(ErrorKind::network)));
  CHECK_FALSE(sources.is_available(0));
  CHECK(sources.is_available(1));
  CHECK(sources.mark_failed(1, error(ErrorKind::timeout)));
  CHECK(sources.is_available(0));
  CHECK(sources.is_available(1));
}

TEST_CASE("a source that does not have the item is never used again, and ends no round") {
  SourceSelector sources = two();
  CHECK_FALSE(sources.mark_unavailable(0, error(ErrorKind::not_found), false));
  CHECK(sources.remaining() == 1);
  CHECK(sources.mark_failed(1, error(ErrorKind::network)));  // the last of the round
  CHECK_FALSE(sources.is_available(0));
  CHECK(sources.is_available(1));
  CHECK_FALSE(sources.mark_unavailable(1, error(ErrorKind::not_found), false));
  CHECK(sources.remaining() == 0);
}

TEST_CASE("if the last open source refuses, the round of those that failed before ends") {
  SourceSelector sources = two();
  CHECK_FALSE(sources.mark_failed(0, error(ErrorKind::network)));
  CHECK(sources.mark_unavailable(1, error(ErrorKind::not_found), false));
  CHECK(sources.is_available(0));
}

TEST_CASE("the fallback URL of an endpoint is used only if its first URL is unknown there") {
  SourceSelector sources = with_fallback();
  CHECK_FALSE(sources.is_available(1));
  SECTION("the first URL is unknown") {
    sources.mark_unavailable(0, error(ErrorKind::not_found), true);
    CHECK(sources.is_available(1));
    CHECK(sources.has_alternative(2));
  }
  SECTION("only the commit is unknown") {
    sources.mark_unavailable(0, error(ErrorKind::revision_not_found), false);
    CHECK_FALSE(sources.is_available(1));
  }
  SECTION("the endpoint may only be busy") {
    sources.mark_failed(0, error(ErrorKind::server));
    CHECK_FALSE(sources.is_available(1));
    CHECK(sources.mark_failed(2, error(ErrorKind::server)));
    CHECK_FALSE(sources.is_available(1));
  }
}

TEST_CASE("of several errors the most useful is reported, with the others appended") {
  struct Answers {
    ErrorKind first;
    ErrorKind second;
    ErrorKind told;
  };
  const Answers answers = GENERATE(
      Answers{ErrorKind::not_found, ErrorKind::network, ErrorKind::network},
      Answers{ErrorKind::network, ErrorKind::gated, ErrorKind::network},
      Answers{ErrorKind::not_found, ErrorKind::gated, ErrorKind::gated},
      Answers{ErrorKind::not_found, ErrorKind::protocol, ErrorKind::protocol},
      Answers{ErrorKind::not_found, ErrorKind::revision_not_found, ErrorKind::revision_not_found},
      Answers{ErrorKind::network, ErrorKind::digest_mismatch, ErrorKind::digest_mismatch},
      Answers{ErrorKind::server, ErrorKind::timeout, ErrorKind::server});
  SourceSelector sources = two();
  sources.mark_unavailable(0, error(answers.first), false);
  sources.mark_unavailable(1, error(answers.second), false);
  const Error told = sources.error(kTwoEndpoints, error(ErrorKind::internal));
  CHECK(told.kind == answers.told);
  CHECK(told.hint == "do this");
  CHECK(told.message == "org/name: it failed (https://a.example " + brief(answers.first) +
                            ", https://b.example " + brief(answers.second) + ")");
}

TEST_CASE("a single endpoint's error is reported unchanged") {
  SourceSelector sources({{0, url("https://a.example/x")}});
  sources.mark_unavailable(0, error(ErrorKind::gated), false);
  CHECK(sources.error({kTwoEndpoints.front()}, error(ErrorKind::internal)) ==
        error(ErrorKind::gated));
}

TEST_CASE("of an endpoint with two URLs the last error is reported") {
  SourceSelector sources = with_fallback();
  sources.mark_unavailable(0, error(ErrorKind::not_found), true);
  sources.mark_unavailable(1, error(ErrorKind::protocol), false);
  sources.mark_unavailable(2, error(ErrorKind::not_found), false);
  CHECK(
      sources.error(kTwoEndpoints, error(ErrorKind::internal)).message ==
      "org/name: it failed (https://a.example sent an unusable response, https://b.example does not have it)");
}
