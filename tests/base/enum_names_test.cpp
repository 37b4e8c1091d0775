// SPDX-License-Identifier: Apache-2.0
#include "model_prep/base/enum_names.h"

#include <cstdint>

#include "support/catch.h"

namespace model_prep {
namespace {

enum class Colour : std::uint8_t { red, green };

constexpr std::string_view kColours[] = {"red", "green"};

}  // namespace

TEST_CASE("a table of names is read both ways") {
  CHECK(name_of<Colour::green>(kColours, Colour::green) == "green");
  CHECK(name_of<Colour::green>(kColours, Colour::red) == "red");
  CHECK(value_of<Colour::green>(kColours, "red") == Colour::red);
}

TEST_CASE("a text that is not exactly a name has no value") {
  CHECK_FALSE(value_of<Colour::green>(kColours, "Red"));
  CHECK_FALSE(value_of<Colour::green>(kColours, "re"));
  CHECK_FALSE(value_of<Colour::green>(kColours, ""));
}

}  // namespace model_prep
