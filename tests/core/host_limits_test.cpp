// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/host_limits.h"

#include "core/builders.h"
#include "support/catch.h"

using namespace model_prep;
using model_prep::testing::kStart;
using std::chrono::seconds;

namespace {

const std::string kHubOrigin = "https://hub.example";
constexpr auto kFiles = HostLimits::Bucket::files;
constexpr auto kQueries = HostLimits::Bucket::queries;

HostLimits::Failure failure(TimePoint sent) {
  return {.cause = {ErrorKind::server, "status 503"},
          .of_hub = false,
          .sent = sent,
          .demanded = {},
          .backoff = {},
          .jitter = 1.0};
}

}  // namespace

TEST_CASE("a host without history may be contacted") {
  CHECK(HostLimits().closed_until(kHubOrigin, kFiles, 0, kStart) == TimePoint::min());
}

TEST_CASE("a block lasts until its end, for every request to that host and to no other") {
  HostLimits book;
  book.block_until(kHubOrigin, kStart + seconds(5));
  for (const auto what : {kFiles, kQueries})
    CHECK(book.closed_until(kHubOrigin, what, 0, kStart) == kStart + seconds(5));
  CHECK(book.blocked_until(kHubOrigin, kStart) == kStart + seconds(5));
  CHECK(book.closed_until(kHubOrigin, kFiles, 0, kStart + seconds(5)) == TimePoint::min());
  CHECK(book.closed_until("https://cdn.example", kFiles, 0, kStart) == TimePoint::min());
}

TEST_CASE("a later response can extend a block, but not shorten it") {
  HostLimits book;
  book.block_until(kHubOrigin, kStart + seconds(5));
  book.block_until(kHubOrigin, kStart + seconds(2));
  CHECK(book.closed_until(kHubOrigin, kFiles, 0, kStart) == kStart + seconds(5));
  book.block_until(kHubOrigin, kStart + seconds(9));
  CHECK(book.closed_until(kHubOrigin, kFiles, 0, kStart) == kStart + seconds(9));
}

TEST_CASE(
    "an exhausted window blocks the requests that it counts, until its end and one second more") {
  HostLimits book;
  book.on_rate_limit(kHubOrigin, kFiles, book.on_request(kHubOrigin, kFiles), {0, seconds(5)},
                     kStart);
  CHECK(book.closed_until(kHubOrigin, kFiles, 0, kStart) == kStart + seconds(6));
  CHECK(book.closed_until(kHubOrigin, kFiles, 0, kStart + seconds(6)) == TimePoint::min());
  CHECK(book.closed_until(kHubOrigin, kQueries, 0, kStart) == TimePoint::min());
  CHECK(book.blocked_until(kHubOrigin, kStart) == TimePoint::min());
}

TEST_CASE("a host gets as many requests as it allows, and requests in flight count") {
  HostLimits book;
  const auto first = book.on_request(kHubOrigin, kFiles);
  for (int i = 0; i < 3; ++i) book.on_request(kHubOrigin, kFiles);
  book.on_rate_limit(kHubOrigin, kFiles, first, {5, seconds(9)}, kStart);
  book.on_request(kHubOrigin, kFiles);
  CHECK(book.closed_until(kHubOrigin, kFiles, 0, kStart) == TimePoint::min());
  book.on_request(kHubOrigin, kFiles);
  CHECK(book.closed_until(kHubOrigin, kFiles, 0, kStart) == kStart + seconds(10));
}

TEST_CASE("any number of the requests in flight may already be counted in the response") {
  HostLimits book;
  book.on_rate_limit(kHubOrigin, kFiles, book.on_request(kHubOrigin, kFiles), {5, seconds(9)},
                     kStart);
  CHECK(book.closed_until(kHubOrigin, kFiles, 4, kStart) == TimePoint::min());
  CHECK(book.closed_until(kHubOrigin, kFiles, 5, kStart) == kStart + seconds(10));
}

TEST_CASE("a host that allows any number of requests is not waited for") {
  HostLimits book;
  const auto limit = parse_rate_limit("\"x\";r=9223372036854775807;t=3600");
  REQUIRE(limit);
  book.on_rate_limit(kHubOrigin, kFiles, book.on_request(kHubOrigin, kFiles), *limit, kStart);
  CHECK(book.closed_until(kHubOrigin, kFiles, 1, kStart) == TimePoint::min());
}

TEST_CASE("the order of responses does not matter") {
  HostLimits book;
  const auto first = book.on_request(kHubOrigin, kFiles);
  const auto second = book.on_request(kHubOrigin, kFiles);
  const bool in_order = GENERATE(true, false);
  if (in_order) book.on_rate_limit(kHubOrigin, kFiles, first, {2, seconds(9)}, kStart);
  book.on_rate_limit(kHubOrigin, kFiles, second, {1, seconds(9)}, kStart);
  if (!in_order) book.on_rate_limit(kHubOrigin, kFiles, first, {2, seconds(9)}, kStart);
  CHECK(book.closed_until(kHubOrigin, kFiles, 0, kStart) == TimePoint::min());
  book.on_request(kHubOrigin, kFiles);
  CHECK(book.closed_until(kHubOrigin, kFiles, 0, kStart) == kStart + seconds(10));
}

TEST_CASE("a response that was long on its way takes back nothing that a later one gave") {
  HostLimits book;
  const auto slow = book.on_request(kHubOrigin, kFiles);
  HostLimits::RequestNumber last = slow;
  for (int i = 0; i < 200; ++i) last = book.on_request(kHubOrigin, kFiles);
  book.on_rate_limit(kHubOrigin, kFiles, last, {100, seconds(300)}, kStart);
  book.on_rate_limit(kHubOrigin, kFiles, slow, {100, seconds(300)}, kStart);
  CHECK(book.closed_until(kHubOrigin, kFiles, 0, kStart) == TimePoint::min());

  // But a host that has nothing left means it, whichever request it says so to.
  book.on_rate_limit(kHubOrigin, kFiles, slow, {0, seconds(9)}, kStart);
  CHECK(book.closed_until(kHubOrigin, kFiles, 0, kStart) == kStart + seconds(10));
}

TEST_CASE("a small file counts as a file, however it is read, and only the API as the API") {
  const auto bucket = [](const char* text) { return bucket_of(Url{text, kHubOrigin, true}); };
  CHECK(bucket("https://hub.example/org/name/resolve/main/config.json") == kFiles);
  CHECK(bucket("https://hub.example/datasets/org/name/resolve/main/a.json") == kFiles);
  CHECK(bucket("https://hub.example/api/models/org/name/revision/main") == kQueries);
  CHECK(bucket("https://hub.example/api/models/org/name/tree/main?recursive=true") == kQueries);
}

TEST_CASE("the end of a window that is used up is announced once, and not that of a block") {
  HostLimits book;
  book.on_rate_limit(kHubOrigin, kFiles, book.on_request(kHubOrigin, kFiles), {1, seconds(9)},
                     kStart);
  CHECK_FALSE(book.mark_window_announced(kHubOrigin, kFiles, kStart));
  book.on_request(kHubOrigin, kFiles);
  CHECK(book.mark_window_announced(kHubOrigin, kFiles, kStart));
  CHECK_FALSE(book.mark_window_announced(kHubOrigin, kFiles, kStart + seconds(1)));

  const TimePoint next = kStart + seconds(10);
  book.on_rate_limit(kHubOrigin, kFiles, book.on_request(kHubOrigin, kFiles), {0, seconds(9)},
                     next);
  book.block_until(kHubOrigin, next + seconds(10));
  CHECK(book.any_window_unannounced(next));
  CHECK_FALSE(book.mark_window_announced(kHubOrigin, kFiles, next));
  CHECK_FALSE(book.any_window_unannounced(next));
}

TEST_CASE(
    "an exhausted window stays closed to its end, whatever arrives meanwhile, and then reopens") {
  HostLimits book;
  const auto first = book.on_request(kHubOrigin, kFiles);
  book.on_rate_limit(kHubOrigin, kFiles, book.on_request(kHubOrigin, kFiles), {0, seconds(9)},
                     kStart);
  book.on_rate_limit(kHubOrigin, kFiles, first, {7, seconds(300)}, kStart + seconds(1));
  CHECK(book.closed_until(kHubOrigin, kFiles, 0, kStart + seconds(1)) == kStart + seconds(10));
  book.on_rate_limit(kHubOrigin, kFiles, book.on_request(kHubOrigin, kFiles), {7, seconds(9)},
                     kStart + seconds(10));
  CHECK(book.closed_until(kHubOrigin, kFiles, 0, kStart + seconds(10)) == TimePoint::min());
}

TEST_CASE("the same fault of a host is logged at most once every few seconds") {
  HostLimits book;
  CHECK(book.should_log("https://hub.example", ErrorKind::network, kStart));
  CHECK_FALSE(book.should_log("https://hub.example", ErrorKind::network, kStart + seconds(2)));
  CHECK(book.should_log("https://hub.example", ErrorKind::network, kStart + seconds(3)));
}

TEST_CASE("another fault or another host is logged at once") {
  HostLimits book;
  CHECK(book.should_log("https://hub.example", ErrorKind::network, kStart));
  CHECK(book.should_log("https://hub.example", ErrorKind::timeout, kStart));
  CHECK(book.should_log("https://cdn.example", ErrorKind::network, kStart));
}

TEST_CASE("the patience with payload hosts that fail in turn is one, and an answer renews it") {
  HostLimits book;
  const bool answers = GENERATE(false, true);
  const auto fail = [&](int host, TimePoint now) {
    return book.on_failure("https://cdn-" + std::to_string(host) + ".example", failure(now),
                           {.limit = seconds(10)}, now);
  };
  for (int i = 0; i < 10; ++i) CHECK_FALSE(fail(i, kStart + seconds(i))->given_up());
  if (answers) book.on_answer("https://cdn.example", false, false, kStart, kStart + seconds(9));
  CHECK(fail(10, kStart + seconds(10))->given_up() == !answers);
}

TEST_CASE("the patience with a host stands still while nobody asks it") {
  HostLimits book;
  const Patience patience{.limit = seconds(10)};
  const auto fail = [&](Duration at) {
    return book.on_failure(kHubOrigin, failure(kStart + at), patience, kStart + at);
  };
  CHECK_FALSE(fail(seconds(0))->given_up());
  for (const int at : {600, 602, 606}) CHECK_FALSE(fail(seconds(at))->given_up());
  CHECK(fail(seconds(608))->given_up());
}
