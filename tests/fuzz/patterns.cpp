// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <vector>

#include "fuzz/targets.h"
#include "model_prep/base/glob.h"
#include "model_prep/base/text.h"

namespace model_prep::fuzz {
namespace {

std::u32string code_points(std::string_view utf8) {
  std::u32string text;
  for (const char c : utf8) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte & 0xc0) == 0x80)
      text.back() = (text.back() << 6) | (byte & 0x3fU);
    else
      text += byte < 0x80 ? byte : byte & (byte >= 0xf0 ? 0x07U : byte >= 0xe0 ? 0x0fU : 0x1fU);
  }
  return text;
}

/// One element of a pattern: a second implementation of Python's fnmatch.translate.
struct Element {
  bool star{false};
  bool any{false};
  bool negated{false};
  std::vector<std::pair<char32_t, char32_t>> members;

  bool matches(char32_t c) const {
    if (any) return true;
    return negated != std::any_of(members.begin(), members.end(), [&](const auto& range) {
             return range.first <= c && c <= range.second;
           });
  }
};

/// The members of `[set]`, by chunks between the hyphens that make a range, as CPython's fnmatch.py
/// does it.
std::vector<std::pair<char32_t, char32_t>> members_of(const std::u32string& set) {
  std::vector<std::u32string> chunks;
  std::size_t begin = 0;
  for (std::size_t hyphen = set.find(U'-', 1); hyphen != std::u32string::npos;
       hyphen = set.find(U'-', hyphen + 3)) {
    chunks.push_back(set.substr(begin, hyphen - begin));
    begin = hyphen + 1;
  }
  if (begin < set.size() || chunks.empty())
    chunks.push_back(set.substr(begin));
  else
    chunks.back() += U'-';
  for (std::size_t k = chunks.size() - 1; k > 0; --k)
    if (chunks[k - 1].back() > chunks[k].front()) {  // an empty range
      chunks[k - 1] = chunks[k - 1].substr(0, chunks[k - 1].size() - 1) + chunks[k].substr(1);
      chunks.erase(chunks.begin() + static_cast<std::ptrdiff_t>(k));
    }
  std::vector<std::pair<char32_t, char32_t>> members;
  for (std::size_t k = 0; k < chunks.size(); ++k) {
    for (const char32_t c : chunks[k]) members.emplace_back(c, c);
    if (k > 0) members.emplace_back(chunks[k - 1].back(), chunks[k].front());
  }
  return members;
}

std::vector<Element> elements_of(const std::u32string& pattern) {
  std::vector<Element> elements;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    Element element;
    std::size_t close = i + 1;
    if (pattern[i] == U'[') {
      if (close < pattern.size() && pattern[close] == U'!') ++close;
      if (close < pattern.size() && pattern[close] == U']') ++close;
      while (close < pattern.size() && pattern[close] != U']') ++close;
    }
    if (pattern[i] == U'*') {
      element.star = true;
    } else if (pattern[i] == U'?') {
      element.any = true;
    } else if (pattern[i] == U'[' && close < pattern.size()) {
      std::u32string set = pattern.substr(i + 1, close - i - 1);
      element.negated = set.starts_with(U'!');
      if (element.negated) set.erase(0, 1);
      element.members = members_of(set);
      i = close;
    } else {
      element.members.emplace_back(pattern[i], pattern[i]);
    }
    elements.push_back(std::move(element));
  }
  return elements;
}

/// Whether the first elements match the first code points, for all numbers of both: slow, plain and
/// never exponential.
bool reference_match(const std::vector<Element>& elements, const std::u32string& text) {
  std::vector<bool> row(text.size() + 1, false);
  row[0] = true;
  for (const Element& element : elements) {
    std::vector<bool> next(text.size() + 1, false);
    for (std::size_t i = 0; i <= text.size(); ++i) {
      if (element.star)
        next[i] = row[i] || (i > 0 && next[i - 1]);
      else
        next[i] = i > 0 && row[i - 1] && element.matches(text[i - 1]);
    }
    row = std::move(next);
  }
  return row.back();
}

}  // namespace

void patterns(std::string_view input) {
  Lines lines(input);
  std::string pattern = lines.next();
  const std::string path = lines.next();
  const bool found = matches_pattern(pattern, path);
  require(matches_pattern("*", path), "a star matches everything");
  if (!is_utf8(pattern) || !is_utf8(path)) return;
  std::replace(pattern.begin(), pattern.end(), '\\', '/');
  if (pattern.ends_with('/')) pattern += '*';
  require(found == reference_match(elements_of(code_points(pattern)), code_points(path)),
          "a pattern matches what Python's fnmatch matches");
}

}  // namespace model_prep::fuzz
