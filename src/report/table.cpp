// SPDX-License-Identifier: Apache-2.0
#include "model_prep/report/table.h"

#include <algorithm>
#include <numeric>

#include "model_prep/base/text.h"

namespace model_prep {
namespace {

constexpr std::size_t kGap = 2;
constexpr std::size_t kMinWidth = 8;

void fit(std::vector<std::size_t>& widths, const Table& table, std::size_t columns) {
  const auto rank = [&](std::size_t column) {
    const std::size_t width = widths[column];
    return std::pair(width > kMinWidth && table.yielding.contains(column), width);
  };

  const std::size_t gaps = kGap * (widths.size() - 1);
  while (std::accumulate(widths.begin(), widths.end(), gaps) > columns) {
    std::size_t first = 0;  // to shrink: the widest of those that yield, else the widest
    for (std::size_t column = 1; column < widths.size(); ++column)
      if (rank(column) > rank(first)) first = column;
    if (widths[first] <= kMinWidth) return;
    --widths[first];
  }
}

}  // namespace

std::string table_text(const Table& raw, std::optional<int> columns) {
  Table table = raw;
  table.rows.insert(table.rows.begin(), table.head);
  std::vector<std::size_t> widths(table.head.size());
  for (auto& row : table.rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      row[i] = sanitize_for_log(row[i]);
      widths[i] = std::max(widths[i], display_width(row[i]));
    }
  }
  if (columns) fit(widths, table, static_cast<std::size_t>(std::max(1, *columns)));

  std::string text;
  for (const auto& row : table.rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string cell = elide_middle(row[i], widths[i]);
      const std::string blanks(widths[i] - display_width(cell), ' ');
      line += table.numbers.contains(i) ? blanks + cell : cell + blanks;
      line.append(kGap, ' ');
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

}  // namespace model_prep
