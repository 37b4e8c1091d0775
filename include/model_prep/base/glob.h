// SPDX-License-Identifier: Apache-2.0
// Glob patterns for paths in a repository, as huggingface_hub's `allow_patterns` and
// `ignore_patterns` define them (docs/developing/hub-protocol.md, section 6).
//
// Python's fnmatch on the whole path: case-sensitive, `*` also matches `/`, and a pattern that ends
// in `/` matches everything below that directory. Patterns and paths are UTF-8; `?` and a set match
// one code point. The time is bounded by pattern length times path length.
#pragma once

#include <algorithm>
#include <set>
#include <string>
#include <string_view>

#include "model_prep/base/types.h"

namespace model_prep {

bool matches_pattern(std::string_view pattern, std::string_view path);

/// `patterns` is any range of strings.
template <class Patterns>
bool any_matches(const Patterns& patterns, std::string_view path) {
  return std::ranges::any_of(
      patterns, [&](std::string_view pattern) { return matches_pattern(pattern, path); });
}

/// Patterns that many paths are compared with. A lock has one for each of its files, so those
/// without a wildcard are looked up: trying all of them would take quadratic time.
class PatternSet {
 public:
  explicit PatternSet(const Strings& patterns);
  bool matches(std::string_view path) const {
    return literals_.contains(path) || any_matches(wildcards_, path);
  }

 private:
  std::set<std::string, std::less<>> literals_;
  Strings wildcards_;
};

}  // namespace model_prep
