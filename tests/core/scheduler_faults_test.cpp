// SPDX-License-Identifier: Apache-2.0
// The transitions of the state table in file_task.h that begin with a fault.
#include "core/scheduler_harness.h"
#include "support/catch.h"

using namespace model_prep;
using namespace model_prep::testing;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

/// Lets the hub send the transfer to the payload host.
void to_cdn(SchedulerHarness& play, TransferId id) {
  play.end(id, redirect("https://cdn.example/x"));
  play.step();
}

}  // namespace

TEST_CASE("a transient failure returns the missing segments and delays the file") {
  SchedulerHarness play({file(10 * kMiB)});
  play.to_moving(0);
  const StartTransfer second = play.all<StartTransfer>()[1];
  play.scheduler.on_bytes(second.id, {second.range->begin, second.range->begin + 1000});
  play.fault(second.id);
  play.step();
  CHECK_FALSE(play.has<StartTransfer>());
  CHECK(play.notice(
      "cannot download org/name file from https://hub.example: connection reset (failure 1 of 3; retrying "
      "in 1.0 s)"));
  CHECK(play.scheduler.wake_at() == play.now + seconds(1));
  play.step(milliseconds(999));
  CHECK_FALSE(play.has<StartTransfer>());
  play.step(milliseconds(1));
  CHECK(play.one<StartTransfer>().range ==
        ByteRange{second.range->begin + 1000, second.range->end});
  CHECK(play.scheduler.retries() == 1);
}

TEST_CASE("a body that ends early is a transient failure") {
  SchedulerHarness play({file(100)});
  play.to_moving(0);
  const TransferId id = play.one<StartTransfer>().id;
  play.scheduler.on_bytes(id, {0, 40});
  play.end(id, head(200));
  play.step(seconds(1));
  CHECK(play.one<StartTransfer>().range == ByteRange{40, 100});
}

TEST_CASE("a connection that breaks after the last byte is not a failure") {
  SchedulerHarness play({file(GENERATE(100, 2 * kMiB))});
  play.to_moving(0);
  const TransferId id = play.one<StartTransfer>().id;
  play.bytes(id);
  play.fault(id);
  play.step();
  CHECK(play.has<HashTo>());
  CHECK(play.scheduler.retries() == 0);
  play.hashed(0, 'a');
  CHECK(play.has<Publish>());
}

TEST_CASE("a busy host blocks all files for as long as it says") {
  SchedulerHarness play({file(100), file(200, 'b')});
  play.step();
  for (const ItemId item : {0U, 1U}) play.scheduler.on_lock(item, LockResult::acquired, play.now);
  play.step();
  play.scheduler.on_staged(0, {}, play.now);
  play.step();
  play.end(play.one<StartTransfer>().id, busy(429, seconds(30)));
  play.scheduler.on_staged(1, {}, play.now);
  play.step();
  CHECK_FALSE(play.has<StartTransfer>());
  play.step(milliseconds(29'999));
  CHECK_FALSE(play.has<StartTransfer>());
  play.step(milliseconds(1));
  CHECK(play.all<StartTransfer>().size() == 2);
}

TEST_CASE("a host stays blocked when the file that it was busy for fails") {
  auto impatient = settings();
  impatient.retry.max_failures = 1;
  SchedulerHarness play({file(100), file(200, 'b')}, impatient);
  play.step();
  for (const ItemId item : {0U, 1U}) play.scheduler.on_lock(item, LockResult::acquired, play.now);
  play.step();
  play.scheduler.on_staged(0, {}, play.now);
  play.step();
  play.end(play.one<StartTransfer>().id, busy(429, seconds(30)));
  play.scheduler.on_staged(1, {}, play.now);
  play.step();
  CHECK(play.one<Finish>().item == 0);
  CHECK_FALSE(play.has<StartTransfer>());
  play.step(seconds(30));
  CHECK(play.one<StartTransfer>().item == 1);
}

TEST_CASE("a network failure delays its file and not the host") {
  SchedulerHarness play({file(100), file(200, 'b')});
  play.step();
  for (const ItemId item : {0U, 1U}) play.scheduler.on_lock(item, LockResult::acquired, play.now);
  play.step();
  play.scheduler.on_staged(0, {}, play.now);
  play.step();
  play.fault(play.one<StartTransfer>().id);
  play.scheduler.on_staged(1, {}, play.now);
  play.step();
  CHECK(play.one<StartTransfer>().item == 1);
}

TEST_CASE("an exhausted rate limit on a successful response blocks the host before any 429") {
  SchedulerHarness play({file(100 * kMiB)});
  play.to_moving(0);
  ResponseHead answer = redirect("https://cdn.example/x");
  answer.rate_limit = "\"resolvers\";r=0;t=5";
  play.end(play.all<StartTransfer>()[0].id, answer);
  play.fault(play.all<StartTransfer>()[1].id, ErrorKind::network, 0.0);
  play.step();
  CHECK(play.one<StartTransfer>().url.origin == kCdn);  // the payload host is not blocked
  play.step(milliseconds(5'999));
  CHECK_FALSE(play.has<StartTransfer>());
  play.step(milliseconds(1));
  CHECK(play.one<StartTransfer>().url.origin == kHub);
}

TEST_CASE("a redirect to a blocked payload host waits and then asks the Hub again") {
  SchedulerHarness play({file(10 * kMiB)});
  play.to_moving(0);
  const auto transfers = play.all<StartTransfer>();
  to_cdn(play, transfers[0].id);
  play.end(transfers[0].id, busy(503, seconds(20)));
  play.end(transfers[1].id, redirect("https://cdn.example/x"));
  play.step();
  CHECK_FALSE(play.has<StartTransfer>());
  play.step(seconds(20));
  CHECK(play.all<StartTransfer>().size() == 2);
  CHECK(play.all<StartTransfer>()[0].url.origin == kHub);
}

TEST_CASE("a hub whose every response reports an exhausted limit is waited for once") {
  SchedulerHarness play({file(100)});
  play.to_moving(0);
  const auto redirected = [&] {
    ResponseHead head = redirect("https://hub.example/cached");
    head.rate_limit = "\"resolvers\";r=0;t=1";
    return head;
  };
  play.end(play.one<StartTransfer>().id, redirected());
  play.step();
  CHECK_FALSE(play.has<StartTransfer>());
  CHECK(play.one<Notice>().text == "the rate limit of hub.example is used up: continuing in 2 s");
  play.step(std::chrono::seconds(1));
  CHECK_FALSE(play.has<Notice>());
  play.step(std::chrono::seconds(1));
  play.end(play.one<StartTransfer>().id, redirected());
  play.step();
  CHECK(play.one<StartTransfer>().url.text == "https://hub.example/cached");
}

TEST_CASE("a redirect within the Hub does not wait for a window that has requests left") {
  SchedulerHarness play({file(100), file(50, 'b')});
  play.to_moving(0);
  const StartTransfer first = play.one<StartTransfer>();
  play.scheduler.on_lock(1, LockResult::acquired, play.now);
  play.staged(1);
  const StartTransfer second = play.one<StartTransfer>();

  // Three requests for the window, of which two are sent: the one in flight may be the third.
  ResponseHead moved = redirect("https://hub.example/cached");
  moved.rate_limit = "\"resolvers\";r=2;t=300";
  play.end(first.id, moved);
  play.step();
  CHECK_FALSE(play.has<StartTransfer>());

  play.answer(second);
  play.step();
  CHECK(play.one<StartTransfer>().item == 0);
}

TEST_CASE("one failure counts once, however many connections of the file it affects") {
  SchedulerHarness play({file(100 * kMiB)}, settings(8));
  play.to_moving(0);
  const auto transfers = play.all<StartTransfer>();
  REQUIRE(transfers.size() == 8);
  for (const StartTransfer& transfer : transfers) play.fault(transfer.id);
  play.step();
  CHECK_FALSE(play.has<Finish>());
  CHECK(play.scheduler.retries() == 1);
  CHECK(play.all<Notice>().size() == 1);
}

TEST_CASE("a file without attempts left fails and keeps its bytes for the next run") {
  SchedulerHarness play({file(100)});
  play.to_moving(0);
  for (int i = 0; i < 3; ++i) {
    play.fault(play.one<StartTransfer>().id);
    play.step(seconds(60));
  }
  const FileOutcome outcome = play.one<Finish>().outcome;
  CHECK(outcome.status == FileStatus::failed);
  CHECK(outcome.error->kind == ErrorKind::network);
  CHECK_FALSE(play.one<Close>().drop_staging);
  CHECK(play.scheduler.retries() == 2);
  CHECK(play.scheduler.finished());
}

TEST_CASE("a permanent error ends the file at once") {
  SchedulerHarness play({file(100)});
  play.to_moving(0);
  play.end(play.one<StartTransfer>().id, head(404));
  play.step();
  CHECK(play.one<Finish>().outcome.error->kind == ErrorKind::not_found);
  CHECK(play.scheduler.retries() == 0);
}

TEST_CASE("files that only a failed model needs are not started, shared files are") {
  WorkItem first = file(100);
  WorkItem second = file(90, 'b');
  WorkItem third = file(80, 'c');
  first.models = {0};
  second.models = {0};
  third.models = {0, 1};
  SchedulerHarness play({first, second, third}, settings(1));
  play.to_moving(0);
  play.end(play.one<StartTransfer>().id, head(404));
  play.step();
  const auto finished = play.all<Finish>();
  REQUIRE(finished.size() == 2);
  CHECK(finished[1].item == 1);
  CHECK(finished[1].outcome.status == FileStatus::cancelled);
  CHECK(finished[1].outcome.attempts == 0);
  CHECK(finished[1].outcome.error->message.starts_with("not started: "));
  CHECK(play.one<TryLock>().item == 2);
}

TEST_CASE("a refusal by the payload host asks the Hub again, at most twice without progress") {
  SchedulerHarness play({file(100)});
  play.to_moving(0);
  for (int i = 0; i < 2; ++i) {
    const TransferId id = play.one<StartTransfer>().id;
    to_cdn(play, id);
    play.end(id, head(403));
    play.step();
    CHECK(play.one<StartTransfer>().url.origin == kHub);
  }
  const TransferId id = play.one<StartTransfer>().id;
  to_cdn(play, id);
  play.end(id, head(403));
  play.step();
  CHECK(play.one<Finish>().outcome.error->kind == ErrorKind::protocol);
}

TEST_CASE("single bytes between refusals, and data of earlier requests, do not count as progress") {
  SchedulerHarness play({file(10 * kMiB)});
  play.to_moving(0);
  const std::int64_t chunk = GENERATE(1, 300 * 1024);
  const auto transfers = play.all<StartTransfer>();
  TransferId refused = transfers[1].id;
  int refusals = 0;
  for (std::int64_t at = 0; at < 10 && !play.has<Finish>(); ++at) {
    to_cdn(play, refused);
    play.scheduler.on_bytes(transfers[0].id, {at * chunk, (at + 1) * chunk});
    play.end(refused, head(403));
    ++refusals;
    play.step();
    if (play.has<StartTransfer>()) refused = play.one<StartTransfer>().id;
  }
  CHECK(refusals == 3);
}

TEST_CASE("a refusal that affects all connections at once counts once") {
  SchedulerHarness play({file(100 * kMiB)}, settings(8));
  play.to_moving(0);
  const auto transfers = play.all<StartTransfer>();
  for (const StartTransfer& transfer : transfers)
    play.end(transfer.id, redirect("https://cdn.example/x"));
  play.step();
  for (const StartTransfer& transfer : transfers) play.end(transfer.id, head(403));
  play.step();
  CHECK_FALSE(play.has<Finish>());
  CHECK(play.all<StartTransfer>().size() == 8);
}

TEST_CASE("a stray 200 to a ranged request is asked again, and costs no byte") {
  SchedulerHarness play({file(10 * kMiB)});
  play.to_moving(0);
  const StartTransfer first = play.all<StartTransfer>()[0];
  play.end(first.id, head(200));
  play.step();
  CHECK(play.one<StartTransfer>().range == first.range);
  CHECK_FALSE(play.has<CancelTransfer>());
  CHECK_FALSE(play.has<OpenStaging>());
  CHECK(play.scheduler.retries() == 0);
}

TEST_CASE("without ranges the whole file is one stream, of which only missing bytes are written") {
  SchedulerHarness play({file(10 * kMiB)});
  play.to_moving(0);
  const auto transfers = play.all<StartTransfer>();
  play.scheduler.on_bytes(transfers[1].id, {6 * kMiB, 7 * kMiB});
  play.end(transfers[0].id, head(200));
  play.step();
  play.end(play.one<StartTransfer>().id, head(200));
  play.step();
  CHECK(play.one<CancelTransfer>().id == transfers[1].id);
  CHECK_FALSE(play.has<OpenStaging>());
  StartTransfer stream = play.one<StartTransfer>();
  CHECK_FALSE(stream.range);
  const auto write = [&](ByteRange range) {
    for (auto next = play.scheduler.missing(stream.id, range); next;
         next = play.scheduler.missing(stream.id, {next->end, range.end}))
      play.scheduler.on_bytes(stream.id, *next);
  };
  CHECK(play.scheduler.missing(stream.id, {6 * kMiB, 8 * kMiB}) == ByteRange{7 * kMiB, 8 * kMiB});
  SECTION("and the file is complete at the end") {
    write({0, 10 * kMiB});
    play.end(stream.id, head(200));
    play.step();
    CHECK(play.all<HashTo>().back().watermark == 10 * kMiB);
  }
  SECTION("and after a failure the stream begins again, and what arrived is kept") {
    write({0, 5 * kMiB});
    play.fault(stream.id);
    play.step(seconds(1));
    CHECK_FALSE(play.has<OpenStaging>());
    stream = play.one<StartTransfer>();
    CHECK_FALSE(stream.range);
    CHECK(play.scheduler.missing(stream.id, {0, 10 * kMiB}) == ByteRange{5 * kMiB, 6 * kMiB});
  }
}

TEST_CASE("a stream without ranges that always breaks fails the file") {
  SchedulerHarness play({file(10 * kMiB)});
  play.to_moving(0);
  play.end(play.all<StartTransfer>()[0].id, head(200));
  play.step();
  play.end(play.one<StartTransfer>().id, head(200));
  play.step();
  int streams = 0;
  while (!play.has<Finish>() && streams < 100) {
    const TransferId id = play.one<StartTransfer>().id;
    CHECK_FALSE(play.one<StartTransfer>().range);
    play.fault(id, ErrorKind::network, 0.0);
    play.step();
    ++streams;
  }
  CHECK(streams == 3);
}

TEST_CASE("a 416, another total or an unrequested encoding discards the staged bytes, once") {
  ResponseHead answer = head(416);
  SECTION("416") {}
  SECTION("another total") {
    answer = head(206);
    answer.content_range = "bytes 0-5242880/99999999";
  }
  SECTION("an unrequested encoding") {
    answer = head(206);
    answer.content_encoding = "gzip";
  }
  SchedulerHarness play({file(10 * kMiB)});
  play.to_moving(0);
  const auto transfers = play.all<StartTransfer>();
  play.end(transfers[0].id, answer);
  play.step();
  CHECK(play.one<CancelTransfer>().id == transfers[1].id);
  REQUIRE(play.has<OpenStaging>());
  CHECK(play.one<OpenStaging>().fresh);
  CHECK(play.notice("downloading it again from the start"));
  play.scheduler.on_staged(0, {}, play.now);
  play.step();
  play.end(play.all<StartTransfer>()[0].id, answer);
  play.step();
  CHECK(play.one<Finish>().outcome.status == FileStatus::failed);
}

TEST_CASE(
    "a wrong digest restarts the file from zero once, then drops the staging as digest_mismatch") {
  SchedulerHarness play({file(100)});
  play.to_verifying(0);
  play.hashed(0, 'b');
  CHECK(play.one<OpenStaging>().fresh);
  CHECK_FALSE(play.has<Publish>());
  play.scheduler.on_staged(0, {}, play.now);
  play.step();
  play.answer(play.one<StartTransfer>());
  play.step();
  play.hashed(0, 'b');
  const FileOutcome outcome = play.one<Finish>().outcome;
  CHECK(outcome.status == FileStatus::failed);
  CHECK(outcome.error->kind == ErrorKind::digest_mismatch);
  CHECK(outcome.error->message == "org/name file: its bytes hash to " + sha256('b').hex() +
                                      ", expected " + sha256('a').hex());
  CHECK_FALSE(outcome.sha256);
  CHECK(play.one<Close>().drop_staging);
}

TEST_CASE("the lock's sha256 must match as well as the git id") {
  WorkItem item = file(100);
  item.blob->digest = git_sha1('1');
  item.blob->locked_sha256 = sha256('a');
  item.blob->locked = true;
  SchedulerHarness play({item});
  play.to_verifying(0);
  play.scheduler.on_hash(0, {.sha256 = sha256('b'), .git_sha1 = git_sha1('1'), .error = {}},
                         play.now);
  play.step();
  CHECK(play.notice("its sha256 is " + sha256('b').hex() + ", the lock says " + sha256('a').hex()));
  CHECK(play.one<OpenStaging>().fresh);
}

TEST_CASE("a staging file that is missing at publishing is started over and counts as a failure") {
  SchedulerHarness play({file(100)});
  for (int i = 1; i <= 3; ++i) {
    play.to_verifying(0);
    play.hashed(0, 'a');
    play.scheduler.on_lost(0, StagingOwner::nobody, play.now);
    play.step();
    CHECK(play.has<Close>());
    CHECK(play.notice("its partial download was deleted; starting over") == (i < 3));
  }
  CHECK(play.one<Finish>().outcome.error->kind == ErrorKind::io);
}

TEST_CASE(
    "if staging is deleted or taken over, transfers stop and the lock is released and retried") {
  SchedulerHarness play({file(100 * kMiB)});
  play.to_moving(0);
  const auto transfers = play.all<StartTransfer>().size();
  const auto [owner, words] = GENERATE(table<StagingOwner, std::string>(
      {{StagingOwner::nobody, "was deleted"},
       {StagingOwner::other, "has taken over its partial download"}}));
  play.scheduler.on_lost(0, owner, play.now);
  play.step();
  CHECK(play.all<CancelTransfer>().size() == transfers);
  CHECK_FALSE(play.one<Close>().drop_staging);
  CHECK(play.notice(words));
  CHECK(play.has<TryLock>());
}

TEST_CASE(
    "a writer whose record shows that it is alive is waited for without the lock, and named") {
  SchedulerHarness play({file(100)});
  play.step();
  for (int i = 0; i < 5; ++i) {
    play.scheduler.on_lock(0, LockResult::acquired, play.now);
    play.step();
    CHECK_FALSE(play.one<OpenStaging>().take_over);
    play.scheduler.on_busy(0, "process host:42", "beat " + std::to_string(i), play.now);
    play.step();
    CHECK(play.has<Close>());
    play.step(std::chrono::milliseconds(250));
  }
  CHECK(play.has<TryLock>());
}

TEST_CASE("a writer without a heartbeat in sixty polls is taken over") {
  SchedulerHarness play({file(100)});
  play.step();
  for (int i = 0; i <= WriterWatch::kMaxSilentPolls; ++i) {
    play.scheduler.on_lock(0, LockResult::acquired, play.now);
    play.step();
    REQUIRE_FALSE(play.one<OpenStaging>().take_over);
    play.scheduler.on_busy(0, "process host:42", "beat 7", play.now);
    play.step();
    play.step(std::chrono::milliseconds(250));
  }
  play.scheduler.on_lock(0, LockResult::acquired, play.now);
  play.step();
  CHECK(play.one<OpenStaging>().take_over);
}

TEST_CASE(
    "a large file saves a heartbeat every two seconds, also without data and during hashing") {
  SchedulerHarness play({file(100 * kMiB)});
  play.to_moving(0);
  const bool verifying = GENERATE(false, true);
  if (verifying) {
    for (std::size_t i = 0; i < 100 && play.has<StartTransfer>(); ++i) {
      for (const StartTransfer& transfer : play.all<StartTransfer>()) play.answer(transfer);
      play.step();
    }
  }
  play.step(std::chrono::seconds(3));
  play.step(std::chrono::milliseconds(1999));
  CHECK_FALSE(play.has<SaveResume>());
  play.step(std::chrono::milliseconds(1));
  CHECK(play.has<SaveResume>());
}

TEST_CASE("a stop cancels everything, keeps bytes and record, and reports the reason") {
  SchedulerHarness play({file(100 * kMiB), file(50, 'b')});
  play.to_moving(0);
  play.scheduler.on_bytes(play.all<StartTransfer>()[0].id, {0, 1000});
  play.scheduler.stop({ErrorKind::interrupted, "stopped by SIGTERM", "run it again"}, play.now);
  play.step();
  CHECK(play.all<CancelTransfer>().size() == 2);
  CHECK(play.one<SaveResume>().item == 0);
  for (const Close& close : play.all<Close>()) CHECK_FALSE(close.drop_staging);
  REQUIRE(play.all<Finish>().size() == 2);
  for (const Finish& finish : play.all<Finish>()) {
    CHECK(finish.outcome.status == FileStatus::cancelled);
    CHECK(finish.outcome.error->kind == ErrorKind::interrupted);
  }
  CHECK(play.notice("stopped by SIGTERM"));
  CHECK(play.scheduler.finished());
}

TEST_CASE("the deadline stops the run, and the next wake-up is no later") {
  auto hurried = settings();
  hurried.deadline = kStart + seconds(5);
  SchedulerHarness play({file(100)}, hurried);
  play.to_moving(0);
  CHECK(play.scheduler.wake_at() == *hurried.deadline);
  play.step(seconds(5));
  CHECK(play.one<Finish>().outcome.status == FileStatus::cancelled);
  CHECK(play.one<Finish>().outcome.error->kind == ErrorKind::deadline);
  CHECK_FALSE(play.one<Finish>().outcome.error->hint.empty());
}

TEST_CASE("a full disk ends the whole run") {
  SchedulerHarness play({file(100), file(50, 'b')});
  play.to_moving(0);
  play.fault(play.one<StartTransfer>().id, ErrorKind::disk_full);
  play.step();
  CHECK(play.all<Finish>().size() == 2);
  CHECK(play.scheduler.finished());
}

TEST_CASE("a disk that cannot be read while hashing ends the whole run") {
  SchedulerHarness play({file(100), file(50, 'b')});
  play.to_verifying(0);
  play.unreadable(0);
  CHECK(play.all<Finish>().size() == 2);
  CHECK_FALSE(play.has<Publish>());
}

TEST_CASE("a disk that cannot be read while the file arrives ends the whole run") {
  SchedulerHarness play({file(10 * kMiB), file(50, 'b')});
  play.to_moving(0);
  play.scheduler.on_bytes(play.all<StartTransfer>()[0].id, {0, 2 * kMiB});
  play.step();
  CHECK(play.one<HashTo>().watermark == 2 * kMiB);

  play.unreadable(0);
  REQUIRE(play.all<Finish>().size() == 2);
  CHECK(play.all<Close>().front().drop_staging);
  CHECK(play.scheduler.finished());
}

TEST_CASE("a response that goes wrong after the last byte leaves the verdict to the digest") {
  const auto kind = GENERATE(ErrorKind::network, ErrorKind::protocol);
  SchedulerHarness play({file(100)});
  play.to_moving(0);
  const TransferId id = play.one<StartTransfer>().id;
  play.bytes(id);
  play.fault(id, kind);
  play.step();
  CHECK(play.one<HashTo>().watermark == 100);
  play.hashed(0, 'a');
  CHECK(play.has<Publish>());
}

TEST_CASE("the end of a transfer that was cancelled changes nothing") {
  SchedulerHarness play({file(10 * kMiB)});
  play.to_moving(0);
  const auto transfers = play.all<StartTransfer>();
  play.end(transfers[0].id, head(416));
  CHECK_FALSE(play.scheduler.running(transfers[1].id));
  play.step();
  play.fault(transfers[1].id);
  play.step();
  CHECK(play.actions.empty());
  CHECK(play.scheduler.retries() == 0);
}
