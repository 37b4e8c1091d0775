// SPDX-License-Identifier: Apache-2.0
#include "model_prep/base/glob.h"

#include <algorithm>
#include <string>

namespace model_prep {
namespace {

std::string_view next_code_point(std::string_view& text) {
  std::size_t length = 1;
  while (length < text.size() && (static_cast<unsigned char>(text[length]) & 0xc0) == 0x80)
    ++length;
  const std::string_view point = text.substr(0, length);
  text.remove_prefix(length);
  return point;
}

/// Code points in UTF-8 compare as bytes do.
bool in_set(std::string_view set, std::string_view point) {
  while (!set.empty()) {
    const std::string_view low = next_code_point(set);
    if (set.size() > 1 && set.front() == '-') {
      set.remove_prefix(1);
      const std::string_view high = next_code_point(set);
      if (low <= point && point <= high) return true;
    } else if (low == point) {
      return true;
    }
  }
  return false;
}

/// Where the set that begins at `open` (the index of '[') closes; npos: an unclosed '[' is itself.
std::size_t set_end(std::string_view pattern, std::size_t open) {
  std::size_t from = open + 1;
  if (from < pattern.size() && pattern[from] == '!') ++from;
  if (from < pattern.size() && pattern[from] == ']') ++from;  // a first ']' is a member
  return pattern.find(']', from);
}

/// Matches one code point of `text` against the element of `pattern` at `at`; gives the index
/// behind that element.
std::size_t match_one(std::string_view pattern, std::size_t at, std::string_view point) {
  constexpr std::size_t kNo = std::string_view::npos;
  if (pattern[at] == '?') return at + 1;
  if (pattern[at] == '[') {
    if (const std::size_t end = set_end(pattern, at); end != std::string_view::npos) {
      std::string_view set = pattern.substr(at + 1, end - at - 1);
      const bool negated = set.starts_with('!');
      if (negated) set.remove_prefix(1);
      return in_set(set, point) != negated ? end + 1 : kNo;
    }
  }
  return pattern.substr(at).starts_with(point) ? at + point.size() : kNo;
}

/// Greedy with one step back to the last '*': linear for what people write, never exponential.
bool matches(std::string_view pattern, std::string_view text) {
  std::size_t at = 0;
  std::size_t star = std::string_view::npos;
  std::string_view retry_from;
  while (!text.empty()) {
    if (at < pattern.size() && pattern[at] == '*') {
      star = ++at;
      retry_from = text;
      continue;
    }
    std::string_view rest = text;
    const std::string_view point = next_code_point(rest);
    const std::size_t next =
        at < pattern.size() ? match_one(pattern, at, point) : std::string_view::npos;
    if (next != std::string_view::npos) {
      at = next;
      text = rest;
    } else if (star != std::string_view::npos) {
      next_code_point(retry_from);
      text = retry_from;
      at = star;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', at) == std::string_view::npos;
}

}  // namespace

bool matches_pattern(std::string_view pattern, std::string_view path) {
  std::string slashed(pattern);
  std::replace(slashed.begin(), slashed.end(), '\\', '/');
  if (slashed.ends_with('/')) slashed += '*';
  return matches(slashed, path);
}

}  // namespace model_prep
