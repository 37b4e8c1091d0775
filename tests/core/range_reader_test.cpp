// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/range_reader.h"

#include "support/catch.h"

using namespace model_prep;

namespace {

/// A byte that tells where it is.
char byte_at(Bytes offset) { return static_cast<char>(offset * 7 + (offset >> 8U)); }

struct Counted {
  Bytes size{0};
  std::int64_t reads{0};
  Bytes bytes{0};

  FileRange file() {
    return {size, [this](Bytes offset, std::size_t count) {
              std::string text;
              for (std::size_t i = 0; i < count && offset + static_cast<Bytes>(i) < size; ++i)
                text += byte_at(offset + static_cast<Bytes>(i));
              ++reads;
              bytes += static_cast<Bytes>(text.size());
              return text;
            }};
  }
};

}  // namespace

TEST_CASE("a range is read byte for byte across windows, and ends where it ends") {
  Counted counted{.size = 300'000};
  const FileRange file = counted.file();
  RangeReader reader(file, 10, 290'000);
  bool right = true;
  for (Bytes at = 10; at < 290'000; ++at)
    right = right && reader.byte() == static_cast<unsigned char>(byte_at(at));
  CHECK(right);
  CHECK_FALSE(reader.byte());
  CHECK_FALSE(reader.bytes(1));
  CHECK(reader.bytes(0) == "");
  CHECK_FALSE(reader.has_failed());
  CHECK(counted.bytes == 289'990);
  CHECK(reader.loaded() == counted.bytes);
  CHECK(counted.reads < 15);
}

TEST_CASE("what is skipped is not read") {
  Counted counted{.size = Bytes{1} << 40U};
  const FileRange file = counted.file();
  RangeReader reader(file);
  for (int i = 0; i < 100; ++i) {
    REQUIRE(reader.skip(1'000'000'000));
    REQUIRE(reader.byte());
  }
  CHECK(counted.bytes == 100 * 4096);
  CHECK_FALSE(reader.skip(Bytes{1} << 40U));
  CHECK(reader.position() == 100 * 1'000'000'001LL);
  reader.seek(5);
  CHECK(reader.byte() == static_cast<unsigned char>(byte_at(5)));
}

TEST_CASE("numbers are read in either byte order, and not beyond the end") {
  const std::string bytes = "\x01\x02\x03\x04\x05";
  const FileRange file = range_of(bytes);
  RangeReader reader(file);
  CHECK(reader.number<std::uint16_t>(std::endian::little) == 0x0201);
  CHECK(reader.number<std::uint16_t>(std::endian::big) == 0x0304);
  CHECK_FALSE(reader.number<std::uint16_t>(std::endian::big));
  CHECK(reader.number<std::uint8_t>(std::endian::big) == 5);
}

TEST_CASE("bytes that should be there and cannot be read are told from the end") {
  const FileRange file = {100, [](Bytes, std::size_t) { return std::string(); }};
  RangeReader reader(file);
  CHECK_FALSE(reader.bytes(10));
  CHECK(reader.has_failed());
}
