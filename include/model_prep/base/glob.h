// SPDX-License-Identifier: Apache-2.0
// Glob patterns for paths in a repository, as huggingface_hub's `allow_patterns` and
// `ignore_patterns` define them (docs/developing/hub-protocol.md, section 6).
//
// Python's fnmatch on the whole path: case-sensitive, `*` also matches `/`, and a pattern that ends
// in `/` matches everything below that directory. Patterns and paths are UTF-8; `?` and a set match
// one code point. The time is bounded by pattern length times path length.
#pragma once

#include <algorithm>
#include <string_view>

namespace model_prep {

bool matches_pattern(std::string_view pattern, std::string_view path);

/// `patterns` is any range of strings.
template <class Patterns>
bool any_matches(const Patterns& patterns, std::string_view path) {
  return std::ranges::any_of(
      patterns, [&](std::string_view pattern) { return matches_pattern(pattern, path); });
}

}  // namespace model_prep
