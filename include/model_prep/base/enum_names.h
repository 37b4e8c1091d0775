// SPDX-License-Identifier: Apache-2.0
// The names of an enum's values, in one table in the order of the enum, which is read both ways:
//
//   constexpr std::string_view kNames[] = {"usage", …, "internal"};
//   name_of<ErrorKind::internal>(kNames, kind)
//   value_of<ErrorKind::internal>(kNames, "usage")  // empty for any other text
//
// `Last` is the last value of the enum: a table of another length does not compile.
#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <optional>
#include <string_view>

namespace model_prep {

template <auto Last>
using EnumNames = const std::string_view[static_cast<std::size_t>(Last) + 1];

template <auto Last>
constexpr std::string_view name_of(const EnumNames<Last>& names, decltype(Last) value) {
  return names[static_cast<std::size_t>(value)];
}

template <auto Last>
constexpr std::optional<decltype(Last)> value_of(const EnumNames<Last>& names,
                                                 std::string_view name) {
  const auto found = std::find(std::begin(names), std::end(names), name);
  if (found == std::end(names)) return std::nullopt;
  return static_cast<decltype(Last)>(found - std::begin(names));
}

}  // namespace model_prep
