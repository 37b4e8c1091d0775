// SPDX-License-Identifier: Apache-2.0
#include "model_prep/base/enum_names.h"

#include <cstdint>

#include "support/catch.h"

namespace model_prep {
namespace {

enum class Colour : std::uint8_t { red, green };

constexpr std::string_view kColours[] = {"red", "green"};

}  // namespace

TEST_CASE("each enum value maps to its name, and each name back to its value") {
  CHECK(name_of<Colour::green>(kColours, Colour::green) == "green");
  CHECK(name_of<Colour::green>(kColours, Colour::red) == "red");
  CHECK(value_of<Colour::green>(kColours, "red") == Colour::red);
}

TEST_CASE("only an exact name maps to a value") {
  CHECK_FALSE(value_of<Colour::green>(kColours, "Red"));
  CHECK_FALSE(value_of<Colour::green>(kColours, "re"));
  CHECK_FALSE(value_of<Colour::green>(kColours, ""));
}

}  // namespace model_prep
