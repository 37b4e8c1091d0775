// SPDX-License-Identifier: Apache-2.0
// A table as text: left-aligned columns as wide as their widest cell, two blanks apart. Cells are
// sanitized (`sanitize_for_log`), because they may quote a server or a manifest. Pure.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "model_prep/base/types.h"

namespace model_prep {

struct Table {
  Strings head;
  std::vector<Strings> rows{};       ///< each as long as the head
  std::set<std::size_t> numbers{};   ///< columns that are right-aligned
  std::set<std::size_t> yielding{};  ///< columns that shrink before the others do
};

/// If a line is wider than `columns`, columns shrink, the widest first, down to eight characters;
/// `…` replaces the middle of a cell. Without `columns` nothing is cut: programs read whole lines.
std::string table_text(Table table, std::optional<int> columns);

}  // namespace model_prep
