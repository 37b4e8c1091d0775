// SPDX-License-Identifier: Apache-2.0
// Patience: a host that is down is waited for, and costs no file anything (host_limits.h).
#include <deque>

#include "core/scheduler_harness.h"
#include "support/catch.h"

using namespace model_prep;
using namespace model_prep::testing;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

namespace {

SchedulerSettings patient(seconds limit = seconds(300)) {
  SchedulerSettings made = settings(8);
  made.patience.limit = limit;
  return made;
}

SchedulerSettings with_mirror() {
  SchedulerSettings made = patient();
  made.endpoints = {{kMirror, kMirror, TokenUse::none}, {kHub, kHub, TokenUse::none}};
  return made;
}

WorkItem at_both(WorkItem item) {
  const std::string path = item.sources.front().url.text.substr(std::string(kHub).size());
  item.sources = {{0, url(kMirror + path)}, {1, url(kHub + path)}};
  return item;
}

const Error kNoAddress{ErrorKind::network, "Could not resolve host: hub.example", {}};

struct Outage : SchedulerHarness {
  explicit Outage(std::vector<WorkItem> items, const SchedulerSettings& with = patient())
      : SchedulerHarness(std::move(items), with) {
    step();
  }

  void unreached(TransferId id, double jitter = 1.0) {
    scheduler.on_end(
        {.id = id, .head = {}, .refused = false, .reached = false, .error = kNoAddress}, now,
        jitter);
  }
  TransferId only() const { return one<StartTransfer>().id; }
  const FileOutcome* outcome() const {
    for (const Action& action : actions)
      if (const auto* finish = std::get_if<Finish>(&action)) return &finish->outcome;
    return nullptr;
  }

  /// Steps until something is requested or nothing will be; returns how long that took.
  Duration to_next_request() {
    const TimePoint begun = now;
    step();
    while (!has<StartTransfer>() && !scheduler.finished() &&
           scheduler.wake_at() != TimePoint::max())
      step(scheduler.wake_at() - now);
    return now - begun;
  }
};

bool is_near(Duration found, Duration wanted) {
  return found >= wanted && found <= wanted + seconds(1);  // the head start of others
}

}  // namespace

TEST_CASE("a host that is down is asked after 1, 2, 4 … 60 s, and fails no file on the way") {
  Outage play({query()});
  for (const int wait : {1, 2, 4, 8, 16, 32, 60, 60, 60}) {
    play.unreached(play.only());
    CHECK(is_near(play.to_next_request(), seconds(wait)));
    REQUIRE(play.has<StartTransfer>());
  }
  play.end(play.only(), head(200));
  play.step();
  CHECK(play.one<Finish>().outcome.status == FileStatus::fetched);
  CHECK(play.one<Finish>().outcome.attempts == 1);
  CHECK(play.scheduler.retries() == 9);
}

TEST_CASE("an outage ends with the patience, after a last attempt, and names the cause") {
  Outage play({query()});
  const TimePoint begun = play.now;
  while (play.has<StartTransfer>()) {
    play.unreached(play.only());
    play.to_next_request();
  }
  CHECK(is_near(play.now - begun, seconds(300)));
  REQUIRE(play.outcome());
  CHECK(play.outcome()->status == FileStatus::failed);
  CHECK(play.outcome()->error->kind == ErrorKind::network);
  CHECK(play.outcome()->error->message ==
        "cannot download org/name from https://hub.example: Could not resolve host: hub.example; "
        "gave up after 11 attempts in 5 min");
  CHECK(play.outcome()->error->hint == "check the network, the proxy variables and HF_ENDPOINT");
}

TEST_CASE("each step of an outage is one line, and the first one says what to check") {
  Outage play({query()});
  play.unreached(play.only());
  play.step();
  CHECK(
      play.one<Notice>().text ==
      "cannot reach hub.example (Could not resolve host: hub.example): trying again in 1.0 s, for "
      "up to 5 min; check the network, the proxy variables and HF_ENDPOINT");
  play.to_next_request();
  play.unreached(play.only());
  play.step();
  CHECK(
      play.one<Notice>().text ==
      "cannot reach hub.example (Could not resolve host: hub.example): trying again in 2.0 s, for "
      "up to 5 min");
}

TEST_CASE("every failure to answer is the host's: no connection, a reset, silence, 5xx") {
  Outage play({query()});
  for (int i = 0; i < 2; ++i) {
    play.unreached(play.only());
    play.to_next_request();
    for (const ErrorKind kind : {ErrorKind::network, ErrorKind::timeout}) {
      play.fault(play.only(), kind);
      play.to_next_request();
    }
    for (const int status : {500, 503}) {
      play.end(play.only(), head(status));
      play.to_next_request();
    }
  }
  CHECK(play.has<StartTransfer>());
  CHECK_FALSE(play.scheduler.finished());
}

TEST_CASE("a certificate, a 401 and a 404 are not waited for") {
  Outage play({query()});
  const int status = GENERATE(401, 404, 0);
  if (status != 0)
    play.end(play.only(), head(status));
  else
    play.fault(play.only(), ErrorKind::protocol);
  play.step();
  CHECK(play.outcome()->status == FileStatus::failed);
}

TEST_CASE("while a host is down one request at a time is sent to it, for all files") {
  Outage play({query(), query(), query(), query()});
  const auto first = play.all<StartTransfer>();
  REQUIRE(first.size() == 4);
  for (const StartTransfer& transfer : first) play.unreached(transfer.id);
  play.step();
  CHECK(play.all<Notice>().size() == 1);  // together they are one step
  play.to_next_request();
  const TransferId probe = play.only();
  play.step(minutes(1));
  CHECK_FALSE(play.has<StartTransfer>());
  play.unreached(probe);
  CHECK(is_near(play.to_next_request(), seconds(2)));
  play.end(play.only(), head(200));
  play.step();
  CHECK(play.all<StartTransfer>().size() == 3);
}

TEST_CASE("the first bytes after an outage are enough for the others, those of before are not") {
  Outage play({file(100 * kMiB)});
  play.scheduler.on_lock(0, LockResult::acquired, play.now);
  play.staged(0);
  const auto first = play.all<StartTransfer>();
  REQUIRE(first.size() == 8);
  for (std::size_t i = 1; i < first.size(); ++i) play.unreached(first[i].id);
  play.scheduler.on_bytes(first[0].id, {0, 1000});
  play.step();
  CHECK_FALSE(play.has<StartTransfer>());
  CHECK(is_near(play.to_next_request(), seconds(1)));
  const StartTransfer probe = play.one<StartTransfer>();
  play.scheduler.on_bytes(probe.id, {probe.range->begin, probe.range->begin + 1000});
  play.step();
  CHECK(play.all<StartTransfer>().size() == 6);
}

TEST_CASE("every file that waits for a host is given up with it, without another request") {
  Outage play({query(), query(), query()}, patient(seconds(10)));
  for (const StartTransfer& transfer : play.all<StartTransfer>()) play.unreached(transfer.id);
  for (play.to_next_request(); play.has<StartTransfer>(); play.to_next_request())
    play.unreached(play.only());
  CHECK(play.all<Finish>().size() == 3);
  CHECK(play.scheduler.finished());
  CHECK(play.scheduler.requests() == 3 + 4);  // after 1, 3, 7 and 10 s
}

TEST_CASE("files that were not started when their host was given up create nothing") {
  SchedulerSettings with = patient(seconds(1));
  with.connections = 1;
  Outage play({file(100), file(90, 'b')}, with);
  play.scheduler.on_lock(0, LockResult::acquired, play.now);
  play.staged(0);
  for (; play.has<StartTransfer>(); play.to_next_request()) play.unreached(play.only());
  CHECK(play.one<Finish>().item == 0);
  play.scheduler.on_lock(1, LockResult::acquired, play.now);
  play.step();
  CHECK_FALSE(play.has<OpenStaging>());
  CHECK(play.one<Finish>().item == 1);
}

TEST_CASE("--retries that the user set limits the attempts at a host that is down") {
  SchedulerSettings with = patient();
  with.patience.max_steps = 2;
  Outage play({query()}, with);
  play.unreached(play.only());
  play.step();
  CHECK(play.notice("for up to 5 min or 2 attempts"));
  play.to_next_request();
  play.unreached(play.only());
  play.step();
  CHECK(play.outcome()->status == FileStatus::failed);
}

TEST_CASE("--retries 1 gives a host that is down one attempt") {
  SchedulerSettings with = patient();
  with.patience.max_steps = 1;
  Outage play({query()}, with);
  play.unreached(play.only());
  play.step();
  CHECK(play.outcome()->error->message ==
        "cannot download org/name from https://hub.example: Could not resolve host: hub.example; "
        "gave up after 1 attempt in 0 s");
}

TEST_CASE("the deadline ends the wait for a host that is down, and the error names the host") {
  SchedulerSettings with = patient();
  with.deadline = kStart + seconds(5);
  Outage play({query()}, with);
  play.unreached(play.only());
  play.step();
  CHECK(
      play.one<Notice>().text ==
      "cannot reach hub.example (Could not resolve host: hub.example): trying again in 1.0 s, for "
      "up to 5 s; check the network, the proxy variables and HF_ENDPOINT");

  for (play.to_next_request(); play.has<StartTransfer>(); play.to_next_request())
    play.unreached(play.only());
  CHECK(play.now == *with.deadline);
  CHECK(play.outcome()->error->kind == ErrorKind::deadline);
  CHECK(play.outcome()->error->message ==
        "the run's deadline has passed: cannot reach hub.example (Could not resolve host: "
        "hub.example)");
  CHECK(play.outcome()->error->hint ==
        "check the network, the proxy variables and HF_ENDPOINT; or allow more time with "
        "--deadline; the next run resumes");
}

TEST_CASE("the deadline's error names no host while another one answers, or asks to wait") {
  SchedulerSettings with = with_mirror();
  with.deadline = kStart + seconds(5);
  Outage play({at_both(query())}, with);
  play.unreached(play.only());
  play.step();
  const TransferId asked = play.only();
  if (GENERATE(false, true)) play.end(asked, busy(429, seconds(60)));

  play.step(seconds(5));
  CHECK(play.outcome()->error->message == "the run's deadline has passed");
}

TEST_CASE("a host that wants to be left alone beyond the deadline is not asked again") {
  SchedulerSettings with = patient();
  with.deadline = kStart + seconds(5);
  Outage play({query()}, with);
  play.end(play.only(), busy(503, seconds(60)));
  play.step();
  CHECK(play.one<Notice>().text ==
        "hub.example is unavailable (status 503): the deadline comes before the next attempt; it "
        "may be starting, or overloaded");
}

TEST_CASE("a wait that nobody notices is written as no wait") {
  Outage play({query()});
  play.unreached(play.only(), 0.01);
  play.step();
  CHECK(play.one<Notice>().text.find("trying again at once, for up to 5 min") != std::string::npos);
}

TEST_CASE("a host that wants to be left alone for longer than the patience is asked once more") {
  Outage play({query()}, patient(seconds(10)));
  ResponseHead down = busy(503, seconds(60));
  play.end(play.only(), down);
  CHECK(is_near(play.to_next_request(), seconds(60)));
  down.error_message = "Down for maintenance";
  play.end(play.only(), down);
  play.step();
  CHECK(play.outcome()->error->kind == ErrorKind::server);
  CHECK(play.outcome()->error->message ==
        "cannot download org/name from https://hub.example: status 503: Down for maintenance; gave "
        "up after 2 attempts in 60 s");
}

TEST_CASE("without patience a failure of the host counts as one of the file") {
  Outage play({query()}, patient(seconds(0)));
  for (int i = 0; i < 3; ++i) {
    play.unreached(play.only());
    play.to_next_request();
  }
  CHECK(play.outcome()->status == FileStatus::failed);
  CHECK(play.outcome()->attempts == 4);
}

TEST_CASE("a file that its host never gives fails by itself, while others arrive from there") {
  Outage play({query(), query()});
  const auto first = play.all<StartTransfer>();
  const ItemId bad = GENERATE(0U, 1U);
  int refusals = 0;
  std::vector<StartTransfer> running = first;
  // The other one is asked for anew for as long as this lasts.
  while (!play.scheduler.finished() && refusals < 100) {
    for (const StartTransfer& transfer : running) {
      if (transfer.item == bad) {
        ++refusals;
        play.end(transfer.id, head(500));
      } else {
        play.end(transfer.id, refusals < 3 ? redirect("https://hub.example/again") : head(200));
      }
    }
    play.now += milliseconds(10);
    play.to_next_request();
    running = play.all<StartTransfer>();
    if (play.outcome() && play.outcome()->status == FileStatus::failed) break;
  }
  CHECK(refusals < 10);
  CHECK(play.outcome()->error->kind == ErrorKind::server);
}

TEST_CASE(
    "a host that redirects to itself and fails there fails the file, and is not asked for ever") {
  Outage play({query()});
  int failures = 0;
  for (; play.has<StartTransfer>() && failures < 100; ++failures) {
    play.end(play.only(), redirect("https://hub.example/cached"));
    play.step();
    play.now += milliseconds(10);
    play.fault(play.only());
    play.to_next_request();
  }
  CHECK(failures == 1 + 3);  // the first one is the host's
  CHECK(play.outcome()->error->kind == ErrorKind::network);
}

TEST_CASE("a file that its host never gives does not keep others from finding that it is up") {
  Outage play({query(), query(), query()});
  for (const StartTransfer& transfer : play.all<StartTransfer>()) play.unreached(transfer.id);
  int probes = 0;
  for (play.to_next_request(); play.one<StartTransfer>().item == 0; play.to_next_request()) {
    REQUIRE(++probes < 3);
    play.end(play.only(), head(500));
  }
  play.end(play.only(), head(200));
  play.step();
  CHECK(play.all<StartTransfer>().size() == 2);
}

TEST_CASE("the next endpoint is asked at once, and patience begins when none answers") {
  Outage play({at_both(query())}, with_mirror());
  CHECK(play.one<StartTransfer>().url.origin == kMirror);
  play.end(play.only(), head(503));
  CHECK(play.to_next_request() == Duration{});
  CHECK(play.one<StartTransfer>().url.origin == kHub);
  CHECK_FALSE(play.notice("for up to"));
  play.end(play.only(), head(503));
  CHECK(is_near(play.to_next_request(), seconds(1)));
  CHECK(play.one<StartTransfer>().url.origin == kMirror);
  play.end(play.only(), head(200));
  play.step();
  CHECK(play.one<Finish>().outcome.status == FileStatus::fetched);
}

TEST_CASE("an endpoint that has been down for long is not given up while another one answers") {
  SchedulerSettings with = with_mirror();
  with.connections = 1;
  std::vector<WorkItem> items(100, at_both(query()));
  Outage play(items, with);
  const TimePoint begun = play.now;
  int fetched = 0;
  while (!play.scheduler.finished() && play.now - begun < minutes(20)) {
    if (play.has<StartTransfer>()) {
      const StartTransfer transfer = play.one<StartTransfer>();
      if (transfer.url.origin == kMirror)
        play.end(transfer.id, head(503));
      else
        play.end(transfer.id, play.now - begun < minutes(10) ? head(200) : head(503));
    }
    const auto finished = play.all<Finish>();
    const bool given_up =
        !finished.empty() && finished.front().outcome.status == FileStatus::failed;
    play.step(given_up ? Duration{} : seconds(20));
    for (const Finish& finish : play.all<Finish>())
      fetched += finish.outcome.status == FileStatus::fetched ? 1 : 0;
  }
  CHECK(fetched >= 10);
  CHECK(play.now - begun > minutes(15));  // both were waited for until the end
  CHECK(play.scheduler.finished());
}

TEST_CASE("a payload host that is down is waited for, with few requests to the hub") {
  Outage play({file(100), file(90, 'b'), file(80, 'c')});
  for (const ItemId item : {0U, 1U, 2U})
    play.scheduler.on_lock(item, LockResult::acquired, play.now);
  play.step();
  for (const ItemId item : {0U, 1U, 2U}) play.scheduler.on_staged(item, {}, play.now);
  play.step();
  const TimePoint begun = play.now;
  bool up = false;
  int to_hub = 0;
  for (std::vector<StartTransfer> sent = play.all<StartTransfer>(); !sent.empty();
       sent = play.all<StartTransfer>()) {
    up = play.now - begun > minutes(2);
    for (const StartTransfer& transfer : sent) {
      const bool is_hub = transfer.url.origin == kHub;
      to_hub += is_hub ? 1 : 0;
      if (is_hub)
        play.end(transfer.id, redirect("https://cdn.example/x"));
      else if (!up)
        play.end(transfer.id, head(503));
      else
        play.answer(transfer);
    }
    play.to_next_request();
  }
  CHECK(up);
  CHECK(play.scheduler.active_files().size() == 3);
  for (const ActiveFile& active : play.scheduler.active_files()) {
    CHECK(active.activity == Activity::verifying);
    CHECK(active.failures == 0);
  }
  CHECK(to_hub < 20);
}

TEST_CASE("a payload host that is up and leads to one that is down does not hide that") {
  Outage play({file(100 * kMiB)}, patient(seconds(60)));
  play.scheduler.on_lock(0, LockResult::acquired, play.now);
  play.staged(0);

  // The eight connections take their steps in turn: while one is led on, others could be sent.
  std::deque<StartTransfer> running;
  int to_hub = 0;
  const auto take = [&] {
    for (const StartTransfer& transfer : play.all<StartTransfer>()) {
      to_hub += transfer.url.origin == kHub ? 1 : 0;
      running.push_back(transfer);
    }
  };
  for (take(); !running.empty() && to_hub < 1000;) {
    const StartTransfer transfer = running.front();
    running.pop_front();
    if (transfer.url.origin == kHub)
      play.end(transfer.id, redirect("https://cdn.example/x"));
    else if (transfer.url.origin == kCdn)
      play.end(transfer.id, redirect("https://dead.example/x"));
    else
      play.unreached(transfer.id);
    if (running.empty())
      play.to_next_request();
    else
      play.step();
    take();
  }
  CHECK(play.scheduler.finished());
  CHECK(to_hub < 40);
}

TEST_CASE("a request that is led away from a payload host that is down leaves it to other files") {
  const std::string other = "https://other.example";
  Outage play({file(8 * kMiB), file(100, 'b')}, patient());
  play.scheduler.on_lock(0, LockResult::acquired, play.now);
  play.staged(0);
  play.scheduler.on_lock(1, LockResult::acquired, play.now);
  play.scheduler.on_staged(1, {}, play.now);

  // Of the first file's two segments one comes from elsewhere, the other from a host that is down.
  const auto segments = play.all<StartTransfer>();
  REQUIRE(segments.size() == 2);
  for (std::size_t i = 0; i < 2; ++i)
    play.end(segments[i].id, redirect(i == 0 ? other + "/x" : std::string(kCdn) + "/x"));
  play.step();
  TransferId elsewhere = 0;
  for (const StartTransfer& transfer : play.all<StartTransfer>())
    if (transfer.url.origin == other)
      elsewhere = transfer.id;
    else if (transfer.url.origin == kCdn)
      play.unreached(transfer.id);
    else
      play.end(transfer.id, redirect(std::string(kCdn) + "/x"));
  REQUIRE(elsewhere != 0);

  // The other file has probed that host less often, so it is the first to wait for it.
  play.to_next_request();
  REQUIRE(play.one<StartTransfer>().item == 1);
  play.end(play.only(), redirect(std::string(kCdn) + "/x"));
  play.step();
  play.unreached(play.only());

  // The segment's next request is led elsewhere too, after the other one has had bytes from there.
  play.to_next_request();
  REQUIRE(play.one<StartTransfer>().item == 0);
  play.end(play.only(), redirect(other + "/x"));
  play.step();
  const StartTransfer probe = play.one<StartTransfer>();
  REQUIRE(probe.url.origin == other);
  play.scheduler.on_bytes(elsewhere, {0, 1000});
  play.scheduler.on_bytes(probe.id, {probe.range->begin, probe.range->begin + 1000});

  CHECK(play.to_next_request() < minutes(1));
  CHECK(play.one<StartTransfer>().item == 1);
}

TEST_CASE("the second outage of the hub is no failure of a file whose bytes came in between") {
  Outage play({file(100)});
  play.scheduler.on_lock(0, LockResult::acquired, play.now);
  play.step();
  play.scheduler.on_staged(0, {}, play.now);
  play.step();
  for (int outage = 0; outage < 2; ++outage) {
    for (int step = 0; step < 7; ++step) {
      REQUIRE(play.only() != 0);
      play.unreached(play.only());
      play.to_next_request();
    }
    REQUIRE(play.has<StartTransfer>());
    play.end(play.only(), redirect("https://cdn.example/x"));
    play.step();
    const TransferId body = play.only();
    if (outage == 1) break;
    play.end(body, head(403));  // the signature has expired: the hub is asked again
    play.to_next_request();
  }
  CHECK_FALSE(play.outcome());
  CHECK(play.scheduler.active_files().front().failures == 0);
}

TEST_CASE("signed addresses that are refused fail a file, whatever is down in between") {
  Outage play({at_both(file(100))}, with_mirror());
  play.scheduler.on_lock(0, LockResult::acquired, play.now);
  play.staged(0);
  int asked = 0;
  int refusals = 0;
  for (; play.has<StartTransfer>() && refusals < 100; play.to_next_request()) {
    const StartTransfer transfer = play.one<StartTransfer>();
    if (transfer.url.origin == kCdn) {
      ++refusals;
      play.end(transfer.id, head(403));
    } else if (transfer.url.origin == kMirror || ++asked % 3 == 0) {
      play.end(transfer.id, head(503));
    } else {
      play.end(transfer.id, redirect("https://cdn.example/x"));
    }
  }
  CHECK(refusals == 3);
}

TEST_CASE("an endpoint without ranges gives the file in one stream, whatever is down in between") {
  SchedulerSettings with = with_mirror();
  with.connections = 1;
  Outage play({at_both(file(100 * kMiB))}, with);
  play.scheduler.on_lock(0, LockResult::acquired, play.now);
  play.staged(0);
  int asked = 0;
  for (; play.one<StartTransfer>().range && asked < 100; play.to_next_request()) {
    const StartTransfer transfer = play.one<StartTransfer>();
    const bool is_up = transfer.url.origin == kHub && ++asked % 2 == 1;
    play.end(transfer.id, head(is_up ? 200 : 503));
  }
  CHECK(asked == 3);
}

TEST_CASE("a payload host that stays down is given up, and what comes from the hub arrives") {
  Outage play({file(100), file(90, 'b')}, patient(seconds(20)));
  for (const ItemId item : {0U, 1U}) play.scheduler.on_lock(item, LockResult::acquired, play.now);
  play.step();
  for (const ItemId item : {0U, 1U}) play.scheduler.on_staged(item, {}, play.now);
  play.step();
  std::optional<Error> error;
  for (std::vector<StartTransfer> sent = play.all<StartTransfer>(); !sent.empty();
       sent = play.all<StartTransfer>()) {
    for (const StartTransfer& transfer : sent) {
      if (transfer.url.origin == kCdn)
        play.unreached(transfer.id);
      else if (transfer.item == 0)
        play.end(transfer.id, redirect("https://cdn.example/x"));
      else
        play.answer(transfer);
    }
    play.to_next_request();
    for (const Finish& finish : play.all<Finish>())
      if (finish.item == 0) error = finish.outcome.error;
  }
  REQUIRE(error);
  CHECK(error->message ==
        "cannot download org/name file from https://cdn.example: Could not resolve host: "
        "hub.example; gave up after 6 attempts in 20 s");
  REQUIRE(play.scheduler.active_files().size() == 1);
  CHECK(play.scheduler.active_files().front().activity == Activity::verifying);
}

TEST_CASE("the next part of a run asks a host that was given up once, and believes it") {
  HostLimits hosts;
  {
    Outage play({query()}, patient(seconds(1)));
    for (; play.has<StartTransfer>(); play.to_next_request()) play.unreached(play.only());
    hosts = play.scheduler.hosts();
  }
  Scheduler next(patient(seconds(1)), {query(), query()}, hosts);
  const TimePoint now{std::chrono::hours(2)};
  const auto first = next.next(now);
  REQUIRE(first.size() == 1);
  next.on_end({.id = std::get<StartTransfer>(first.front()).id,
               .head = {},
               .refused = false,
               .reached = false,
               .error = kNoAddress},
              now, 1.0);
  while (!next.next(now).empty()) continue;
  CHECK(next.finished());
  CHECK(next.requests() == 1);
}
