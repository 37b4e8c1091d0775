// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/tar.h"

#include "support/catch.h"

using namespace model_prep;

namespace {

/// The text of a field, up to its NUL.
std::string tar_field(const std::string& block, std::size_t at, std::size_t size) {
  const std::string text = block.substr(at, size);
  return text.substr(0, text.find('\0'));
}

}  // namespace

TEST_CASE("a short entry is one ustar header of root, readable by all, at the epoch") {
  const std::string header = tar_header({.path = "hub/blobs/a", .size = 1000});
  REQUIRE(header.size() == 512);
  CHECK(tar_field(header, 0, 100) == "hub/blobs/a");
  CHECK(tar_field(header, 100, 8) == "0000644");
  CHECK(tar_field(header, 108, 8) == "0000000");
  CHECK(tar_field(header, 116, 8) == "0000000");
  CHECK(tar_field(header, 124, 12) == "00000001750");
  CHECK(tar_field(header, 136, 12) == "00000000000");
  CHECK(header[156] == '0');
  CHECK(header.substr(257, 8) == std::string("ustar\0"
                                             "00",
                                             8));

  // The sum of all bytes, those of the sum itself counting as blanks.
  int sum = 8 * ' ';
  for (std::size_t i = 0; i < header.size(); ++i)
    if (i < 148 || i >= 156) sum += static_cast<unsigned char>(header[i]);
  CHECK(std::stoi(tar_field(header, 148, 8), nullptr, 8) == sum);
}

TEST_CASE("a directory ends in a slash, and a link has a target and no content") {
  const std::string directory = tar_header({.path = "hub", .kind = TarKind::directory});
  CHECK(tar_field(directory, 0, 100) == "hub/");
  CHECK(tar_field(directory, 100, 8) == "0000755");
  CHECK(directory[156] == '5');

  const TarEntry link{.path = "a", .kind = TarKind::link, .target = "../b"};
  CHECK(tar_field(tar_header(link), 157, 100) == "../b");
  CHECK(tar_header(link)[156] == '2');
  CHECK(tar_size(link) == 512);
}

TEST_CASE("a name of up to 255 bytes needs no pax record if a slash is where it can be divided") {
  const std::string fits = std::string(155, 'p') + "/" + std::string(100, 'n');
  const std::string header = tar_header({.path = fits});
  REQUIRE(header.size() == 512);
  CHECK(tar_field(header, 345, 155) == std::string(155, 'p'));
  CHECK(header.substr(0, 100) == std::string(100, 'n'));

  CHECK(tar_header({.path = std::string(100, 'n')}).size() == 512);
  CHECK(tar_header({.path = std::string(101, 'n')}).size() == 3 * 512);
  CHECK(tar_header({.path = std::string(156, 'p') + "/" + std::string(99, 'n')}).size() == 3 * 512);
}

TEST_CASE("a pax record says its own length, whatever its number of digits") {
  for (const std::size_t size : {101U, 989U, 990U, 991U, 1000U}) {
    const std::string path(size, 'n');
    const std::string header = tar_header({.path = path});
    CHECK(header[156] == 'x');
    const std::string record = tar_field(header, 512, 2048);
    const std::size_t length = std::stoul(tar_field(header, 124, 12), nullptr, 8);
    CHECK(record.size() == length);
    CHECK(record == std::to_string(length) + " path=" + path + "\n");
  }
}

TEST_CASE("a long target and a size from 8 GiB on are in pax records too") {
  const std::string target(101, 't');
  const TarEntry link{.path = "a", .kind = TarKind::link, .target = target};
  CHECK(tar_header(link).find(" linkpath=" + target + "\n") != std::string::npos);

  constexpr Bytes kGiB = Bytes{1} << 30;
  CHECK(tar_header({.path = "a", .size = 8 * kGiB - 1}).size() == 512);
  const TarEntry large{.path = "a", .size = 8 * kGiB};
  CHECK(tar_header(large).find("19 size=8589934592\n") == 512);
  CHECK(tar_size(large) == 3 * 512 + 8 * kGiB);
}

TEST_CASE("a content is filled up to whole blocks") {
  CHECK(tar_padding(0) == 0);
  CHECK(tar_padding(1) == 511);
  CHECK(tar_padding(512) == 0);
  CHECK(tar_size({.path = "a", .size = 513}) == 3 * 512);
}
