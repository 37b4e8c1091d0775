// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/safetensors.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <limits>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "model_prep/base/text.h"

namespace model_prep {
namespace {

using Json = nlohmann::json;

constexpr Bytes kLengthSize = 8;
constexpr std::uint64_t kMaxHeader = 100'000'000;

// For the sake of memory. The largest files of the Hub's have some 10,000.
constexpr std::size_t kMaxTensors = 250'000;

// serde_json refuses the container that would be the 128th.
constexpr std::size_t kMaxHeaderDepth = 127;

constexpr std::pair<std::string_view, unsigned> kBits[] = {
    {"BOOL", 8}, {"F4", 4},          {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},
    {"I8", 8},   {"F8_E5M2", 8},     {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8},
    {"I16", 16}, {"F8_E5M2FNUZ", 8}, {"U16", 16},    {"F16", 16},    {"BF16", 16},
    {"I32", 32}, {"U32", 32},        {"F32", 32},    {"C64", 64},    {"F64", 64},
    {"I64", 64}, {"U64", 64},
};

std::optional<std::uint64_t> product(std::uint64_t a, std::uint64_t b) {
  if (b != 0 && a > std::numeric_limits<std::uint64_t>::max() / b) return std::nullopt;
  return a * b;
}

/// The bytes of a header, which end early at a text or a number that is too long: nlohmann's parser
/// keeps each one in memory, and more than once.
class HeaderBytes {
 public:
  explicit HeaderBytes(RangeReader& reader) : reader_(&reader) {}

  std::optional<unsigned char> next() {
    const auto byte = reader_->byte();
    if (!byte || !count(static_cast<char>(*byte))) return std::nullopt;
    return byte;
  }
  bool is_cut_short() const { return length_ > kMaxToken; }

 private:
  // The longest known are the training notes that some adapters keep in __metadata__: 2 MiB.
  static constexpr std::size_t kMaxToken = std::size_t{4} * 1024 * 1024;

  /// False at the byte that is too many.
  bool count(char byte) {
    constexpr std::string_view kBetween = " \t\r\n,:[]{}";
    const bool is_quote = byte == '"' && !is_escaped_;
    const bool is_between = !in_text_ && kBetween.find(byte) != std::string_view::npos;

    length_ = is_quote || is_between ? 0 : length_ + 1;
    is_escaped_ = in_text_ && byte == '\\' && !is_escaped_;
    in_text_ = in_text_ != is_quote;
    return !is_cut_short();
  }

  RangeReader* reader_;
  bool in_text_{false};
  bool is_escaped_{false};
  std::size_t length_{0};  // of the text or number so far
};

/// For nlohmann's parser. That takes a NUL for the end of the text; here it is as wrong as any
/// other control character.
class HeaderIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  HeaderIterator() = default;
  explicit HeaderIterator(HeaderBytes& bytes) : bytes_(&bytes) { ++*this; }

  reference operator*() const { return current_; }
  HeaderIterator& operator++() {
    const auto next = bytes_->next();
    if (next)
      current_ = *next == 0 ? '\x01' : static_cast<char>(*next);
    else
      bytes_ = nullptr;
    return *this;
  }
  bool operator==(const HeaderIterator& other) const { return bytes_ == other.bytes_; }
  bool operator!=(const HeaderIterator& other) const { return bytes_ != other.bytes_; }

 private:
  HeaderBytes* bytes_{nullptr};
  char current_{0};
};

struct Tensor {
  std::uint64_t key{0};
  std::uint64_t begin{0};
  std::uint64_t end{0};

  /// What is wrong with its extent, or null.
  const char* fault{nullptr};
};

/// nlohmann's parser calls these functions in the order of the text; returning false ends the
/// parse. What is open is a path of at most three levels that matter: the document, one of its
/// members, and a member of a tensor; deeper ones belong to members that are skipped.
class HeaderReader : public nlohmann::json_sax<Json> {
 public:
  std::vector<Tensor> tensors;
  FormatCheck check;

  bool null() override {
    if (depth_ == 1 && in_metadata_) return true;
    if (depth_ == 3 && member_ == Member::dtype) return true;  // {"F32": null}
    return is_skipped() || fail("a value is null where it must not be");
  }
  bool boolean(bool) override { return is_skipped() || fail("a boolean is out of place"); }
  bool number_integer(number_integer_t) override {
    return is_skipped() || fail("a number is negative");
  }
  bool number_unsigned(number_unsigned_t number) override {
    if (is_skipped()) return true;
    if (depth_ != 3 || !takes_numbers()) return fail("a number is out of place");
    if (member_ == Member::shape) {
      shape_ = shape_ ? product(*shape_, number) : shape_;
      return true;
    }
    if (offset_count_ == offsets_.size()) return fail("data_offsets has more than two numbers");
    offsets_[offset_count_++] = number;
    return true;
  }
  bool number_float(number_float_t, const string_t&) override {
    return is_skipped() || fail("a number is not an integer of 64 bits");
  }
  bool string(string_t& text) override {
    if (in_metadata_ && depth_ == 2) return true;
    if (!begin_value()) return false;
    if (is_skipped()) return true;
    if (depth_ != 2 || member_ != Member::dtype) return fail("a string is out of place");
    return set_type(text);
  }
  bool binary(binary_t&) override { return fail("it is not JSON"); }

  bool start_object(std::size_t) override { return start(false); }
  bool start_array(std::size_t) override { return start(true); }
  bool end_object() override { return end(); }
  bool end_array() override { return end(); }
  bool key(string_t& name) override {
    if (depth_ == 1) return begin_member(name);
    if (in_metadata_ || skipped_depth_ != 0) return true;
    if (depth_ == 2) {
      member_ = member_of(name);
      return true;
    }

    // A type may be spelled as an object with one member.
    return set_type(name);
  }
  bool parse_error(std::size_t position, const std::string&, const Json::exception&) override {
    return fail(fmt::format("the header is not JSON at its byte {}", position));
  }

 private:
  enum class Member : std::uint8_t { dtype, shape, offsets, other };

  bool fail(std::string reason) {
    check = {Format::malformed, std::move(reason)};
    return false;
  }
  bool fail_tensor(std::string_view reason) {
    return fail(fmt::format("the tensor {} {}", truncated(name_), reason));
  }

  static Member member_of(std::string_view name) {
    if (name == "dtype") return Member::dtype;
    if (name == "shape") return Member::shape;
    return name == "data_offsets" ? Member::offsets : Member::other;
  }

  bool is_skipped() const {
    return skipped_depth_ != 0 ||
           (depth_ == 2 && !in_metadata_ && !is_array_ && member_ == Member::other);
  }
  bool takes_numbers() const { return member_ == Member::shape || member_ == Member::offsets; }

  /// A member of the document.
  bool begin_member(const std::string& name) {
    name_ = name;
    in_metadata_ = name == "__metadata__";
    if (in_metadata_ && std::exchange(has_metadata_, true))
      return fail("__metadata__ appears twice");
    return true;
  }

  /// A value of a tensor: in an array its place says which one it is.
  bool begin_value() {
    if (depth_ != 2 || in_metadata_ || skipped_depth_ != 0) return true;
    if (is_array_) member_ = static_cast<Member>(std::min<std::size_t>(place_++, 3));
    if (is_array_ && member_ == Member::other) return fail_tensor("has more than three members");
    if (member_ == Member::other) return true;

    if (std::exchange(seen_[static_cast<std::size_t>(member_)], true))
      return fail_tensor("has a member twice");
    return true;
  }

  bool set_type(std::string_view name) {
    const auto* found =
        std::ranges::find(kBits, name, &std::pair<std::string_view, unsigned>::first);
    if (found == std::end(kBits))
      return fail_tensor(fmt::format("has the unknown type {}", truncated(name)));
    if (std::exchange(bits_, found->second) != 0) return fail_tensor("has two types");
    return true;
  }

  bool start(bool is_array) {
    if (depth_ == kMaxHeaderDepth) return fail("the header is nested too deeply");
    if (!begin_value()) return false;

    const std::size_t depth = depth_++;
    if (depth == 0) return !is_array || fail("the header is not a JSON object");
    if (skipped_depth_ != 0) return true;
    if (in_metadata_)
      return (depth == 1 && !is_array) || fail("__metadata__ is not an object of texts");
    if (depth == 1) return begin_tensor(is_array);
    if (depth > 2) return fail_tensor("has a list within a list");

    if (member_ == Member::other)
      skipped_depth_ = depth_;
    else if (is_array != takes_numbers())
      return fail_tensor("has a member of the wrong type");
    return true;
  }

  bool begin_tensor(bool is_array) {
    is_array_ = is_array;
    place_ = 0;
    member_ = Member::other;
    seen_ = {};
    bits_ = 0;
    shape_ = 1;
    offset_count_ = 0;
    return true;
  }

  bool end() {
    const std::size_t depth = --depth_;
    if (skipped_depth_ != 0) {
      if (depth < skipped_depth_) skipped_depth_ = 0;
      return true;
    }
    if (depth == 1 && !in_metadata_) return end_tensor();
    if (depth == 2 && member_ == Member::dtype && bits_ == 0) return fail_tensor("has no type");
    return true;
  }

  bool end_tensor() {
    if (!std::ranges::all_of(seen_, std::identity()) || offset_count_ != offsets_.size())
      return fail_tensor("lacks its type, its shape or its offsets");
    if (tensors.size() == kMaxTensors) {
      check = {Format::unknown, fmt::format("it has more than {} tensors", kMaxTensors)};
      return false;
    }

    tensors.push_back({tensor_key(name_), offsets_[0], offsets_[1], extent_fault()});
    return true;
  }

  const char* extent_fault() const {
    const auto bits = shape_ ? product(*shape_, bits_) : std::nullopt;
    if (!bits) return "is larger than 64 bits can count";
    if (*bits % 8 != 0) return "does not end at a whole byte";
    if (offsets_[1] < offsets_[0] || offsets_[1] - offsets_[0] != *bits / 8)
      return "has a size that does not fit its shape and type";
    return nullptr;
  }

  std::size_t depth_{0};          // open containers
  std::size_t skipped_depth_{0};  // of the outermost that is skipped; 0: none
  bool in_metadata_{false};
  bool has_metadata_{false};

  // The tensor that is being read.
  std::string name_;
  bool is_array_{false};
  std::size_t place_{0};
  Member member_{Member::other};
  std::array<bool, 3> seen_{};
  unsigned bits_{0};
  std::optional<std::uint64_t> shape_{1};
  std::array<std::uint64_t, 2> offsets_{};
  std::size_t offset_count_{0};
};

/// Of tensors of one name, only the last one counts.
void drop_replaced(std::vector<Tensor>& tensors) {
  std::ranges::stable_sort(tensors, {}, &Tensor::key);
  const auto is_replaced = [](const Tensor& a, const Tensor& b) { return a.key == b.key; };

  // `unique` keeps the first of equal neighbours.
  const auto last = std::unique(tensors.rbegin(), tensors.rend(), is_replaced);
  tensors.erase(tensors.begin(), last.base());
}

/// Whether the tensors fill the bytes after the header.
std::string extent_fault(std::vector<Tensor>& tensors, std::uint64_t size) {
  std::ranges::sort(tensors, {},
                    [](const Tensor& tensor) { return std::pair(tensor.begin, tensor.end); });

  std::uint64_t end = 0;
  for (const Tensor& tensor : tensors) {
    if (tensor.begin != end) return "its tensors overlap, or leave a hole";
    if (tensor.fault != nullptr) return fmt::format("a tensor {}", tensor.fault);
    end = tensor.end;
  }
  if (end == size) return {};
  return fmt::format("its tensors have {} bytes, but {} bytes follow the header", end, size);
}

/// The names and offsets in it.
FormatCheck read_header(RangeReader& reader, std::vector<Tensor>& tensors) {
  // nlohmann's parser skips it.
  constexpr unsigned char kByteOrderMark = 0xef;
  const Bytes begin = reader.position();
  if (reader.byte() == kByteOrderMark)
    return {Format::malformed, "the header begins with a byte order mark"};
  reader.seek(begin);

  HeaderBytes bytes(reader);
  HeaderReader header;
  Json::sax_parse(HeaderIterator(bytes), HeaderIterator(), &header);
  if (reader.has_failed()) return {Format::unknown, "it cannot be read"};
  if (bytes.is_cut_short()) return {Format::unknown, "its header has a text of more than 4 MiB"};

  tensors = std::move(header.tensors);
  return std::move(header.check);
}

FormatCheck check_header(const FileRange& file, std::vector<Tensor>& tensors) {
  RangeReader length_reader(file);
  const auto length = length_reader.number<std::uint64_t>(std::endian::little);
  if (length_reader.has_failed()) return {Format::unknown, "it cannot be read"};
  if (!length) return {Format::malformed, "it is too short for a header"};
  if (*length > kMaxHeader)
    return {Format::malformed, fmt::format("its header would have {} bytes", *length)};
  if (*length > static_cast<std::uint64_t>(file.size - kLengthSize))
    return {Format::malformed, "its header ends beyond the file"};

  RangeReader reader(file, kLengthSize, kLengthSize + static_cast<Bytes>(*length));
  FormatCheck check = read_header(reader, tensors);
  if (check.format != Format::sound) return check;

  drop_replaced(tensors);
  std::string fault =
      extent_fault(tensors, static_cast<std::uint64_t>(file.size - kLengthSize) - *length);
  if (!fault.empty()) return {Format::malformed, std::move(fault)};
  return {};
}

}  // namespace

bool Safetensors::has(std::string_view tensor) const {
  return std::ranges::binary_search(tensors, tensor_key(tensor));
}

std::uint64_t tensor_key(std::string_view name) {
  std::uint64_t key = 14695981039346656037U;  // FNV-1a
  for (const char c : name) key = (key ^ static_cast<unsigned char>(c)) * 1099511628211U;
  return key;
}

Safetensors read_safetensors(const FileRange& file) {
  std::vector<Tensor> tensors;
  Safetensors read{.check = check_header(file, tensors), .tensors = {}};
  for (const Tensor& tensor : tensors) read.tensors.push_back(tensor.key);
  std::ranges::sort(read.tensors);
  return read;
}

}  // namespace model_prep
