// SPDX-License-Identifier: Apache-2.0
#include "core/random_faults.h"
#include "support/catch.h"

using namespace model_prep::testing;

// With a sanitizer a storm takes twenty times as long.
#if defined(__SANITIZE_ADDRESS__)
constexpr int kStorms = 1'000;
#else
constexpr int kStorms = 4'000;
#endif

// Watched on the way (storm.cpp): it ends; never more transfers than connections; nothing starts
// before an embargo ends or before its file's back-off does; published only with equal digests and
// all bytes; attempts bounded; no byte twice; the token only at the hub; after a stop nothing
// starts and every item has exactly one outcome; no waking without work.
TEST_CASE("the scheduler keeps its promises through a random storm") {
  int fetched = 0;
  int reused = 0;
  int failed = 0;
  int cancelled = 0;
  for (unsigned seed = 0; seed < kStorms; ++seed) {
    INFO("seed " << seed);
    Storm storm(seed);
    const std::string broken = storm.run();
    if (!broken.empty()) FAIL(broken);
    fetched += storm.fetched;
    reused += storm.reused;
    failed += storm.failed;
    cancelled += storm.cancelled;
  }
  // It is a storm: everything happens, and much still arrives.
  CHECK(fetched > kStorms * 5 / 2);
  CHECK(reused > kStorms / 4);
  CHECK(failed > kStorms / 4);
  CHECK(cancelled > kStorms / 4);
}

TEST_CASE("with one endpoint that does nothing wrong everything arrives, whatever the others do") {
  int fetched = 0;
  for (unsigned seed = 0; seed < kStorms / 2; ++seed) {
    INFO("seed " << seed);
    Storm storm(seed, Storm::Hubs::last_is_good);
    CHECK(storm.run() == "");
    CHECK(storm.failed == 0);
    fetched += storm.fetched;
  }
  CHECK(fetched > kStorms);
}

TEST_CASE("in calm weather everything that is not stopped arrives") {
  for (unsigned seed = 0; seed < 800; seed += 8) {  // a multiple of 8 is a seed without faults
    INFO("seed " << seed);
    Storm storm(seed);
    CHECK(storm.run() == "");
    CHECK((storm.failed == 0 || storm.cancelled > 0));
  }
}
