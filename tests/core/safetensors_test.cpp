// SPDX-License-Identifier: Apache-2.0
// The header of a safetensors file, and the index of its shards. tests/consumers compares the
// verdicts with those of the library.
#include "model_prep/core/safetensors.h"

#include "model_prep/core/shard_index.h"
#include "support/catch.h"
#include "support/file_heads.h"

using namespace model_prep;

namespace {

std::string file_of(const std::string& header, std::size_t data) {
  std::string length(8, '\0');
  for (std::size_t i = 0; i < 4; ++i) length[i] = static_cast<char>(header.size() >> (8 * i));
  return length + header + std::string(data, 'x');
}

std::string tensor(const std::string& name, const std::string& type, const std::string& shape,
                   const std::string& offsets) {
  return '"' + name + R"(":{"dtype":")" + type + R"(","shape":[)" + shape +
         R"(],"data_offsets":[)" + offsets + "]}";
}

/// What is wrong with it; empty if it is sound.
std::string fault_of(const std::string& bytes) {
  const Safetensors read = read_safetensors(range_of(bytes));
  CHECK(read.check.format != Format::unknown);
  CHECK(read.check.why.empty() == (read.check.format == Format::sound));
  return read.check.why;
}

std::string fault_of(const std::string& header, std::size_t data) {
  return fault_of(file_of(header, data));
}

}  // namespace

TEST_CASE("a safetensors file whose tensors fill it is sound, in whatever order they are listed") {
  CHECK(fault_of("{}", 0).empty());
  CHECK(fault_of("{" + tensor("b", "F32", "2", "4,12") + "," + tensor("a", "F16", "2,1", "0,4") +
                     R"(,"__metadata__":{"format":"pt"}}   )",
                 12)
            .empty());
  CHECK(fault_of(
            "{" + tensor("none", "I64", "0,7", "0,0") + "," + tensor("one", "I64", "", "0,8") + "}",
            8)
            .empty());
  CHECK(fault_of("{" + tensor("half", "F4", "4", "0,2") + "}", 2).empty());
  CHECK(fault_of(testing::head_of(testing::FileFormat::safetensors, 300) + std::string(172, 'x'))
            .empty());
}

TEST_CASE("what serde_json reads in another way than most parsers is read in that way") {
  // A structure as an array, a type as an object, a member twice, unknown members.
  CHECK(fault_of(R"({"a":["U8",[2],[0,2]]})", 2).empty());
  CHECK(fault_of(R"({"a":{"dtype":{"U8":null},"shape":[2],"data_offsets":[0,2]}})", 2).empty());
  CHECK(fault_of("{" + tensor("a", "U8", "9", "0,9") + "," + tensor("a", "U8", "2", "0,2") + "}", 2)
            .empty());
  CHECK(
      fault_of(
          R"({"a":{"x":[{"y":[null,1.5,true]}],"dtype":"U8","shape":[2],"z":"","data_offsets":[0,2]}})",
          2)
          .empty());
  CHECK(fault_of(R"({"__metadata__":null})", 0).empty());

  CHECK_FALSE(fault_of(R"({"a":["U8",[2],[0,2],1]})", 2).empty());
  CHECK_FALSE(fault_of(R"({"a":["U8",[2]]})", 2).empty());
  CHECK_FALSE(
      fault_of(R"({"a":{"dtype":{"U8":null,"I8":null},"shape":[2],"data_offsets":[0,2]}})", 2)
          .empty());
  CHECK_FALSE(fault_of(R"({"a":{"dtype":{},"shape":[2],"data_offsets":[0,2]}})", 2).empty());
  CHECK_FALSE(
      fault_of(R"({"a":{"dtype":"U8","dtype":"U8","shape":[2],"data_offsets":[0,2]}})", 2).empty());
  CHECK_FALSE(fault_of(R"({"__metadata__":{},"__metadata__":{}})", 0).empty());
}

TEST_CASE("a safetensors file that the library refuses is malformed, and the reason is told") {
  const auto one = [](const std::string& type, const std::string& shape,
                      const std::string& offsets) {
    return "{" + tensor("a", type, shape, offsets) + "}";
  };
  CHECK(fault_of("1234567") == "it is too short for a header");
  CHECK(fault_of(std::string(8, '\xff')) == "its header would have 18446744073709551615 bytes");
  CHECK(fault_of(std::string("\x09\0\0\0\0\0\0\0{}      ", 16)) ==
        "its header ends beyond the file");
  CHECK(fault_of("", 0) == "the header is not JSON at its byte 1");
  CHECK(fault_of("[]", 0) == "the header is not a JSON object");
  CHECK(fault_of("\xef\xbb\xbf{}", 0) == "the header begins with a byte order mark");
  CHECK(fault_of(std::string("{}\0", 3), 0).starts_with("the header is not JSON"));
  CHECK(fault_of(one("F32", "2", "0,8"), 7) ==
        "its tensors have 8 bytes, but 7 bytes follow the header");
  CHECK(fault_of(one("F32", "2", "0,8"), 9) ==
        "its tensors have 8 bytes, but 9 bytes follow the header");
  CHECK(fault_of(one("F32", "2", "1,9"), 9) == "its tensors overlap, or leave a hole");
  CHECK(fault_of("{" + tensor("a", "U8", "4", "0,4") + "," + tensor("b", "U8", "4", "2,6") + "}",
                 6) == "its tensors overlap, or leave a hole");
  CHECK(fault_of(one("F32", "3", "0,8"), 8) ==
        "a tensor has a size that does not fit its shape and type");
  CHECK(fault_of(one("F4", "3", "0,2"), 2) == "a tensor does not end at a whole byte");
  CHECK(fault_of(one("F32", "9223372036854775808,4,0", "0,0"), 0) ==
        "a tensor is larger than 64 bits can count");
  CHECK(fault_of(one("F33", "2", "0,8"), 8) == "the tensor a has the unknown type F33");
  CHECK(fault_of(one("F32", "-2", "0,8"), 8) == "a number is negative");
  CHECK(fault_of(one("F32", "2.0", "0,8"), 8) == "a number is not an integer of 64 bits");
  CHECK(fault_of(one("F32", "2", "0,8,9"), 8) == "data_offsets has more than two numbers");
  CHECK(fault_of(R"({"a":{"dtype":"U8","shape":[]}})", 1) ==
        "the tensor a lacks its type, its shape or its offsets");
  CHECK(fault_of(R"({"__metadata__":{"a":1}})", 0) == "a number is out of place");
  CHECK(fault_of(R"({"a":null})", 0) == "a value is null where it must not be");
  const auto nested = [](std::size_t depth) {
    return R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":)" + std::string(depth, '[') +
           std::string(depth, ']') + "}}";
  };
  CHECK(fault_of(nested(125), 1).empty());
  CHECK(fault_of(nested(126), 1) == "the header is nested too deeply");
}

TEST_CASE("bytes that cannot be read are no reason to call a file malformed") {
  const auto broken_disk = [](Bytes, std::size_t) { return std::string(); };
  CHECK(read_safetensors({1000, broken_disk}).check.format == Format::unknown);
}

TEST_CASE("a header that would take much memory is not judged") {
  const auto verdict = [](const std::string& header, std::size_t data) {
    const FormatCheck check = read_safetensors(range_of(file_of(header, data))).check;
    return std::pair(check.format, check.why);
  };
  constexpr std::size_t kMax = std::size_t{4} * 1024 * 1024;

  const auto with_text = [](std::size_t length) {
    return R"({"__metadata__":{"a":")" + std::string(length, 'x') + R"("}})";
  };
  CHECK(verdict(with_text(kMax), 0).first == Format::sound);
  CHECK(verdict(with_text(kMax + 1), 0) ==
        std::pair(Format::unknown, std::string("its header has a text of more than 4 MiB")));

  // Escaped quotes do not end a text; blanks belong to none.
  std::string quotes;
  for (std::size_t i = 0; i < kMax / 2 + 1; ++i) quotes += R"(\")";
  CHECK(verdict(R"({"__metadata__":{"a":")" + quotes + R"("}})", 0).first == Format::unknown);
  CHECK(verdict("{" + std::string(kMax + 1, ' ') + "}", 0).first == Format::sound);
  CHECK(verdict(R"({"a":)" + std::string(kMax + 1, '1') + "}", 0).first == Format::unknown);

  const auto with_tensors = [](int count) {
    std::string header;
    for (int i = 0; i < count; ++i)
      header += (i == 0 ? "{" : ",") + ('"' + std::to_string(i)) + R"(":["U8",[],[)" +
                std::to_string(i) + "," + std::to_string(i + 1) + "]]";
    return header + "}";
  };
  CHECK(verdict(with_tensors(250'000), 250'000).first == Format::sound);
  CHECK(verdict(with_tensors(250'001), 250'001) ==
        std::pair(Format::unknown, std::string("it has more than 250000 tensors")));
}

TEST_CASE("an index whose tensor is not in the shard that it names is told from one that agrees") {
  Shards shards;
  shards["a/1.safetensors"] =
      read_safetensors(range_of(file_of("{" + tensor("x", "U8", "1", "0,1") + "}", 1)));
  shards["a/2.safetensors"] =
      read_safetensors(range_of(file_of("{" + tensor("y", "U8", "1", "0,1") + "}", 1)));
  const auto fault = [&](const std::string& map) {
    return shard_index_fault(R"({"metadata":{"total_size":2},"weight_map":)" + map + "}",
                             "a/model.safetensors.index.json", shards)
        .value_or("");
  };
  CHECK(fault(R"({"x":"1.safetensors","y":"2.safetensors"})").empty());
  CHECK(fault(R"({"x":"2.safetensors"})") == "x is not in 2.safetensors");
  CHECK(fault(R"({"x":"2.safetensors","z":"1.safetensors"})") ==
        "x is not in 2.safetensors, and 1 more");
  CHECK(fault(R"({"x":"3.safetensors"})").empty());
  CHECK(fault("[").starts_with("it is no index of shards: "));
  CHECK(is_shard_index("a/model.safetensors.index.json"));
  CHECK(is_shard_index("model.safetensors.index.fp16.json"));
  CHECK_FALSE(is_shard_index("pytorch_model.bin.index.json"));
}
