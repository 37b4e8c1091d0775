// SPDX-License-Identifier: Apache-2.0
// Bytes of a nearby file: before the network, never together with it, and only if they are right.
#include "core/scheduler_harness.h"
#include "support/catch.h"

namespace model_prep::testing {
namespace {

using std::chrono::seconds;

WorkItem near(std::int64_t size, std::vector<NearbyFile> files = {{"/usb", "/usb/blobs/a"}}) {
  WorkItem item = file(size);
  item.nearby = std::move(files);
  return item;
}

const std::vector<NearbyFile> kTwoCopies = {{"/usb", "/usb/blobs/a"}, {"/old", "/old/blobs/a"}};

SchedulerSettings offline() {
  SchedulerSettings with = settings();
  with.offline = true;
  return with;
}

/// Copies all that is asked for until there is something else to do.
void copy_all(SchedulerHarness& play) {
  while (play.has<CopyNearby>()) {
    const auto copy = play.one<CopyNearby>();
    play.scheduler.on_copied(copy.item, copy.range, play.now);
    play.step();
  }
}

}  // namespace

TEST_CASE("a nearby file is copied, hashed and published without a request") {
  SchedulerHarness play({near(20 * kMiB)});
  play.to_moving(0);
  std::int64_t end = 0;
  bool hashed_meanwhile = false;
  while (play.has<CopyNearby>()) {
    const auto copy = play.one<CopyNearby>();
    CHECK(copy.range.begin == end);
    CHECK(copy.may_clone == (end == 0));
    end = copy.range.end;
    play.scheduler.on_copied(0, copy.range, play.now);
    play.step();
    hashed_meanwhile = hashed_meanwhile || (play.has<HashTo>() && end < 20 * kMiB);
  }
  CHECK(end == 20 * kMiB);
  CHECK(hashed_meanwhile);
  CHECK(play.one<HashTo>().watermark == end);
  play.hashed(0, 'a');
  play.one<Publish>();
  play.scheduler.on_published(0, play.now);
  play.step();

  const FileOutcome outcome = play.one<Finish>().outcome;
  CHECK(outcome.status == FileStatus::fetched);
  CHECK(outcome.source == "/usb");
  CHECK(outcome.bytes_fetched == 0);
  CHECK(play.scheduler.requests() == 0);
  CHECK(play.scheduler.finished());
}

TEST_CASE("a piece is no larger than a signal can wait for") {
  SchedulerHarness play({near(400 * kMiB)});
  play.to_moving(0);
  CHECK(play.one<CopyNearby>().range.size() <= 8 * kMiB);
}

TEST_CASE("a clone brings all of the file at once") {
  SchedulerHarness play({near(400 * kMiB)});
  play.to_moving(0);
  REQUIRE(play.one<CopyNearby>().may_clone);
  play.scheduler.on_copied(0, {0, 400 * kMiB}, play.now);
  play.step();
  CHECK_FALSE(play.has<CopyNearby>());
  CHECK(play.one<HashTo>().watermark == 400 * kMiB);
}

TEST_CASE("a file that is being copied is shown as such, with its bytes") {
  SchedulerHarness play({near(20 * kMiB)});
  play.to_moving(0);
  const auto copy = play.one<CopyNearby>();
  play.scheduler.on_copied(0, copy.range, play.now);
  play.step();
  CHECK(play.scheduler.active_files().front().activity == Activity::copying);
  CHECK(play.scheduler.active_files().front().done == copy.range.size());
}

TEST_CASE("what is copied is recorded every second, so that a kill loses little") {
  SchedulerHarness play({near(40 * kMiB)});
  play.to_moving(0);
  play.scheduler.on_copied(0, play.one<CopyNearby>().range, play.now);
  play.step();
  CHECK_FALSE(play.has<SaveResume>());
  play.step(seconds(1));
  CHECK(play.has<SaveResume>());
}

TEST_CASE("a signal ends a copy, and what was copied is kept") {
  SchedulerHarness play({near(40 * kMiB)});
  play.to_moving(0);
  play.scheduler.on_copied(0, play.one<CopyNearby>().range, play.now);
  play.step();
  play.scheduler.stop({ErrorKind::interrupted, "stopped"}, play.now);
  play.step();
  CHECK(play.has<SaveResume>());
  CHECK_FALSE(play.one<Close>().drop_staging);
  CHECK(play.one<Finish>().outcome.status == FileStatus::cancelled);
}

TEST_CASE("the deadline ends a copy too") {
  SchedulerSettings with = settings();
  with.deadline = kStart + seconds(5);
  SchedulerHarness play({near(40 * kMiB)}, with);
  play.to_moving(0);
  CHECK(play.scheduler.wake_at() <= *with.deadline);
  play.step(seconds(5));
  CHECK(play.one<Finish>().outcome.error->kind == ErrorKind::deadline);
}

TEST_CASE("only the bytes that an earlier run did not leave are copied, and none is cloned") {
  SchedulerHarness play({near(20 * kMiB)});
  RangeSet have;
  have.add({0, 5 * kMiB});
  play.to_moving(0, have);
  CHECK(play.one<CopyNearby>().range.begin == 5 * kMiB);
  CHECK_FALSE(play.one<CopyNearby>().may_clone);
}

TEST_CASE("a nearby file that cannot be opened costs nothing that an earlier run left") {
  SchedulerHarness play({near(20 * kMiB)});
  RangeSet have;
  have.add({0, 5 * kMiB});
  play.to_moving(0, have);
  play.scheduler.on_not_copied(0, {ErrorKind::io, "no such file"}, play.now);
  play.step();
  CHECK(play.notice("no such file"));
  CHECK_FALSE(play.has<OpenStaging>());
  const auto transfers = play.all<StartTransfer>();
  REQUIRE_FALSE(transfers.empty());
  CHECK(transfers.front().range->begin == 5 * kMiB);
}

TEST_CASE("a copy that breaks off is dropped, and the network is asked for all of it") {
  SchedulerHarness play({near(20 * kMiB)});
  play.to_moving(0);
  play.scheduler.on_copied(0, play.one<CopyNearby>().range, play.now);
  play.step();
  play.scheduler.on_not_copied(0, {ErrorKind::io, "cannot read /usb/blobs/a"}, play.now);
  play.step();
  CHECK(play.notice("cannot read /usb/blobs/a; downloading it"));
  CHECK(play.one<OpenStaging>().fresh);
  play.scheduler.on_staged(0, {}, play.now);
  play.step();
  CHECK_FALSE(play.has<CopyNearby>());
  CHECK(play.all<StartTransfer>().front().range->begin == 0);
}

TEST_CASE("wrong bytes of a nearby file are never published, and cost no attempt") {
  SchedulerHarness play({near(1000)});
  play.to_moving(0);
  copy_all(play);
  play.hashed(0, 'b');
  CHECK_FALSE(play.has<Publish>());
  CHECK(play.notice("/usb/blobs/a, which is damaged; downloading it"));
  CHECK(play.one<OpenStaging>().fresh);

  play.scheduler.on_staged(0, {}, play.now);
  play.step();
  play.answer(play.one<StartTransfer>());
  play.step();
  play.hashed(0, 'a');
  play.scheduler.on_published(0, play.now);
  play.step();
  const FileOutcome outcome = play.one<Finish>().outcome;
  CHECK(outcome.status == FileStatus::fetched);
  CHECK(outcome.attempts == 1);
  CHECK(outcome.bytes_fetched == 1000);
  CHECK(outcome.source == kHub);
}

TEST_CASE("a second copy is tried before the network") {
  SchedulerHarness play({near(1000, kTwoCopies)});
  play.to_moving(0);
  copy_all(play);
  play.hashed(0, 'b');
  CHECK(play.notice("using another copy"));
  play.scheduler.on_staged(0, {}, play.now);
  play.step();
  CHECK(play.one<CopyNearby>().file == 1);
  copy_all(play);
  play.hashed(0, 'a');
  play.scheduler.on_published(0, play.now);
  play.step();
  CHECK(play.one<Finish>().outcome.source == "/old");
  CHECK(play.scheduler.requests() == 0);
}

TEST_CASE("a copy that does not fit what an earlier run left is copied once more, whole") {
  SchedulerHarness play({near(1000)});
  RangeSet have;
  have.add({0, 300});
  play.to_moving(0, have);
  copy_all(play);
  play.hashed(0, 'b');
  CHECK(play.notice("do not fit together"));
  CHECK(play.one<OpenStaging>().fresh);
  play.scheduler.on_staged(0, {}, play.now);
  play.step();
  CHECK(play.one<CopyNearby>().range == ByteRange{0, 1000});

  // Now all of them are its own, so it is at fault.
  copy_all(play);
  play.hashed(0, 'b');
  CHECK(play.notice("which is damaged"));
}

TEST_CASE("a damaged cached file is replaced by a nearby one, also offline") {
  WorkItem item = near(1000);
  item.check_existing = true;
  SchedulerHarness play({item}, offline());
  play.step();
  play.one<CheckExisting>();
  play.hashed(0, 'b');
  CHECK(play.notice("damaged and will be replaced"));
  play.scheduler.on_lock(0, LockResult::acquired_blob_exists, play.now);
  play.staged(0);
  CHECK(play.has<CopyNearby>());
}

TEST_CASE("offline, a file whose copies are wrong is missing, and no request is sent") {
  SchedulerHarness play({near(1000)}, offline());
  play.to_moving(0);
  copy_all(play);
  play.hashed(0, 'b');
  CHECK(play.notice("not used"));
  play.scheduler.on_staged(0, {}, play.now);
  play.step();
  CHECK(play.one<Finish>().outcome.error->kind == ErrorKind::offline_missing);
  CHECK(play.one<Close>().drop_staging);  // it holds nothing but reserved space
  CHECK(play.scheduler.requests() == 0);
  CHECK(play.scheduler.finished());
}

TEST_CASE("copies keep no connection busy, and downloads hold up no copy") {
  std::vector<WorkItem> items;
  for (int i = 0; i < 20; ++i) items.push_back(near(40 * kMiB));
  for (int i = 0; i < 20; ++i) items.push_back(file(1000));
  SchedulerHarness play(items);
  play.step();

  std::size_t copying = 0;
  std::size_t fetching = 0;
  for (const TryLock& lock : play.all<TryLock>()) ++(lock.item < 20 ? copying : fetching);
  CHECK(copying == 8);
  CHECK(fetching == 2);  // one for each connection
}

TEST_CASE("an event of a staging that was lost changes nothing") {
  SchedulerHarness play({near(40 * kMiB)});
  play.to_moving(0);
  const auto copy = play.one<CopyNearby>();
  play.scheduler.on_lost(0, StagingOwner::other, play.now);
  play.scheduler.on_copied(0, copy.range, play.now);
  play.scheduler.on_not_copied(0, {ErrorKind::io, "late"}, play.now);
  play.step();
  CHECK_FALSE(play.notice("late"));
  CHECK_FALSE(play.has<CopyNearby>());
}

TEST_CASE("the source of a download is its endpoints, in order of preference") {
  SchedulerSettings with = settings();
  with.endpoints.push_back({"https://two.example", "https://two.example", TokenUse::none});
  with.retry.max_failures = 5;
  WorkItem item = file(10 * kMiB);
  item.sources.push_back({1, url("https://two.example/file")});
  SchedulerHarness play({item}, with);
  play.to_moving(0);
  const auto transfers = play.all<StartTransfer>();
  REQUIRE(transfers.size() == 2);
  play.answer(transfers[0]);
  play.fault(transfers[1].id);
  for (int i = 0; i < 10 && !play.has<HashTo>(); ++i) {
    play.step(seconds(1));
    for (const StartTransfer& transfer : play.all<StartTransfer>()) play.answer(transfer);
  }
  play.step();
  play.hashed(0, 'a');
  play.scheduler.on_published(0, play.now);
  play.step();
  CHECK(play.one<Finish>().outcome.source == "https://hub.example,https://two.example");
}

}  // namespace model_prep::testing
