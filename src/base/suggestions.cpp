// SPDX-License-Identifier: Apache-2.0
#include "model_prep/base/suggestions.h"

#include <algorithm>

#include <fmt/format.h>

#include "model_prep/base/text.h"

namespace model_prep {
namespace {

constexpr std::size_t kMaxWord = 200;  // the time grows with its square

/// The form in which words are compared.
std::string folded(std::string_view word) {
  std::string result = lower_case(word);
  std::ranges::replace_if(result, [](char c) { return c == '_' || c == '.'; }, '-');
  return result;
}

/// The distance of optimal string alignment. `rows[i][j]` is that of the first i and j letters.
std::size_t edits(const std::string& a, const std::string& b) {
  std::vector rows(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      std::size_t& fewest = rows[i][j];
      fewest = i + j;
      if (i == 0 || j == 0) continue;

      const std::size_t replaced = rows[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      fewest = std::min({rows[i - 1][j] + 1, rows[i][j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        fewest = std::min(fewest, rows[i - 2][j - 2] + 1);
    }
  }
  return rows.back().back();
}

}  // namespace

std::optional<std::string> closest_word(std::string_view word, const Strings& known) {
  if (word.size() > kMaxWord) return std::nullopt;

  std::optional<std::string> found;
  std::size_t fewest = 1 + word.size() / 4;
  for (const std::string& candidate : known) {
    if (candidate.size() > kMaxWord) continue;

    const std::size_t count = edits(folded(word), folded(candidate));
    if (count > fewest || (found && count == fewest) || count >= candidate.size()) continue;

    found = candidate;
    fewest = count;
  }
  return found;
}

std::string did_you_mean(std::string_view word, const Strings& known) {
  const auto found = closest_word(word, known);
  return found ? fmt::format("did you mean '{}'? ", *found) : "";
}

}  // namespace model_prep
