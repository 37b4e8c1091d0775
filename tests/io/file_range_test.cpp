// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/file_range.h"

#include <filesystem>
#include <fstream>

#include "support/catch.h"
#include "support/temporary_folder.h"

using namespace model_prep;

TEST_CASE("a range of an open file is read wherever it is asked for, up to the end of the file") {
  const testing::TemporaryFolder folder;
  const std::filesystem::path path = folder / "file";
  std::ofstream(path) << "0123456789";
  const auto fd = open_for_reading(path);
  REQUIRE(fd);
  const auto range = range_of(*fd);
  REQUIRE(range);
  CHECK(range->size == 10);
  CHECK(range->read(3, 4) == "3456");
  CHECK(range->read(0, 2) == "01");
  CHECK(range->read(8, 5) == "89");
  CHECK(range->read(10, 5).empty());

  std::filesystem::resize_file(path, 5);
  CHECK(range->read(3, 4) == "34");
}
