// SPDX-License-Identifier: Apache-2.0
// The transitions of the state table in file_task.h without a fault; those of faults are in
// scheduler_faults_test.cpp.
#include "core/scheduler_harness.h"
#include "support/catch.h"

using namespace model_prep;
using namespace model_prep::testing;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

WorkItem existing(std::int64_t size) {
  WorkItem item = file(size);
  item.check_existing = true;
  return item;
}

RangeSet first_bytes(std::int64_t count) {
  RangeSet set;
  set.add({0, count});
  return set;
}

}  // namespace

TEST_CASE("a scheduler without work is finished at once") {
  const Scheduler scheduler(settings(), {});
  CHECK(scheduler.finished());
}

TEST_CASE("waiting: an unverified blob is hashed, without a lock") {
  SchedulerHarness play({existing(100)});
  play.step();
  CHECK(play.has<CheckExisting>());
  CHECK_FALSE(play.has<TryLock>());
}

TEST_CASE("checking: copies are hashed one after the other, up to the first that is wrong") {
  WorkItem item = existing(100);
  item.copies = 1;
  SchedulerHarness play({item});
  play.step();
  play.hashed(0, 'a');
  CHECK_FALSE(play.has<Finish>());
  CHECK(play.one<CheckExisting>().copy == 1);
  const bool right = GENERATE(false, true);
  play.hashed(0, right ? 'a' : 'b');
  CHECK(play.has<Finish>() == right);
  CHECK(play.has<TryLock>() != right);
}

TEST_CASE("waiting: a missing file tries its lock") {
  SchedulerHarness play({file(100)});
  play.step();
  CHECK(play.one<TryLock>().item == 0);
  CHECK_FALSE(play.has<StartTransfer>());
}

TEST_CASE(
    "checking: an equal digest makes the file reused, with its sha256 and without a request") {
  SchedulerHarness play({existing(100)});
  play.step();
  play.hashed(0, 'a');
  CHECK(play.one<Finish>().outcome.status == FileStatus::reused);
  CHECK(play.one<Finish>().outcome.sha256 == sha256('a'));
  CHECK(play.scheduler.requests() == 0);
  CHECK(play.scheduler.finished());
}

TEST_CASE("checking: a different digest fetches the file again") {
  SchedulerHarness play({existing(100)});
  play.step();
  play.hashed(0, 'b');
  CHECK(play.has<TryLock>());
  CHECK(play.notice("the cached file is damaged and will be downloaded again"));
  play.scheduler.on_lock(0, LockResult::acquired_blob_exists, play.now);
  play.step();
  CHECK(play.has<OpenStaging>());
}

TEST_CASE("checking: a different digest offline is a digest mismatch with a hint") {
  auto offline = settings();
  offline.offline = true;
  SchedulerHarness play({existing(100)}, offline);
  play.step();
  play.hashed(0, 'b');
  const FileOutcome outcome = play.one<Finish>().outcome;
  CHECK(outcome.status == FileStatus::failed);
  CHECK(outcome.error->kind == ErrorKind::digest_mismatch);
  CHECK_FALSE(outcome.error->hint.empty());
}

TEST_CASE("locking: a lock held by another process is tried again after 250 ms") {
  SchedulerHarness play({file(100)});
  play.step();
  play.scheduler.on_busy(0, "host:42", {}, play.now);
  play.step();
  CHECK_FALSE(play.has<TryLock>());
  CHECK(play.scheduler.wake_at() == play.now + milliseconds(250));
  play.step(milliseconds(249));
  CHECK_FALSE(play.has<TryLock>());
  play.step(milliseconds(1));
  CHECK(play.has<TryLock>());
}

TEST_CASE("locking: the wait is logged once every ten seconds, with the holder") {
  SchedulerHarness play({file(100)});
  int said = 0;
  for (int i = 0; i < 4 * 31; ++i) {
    play.step(milliseconds(250));
    said += play.notice("waiting for host:42") ? 1 : 0;
    if (play.has<TryLock>()) play.scheduler.on_busy(0, "host:42", {}, play.now);
  }
  CHECK(said >= 3);
  CHECK(said <= 4);
}

TEST_CASE("locking: a blob that exists by now is hashed under the lock") {
  SchedulerHarness play({file(100)});
  play.step();
  play.scheduler.on_lock(0, LockResult::acquired_blob_exists, play.now);
  play.step();
  CHECK(play.has<CheckExisting>());
  SECTION("and reused if it is right") {
    play.hashed(0, 'a');
    CHECK(play.one<Finish>().outcome.status == FileStatus::reused);
    CHECK(play.has<Close>());
  }
  SECTION("and fetched again under the same lock if it is wrong") {
    play.hashed(0, 'b');
    CHECK(play.has<OpenStaging>());
    CHECK_FALSE(play.has<TryLock>());
  }
}

TEST_CASE("locking: a damaged blob that another process may have repaired is checked again") {
  SchedulerHarness play({existing(100)});
  play.step();
  play.hashed(0, 'b');
  play.scheduler.on_busy(0, "host:42", {}, play.now);
  play.step(milliseconds(250));
  play.scheduler.on_lock(0, LockResult::acquired_blob_exists, play.now);
  play.step();
  CHECK(play.has<CheckExisting>());
  play.hashed(0, 'a');
  CHECK(play.one<Finish>().outcome.status == FileStatus::reused);
}

TEST_CASE("locking: with the lock the staging file is opened, and its bytes are kept") {
  SchedulerHarness play({file(100)});
  play.step();
  play.scheduler.on_lock(0, LockResult::acquired, play.now);
  play.step();
  CHECK_FALSE(play.one<OpenStaging>().fresh);
}

TEST_CASE("moving: a small file is one request for the whole file, with the token") {
  SchedulerHarness play({file(100)});
  play.to_moving(0);
  const StartTransfer transfer = play.one<StartTransfer>();
  CHECK_FALSE(transfer.range);
  CHECK(transfer.with_token);
  CHECK(transfer.url.text == "https://hub.example/file");
}

TEST_CASE("moving: a large file uses every connection, each with its own range") {
  SchedulerHarness play({file(10 * kMiB)});
  play.to_moving(0);
  const auto transfers = play.all<StartTransfer>();
  REQUIRE(transfers.size() == 2);
  CHECK(transfers[0].range == ByteRange{0, 5 * kMiB + 1});
  CHECK(transfers[1].range == ByteRange{5 * kMiB + 1, 10 * kMiB});
}

TEST_CASE("moving: a free connection requests the next segment") {
  SchedulerHarness play({file(100 * kMiB)});
  play.to_moving(0);
  play.answer(play.all<StartTransfer>()[0]);
  play.step();
  CHECK(play.has<SaveResume>());
  CHECK(play.one<StartTransfer>().range->begin == 2 * (25 * kMiB + 1));
}

TEST_CASE("moving: the bytes of a resumed file are hashed and not requested again") {
  SchedulerHarness play({file(10 * kMiB)});
  play.step();
  play.scheduler.on_lock(0, LockResult::acquired, play.now);
  play.step();
  play.scheduler.on_staged(0, first_bytes(6 * kMiB), play.now);
  play.step();
  CHECK(play.one<HashTo>().watermark == 6 * kMiB);
  CHECK(play.one<StartTransfer>().range == ByteRange{6 * kMiB, 10 * kMiB});
}

TEST_CASE("moving: a resumed file that is complete is verified without a request") {
  SchedulerHarness play({file(100)});
  play.to_moving(0, first_bytes(100));
  CHECK_FALSE(play.has<StartTransfer>());
  play.hashed(0, 'a');
  CHECK(play.has<Publish>());
  CHECK(play.scheduler.requests() == 0);
}

TEST_CASE("moving: an empty file is verified without a request") {
  SchedulerHarness play({file(0)});
  play.to_moving(0);
  CHECK_FALSE(play.has<StartTransfer>());
  CHECK(play.one<HashTo>().watermark == 0);
}

TEST_CASE("moving: a redirect keeps the range, and the token only at the Hub") {
  SchedulerHarness play({file(10 * kMiB)});
  play.to_moving(0);
  const StartTransfer asked = play.all<StartTransfer>()[1];
  SECTION("to a payload host without the token") {
    play.end(asked.id, redirect("https://cdn.example/x?Signature=1"));
    play.step();
    const StartTransfer hop = play.one<StartTransfer>();
    CHECK(hop.id == asked.id);
    CHECK(hop.range == asked.range);
    CHECK(hop.url.text == "https://cdn.example/x?Signature=1");
    CHECK_FALSE(hop.with_token);
    const RequestContext context = play.scheduler.payload_request(hop.id).context;
    CHECK_FALSE(context.of_hub);
    CHECK(context.token == TokenUse::left_home);
  }
  SECTION("to the Hub itself with the token") {
    play.end(asked.id, redirect("https://hub.example/api/resolve-cache/x"));
    play.step();
    CHECK(play.one<StartTransfer>().with_token);
    CHECK(play.scheduler.payload_request(asked.id).context.of_hub);
  }
}

TEST_CASE(
    "moving: a redirect back to the Hub has the token again, and the sixth redirect is refused") {
  SchedulerHarness play({file(100)});
  play.to_moving(0);
  const TransferId id = play.one<StartTransfer>().id;
  for (const bool home : {false, true, false, true, true}) {
    play.end(id, redirect(home ? "https://hub.example/y" : "https://cdn.example/y"));
    play.step();
    CHECK(play.one<StartTransfer>().with_token == home);
  }
  play.end(id, redirect("https://cdn.example/y"));
  play.step();
  CHECK(play.one<Finish>().outcome.error->kind == ErrorKind::protocol);
}

TEST_CASE("moving: without a token none is sent") {
  auto anonymous = settings();
  anonymous.endpoints.front().token = TokenUse::none;
  SchedulerHarness play({file(100)}, anonymous);
  play.to_moving(0);
  CHECK_FALSE(play.one<StartTransfer>().with_token);
}

TEST_CASE("moving: the hash follows the watermark in steps of a MiB") {
  SchedulerHarness play({file(10 * kMiB)});
  play.to_moving(0);
  const TransferId id = play.all<StartTransfer>()[0].id;
  play.scheduler.on_bytes(id, {0, kMiB - 1});
  play.step();
  CHECK_FALSE(play.has<HashTo>());
  play.scheduler.on_bytes(id, {kMiB - 1, kMiB + 7});
  play.step();
  CHECK(play.one<HashTo>().watermark == kMiB + 7);
}

TEST_CASE("moving: the last hash step waits until all transfers have ended") {
  SchedulerHarness play({file(2 * kMiB)});
  play.to_moving(0);
  const StartTransfer transfer = play.one<StartTransfer>();
  const ResponseHead late = right_head(play.scheduler.payload_request(transfer.id));
  play.bytes(transfer.id);
  play.step();
  CHECK_FALSE(play.has<HashTo>());
  play.end(transfer.id, late);
  play.step();
  CHECK(play.one<HashTo>().watermark == 2 * kMiB);
}

TEST_CASE("moving: received bytes are recorded within a second") {
  SchedulerHarness play({file(10 * kMiB)});
  play.to_moving(0);
  play.scheduler.on_bytes(play.all<StartTransfer>()[0].id, {0, 10});
  play.step();
  CHECK_FALSE(play.has<SaveResume>());
  CHECK(play.scheduler.wake_at() <= play.now + seconds(1));
  play.step(seconds(1));
  CHECK(play.has<SaveResume>());
  play.step(std::chrono::milliseconds(1999));
  CHECK_FALSE(play.has<SaveResume>());  // no new bytes since
}

TEST_CASE("moving: when all bytes are on disk they are hashed, and recorded if they are many") {
  SchedulerHarness play({file(10 * kMiB)});
  play.to_moving(0);
  const auto transfers = play.all<StartTransfer>();
  for (const StartTransfer& transfer : transfers) play.answer(transfer);
  play.step();
  CHECK(play.all<HashTo>().back().watermark == 10 * kMiB);
  CHECK(play.has<SaveResume>());
}

TEST_CASE(
    "moving: a transfer that delivers its bytes but ends later does not disturb the verification") {
  SchedulerHarness play({file(10 * kMiB)});
  play.to_moving(0);
  const auto transfers = play.all<StartTransfer>();
  play.bytes(transfers[1].id);
  const ResponseHead late = right_head(play.scheduler.payload_request(transfers[1].id));
  play.answer(transfers[0]);
  play.step();
  play.hashed(0, 'a');
  CHECK(play.has<Publish>());
  SECTION("when it ends successfully") { play.end(transfers[1].id, late); }
  SECTION("when it ends with a failure") { play.fault(transfers[1].id); }
  play.scheduler.on_published(0, play.now);
  play.step();
  CHECK(play.one<Finish>().outcome.status == FileStatus::fetched);
  CHECK(play.scheduler.retries() == 0);
}

TEST_CASE("verifying: with equal digests the blob is published and the file is fetched") {
  SchedulerHarness play({file(100)});
  play.to_verifying(0);
  CHECK_FALSE(play.has<Publish>());
  play.hashed(0, 'a');
  CHECK(play.has<Publish>());
  CHECK_FALSE(play.has<Finish>());
  play.scheduler.on_published(0, play.now);
  play.step();
  const FileOutcome outcome = play.one<Finish>().outcome;
  CHECK(outcome.status == FileStatus::fetched);
  CHECK(outcome.bytes_fetched == 100);
  CHECK(outcome.attempts == 1);
  CHECK(outcome.sha256 == sha256('a'));
  CHECK_FALSE(play.one<Close>().drop_staging);
  CHECK(play.scheduler.finished());
}

TEST_CASE("a query goes from waiting over moving to done") {
  SchedulerHarness play({query()});
  play.step();
  const StartTransfer transfer = play.one<StartTransfer>();
  CHECK_FALSE(transfer.range);
  play.end(transfer.id, head(200));
  play.step();
  CHECK(play.one<Finish>().outcome.status == FileStatus::fetched);
  CHECK_FALSE(play.has<Close>());
  CHECK(play.scheduler.requests() == 1);
}

TEST_CASE("a query is redirected and retried like a file") {
  SchedulerHarness play({query()});
  play.step();
  const TransferId id = play.one<StartTransfer>().id;
  play.end(id, redirect("https://hub.example/api/new-name"));
  play.step();
  CHECK(play.one<StartTransfer>().url.text == "https://hub.example/api/new-name");
  play.end(id, head(503));
  play.step(seconds(1));
  CHECK(play.one<StartTransfer>().url.text == "https://hub.example/api");
}

TEST_CASE("the progress display gets the activity of each file") {
  SchedulerHarness play({file(100)});
  const auto only = [&] {
    const auto files = play.scheduler.active_files();
    REQUIRE(files.size() == 1);
    return files.front();
  };
  CHECK(play.scheduler.active_files().empty());
  play.to_locking();
  CHECK(only().activity == Activity::waiting);
  play.scheduler.on_busy(0, "somebody", {}, play.now);
  CHECK(only().activity == Activity::waiting_for_lock);
  play.step(seconds(1));
  play.scheduler.on_lock(0, LockResult::acquired, play.now);
  play.staged(0, first_bytes(40));
  CHECK(only().activity == Activity::fetching);
  CHECK(only().done == 40);
  play.fault(play.one<StartTransfer>().id);
  CHECK(only().activity == Activity::paused);
  CHECK(only().pause == seconds(1));
  CHECK(only().failures == 1);
  play.step(seconds(1));
  play.answer(play.one<StartTransfer>());
  CHECK(only().activity == Activity::verifying);
  CHECK(only().done == 100);
  play.step();
  play.hashed(0, 'a');
  play.scheduler.on_published(0, play.now);
  CHECK(play.scheduler.active_files().empty());
}
