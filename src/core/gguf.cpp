// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/gguf.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string>
#include <unordered_set>
#include <vector>

#include <fmt/format.h>

#include "model_prep/base/text.h"

namespace model_prep {
namespace {

constexpr std::uint32_t kMagic = 0x46554747;
constexpr Bytes kMaxGgufHeader = Bytes{256} * 1024 * 1024;
constexpr std::uint64_t kMaxTensorNames = 1'000'000;
constexpr std::size_t kMaxTensorName = std::size_t{64} * 1024;
constexpr int kMaxArrayDepth = 64;

// numpy 1 has arrays of at most 32 dimensions, numpy 2 of 64.
constexpr std::size_t kMaxDimensions = 32;

/// `GGUFValueType`
constexpr std::uint32_t kUint32 = 4;
constexpr std::uint32_t kString = 8;
constexpr std::uint32_t kArray = 9;

/// The bytes of a scalar; 0 for a type that is none.
std::uint64_t scalar_size(std::uint32_t type) {
  constexpr std::array<std::uint64_t, 13> kSizes = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  return type < kSizes.size() ? kSizes[type] : 0;
}

/// How tensors are stored: `GGML_QUANT_SIZES`.
struct TensorType {
  std::uint32_t id;
  std::uint64_t block;   ///< elements of a block
  std::uint64_t bytes;   ///< of a block
  bool is_plain{false};  ///< numpy has such numbers
};

constexpr TensorType kTensorTypes[] = {
    {0, 1, 4, true},  {1, 1, 2, true},  {2, 32, 18},      {3, 32, 20},      {6, 32, 22},
    {7, 32, 24},      {8, 32, 34},      {9, 32, 40},      {10, 256, 84},    {11, 256, 110},
    {12, 256, 144},   {13, 256, 176},   {14, 256, 210},   {15, 256, 292},   {16, 256, 66},
    {17, 256, 74},    {18, 256, 98},    {19, 256, 50},    {20, 32, 18},     {21, 256, 110},
    {22, 256, 82},    {23, 256, 136},   {24, 1, 1, true}, {25, 1, 2, true}, {26, 1, 4, true},
    {27, 1, 8, true}, {28, 1, 8, true}, {29, 256, 56},    {30, 1, 2},       {34, 256, 54},
    {35, 256, 66},    {39, 32, 17},     {40, 64, 36},     {41, 128, 18},
};

struct TensorInfo {
  std::uint64_t bytes{0};
  std::uint64_t offset{0};
};

/// Reads a header until something is wrong with it.
class GgufReader {
 public:
  explicit GgufReader(const FileRange& file) : file_(file), reader_(file) {}

  FormatCheck run() {
    read();
    if (reader_.has_failed()) return {Format::unknown, "it cannot be read"};
    return std::move(result_);
  }

 private:
  bool fail(std::string why) {
    result_ = {Format::malformed, std::move(why)};
    return false;
  }
  bool give_up(std::string why) {
    result_ = {Format::unknown, std::move(why)};
    return false;
  }
  bool fail_at_end() { return fail("its header ends beyond the file"); }

  template <class Number>
  bool read(Number& number) {
    const auto read = reader_.number<Number>(order_);
    if (!read) return fail_at_end();
    number = *read;
    return true;
  }

  bool read() {
    if (!read_version()) return false;

    std::uint64_t tensors = 0;
    std::uint64_t pairs = 0;
    if (!read(tensors) || !read(pairs)) return false;
    for (std::uint64_t i = 0; i < pairs; ++i)
      if (!read_pair()) return false;

    names_.clear();
    std::vector<TensorInfo> infos;
    for (std::uint64_t i = 0; i < tensors; ++i)
      if (!read_tensor(infos)) return false;
    return check_extents(infos);
  }

  bool read_version() {
    const auto magic = reader_.number<std::uint32_t>(std::endian::little);
    if (magic != kMagic) return fail("it does not begin with GGUF");

    std::uint32_t version = 0;
    if (!read(version)) return false;
    constexpr std::uint32_t kLowHalf = 0xffff;
    if ((version & kLowHalf) == 0) {
      order_ = std::endian::big;
      version = (version >> 24U) | ((version >> 8U) & 0xff00U);
    }
    return version == 2 || version == 3 ||
           fail(fmt::format("it has version {} of the format, not 2 or 3", version));
  }

  /// What a name must be: UTF-8, and no other's.
  bool read_name(std::string& name) {
    std::uint64_t size = 0;
    if (!read(size)) return false;
    if (size > kMaxTensorName && size <= static_cast<std::uint64_t>(reader_.left()))
      return give_up("it has a name of more than 64 KiB");
    auto bytes =
        reader_.bytes(static_cast<std::size_t>(std::min<std::uint64_t>(size, kMaxTensorName + 1)));
    if (!bytes || size > kMaxTensorName) return fail_at_end();

    name = std::move(*bytes);
    if (!is_utf8(name)) return fail("a name in its header is not UTF-8");
    if (names_.size() == kMaxTensorNames || reader_.position() > kMaxGgufHeader)
      return give_up("its header is too large");
    return names_.insert(std::hash<std::string>()(name)).second ||
           fail(fmt::format("it has {} twice", truncated(name)));
  }

  bool read_pair() {
    std::string key;
    std::uint32_t type = 0;
    if (!read_name(key) || !read(type)) return false;
    if (key == "GGUF.version" || key == "GGUF.tensor_count" || key == "GGUF.kv_count")
      return fail(fmt::format("it has {} twice", key));
    if (key == "general.alignment") return read_alignment(type);
    return read_value(type, 0);
  }

  bool read_alignment(std::uint32_t type) {
    if (type != kUint32) return fail("its alignment is not a number of 32 bits");
    if (!read(alignment_)) return false;
    return std::has_single_bit(alignment_) || fail("its alignment is not a power of two");
  }

  bool read_value(std::uint32_t type, int depth) {
    if (type == kString) return skip_string();
    if (type == kArray) return read_array(depth);

    const std::uint64_t size = scalar_size(type);
    if (size == 0) return fail(fmt::format("a value has the unknown type {}", type));
    return skip_scalars(size, 1);
  }

  /// The reference slices the bytes that are there.
  bool skip_string() {
    std::uint64_t size = 0;
    if (!read(size)) return false;
    return reader_.skip(std::min(size, static_cast<std::uint64_t>(reader_.left())));
  }

  /// At the end of the file there may be none left, but not a part of one.
  bool skip_scalars(std::uint64_t size, std::uint64_t count) {
    const auto left = static_cast<std::uint64_t>(reader_.left());
    if (count <= left / size) return reader_.skip(count * size);
    return left % size == 0 ? reader_.skip(left) : fail_at_end();
  }

  bool read_array(int depth) {
    std::uint32_t type = 0;
    std::uint64_t count = 0;
    const bool has_type = reader_.left() != 0;
    if (has_type && !read(type)) return false;
    if (!read(count)) return false;
    if (count == 0) return true;
    if (depth == kMaxArrayDepth) return give_up("its header is nested too deeply");

    if (const std::uint64_t size = scalar_size(type); size != 0) return skip_scalars(size, count);
    for (std::uint64_t i = 0; i < count; ++i) {
      if (!read_value(type, depth + 1)) return false;
      if (reader_.position() > kMaxGgufHeader) return give_up("its header is too large");
    }
    return true;
  }

  bool read_tensor(std::vector<TensorInfo>& tensors) {
    std::string name;
    std::uint32_t dimensions = 0;
    if (!read_name(name) || !read(dimensions)) return false;
    if (std::uint64_t{dimensions} * 8 > static_cast<std::uint64_t>(reader_.left()))
      return fail_at_end();

    std::vector<std::uint64_t> shape(std::min<std::size_t>(dimensions, kMaxDimensions + 1));
    for (std::uint64_t& size : shape)
      if (!read(size)) return false;
    if (dimensions > kMaxDimensions) return give_up("a tensor has too many dimensions");

    std::uint32_t type = 0;
    TensorInfo tensor;
    if (!read(type) || !read(tensor.offset)) return false;
    const auto* const known = std::ranges::find(kTensorTypes, type, &TensorType::id);
    if (known == std::end(kTensorTypes)) {
      // Forks of llama.cpp have types of their own (BitNet, ik_llama.cpp), whose sizes only they
      // know. What is wrong with the rest of the file counts nevertheless.
      give_up(fmt::format("the tensor {} has the unknown type {}", truncated(name), type));
      return true;
    }

    if (!measure(tensor, *known, shape, name)) return false;
    tensors.push_back(tensor);
    return true;
  }

  /// The bytes of a tensor.
  bool measure(TensorInfo& tensor, const TensorType& type, const std::vector<std::uint64_t>& shape,
               const std::string& name) {
    const bool has_rows = !shape.empty() && shape.front() % type.block == 0;
    if (!type.is_plain && !has_rows)
      return fail(fmt::format("the tensor {} has rows that are not whole blocks", truncated(name)));

    // A tensor without elements may have any other sizes; nobody needs to judge huge ones.
    constexpr std::uint64_t kMost = std::uint64_t{1} << 60U;
    const bool is_empty = std::ranges::count(shape, std::uint64_t{0}) > 0;
    std::uint64_t count = 1;
    for (const std::uint64_t size : shape) {
      if (is_empty && size > std::numeric_limits<std::int32_t>::max())
        return give_up("a tensor without elements has a huge size");
      if (size != 0 && count > kMost / size)
        return fail(fmt::format("the tensor {} is too large", truncated(name)));
      count *= size;
    }

    tensor.bytes = count > kMost / type.bytes ? kMost : count / type.block * type.bytes;
    return true;
  }

  bool check_extents(const std::vector<TensorInfo>& tensors) {
    const auto position = static_cast<std::uint64_t>(reader_.position());
    const std::uint64_t data = (position + alignment_ - 1) / alignment_ * alignment_;
    const auto size = static_cast<std::uint64_t>(file_.size);
    for (const TensorInfo& tensor : tensors) {
      // The reference adds modulo 2^64, and nothing can be wrong with no bytes.
      const std::uint64_t begin = data + tensor.offset;
      if (tensor.bytes != 0 && (begin > size || tensor.bytes > size - begin))
        return fail(fmt::format("a tensor of {} bytes at {} ends beyond the file, which has {}",
                                tensor.bytes, begin, size));
    }
    return true;
  }

  const FileRange& file_;
  RangeReader reader_;
  std::endian order_{std::endian::little};
  std::uint32_t alignment_{32};
  std::unordered_set<std::size_t> names_;
  FormatCheck result_;
};

}  // namespace

FormatCheck check_gguf(const FileRange& file) { return GgufReader(file).run(); }

}  // namespace model_prep
