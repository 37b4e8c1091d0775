// SPDX-License-Identifier: Apache-2.0
// JSON that others wrote, read as it comes: a server's listing, a file on a shared disk.
//
// No tree of the whole is built. A listing is a collection of entries, each of which is given to
// its reader and forgotten; of everything else only the members that are asked for are kept. So the
// memory that a document needs does not depend on what is in it, however long it is or deep. What
// is not JSON (or not UTF-8), nested deeper than anybody writes, or names a wanted member twice, is
// refused as `protocol`.
//
//   constexpr std::string_view kFields[] = {"path", "lfs", "lfs.size"};
//   read_json(R"([{"path": "a", "lfs": {"size": 1}}])", {.collections = kTopArray, .fields =
//   kFields},
//             [](const JsonEntry& entry) { entry.fields.integer("lfs.size"); return ok(); });
//
// Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "model_prep/base/error.h"

namespace model_prep {

/// Members of an object by name; `lfs.size` is a member of the object that is the member `lfs`.
class JsonFields {
 public:
  struct Other {};  ///< true, false, a fraction, a number beyond 64 bits, an object or array
  using Value = std::variant<std::nullptr_t, std::int64_t, std::string, Other>;

  /// Nothing if there is no such member or it is of another type.
  std::optional<std::string> text(std::string_view name) const;
  std::optional<std::int64_t> integer(std::string_view name) const;
  /// There, and not null.
  bool has(std::string_view name) const;

  /// False if it is there already.
  bool add(std::string_view name, Value value);
  void clear() { values_.clear(); }

 private:
  const Value* find(std::string_view name) const;
  std::vector<std::pair<std::string_view, Value>> values_;
};

struct JsonEntry {
  std::string_view collection;  ///< as the shape spells it
  std::string name;             ///< its key, if the collection is an object
  std::string text;             ///< the entry itself, in a collection of texts
  JsonFields fields;
};

/// Everything here must outlive the reading and its result: literals do.
struct JsonShape {
  std::span<const std::string_view>
      collections{};  ///< members of the document whose elements are entries
  std::span<const std::string_view> fields{};  ///< what to keep of the document and of each entry
  bool of_texts{false};                        ///< the entries are texts, not objects
};
/// The document is itself the collection.
inline constexpr std::string_view kTopArray[] = {""};

struct JsonDocument {
  JsonFields fields;
  std::vector<std::string_view> collections;  ///< those that were there
  bool has(std::string_view collection) const;
};

using OnJsonEntry = std::function<Status(const JsonEntry&)>;  ///< an error ends the reading

Result<JsonDocument> read_json(std::string_view text, const JsonShape& shape,
                               const OnJsonEntry& on_entry = {});

/// For a reader that must have the whole tree: whether making it would cost more than the text
/// promises. Comments are allowed for.
bool is_json_too_deep(std::string_view text);

}  // namespace model_prep
