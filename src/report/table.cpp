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
  std::vector<std::size_t> indices(widths.size());
  std::iota(indices.begin(), indices.end(), 0);
  const auto rank = [&](std::size_t column) {
    const std::size_t width = widths[column];
    return std::pair(width > kMinWidth && table.yielding.contains(column), width);
  };

  const std::size_t gaps = kGap * (widths.size() - 1);
  while (std::accumulate(widths.begin(), widths.end(), gaps) > columns) {
    // Shrink the widest of those that yield, else the widest.
    std::size_t& width = widths[std::ranges::max(indices, {}, rank)];
    if (width <= kMinWidth) return;
    --width;
  }
}

}  // namespace

std::string table_text(Table table, std::optional<int> columns) {
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
