// SPDX-License-Identifier: Apache-2.0
// The header of a GGUF file. tests/consumers compares the verdicts with those of the library.
#include "model_prep/core/gguf.h"

#include "support/catch.h"
#include "support/file_heads.h"

using namespace model_prep;

namespace {

/// Writes numbers in one byte order.
struct Writer {
  std::endian order{std::endian::little};
  std::string bytes{};

  template <class Number>
  Writer& add(Number number) {
    for (std::size_t i = 0; i < sizeof number; ++i) {
      const std::size_t at = order == std::endian::little ? i : sizeof number - 1 - i;
      bytes += static_cast<char>(static_cast<std::uint64_t>(number) >> (8 * at) & 0xffU);
    }
    return *this;
  }
  Writer& text(const std::string& text) {
    add(std::uint64_t{text.size()});
    bytes += text;
    return *this;
  }
  Writer& pad(std::size_t to) {
    while (bytes.size() % to != 0) bytes += '\0';
    return *this;
  }
};

Writer begin(std::uint64_t tensors, std::uint64_t pairs, std::uint32_t version = 3,
             std::endian order = std::endian::little) {
  Writer writer{order, "GGUF"};
  writer.add(version).add(tensors).add(pairs);
  return writer;
}

Writer& add_tensor(Writer& writer, const std::string& name, std::vector<std::uint64_t> shape,
                   std::uint32_t type, std::uint64_t offset) {
  writer.text(name).add(static_cast<std::uint32_t>(shape.size()));
  for (const std::uint64_t size : shape) writer.add(size);
  return writer.add(type).add(offset);
}

std::string gguf_fault(const std::string& bytes) {
  const FormatCheck check = check_gguf(range_of(bytes));
  return check.format == Format::unknown ? "unknown: " + check.why : check.why;
}

constexpr std::uint32_t kF32 = 0;
constexpr std::uint32_t kQ4K = 12;
constexpr std::uint32_t kUint32 = 4;
constexpr std::uint32_t kString = 8;
constexpr std::uint32_t kArray = 9;

}  // namespace

TEST_CASE("a GGUF file whose tensors lie in it is sound, in either byte order") {
  const auto order = GENERATE(std::endian::little, std::endian::big);
  Writer file = begin(2, 3, GENERATE(2U, 3U), order);
  file.text("general.name").add(kString).text("a model");
  file.text("tokens").add(kArray).add(kString).add(std::uint64_t{2}).text("a").text("");
  file.text("general.alignment").add(kUint32).add(std::uint32_t{64});
  add_tensor(file, "f", {3, 2}, kF32, 0);
  add_tensor(file, "q", {256, 2}, kQ4K, 64);
  file.pad(64);
  const std::size_t data = file.bytes.size();
  CHECK(gguf_fault(file.bytes + std::string(64 + 288, 'x')).empty());
  CHECK(gguf_fault(file.bytes + std::string(64 + 287, 'x')) ==
        "a tensor of 288 bytes at " + std::to_string(data + 64) +
            " ends beyond the file, which has " + std::to_string(data + 64 + 287));
  CHECK(
      gguf_fault(testing::head_of(testing::FileFormat::gguf, 200) + std::string(136, 'x')).empty());
}

TEST_CASE("a GGUF file that the library refuses is malformed, and the reason is told") {
  CHECK(gguf_fault("") == "it does not begin with GGUF");
  CHECK(gguf_fault("GGML") == "it does not begin with GGUF");
  CHECK(gguf_fault("GGUF") == "its header ends beyond the file");
  CHECK(gguf_fault(begin(0, 0, 1).bytes) == "it has version 1 of the format, not 2 or 3");
  CHECK(gguf_fault(begin(0, 0, 4).bytes) == "it has version 4 of the format, not 2 or 3");
  CHECK(gguf_fault(begin(1, 0).bytes) == "its header ends beyond the file");
  CHECK(gguf_fault(begin(0, 1).text("a").add(std::uint32_t{13}).bytes) ==
        "a value has the unknown type 13");
  CHECK(gguf_fault(begin(0, 1).text("\xff").bytes) == "a name in its header is not UTF-8");
  CHECK(gguf_fault(begin(0, 2).text("a").add(kUint32).add(1U).text("a").bytes) == "it has a twice");
  CHECK(gguf_fault(begin(0, 1).text("GGUF.version").add(kUint32).add(1U).bytes) ==
        "it has GGUF.version twice");
  CHECK(gguf_fault(begin(0, 1).text("general.alignment").add(kUint32).add(48U).bytes) ==
        "its alignment is not a power of two");
  CHECK(gguf_fault(begin(0, 1).text("general.alignment").add(10U).add(std::uint64_t{32}).bytes) ==
        "its alignment is not a number of 32 bits");

  const auto with = [](std::vector<std::uint64_t> shape, std::uint32_t type, std::uint64_t offset) {
    Writer file = begin(1, 0);
    add_tensor(file, "t", std::move(shape), type, offset);
    return gguf_fault(file.pad(32).bytes + std::string(64, 'x'));
  };
  CHECK(with({16}, kF32, 0).empty());
  CHECK(with({16}, kF32, 4).starts_with("a tensor of 64 bytes at"));
  CHECK(with({8}, kF32, std::uint64_t{1} << 62U).starts_with("a tensor of 32 bytes at"));
  CHECK(with({255}, kQ4K, 0) == "the tensor t has rows that are not whole blocks");
  CHECK(with({}, kQ4K, 0) == "the tensor t has rows that are not whole blocks");
  CHECK(with({std::uint64_t{1} << 63U, 2}, kF32, 0) == "the tensor t is too large");
}

TEST_CASE("a tensor of a type that only a fork of llama.cpp knows is not judged, the others are") {
  const std::uint32_t type = GENERATE(4U, 36U, 144U, 156U);
  const auto with_offset = [&](std::uint64_t offset) {
    Writer file = begin(2, 0);
    add_tensor(file, "fork", {7}, type, std::uint64_t{1} << 40U);
    add_tensor(file, "plain", {16}, kF32, offset);
    return gguf_fault(file.pad(32).bytes + std::string(64, 'x'));
  };
  CHECK(with_offset(0) == "unknown: the tensor fork has the unknown type " + std::to_string(type));
  CHECK(with_offset(32).starts_with("a tensor of 64 bytes at"));
}

TEST_CASE("what numpy's slices let pass at the end of a GGUF file passes here") {
  CHECK(
      gguf_fault(begin(0, 1).text("a").add(kString).add(std::uint64_t{99}).bytes + "cut").empty());
  CHECK(gguf_fault(begin(0, 1).text("a").add(kUint32).bytes).empty());
  CHECK_FALSE(gguf_fault(begin(0, 1).text("a").add(kUint32).bytes + "x").empty());
  CHECK(gguf_fault(begin(0, 1).text("a").add(kArray).add(99U).add(std::uint64_t{0}).bytes).empty());
  Writer empty = begin(1, 0);
  add_tensor(empty, "none", {0, 4}, kF32, 4096);
  CHECK(gguf_fault(empty.bytes).empty());
}

TEST_CASE("a GGUF header beyond the bounds is not judged") {
  Writer file = begin(0, 1);
  file.text("a").add(kArray);
  for (int i = 0; i < 70; ++i) file.add(kArray).add(std::uint64_t{1});
  CHECK(gguf_fault(file.bytes) == "unknown: its header is nested too deeply");

  // A file of 16 TiB that says it has as many empty strings: no time is spent on them.
  const std::string head =
      begin(0, 1).text("a").add(kArray).add(kString).add(std::uint64_t{1} << 41U).bytes;
  const ReadRange zeros = [&](Bytes offset, std::size_t size) {
    std::string bytes(size, '\0');
    const auto at = static_cast<std::size_t>(offset);
    if (at < head.size()) head.copy(bytes.data(), size, at);
    return bytes;
  };
  const FormatCheck check = check_gguf({Bytes{1} << 44U, zeros});
  CHECK(check.format == Format::unknown);
  CHECK(check.why == "its header is too large");
}
