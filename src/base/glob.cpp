// SPDX-License-Identifier: Apache-2.0
#include "model_prep/base/glob.h"

#include <algorithm>
#include <string>

namespace model_prep {
namespace {

/// Removes the first code point of a text that is not empty.
std::string_view next_code_point(std::string_view& text) {
  std::size_t length = 1;
  while (length < text.size() && (static_cast<unsigned char>(text[length]) & 0xc0) == 0x80)
    ++length;
  const std::string_view point = text.substr(0, length);
  text.remove_prefix(length);
  return point;
}

/// `set` is the text between the brackets, without a leading '!'. UTF-8 sorts bytewise like the
/// code points it encodes, so ranges compare as texts.
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

/// The index of the ']' that closes the set opened at `open`; npos: the '[' is a literal.
std::size_t set_end(std::string_view pattern, std::size_t open) {
  std::size_t from = open + 1;
  if (from < pattern.size() && pattern[from] == '!') ++from;
  if (from < pattern.size() && pattern[from] == ']') ++from;  // a ']' in first place is a member
  return pattern.find(']', from);
}

/// Matches one code point against the element of the pattern at `at`. Returns the index after that
/// element; npos if they do not match.
std::size_t match_one(std::string_view pattern, std::size_t at, std::string_view point) {
  constexpr std::size_t kNoMatch = std::string_view::npos;
  if (pattern[at] == '?') return at + 1;

  if (pattern[at] == '[') {
    if (const std::size_t end = set_end(pattern, at); end != std::string_view::npos) {
      std::string_view set = pattern.substr(at + 1, end - at - 1);
      const bool negated = set.starts_with('!');
      if (negated) set.remove_prefix(1);
      return in_set(set, point) != negated ? end + 1 : kNoMatch;
    }
  }

  return pattern.substr(at).starts_with(point) ? at + point.size() : kNoMatch;
}

/// Greedy, and backtracks only to the last '*': linear for usual patterns, never exponential.
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
      // The last '*' takes one more code point, and the rest is tried again.
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
