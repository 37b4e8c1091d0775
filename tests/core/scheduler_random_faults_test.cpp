// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "black_box/parallel.h"
#include "core/random_faults.h"
#include "support/catch.h"

using namespace model_prep::testing;

namespace {

// With a sanitizer a run takes ten times as long.
#if defined(MODEL_PREP_SANITIZED)
constexpr int kShortRuns = 500;
#else
constexpr int kShortRuns = 2'000;
#endif

const int kRuns = is_long_run() ? 8 * kShortRuns : kShortRuns;

}  // namespace

// Checked on the way (random_faults.cpp): it ends; never more transfers than connections; nothing
// starts before an embargo ends or before its file's back-off does; published only with equal
// digests and all bytes; attempts bounded; no byte twice; the token only at the hub; no request
// offline, and none for what is being copied; after a stop nothing starts and every item has
// exactly one outcome; no waking without work.
TEST_CASE("the scheduler keeps its invariants through random faults") {
  int fetched = 0;
  int reused = 0;
  int failed = 0;
  int cancelled = 0;
  int copied = 0;
  for (unsigned seed = 0; std::cmp_less(seed, kRuns); ++seed) {
    INFO("seed " << seed);
    RandomFaults faults(seed);
    const std::string broken = faults.run();
    if (!broken.empty()) FAIL(broken);
    fetched += faults.fetched;
    reused += faults.reused;
    failed += faults.failed;
    cancelled += faults.cancelled;
    copied += faults.copied;
  }
  // Every outcome occurs, and much still arrives.
  CHECK(fetched > kRuns * 5 / 2);
  CHECK(reused > kRuns / 4);
  CHECK(failed > kRuns / 4);
  CHECK(cancelled > kRuns / 4);
  CHECK(copied > kRuns / 4);
}

TEST_CASE("if one endpoint never fails, every file arrives, whatever the others do") {
  int fetched = 0;
  for (unsigned seed = 0; std::cmp_less(seed, kRuns / 2); ++seed) {
    INFO("seed " << seed);
    RandomFaults faults(seed, RandomFaults::Hubs::last_is_good);
    CHECK(faults.run() == "");
    CHECK(faults.failed == 0);
    fetched += faults.fetched;
  }
  CHECK(fetched > kRuns);
}

TEST_CASE("without faults every file that is not stopped arrives") {
  for (unsigned seed = 0; seed < 800; seed += 8) {  // a multiple of 8 is a seed without faults
    INFO("seed " << seed);
    RandomFaults faults(seed);
    CHECK(faults.run() == "");
    CHECK((faults.failed == 0 || faults.cancelled > 0));
  }
}
