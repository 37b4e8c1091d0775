// SPDX-License-Identifier: Apache-2.0
#include "model_prep/base/glob.h"

#include "model_prep/base/text.h"

namespace model_prep {
namespace {

constexpr std::size_t kNone = std::u32string_view::npos;

/// `set` is the text between the brackets, without a leading '!'.
bool in_set(std::u32string_view set, char32_t c) {
  for (std::size_t i = 0; i < set.size(); ++i) {
    const bool is_range = i + 2 < set.size() && set[i + 1] == '-';
    const char32_t low = set[i];
    if (is_range) i += 2;
    if (low <= c && c <= set[i]) return true;
  }
  return false;
}

/// The index of the ']' that closes the set opened at `open`; npos: the '[' is a literal.
std::size_t set_end(std::u32string_view pattern, std::size_t open) {
  std::size_t from = open + 1;
  if (from < pattern.size() && pattern[from] == '!') ++from;
  if (from < pattern.size() && pattern[from] == ']') ++from;  // a ']' in first place is a member
  return pattern.find(']', from);
}

/// Matches one code point against the element of the pattern at `at`. Returns the index after that
/// element; kNone if they do not match.
std::size_t match_one(std::u32string_view pattern, std::size_t at, char32_t c) {
  if (at == pattern.size()) return kNone;
  if (pattern[at] == '?') return at + 1;

  const std::size_t end = pattern[at] == '[' ? set_end(pattern, at) : kNone;
  if (end == kNone) return pattern[at] == c ? at + 1 : kNone;

  std::u32string_view set = pattern.substr(at + 1, end - at - 1);
  const bool negated = set.starts_with('!');
  if (negated) set.remove_prefix(1);
  return in_set(set, c) != negated ? end + 1 : kNone;
}

/// Greedy, and backtracks only to the last '*': linear for usual patterns, never exponential.
bool matches(std::u32string_view pattern, std::u32string_view text) {
  std::size_t at = 0;
  std::size_t star = kNone;
  std::size_t retry_from = 0;
  for (std::size_t i = 0; i < text.size();) {
    if (at < pattern.size() && pattern[at] == '*') {
      star = ++at;
      retry_from = i;
      continue;
    }

    const std::size_t next = match_one(pattern, at, text[i]);
    if (next == kNone && star == kNone) return false;

    // Without a match the last '*' takes one more code point, and the rest is tried again.
    at = next != kNone ? next : star;
    i = next != kNone ? i + 1 : ++retry_from;
  }
  return pattern.find_first_not_of('*', at) == kNone;
}

}  // namespace

bool matches_pattern(std::string_view pattern, std::string_view path) {
  if (pattern == "*") return true;  // the usual one: every file of a repository

  std::u32string slashed = code_points(pattern);
  std::ranges::replace(slashed, U'\\', U'/');
  if (slashed.ends_with('/')) slashed += '*';
  return matches(slashed, code_points(path));
}

PatternSet::PatternSet(const Strings& patterns) {
  for (const std::string& pattern : patterns)
    if (pattern.find_first_of("*?[\\") == std::string::npos && !pattern.ends_with('/'))
      literals_.insert(pattern);
    else
      wildcards_.push_back(pattern);
}

}  // namespace model_prep
