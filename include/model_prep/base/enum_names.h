// SPDX-License-Identifier: Apache-2.0
// The names of an enum's values, in a table next to the enum and in its order, which is read both
// ways:
//
//   template <>
//   inline constexpr std::string_view kNames<Colour>[] = {"red", "green"};
//
//   to_string(Colour::red)
//   value_of<Colour>("green")  // empty for any other text
//
// A test holds each table to the length of its enum.
#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <optional>
#include <string_view>
#include <type_traits>

namespace model_prep {

template <class Enum>
extern const std::string_view kNames[];

template <class Enum>
  requires std::is_enum_v<Enum>
constexpr std::string_view to_string(Enum value) {
  return kNames<Enum>[static_cast<std::size_t>(value)];
}

template <class Enum>
constexpr std::optional<Enum> value_of(std::string_view name) {
  const auto found = std::ranges::find(kNames<Enum>, name);
  if (found == std::end(kNames<Enum>)) return std::nullopt;
  return static_cast<Enum>(found - kNames<Enum>);
}

}  // namespace model_prep
