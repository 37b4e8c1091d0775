// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/onnx_model.h"

#include <algorithm>
#include <limits>

#include "model_prep/base/parse_int.h"

namespace model_prep {
namespace {

// A subgraph in an attribute of a node has nodes again (If, Loop, Scan).
constexpr int kMaxGraphDepth = 32;
constexpr std::size_t kMaxLocations = 10'000;
constexpr Bytes kMaxGraphRead = Bytes{64} * 1024 * 1024;

/// One field of a protobuf message.
struct Field {
  std::uint64_t number{0};

  /// Where a string is, or a message inside the message.
  Bytes begin{0};
  Bytes end{0};
};

/// Takes fields off the file, in protobuf's wire format
/// (https://protobuf.dev/programming-guides/encoding). Messages in messages are read in place, so
/// the reader only ever goes on.
class MessageReader {
 public:
  explicit MessageReader(const FileRange& file) : reader_(file) {}

  /// Passes on each field of a message that is a string or a message. False where the bytes are
  /// none, or `use` says so.
  template <class Use>
  bool read(Bytes end, const Use& use) {
    while (reader_.position() < end) {
      Field field;
      if (!next(end, field)) return false;
      if (field.end == 0) continue;
      if (!use(field)) return false;
      reader_.seek(field.end);
    }
    return reader_.position() == end;
  }

  std::optional<std::string> text(const Field& field) {
    constexpr Bytes kMaxText = 4096;
    if (field.end - field.begin > kMaxText) return std::nullopt;
    return reader_.bytes(static_cast<std::size_t>(field.end - field.begin));
  }

 private:
  bool next(Bytes end, Field& field) {
    std::uint64_t tag = 0;
    if (!read_varint(tag) || reader_.loaded() > kMaxGraphRead) return false;

    field.number = tag >> 3U;
    std::uint64_t size = 0;
    switch (tag & 7U) {
      case 0: return read_varint(size);
      case 1: return reader_.skip(8);
      case 5: return reader_.skip(4);
      case 2: break;
      default: return false;
    }

    if (!read_varint(size)) return false;
    const Bytes begin = reader_.position();
    if (begin > end || size > static_cast<std::uint64_t>(end - begin)) return false;
    field.begin = begin;
    field.end = begin + static_cast<Bytes>(size);
    return true;
  }

  bool read_varint(std::uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto byte = reader_.byte();
      if (!byte) return false;
      value |= std::uint64_t{*byte & 0x7fU} << shift;
      if ((*byte & 0x80U) == 0) return true;
    }
    return false;
  }

  RangeReader reader_;
};

class DataFinder {
 public:
  explicit DataFinder(const FileRange& file) : file_(file), reader_(file) {}

  ExternalData data;

  bool read_model() {
    bool has_graph = false;
    return reader_.read(file_.size, [&](const Field& field) {
      if (field.number != 7) return true;  // ModelProto.graph
      has_graph = true;
      return read_graph(field, 0);
    }) && has_graph;
  }

 private:
  bool read_graph(const Field& message, int depth) {
    if (depth > kMaxGraphDepth) return false;
    return reader_.read(message.end, [&](const Field& field) {
      switch (field.number) {
        case 1: return read_node(field, depth);  // GraphProto.node
        case 5: return read_tensor(field);       // GraphProto.initializer
        case 15: return read_sparse(field);      // GraphProto.sparse_initializer
        default: return true;
      }
    });
  }

  bool read_node(const Field& message, int depth) {
    return reader_.read(message.end, [&](const Field& field) {
      return field.number != 5 || read_attribute(field, depth);  // NodeProto.attribute
    });
  }

  bool read_attribute(const Field& message, int depth) {
    return reader_.read(message.end, [&](const Field& field) {
      switch (field.number) {
        case 5:                                        // AttributeProto.t
        case 10: return read_tensor(field);            // AttributeProto.tensors
        case 6:                                        // AttributeProto.g
        case 11: return read_graph(field, depth + 1);  // AttributeProto.graphs
        case 22:                                       // AttributeProto.sparse_tensor
        case 23: return read_sparse(field);            // AttributeProto.sparse_tensors
        default: return true;
      }
    });
  }

  bool read_sparse(const Field& message) {
    return reader_.read(message.end, [&](const Field& field) {
      return field.number > 2 || read_tensor(field);  // SparseTensorProto.values, .indices
    });
  }

  bool read_tensor(const Field& message) {
    Entry entry;
    const bool is_valid = reader_.read(message.end, [&](const Field& field) {
      return field.number != 13 || read_entry(field, entry);  // TensorProto.external_data
    });
    if (!is_valid || entry.location.empty()) return is_valid;

    std::uint64_t& needed = data[entry.location];
    const std::uint64_t end = entry.offset + entry.length;
    needed = std::max(needed, end < entry.offset ? std::numeric_limits<std::uint64_t>::max() : end);
    return data.size() <= kMaxLocations;
  }

  /// Where the data of one tensor is.
  struct Entry {
    std::string location{};
    std::uint64_t offset{0};
    std::uint64_t length{0};
  };

  /// One pair of a key and its value.
  bool read_entry(const Field& message, Entry& entry) {
    std::string key;
    std::string value;
    const bool is_valid = reader_.read(message.end, [&](const Field& field) {
      if (field.number == 1) key = reader_.text(field).value_or("");
      if (field.number == 2) value = reader_.text(field).value_or("");
      return true;
    });
    if (key == "location") entry.location = value;
    if (key == "offset") entry.offset = parse_int<std::uint64_t>(value).value_or(0);
    if (key == "length") entry.length = parse_int<std::uint64_t>(value).value_or(0);
    return is_valid;
  }

  const FileRange& file_;
  MessageReader reader_;
};

}  // namespace

std::optional<ExternalData> external_data_of(const FileRange& onnx) {
  DataFinder finder(onnx);
  if (!finder.read_model()) return std::nullopt;
  return std::move(finder.data);
}

}  // namespace model_prep
