// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/rate_limiter.h"

#include <random>

#include "core/builders.h"
#include "support/catch.h"

namespace model_prep {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using testing::kStart;

constexpr std::int64_t kRate = 1'000'000;
constexpr std::int64_t kPiece = 10'000;

/// What `connections` take until `end`, each whenever it may, with a loop that is `late` each time.
std::int64_t taken(RateLimiter& limiter, TransferId connections, Duration late, TimePoint end) {
  std::int64_t bytes = 0;
  TimePoint now = kStart;
  const auto drain = [&](TransferId id) {
    while (limiter.try_acquire(id, kPiece, now)) bytes += kPiece;
  };
  for (TransferId id = 0; id < connections; ++id) drain(id);
  while (limiter.due() < end) {
    now = limiter.due() + late;
    while (const auto id = limiter.next_ready(now)) drain(*id);
  }
  return bytes;
}

}  // namespace

TEST_CASE("a rate is a number with or without K, M or G, which are powers of 1024") {
  CHECK(parse_rate("4096") == 4096);
  CHECK(parse_rate("4K") == 4096);
  CHECK(parse_rate("500k") == 512'000);
  CHECK(parse_rate("10M") == 10'485'760);
  CHECK(parse_rate("2g") == 2'147'483'648);
}

TEST_CASE("anything but a rate, and a rate that is too low or too high, is refused") {
  const std::string text = GENERATE(as<std::string>{}, "", "0", "0M", "4095", "3K", "-1M", "+1M",
                                    " 1M", "1M ", "1.5M", "M", "1MB", "1T", "10 M", "ten", "0x10",
                                    "99999999999999999999", "9223372036854775807G");
  CAPTURE(text);
  CHECK_FALSE(parse_rate(text));
}

TEST_CASE("at no time have more bytes been read than the rate allows, except for one read") {
  std::mt19937 random(GENERATE(range(0U, 20U)));
  RateLimiter limiter(kRate);
  TimePoint now = kStart;
  std::int64_t bytes = 0;
  for (int i = 0; i < 20'000; ++i) {
    const auto size = static_cast<std::int64_t>(random() % 16'384 + 1);
    const std::int64_t allowed =
        nanoseconds(now - kStart).count() / (nanoseconds(seconds(1)).count() / kRate);
    if (limiter.try_acquire(1, size, now)) {
      REQUIRE(bytes <= allowed);
      bytes += size;
    }
    now += milliseconds(random() % 20);
    if (random() % 1000 == 0) now += seconds(5);
  }
}

TEST_CASE("one connection or many share the rate") {
  const TransferId connections = GENERATE(1U, 8U, 64U);
  RateLimiter limiter(kRate);
  const std::int64_t bytes = taken(limiter, connections, milliseconds(0), kStart + seconds(10));
  CHECK(bytes <= 10 * kRate + kPiece);
  CHECK(bytes >= 99 * kRate / 10);
}

TEST_CASE("a loop that is sometimes late does not lower the rate") {
  RateLimiter limiter(kRate);
  const std::int64_t bytes = taken(limiter, 8, milliseconds(200), kStart + seconds(10));
  CHECK(bytes <= 10 * kRate + 200 * kRate / 1000 + kPiece);
  CHECK(bytes >= 97 * kRate / 10);
}

TEST_CASE("a long pause gives credit for no more than a moment") {
  RateLimiter limiter(kRate);
  CHECK(limiter.try_acquire(1, kPiece, kStart));
  const TimePoint later = kStart + seconds(60);
  std::int64_t bytes = 0;
  while (limiter.try_acquire(1, kPiece, later)) bytes += kPiece;
  CHECK(bytes <= kRate / 4 + kPiece);
}

TEST_CASE("waiting transfers continue in turn, and a cancelled one is skipped") {
  RateLimiter limiter(kRate);
  CHECK(limiter.try_acquire(1, kPiece, kStart));
  for (const TransferId id : {1U, 2U, 3U, 4U}) CHECK_FALSE(limiter.try_acquire(id, kPiece, kStart));
  CHECK_FALSE(limiter.next_ready(kStart));
  limiter.forget(2);
  const TimePoint due = limiter.due();
  CHECK(due > kStart);
  CHECK(limiter.next_ready(due) == 1U);
  CHECK(limiter.try_acquire(1, kPiece, due));
  CHECK_FALSE(limiter.try_acquire(1, kPiece, due));
  CHECK(limiter.next_ready(due + seconds(1)) == 3U);
  CHECK(limiter.next_ready(due + seconds(1)) == 4U);
  CHECK(limiter.next_ready(due + seconds(1)) == 1U);
  CHECK(limiter.due() == TimePoint::max());
}

}  // namespace model_prep
