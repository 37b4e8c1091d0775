// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/onnx_model.h"

#include <cstdint>

namespace model_prep {
namespace {

// A subgraph in an attribute of a node has nodes again (If, Loop, Scan).
constexpr int kMaxDepth = 32;
constexpr std::size_t kMaxLocations = 10'000;

/// One field of a protobuf message.
struct Field {
  std::uint64_t number{0};
  bool is_bytes{false};
  std::string_view bytes;  ///< a string, or a message inside the message
};

/// Takes the fields off the front of a message, in its wire format
/// (https://protobuf.dev/programming-guides/encoding).
class MessageReader {
 public:
  explicit MessageReader(std::string_view rest) : rest_(rest) {}

  /// False at the end, and where the bytes are no message.
  bool next(Field& field) {
    std::uint64_t tag = 0;
    if (rest_.empty() || !read_varint(tag)) return false;

    field = {.number = tag >> 3U, .bytes = {}};
    std::uint64_t size = 0;
    switch (tag & 7U) {
      case 0: return read_varint(size);
      case 1: return skip(8);
      case 5: return skip(4);
      case 2:
        if (!read_varint(size) || size > rest_.size()) return fail();
        field.is_bytes = true;
        field.bytes = rest_.substr(0, size);
        return skip(size);
      default: return fail();
    }
  }

  bool is_valid() const { return is_valid_; }

 private:
  bool fail() { return is_valid_ = false; }

  bool skip(std::size_t size) {
    if (size > rest_.size()) return fail();
    rest_.remove_prefix(size);
    return true;
  }

  bool read_varint(std::uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) return fail();
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= std::uint64_t{byte & 0x7fU} << shift;
      if ((byte & 0x80U) == 0) return true;
    }
    return fail();
  }

  std::string_view rest_;
  bool is_valid_{true};
};

class LocationFinder {
 public:
  std::set<std::string> locations;

  bool read_model(std::string_view bytes) {
    bool has_graph = false;
    return read(bytes,
                [&](const Field& field) {
                  if (field.number != 7) return true;  // ModelProto.graph
                  has_graph = true;
                  return read_graph(field.bytes, 0);
                }) &&
           has_graph;
  }

 private:
  template <class Use>
  static bool read(std::string_view bytes, const Use& use) {
    MessageReader reader(bytes);
    Field field;
    while (reader.next(field))
      if (field.is_bytes && !use(field)) return false;
    return reader.is_valid();
  }

  bool read_graph(std::string_view bytes, int depth) {
    if (depth > kMaxDepth) return false;
    return read(bytes, [&](const Field& field) {
      switch (field.number) {
        case 1: return read_node(field.bytes, depth);  // GraphProto.node
        case 5: return read_tensor(field.bytes);       // GraphProto.initializer
        case 15: return read_sparse(field.bytes);      // GraphProto.sparse_initializer
        default: return true;
      }
    });
  }

  bool read_node(std::string_view bytes, int depth) {
    return read(bytes, [&](const Field& field) {
      return field.number != 5 || read_attribute(field.bytes, depth);  // NodeProto.attribute
    });
  }

  bool read_attribute(std::string_view bytes, int depth) {
    return read(bytes, [&](const Field& field) {
      switch (field.number) {
        case 5:                                              // AttributeProto.t
        case 10: return read_tensor(field.bytes);            // AttributeProto.tensors
        case 6:                                              // AttributeProto.g
        case 11: return read_graph(field.bytes, depth + 1);  // AttributeProto.graphs
        case 22:                                             // AttributeProto.sparse_tensor
        case 23: return read_sparse(field.bytes);            // AttributeProto.sparse_tensors
        default: return true;
      }
    });
  }

  bool read_sparse(std::string_view bytes) {
    return read(bytes, [&](const Field& field) {
      return field.number > 2 || read_tensor(field.bytes);  // SparseTensorProto.values, .indices
    });
  }

  bool read_tensor(std::string_view bytes) {
    return read(bytes, [&](const Field& field) {
      return field.number != 13 || read_entry(field.bytes);  // TensorProto.external_data
    });
  }

  bool read_entry(std::string_view bytes) {
    std::string_view key;
    std::string_view value;
    const bool is_valid = read(bytes, [&](const Field& field) {
      if (field.number == 1) key = field.bytes;
      if (field.number == 2) value = field.bytes;
      return true;
    });
    if (is_valid && key == "location") locations.emplace(value);
    return is_valid && locations.size() <= kMaxLocations;
  }
};

}  // namespace

std::optional<std::set<std::string>> external_data_of(std::string_view onnx) {
  LocationFinder finder;
  if (!finder.read_model(onnx)) return std::nullopt;
  return std::move(finder.locations);
}

}  // namespace model_prep
