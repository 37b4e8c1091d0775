// SPDX-License-Identifier: Apache-2.0
#include "model_prep/report/table.h"

#include <algorithm>
#include <numeric>

#include "model_prep/base/text.h"

namespace model_prep {
namespace {

constexpr std::size_t kGap = 2;
constexpr std::size_t kMinWidth = 8;

/// Takes one character off the widest of these columns; false if none can shrink further.
bool shrink(std::vector<std::size_t>& widths, const std::set<std::size_t>& candidates) {
  std::size_t* widest = nullptr;
  for (const std::size_t column : candidates)
    if (widest == nullptr || widths[column] > *widest) widest = &widths[column];
  if (widest == nullptr || *widest <= kMinWidth) return false;
  --*widest;
  return true;
}

void fit(std::vector<std::size_t>& widths, const Table& table, std::size_t columns) {
  std::set<std::size_t> all;
  for (std::size_t i = 0; i < widths.size(); ++i) all.insert(i);
  const std::size_t gaps = kGap * (widths.size() - 1);
  while (std::accumulate(widths.begin(), widths.end(), gaps) > columns)
    if (!shrink(widths, table.yielding) && !shrink(widths, all)) return;
}

}  // namespace

std::string table_text(const Table& raw, std::optional<int> columns) {
  Table table = raw;
  for (auto& row : table.rows)
    for (std::string& cell : row) cell = sanitize_for_log(cell);

  std::vector<std::size_t> widths;
  for (const std::string& cell : table.head) widths.push_back(display_width(cell));
  for (const auto& row : table.rows)
    for (std::size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], display_width(row[i]));
  if (columns) fit(widths, table, static_cast<std::size_t>(std::max(1, *columns)));

  std::string text;
  const auto add = [&](const std::vector<std::string>& row) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string cell = elide_middle(row[i], widths[i]);
      const std::string blanks(widths[i] - display_width(cell), ' ');
      line += table.numbers.contains(i) ? blanks + cell : cell + blanks;
      line.append(kGap, ' ');
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  };

  add(table.head);
  for (const auto& row : table.rows) add(row);
  return text;
}

}  // namespace model_prep
