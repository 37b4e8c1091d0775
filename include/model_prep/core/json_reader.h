// SPDX-License-Identifier: Apache-2.0
// A streaming reader for JSON from outside: a server's listing, a file on a shared disk.
//
// No tree of the document is built. A listing is a collection of entries, each of which is passed
// to a callback and dropped; of everything else only the requested members are kept. So the memory
// that a document takes does not depend on its contents, however long or deeply nested it is. Text
// that is not JSON or not UTF-8, is nested too deeply, or has a requested member twice fails with
// `protocol`.
//
//   constexpr std::string_view kFields[] = {"path", "lfs", "lfs.size"};
//   read_json(R"([{"path": "a", "lfs": {"size": 1}}])",
//             {.collections = kTopArray, .fields = kFields},
//             [](const JsonEntry& entry) { entry.fields.integer("lfs.size"); return ok(); });
//
// This uses nlohmann's SAX interface. `parse` with a callback would not do: it keeps a pointer and
// a key for each level of nesting, and its callback can neither end the parse nor return an error.
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "model_prep/base/error.h"

namespace model_prep {

/// Members of an object by name; `lfs.size` is the member `size` of the member `lfs`.
class JsonFields {
 public:
  struct Other {};  ///< a fraction, an integer beyond 64 bits, an object or an array
  using Value = std::variant<std::nullptr_t, bool, std::int64_t, std::string, Other>;

  /// Empty if there is no such member, or if it is of another type.
  std::optional<std::string> text(std::string_view name) const { return get<std::string>(name); }
  std::optional<std::int64_t> integer(std::string_view name) const {
    return get<std::int64_t>(name);
  }
  std::optional<bool> boolean(std::string_view name) const { return get<bool>(name); }

  /// Whether it is present and not null.
  bool has(std::string_view name) const {
    const Value* found = find(name);
    return found != nullptr && !std::holds_alternative<std::nullptr_t>(*found);
  }

  /// False if it is present already.
  bool add(std::string_view name, Value value);
  void clear() { values_.clear(); }

 private:
  const Value* find(std::string_view name) const;
  template <class T>
  std::optional<T> get(std::string_view name) const {
    const T* found = std::get_if<T>(find(name));
    return found == nullptr ? std::nullopt : std::optional(*found);
  }
  std::vector<std::pair<std::string_view, Value>> values_;
};

struct JsonEntry {
  std::string_view collection;  ///< one of the shape's
  std::string name;             ///< its key, if the collection is an object
  std::string text;             ///< the entry itself, in a collection of strings
  JsonFields fields;
};

/// What to read. The spans and their strings must outlive the result; use literals.
struct JsonShape {
  /// Members of the document, or of an object in it (`a.b`), whose elements are entries; one that
  /// is null counts as missing.
  std::span<const std::string_view> collections{};
  std::span<const std::string_view> fields{};  ///< what to keep of the document and of each entry
  bool of_texts{false};                        ///< the entries are strings, not objects

  /// Members of the document, or of an object in it, in which each string, however deep, is an
  /// entry, and which may be strings themselves. `name` is the string's key, or empty in an array.
  std::span<const std::string_view> texts_in{};
};

/// The document itself is the collection, an array.
inline constexpr std::string_view kTopArray[] = {""};

struct JsonDocument {
  JsonFields fields;
  std::vector<std::string_view> collections;  ///< those that were present
  bool has(std::string_view collection) const {
    return std::ranges::find(collections, collection) != collections.end();
  }
};

/// An error ends the reading and is its result.
using OnJsonEntry = std::function<Status(const JsonEntry&)>;

Result<JsonDocument> read_json(std::string_view text, const JsonShape& shape,
                               const OnJsonEntry& on_entry = {});

/// Reads a file of a repository as Python's json does, which writes NaN, Infinity and -Infinity as
/// they are: outside of strings they count as numbers.
Result<JsonDocument> read_python_json(std::string_view text, const JsonShape& shape,
                                      const OnJsonEntry& on_entry = {});

/// A value and where it is: the key of each container around it, from the outside, and its own. In
/// an array the key is empty. An object or an array is passed too, before its elements.
using OnJsonValue =
    std::function<Status(std::span<const std::string> path, const JsonFields::Value& value)>;

/// For small documents of which every member must be known: passes each value of the document, in
/// the order of the text, to a function that knows what belongs where. It has to notice members
/// that are there twice. Fails as `read_json` does, or with the function's error.
Status read_json_values(std::string_view text, OnJsonValue on_value);

/// For those who build a tree of a text after all: that it is nested more deeply than `read_json`
/// accepts, or which member it has twice, by its path (`models.a.repo`). Nothing of a text that is
/// not JSON. The text may contain comments.
std::optional<std::string> json_tree_fault(std::string_view text);

}  // namespace model_prep
