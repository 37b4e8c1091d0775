// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/retry.h"

#include <limits>
#include <map>

#include "support/catch.h"

using namespace model_prep;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

ResponseHead head_with(const std::string& rate_limit, seconds retry_after) {
  ResponseHead head;
  head.rate_limit = rate_limit;
  head.retry_after = retry_after;
  return head;
}

}  // namespace

TEST_CASE("the back-off's upper bound doubles up to the cap") {
  const RetryPolicy policy{5, milliseconds(1000), milliseconds(60'000)};
  const int expected[] = {1000, 2000, 4000, 8000, 16'000, 32'000, 60'000, 60'000};
  for (int failures = 1; failures <= 8; ++failures)
    CHECK(backoff(policy, failures, 1.0) == milliseconds(expected[failures - 1]));
}

TEST_CASE("full jitter spreads the back-off from zero to its bound") {
  const RetryPolicy policy{5, milliseconds(1000), milliseconds(60'000)};
  CHECK(backoff(policy, 3, 0.0) == milliseconds(0));
  CHECK(backoff(policy, 3, 0.25) == milliseconds(1000));
  CHECK(backoff(policy, 3, 0.5) == milliseconds(2000));
}

TEST_CASE("a jitter outside 0 to 1 does not leave the back-off's bounds") {
  const RetryPolicy policy{5, milliseconds(1000), milliseconds(60'000)};
  CHECK(backoff(policy, 2, -1.0) == milliseconds(0));
  CHECK(backoff(policy, 2, 7.0) == milliseconds(2000));
}

TEST_CASE("a huge number of failures stays at the cap") {
  const RetryPolicy policy{5, milliseconds(1000), milliseconds(60'000)};
  const int failures =
      GENERATE(30, 31, 32, 63, 64, 65, 1023, 1025, 1'000'000, std::numeric_limits<int>::max());
  CHECK(backoff(policy, failures, 1.0) == milliseconds(60'000));
}

TEST_CASE("zero failures back off like one") {
  const RetryPolicy policy{5, milliseconds(1000), milliseconds(60'000)};
  const int failures = GENERATE(0, -1, std::numeric_limits<int>::min());
  CHECK(backoff(policy, failures, 1.0) == milliseconds(1000));
}

TEST_CASE("a zero base never waits, however many failures there are") {
  const int failures = GENERATE(1, 5, 5000);
  CHECK(backoff({5, milliseconds(0), milliseconds(60'000)}, failures, 1.0) == milliseconds(0));
}

TEST_CASE("a base above the cap is the cap") {
  CHECK(backoff({5, milliseconds(90'000), milliseconds(60'000)}, 1, 1.0) == milliseconds(60'000));
}

TEST_CASE("every status from 100 to 599 has its kind") {
  const std::map<int, ErrorKind> special = {
      {401, ErrorKind::unauthorized}, {403, ErrorKind::unauthorized}, {404, ErrorKind::not_found},
      {408, ErrorKind::timeout},      {410, ErrorKind::not_found},    {425, ErrorKind::server},
      {429, ErrorKind::rate_limited}, {501, ErrorKind::protocol}};
  for (int status = 100; status <= 599; ++status) {
    CAPTURE(status);
    const auto found = special.find(status);
    const ErrorKind usual = status >= 500 ? ErrorKind::server : ErrorKind::protocol;
    CHECK(kind_of_status(status) == (found == special.end() ? usual : found->second));
  }
}

TEST_CASE("a status outside 100 to 599 is a protocol error") {
  const int status = GENERATE(-1, 0, 99, 600, 999, std::numeric_limits<int>::max());
  CHECK(kind_of_status(status) == ErrorKind::protocol);
}

TEST_CASE("recorded RateLimit headers are read") {
  struct Row {
    const char* header;
    std::int64_t remaining;
    int reset;
  };
  const Row row = GENERATE(values<Row>({{"\"api\";r=0;t=55", 0, 55},
                                        {"\"resolvers\";r=2922;t=8", 2922, 8},
                                        {"\"resolvers\";r=2976;t=166", 2976, 166},
                                        {"\"api\"; r=499; t=300", 499, 300},
                                        {"\"pages\" ;t=3;r=1", 1, 3}}));
  CAPTURE(row.header);
  const auto limit = parse_rate_limit(row.header);
  REQUIRE(limit);
  CHECK(limit->remaining == row.remaining);
  CHECK(limit->reset == seconds(row.reset));
}

TEST_CASE("an unusable RateLimit header is ignored") {
  const char* header =
      GENERATE("", "\"api\"", "\"fixed window\";\"api\";q=500;w=300", "\"api\";r=0", "\"api\";t=5",
               "\"api\";r=;t=5", "\"api\";r=x;t=5", "\"api\";r=-1;t=5", "\"api\";r=0;t=-5",
               "r=0,t=5", "\"api\";r=99999999999999999999;t=5", ";r=");
  CAPTURE(header);
  CHECK_FALSE(parse_rate_limit(header));
}

TEST_CASE("a rate limit beyond all reason is no limit, and nothing overflows") {
  const auto limit = parse_rate_limit("\"x\";r=9223372036854775807;t=9223372036854775807");
  REQUIRE(limit);
  CHECK(limit->remaining == 1'000'000'000);
  CHECK(limit->reset == seconds(3600));
}

TEST_CASE("a bucket's name cannot be mistaken for a parameter") {
  const auto limit = parse_rate_limit("\"r=7t=9\";r=0;t=5");
  REQUIRE(limit);
  CHECK(limit->remaining == 0);
  CHECK(limit->reset == seconds(5));
}

TEST_CASE("without a header there is no wait") { CHECK(server_wait({}) == seconds(0)); }

TEST_CASE("Retry-After sets the wait") {
  CHECK(server_wait(head_with("", seconds(7))) == seconds(7));
}

TEST_CASE("an exhausted window sets a wait until its end and one second more") {
  CHECK(server_wait(head_with("\"api\";r=0;t=55", seconds(0))) == seconds(56));
}

TEST_CASE("a window with requests left causes no wait") {
  CHECK(server_wait(head_with("\"api\";r=1;t=55", seconds(0))) == seconds(0));
}

TEST_CASE("the longer of two waits counts") {
  CHECK(server_wait(head_with("\"api\";r=0;t=55", seconds(70))) == seconds(70));
  CHECK(server_wait(head_with("\"api\";r=0;t=55", seconds(10))) == seconds(56));
}

TEST_CASE("no header causes a wait of more than an hour or less than zero") {
  CHECK(server_wait(head_with("", seconds(1'000'000'000))) == seconds(3600));
  CHECK(server_wait(head_with("", seconds::max())) == seconds(3600));
  CHECK(server_wait(head_with("\"api\";r=0;t=9223372036854775807", seconds(0))) == seconds(3600));
  CHECK(server_wait(head_with("", seconds(-5))) == seconds(0));
}

TEST_CASE("the retry budget is spent one consecutive failure at a time") {
  FailureBudget budget(3);
  budget.failed();
  budget.failed();
  CHECK_FALSE(budget.spent());
  budget.failed();
  CHECK(budget.spent());
  CHECK(budget.in_a_row() == 3);
}

TEST_CASE("a budget of zero is spent with the first failure, not before") {
  FailureBudget budget(0);
  CHECK_FALSE(budget.spent());
  budget.failed();
  CHECK(budget.spent());
}

TEST_CASE("256 KiB newly on disk reset the failure count, one byte less does not") {
  FailureBudget budget(2);
  budget.failed();
  CHECK_FALSE(budget.moved(FailureBudget::kProgress - 1));
  CHECK(budget.in_a_row() == 1);
  CHECK(budget.moved(1));
  CHECK(budget.in_a_row() == 0);
  CHECK(budget.total() == 1);
}

TEST_CASE("a server that sends one byte at a time is abandoned") {
  FailureBudget budget(5);
  int attempts = 0;
  while (!budget.spent() && attempts < 100) {
    budget.moved(1);
    budget.failed();
    ++attempts;
  }
  CHECK(attempts == 5);
}

TEST_CASE("a large file over a bad connection may fail fifty times") {
  FailureBudget budget(5);
  for (int i = 0; i < 50; ++i) {
    budget.moved(FailureBudget::kProgress);
    budget.failed();
  }
  CHECK_FALSE(budget.spent());
  CHECK(budget.total() == 50);
}
