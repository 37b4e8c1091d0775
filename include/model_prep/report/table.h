// SPDX-License-Identifier: Apache-2.0
// A table as text: columns as wide as what is in them, two blanks between. Cells may hold words of
// others, which are made fit to be shown (`sanitize_for_log`). Pure.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

namespace model_prep {

struct Table {
  std::vector<std::string> head;
  std::vector<std::vector<std::string>> rows;  ///< each as long as the head
  std::set<std::size_t> numbers{};             ///< columns that stand to the right
  std::set<std::size_t> yielding{};            ///< columns that give way before the others do
};

/// Where a line would be wider than `columns`, columns give way, the widest first, down to eight
/// characters; what was cut from the middle of a cell is `…`. Nothing is cut if `columns` is not
/// given: programs read whole lines.
std::string table_text(const Table& table, std::optional<int> columns);

}  // namespace model_prep
