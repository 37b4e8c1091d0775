// SPDX-License-Identifier: Apache-2.0
#include "model_prep/base/suggestions.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

namespace model_prep {
namespace {

constexpr std::size_t kMaxWord = 200;  // the time grows with its square

char folded(char c) {
  if (c == '_' || c == '.') return '-';
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// The distance of optimal string alignment, computed row by row.
std::size_t edits(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last;
  std::vector<std::size_t> last(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::vector<std::size_t> row(b.size() + 1, i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool same = folded(a[i - 1]) == folded(b[j - 1]);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0 : 1)});

      const bool swapped = i > 1 && j > 1 && folded(a[i - 1]) == folded(b[j - 2]) &&
                           folded(a[i - 2]) == folded(b[j - 1]);
      if (swapped) row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
    before_last = std::move(last);
    last = std::move(row);
  }
  return last.back();
}

}  // namespace

std::optional<std::string> closest_word(std::string_view word,
                                        const std::vector<std::string>& known) {
  if (word.size() > kMaxWord) return std::nullopt;

  std::optional<std::string> found;
  std::size_t fewest = 1 + word.size() / 4;
  for (const std::string& candidate : known) {
    if (candidate.size() > kMaxWord) continue;

    const std::size_t count = edits(word, candidate);
    if (count > fewest || (found && count == fewest) || count >= candidate.size()) continue;

    found = candidate;
    fewest = count;
  }
  return found;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& known) {
  const auto found = closest_word(word, known);
  return found ? fmt::format("did you mean '{}'? ", *found) : "";
}

}  // namespace model_prep
