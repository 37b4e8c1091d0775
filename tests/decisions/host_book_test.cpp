// SPDX-License-Identifier: Apache-2.0
#include "model_prep/decisions/host_book.h"

#include "support/catch.h"

using namespace model_prep;
using std::chrono::seconds;

namespace {

constexpr TimePoint kNow{std::chrono::hours(1)};

}  // namespace

TEST_CASE("a host that was never heard of is under no embargo") {
  CHECK(HostBook().embargoed_until("https://hub.example", kNow) == TimePoint::min());
}

TEST_CASE("an embargo holds until its end, for its host only") {
  HostBook book;
  book.embargo("https://hub.example", HostBook::Why::refused, kNow + seconds(5));
  CHECK(book.embargoed_until("https://hub.example", kNow) == kNow + seconds(5));
  CHECK(book.embargoed_until("https://hub.example", kNow + seconds(5)) == TimePoint::min());
  CHECK(book.embargoed_until("https://cdn.example", kNow) == TimePoint::min());
}

TEST_CASE("a later word can lengthen an embargo and not shorten it") {
  HostBook book;
  book.embargo("https://hub.example", HostBook::Why::refused, kNow + seconds(5));
  book.embargo("https://hub.example", HostBook::Why::refused, kNow + seconds(2));
  CHECK(book.embargoed_until("https://hub.example", kNow) == kNow + seconds(5));
  book.embargo("https://hub.example", HostBook::Why::refused, kNow + seconds(9));
  CHECK(book.embargoed_until("https://hub.example", kNow) == kNow + seconds(9));
}

TEST_CASE("a refusal and a used-up window are both waited out, and can be told apart") {
  HostBook book;
  book.embargo("https://hub.example", HostBook::Why::used_up, kNow + seconds(5));
  CHECK(book.embargoed_until("https://hub.example", kNow) == kNow + seconds(5));
  CHECK(book.embargoed_until("https://hub.example", HostBook::Why::refused, kNow) == TimePoint::min());
  book.embargo("https://hub.example", HostBook::Why::refused, kNow + seconds(7));
  CHECK(book.embargoed_until("https://hub.example", kNow) == kNow + seconds(7));
}

TEST_CASE("the same fault of a host is news once in a few seconds") {
  HostBook book;
  CHECK(book.is_news("https://hub.example", ErrorKind::network, kNow));
  CHECK_FALSE(book.is_news("https://hub.example", ErrorKind::network, kNow + seconds(2)));
  CHECK(book.is_news("https://hub.example", ErrorKind::network, kNow + seconds(3)));
}

TEST_CASE("another fault and another host are news of their own") {
  HostBook book;
  CHECK(book.is_news("https://hub.example", ErrorKind::network, kNow));
  CHECK(book.is_news("https://hub.example", ErrorKind::timeout, kNow));
  CHECK(book.is_news("https://cdn.example", ErrorKind::network, kNow));
}
