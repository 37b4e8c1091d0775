// SPDX-License-Identifier: Apache-2.0
#include "model_prep/base/parse_int.h"

#include "support/catch.h"

using namespace model_prep;

TEST_CASE("a number consists of digits only and fits its type") {
  CHECK(parse_int("0") == 0);
  CHECK(parse_int("9223372036854775807") == INT64_MAX);
  CHECK(parse_int<int>("2147483647") == 2147483647);
  CHECK_FALSE(parse_int<int>("2147483648"));
  for (const char* text : {"", "-1", "-0", "+1", " 1", "1 ", "1.0", "0x1", "9223372036854775808"})
    CHECK_FALSE(parse_int(text));
}

TEST_CASE("a number is parsed from the beginning of a text") {
  std::string_view text = "17-23";
  CHECK(take_int(text) == 17);
  CHECK(text == "-23");
  CHECK_FALSE(take_int(text));
  CHECK(text == "-23");
}
