// SPDX-License-Identifier: Apache-2.0
// The layout of a table, and how it fits a narrow terminal.
#include "model_prep/report/table.h"

#include "model_prep/base/text.h"
#include "support/catch.h"

namespace model_prep {
namespace {

const Table kTable{
    .head = {"MODEL", "SIZE", "WHERE"},
    .rows = {{"flan", "8.8 MB", "/app/models/hub/snapshots/0123456789"}, {"größer", "1.0 kB", "-"}},
    .numbers = {1}};

/// The widest line.
std::size_t widest(const std::string& text) {
  std::size_t most = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    most = std::max(most, display_width(text.substr(at, end - at)));
    at = end + 1;
  }
  return most;
}

}  // namespace

TEST_CASE("columns are as wide as their widest cell, and no line ends in blanks") {
  CHECK(table_text(kTable, {}) ==
        "MODEL     SIZE  WHERE\n"
        "flan    8.8 MB  /app/models/hub/snapshots/0123456789\n"
        "größer  1.0 kB  -\n");
}

TEST_CASE("on a narrow terminal the middle of the widest cells is cut") {
  CHECK(table_text(kTable, 40) ==
        "MODEL     SIZE  WHERE\n"
        "flan    8.8 MB  /app/models/…/0123456789\n"
        "größer  1.0 kB  -\n");
}

TEST_CASE("some columns shrink before others do") {
  const Table table{.head = {"FIRST COLUMN", "AND SECOND"}, .rows = {}, .yielding = {1}};
  CHECK(table_text(table, 22) == "FIRST COLUMN  AND …OND\n");
  CHECK(table_text(table, 20) == "FIRST…LUMN  AND …OND\n");
}

TEST_CASE(
    "no line is wider than the terminal, down to eight characters a column, and none is broken") {
  for (int columns = 28; columns < 80; ++columns) {
    CAPTURE(columns);
    CHECK(widest(table_text(kTable, columns)) <= static_cast<std::size_t>(columns));
  }
  const std::string narrowest = table_text(kTable, 1);
  CHECK(widest(narrowest) == 6 + 2 + 6 + 2 + 8);
  CHECK(table_text({.head = {"ÄÖÜÄÖÜÄÖÜÄÖÜ"}, .rows = {}}, 3) == "ÄÖÜÄ…ÄÖÜ\n");
}

}  // namespace model_prep
