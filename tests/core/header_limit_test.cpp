// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/header_limit.h"

#include "support/catch.h"

namespace model_prep {

TEST_CASE("headers may have 1000 lines, and not one more") {
  HeaderLimit limit;
  for (int i = 0; i < 1000; ++i) REQUIRE_FALSE(limit.on_line(100));
  const auto fault = limit.on_line(1);
  REQUIRE(fault);
  CHECK(fault->kind == ErrorKind::protocol);
  CHECK(fault->message == "the response headers exceed 256 KiB or 1000 lines");
}

TEST_CASE("headers may have 256 KiB, and not a byte more") {
  HeaderLimit limit;
  CHECK_FALSE(limit.on_line(100 * 1024));
  CHECK_FALSE(limit.on_line(156 * 1024));
  CHECK(limit.on_line(1));
}

}  // namespace model_prep
