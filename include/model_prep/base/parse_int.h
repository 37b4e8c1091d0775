// SPDX-License-Identifier: Apache-2.0
// Whole decimal numbers in text: digits only, no sign, no blanks. A number that does not fit into
// the type is refused like any other text.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <system_error>

namespace model_prep {

/// The number at the beginning of `text`, which then begins after it.
template <class T = std::int64_t>
std::optional<T> take_int(std::string_view& text) {
  T value{};
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || text.front() == '-') return std::nullopt;  // "-0" too

  text.remove_prefix(static_cast<std::size_t>(rest - text.data()));
  return value;
}

/// The number that is the whole of `text`.
template <class T = std::int64_t>
std::optional<T> parse_int(std::string_view text) {
  const auto value = take_int<T>(text);
  return text.empty() ? value : std::nullopt;
}

}  // namespace model_prep
