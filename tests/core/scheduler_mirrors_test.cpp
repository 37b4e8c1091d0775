// SPDX-License-Identifier: Apache-2.0
// The scheduler with several endpoints: which one gets a request, when the next one does, and which
// one is blamed.
#include "core/scheduler_harness.h"
#include "support/catch.h"

using namespace model_prep;
using namespace model_prep::testing;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

/// The mirror first, without a token; then the Hub, with one.
SchedulerSettings both(int connections = 2) {
  SchedulerSettings made = settings(connections);
  made.endpoints = {{kMirror, kMirror, TokenUse::withheld}, {kHub, kHub, TokenUse::sent}};
  return made;
}

WorkItem anywhere(WorkItem item) {
  const std::string path = item.sources.front().url.text.substr(std::string(kHub).size());
  item.sources = {{0, url(kMirror + path)}, {1, url(kHub + path)}};
  return item;
}

struct Two : SchedulerHarness {
  explicit Two(std::vector<WorkItem> items, int connections = 2)
      : SchedulerHarness(std::move(items), both(connections)) {}

  std::string asked() const { return one<StartTransfer>().url.origin; }
  /// The first endpoint sends a piece of the first file and then fails.
  void break_off() {
    to_moving(0);
    const TransferId first = one<StartTransfer>().id;
    scheduler.on_bytes(first, {0, kMiB});
    fault(first);
    step();
  }
  void unreached(TransferId id) {
    scheduler.on_end({.id = id,
                      .head = {},
                      .refused = false,
                      .reached = false,
                      .error = Error{ErrorKind::network, "connection refused", {}}},
                     now, 1.0);
  }
};

}  // namespace

TEST_CASE("the first request goes to the first endpoint, and each gets its own token or none") {
  Two play({anywhere(query())});
  play.step();
  CHECK(play.asked() == kMirror);
  CHECK_FALSE(play.one<StartTransfer>().with_token);
  play.end(play.one<StartTransfer>().id, head(404));
  play.step();
  CHECK(play.asked() == kHub);
  CHECK(play.one<StartTransfer>().with_token);
}

TEST_CASE("a redirect from one endpoint to another carries no token") {
  Two play({anywhere(query())});
  play.step();
  play.end(play.one<StartTransfer>().id, redirect("https://hub.example/api"));
  play.step();
  CHECK(play.asked() == kHub);
  CHECK_FALSE(play.one<StartTransfer>().with_token);
}

TEST_CASE(
    "a transient failure switches endpoints at once, and a pause follows when each has failed") {
  Two play({anywhere(query())});
  play.step();
  const ErrorKind kind = GENERATE(ErrorKind::network, ErrorKind::timeout);
  play.fault(play.one<StartTransfer>().id, kind);
  play.step();
  CHECK(play.asked() == kHub);
  play.fault(play.one<StartTransfer>().id, kind);
  play.step();
  CHECK_FALSE(play.has<StartTransfer>());
  CHECK(play.scheduler.wake_at() == play.now + seconds(1));
  play.step(seconds(1));
  CHECK(play.has<StartTransfer>());
}

TEST_CASE("one failure at each endpoint counts once") {
  Two play({anywhere(query())});
  play.step();
  for (int failure = 1; failure < 2 * 3; ++failure) {  // three are allowed
    play.fault(play.one<StartTransfer>().id);
    play.step(seconds(10));
    if (!play.has<StartTransfer>()) play.step(seconds(10));
    REQUIRE(play.has<StartTransfer>());
  }
  play.fault(play.one<StartTransfer>().id);
  play.step();
  const FileOutcome outcome = play.one<Finish>().outcome;
  CHECK(outcome.error->kind == ErrorKind::network);
  CHECK(outcome.attempts == 7);
}

TEST_CASE("an unreachable host is tried last until it responds") {
  Two play({anywhere(query()), anywhere(query())}, 1);
  play.step();
  play.unreached(play.one<StartTransfer>().id);
  play.step();
  CHECK(play.notice(
      "https://mirror.example cannot be reached (connection refused); using https://hub.example first from now on"));
  play.end(play.one<StartTransfer>().id, head(200));
  play.step();  // the second query
  CHECK(play.asked() == kHub);
  play.end(play.one<StartTransfer>().id, head(404));
  play.step();
  CHECK(play.asked() == kMirror);
  play.end(play.one<StartTransfer>().id, head(200));
  CHECK_FALSE(play.scheduler.hosts().is_unreachable(kMirror));
}

TEST_CASE("a rate-limiting host gets no request while another endpoint is available") {
  Two play({anywhere(query()), anywhere(query())}, 1);
  play.step();
  play.end(play.one<StartTransfer>().id, busy(429, seconds(300)));
  play.step();
  CHECK(play.asked() == kHub);
  play.end(play.one<StartTransfer>().id, head(200));
  play.step();
  CHECK(play.asked() == kHub);
  play.end(play.one<StartTransfer>().id, head(404));
  play.step();
  CHECK_FALSE(play.has<StartTransfer>());  // only the blocked host is left
  CHECK(play.scheduler.wake_at() == play.now + seconds(300));
}

TEST_CASE("connections that fail together at one endpoint switch the file to the next one once") {
  Two play({anywhere(file(40 * kMiB))}, 4);
  play.to_moving(0);
  const auto running = play.all<StartTransfer>();
  REQUIRE(running.size() == 4);
  for (const StartTransfer& transfer : running) play.fault(transfer.id);
  play.step();
  const auto again = play.all<StartTransfer>();
  REQUIRE(again.size() == 4);
  for (const StartTransfer& transfer : again) CHECK(transfer.url.origin == kHub);
  CHECK(play.scheduler.retries() == 1);
}

TEST_CASE("an endpoint without the file fails nothing while another may have it") {
  Two play({anywhere(file(100))});
  play.to_moving(0);
  play.end(play.one<StartTransfer>().id, head(404));
  play.step();
  CHECK(play.asked() == kHub);
  SECTION("the other endpoint has it") {
    play.answer(play.one<StartTransfer>());
    play.step();
    play.hashed(0, 'a');
    CHECK(play.has<Publish>());
  }
  SECTION("the other endpoint does not have it") {
    play.end(play.one<StartTransfer>().id, head(404));
    play.step();
    const Error error = *play.one<Finish>().outcome.error;
    CHECK(error.kind == ErrorKind::not_found);
    CHECK(error.message.find(
              "https://mirror.example does not have it, https://hub.example does not have it") !=
          std::string::npos);
  }
}

TEST_CASE("a file continues at the next endpoint where the first one stopped") {
  Two play({anywhere(file(12 * kMiB))}, 1);
  play.break_off();
  CHECK(play.asked() == kHub);
  CHECK(play.one<StartTransfer>().range->begin == kMiB);
  CHECK_FALSE(play.has<OpenStaging>());
}

TEST_CASE(
    "an endpoint without ranges does not discard the bytes of another that only failed once") {
  Two play({anywhere(file(12 * kMiB))}, 1);
  const auto refuse_ranges = [&] {
    REQUIRE(play.asked() == kHub);
    play.end(play.one<StartTransfer>().id, head(200));  // perhaps a stray one: it is asked again
    play.step();
    REQUIRE(play.asked() == kHub);
    play.end(play.one<StartTransfer>().id, head(200));
    play.step();
  };
  play.break_off();
  refuse_ranges();
  CHECK_FALSE(play.has<OpenStaging>());
  play.step(seconds(10));
  CHECK(play.asked() == kMirror);
  CHECK(play.one<StartTransfer>().range->begin == kMiB);
  SECTION("if the other one stays away, all bytes come from the endpoint without ranges") {
    play.fault(play.one<StartTransfer>().id);
    play.step();
    refuse_ranges();
    play.step(seconds(10));
    play.fault(play.one<StartTransfer>().id);
    play.step();
    refuse_ranges();
    CHECK_FALSE(play.has<OpenStaging>());
    CHECK(play.asked() == kHub);
    CHECK_FALSE(play.one<StartTransfer>().range);
  }
}

TEST_CASE("an endpoint with a file of another size does not discard the bytes of another") {
  Two play({anywhere(file(12 * kMiB))}, 1);
  play.break_off();
  REQUIRE(play.asked() == kHub);
  play.end(play.one<StartTransfer>().id, head(416));
  play.step();
  CHECK_FALSE(play.has<OpenStaging>());
  play.step(seconds(10));
  CHECK(play.asked() == kMirror);
  CHECK(play.one<StartTransfer>().range->begin == kMiB);
}

TEST_CASE(
    "wrong bytes of one endpoint are attributed to it, and the whole file comes from the next") {
  Two play({anywhere(file(100))});
  play.to_verifying(0);
  play.hashed(0, 'b');
  CHECK(play.notice("from https://mirror.example; downloading it again from https://hub.example"));
  CHECK(play.one<OpenStaging>().fresh);
  play.scheduler.on_staged(0, {}, play.now);
  play.step();
  CHECK(play.asked() == kHub);
  play.answer(play.one<StartTransfer>());
  play.step();
  SECTION("the next one has the right bytes") {
    play.hashed(0, 'a');
    CHECK(play.has<Publish>());
  }
  SECTION("the next one has wrong bytes too") {
    play.hashed(0, 'b');
    const Error error = *play.one<Finish>().outcome.error;
    CHECK(error.kind == ErrorKind::digest_mismatch);
    CHECK(error.message.find(
              "https://mirror.example sent wrong bytes, https://hub.example sent wrong bytes") !=
          std::string::npos);
  }
}

TEST_CASE("wrong bytes from two endpoints blame neither, and the retry uses one endpoint only") {
  Two play({anywhere(file(12 * kMiB))}, 1);
  play.break_off();
  while (play.has<StartTransfer>()) {
    play.answer(play.one<StartTransfer>());
    play.step();
  }
  play.hashed(0, 'b');
  CHECK(play.one<OpenStaging>().fresh);
  play.scheduler.on_staged(0, {}, play.now);
  play.step();
  const TransferId second = play.one<StartTransfer>().id;
  CHECK(play.asked() == kHub);  // the mirror has failed in this round
  play.scheduler.on_bytes(second, {0, kMiB});
  play.fault(second);
  play.step(seconds(1));
  CHECK(play.asked() == kHub);
  CHECK(play.one<StartTransfer>().range->begin == kMiB);
  play.end(play.one<StartTransfer>().id, head(404));
  play.step(seconds(2));
  CHECK(play.one<OpenStaging>().fresh);  // a successor starts at zero
  play.scheduler.on_staged(0, {}, play.now);
  play.step();
  CHECK(play.asked() == kMirror);
  CHECK_FALSE(play.one<StartTransfer>().range.has_value());  // all of it
}

TEST_CASE("an unreachable payload host is bypassed through the next endpoint") {
  Two play({anywhere(file(100)), anywhere(file(90, 'b'))}, 1);
  play.to_moving(0);
  play.end(play.one<StartTransfer>().id, redirect("https://cdn.example/x"));
  play.step();
  play.unreached(play.one<StartTransfer>().id);
  play.step();
  CHECK(play.asked() == kHub);
  play.answer(play.one<StartTransfer>());
  play.step();
  play.hashed(0, 'a');
  play.scheduler.on_published(0, play.now);
  play.step();
  play.scheduler.on_lock(1, LockResult::acquired, play.now);
  play.staged(1);
  CHECK(play.asked() == kMirror);
  play.end(play.one<StartTransfer>().id, redirect("https://cdn.example/y"));
  play.step();
  CHECK(play.asked() == kHub);  // without another try there
}
