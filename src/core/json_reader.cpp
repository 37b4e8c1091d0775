// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/json_reader.h"

#include <limits>
#include <unordered_set>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "model_prep/base/text.h"

namespace model_prep {
namespace {

using Json = nlohmann::json;

// The Hub's deepest response, a model's info with its config, has about ten levels.
constexpr std::size_t kMaxNesting = 64;

/// nlohmann's parser calls these functions in the order of the text; returning false ends the
/// parse. The parser itself keeps one bit for each level of nesting.
class SaxReader : public nlohmann::json_sax<Json> {
 public:
  SaxReader(const JsonShape& shape, OnJsonEntry on_entry)
      : shape_(shape), on_entry_(std::move(on_entry)) {}

  explicit SaxReader(OnJsonValue on_value) : on_value_(std::move(on_value)) {}

  /// For a tree of the whole text: no object may have a member twice.
  void refuse_any_duplicate() { names_.emplace(); }

  Result<JsonDocument> result() && {
    if (error_) return *error_;
    return std::move(document_);
  }

  /// Why a tree should not be built of a text that is JSON so far.
  const std::optional<std::string>& tree_fault() const { return tree_fault_; }

  bool null() override { return value(nullptr); }
  bool boolean(bool is_true) override { return value(is_true); }
  bool number_integer(number_integer_t number) override { return value(number); }
  bool number_unsigned(number_unsigned_t number) override {
    if (number > std::uint64_t{std::numeric_limits<std::int64_t>::max()})
      return value(JsonFields::Other{});
    return value(static_cast<std::int64_t>(number));
  }
  bool number_float(number_float_t, const string_t&) override { return value(JsonFields::Other{}); }
  // The parser's texts are copied, here and in `key`: a buffer that was moved from would grow anew
  // for each of them.
  bool string(string_t& text) override {
    const auto* member = texts_member_here();
    if (member != nullptr)
      entry_.collection = *member;
    else if (!in_collection() || !shape_.of_texts)
      return value(text);

    entry_.name = keys_.back();
    entry_.text = text;
    return deliver_entry();
  }
  bool binary(binary_t&) override { return value(JsonFields::Other{}); }
  bool start_object(std::size_t) override { return start(false); }
  bool start_array(std::size_t) override { return start(true); }
  bool end_object() override { return end(); }
  bool end_array() override { return end(); }
  bool key(string_t& name) override {
    keys_.back() = name;
    if (!names_ || names_->back().insert(keys_.back()).second) return true;

    tree_fault_ = fmt::format("{}: appears twice", fmt::join(keys_, "."));
    return fail(*tree_fault_);
  }
  bool parse_error(std::size_t position, const std::string&, const Json::exception&) override {
    return fail(fmt::format("invalid JSON at byte {}", position));
  }

 private:
  bool fail(std::string why) { return fail(Error{ErrorKind::protocol, std::move(why)}); }
  bool fail(Error error) {
    error_ = std::move(error);
    return false;
  }

  bool in_entry() const { return collection_depth_ != 0 && keys_.size() > collection_depth_; }
  bool in_collection() const { return collection_depth_ != 0 && keys_.size() == collection_depth_; }

  static const std::string_view* find(std::span<const std::string_view> names,
                                      std::string_view name) {
    const auto found = std::ranges::find(names, name);
    return found == names.end() ? nullptr : &*found;
  }

  /// Whether the value that begins here has this name or is in the member of this name. (The key of
  /// an array is empty, so that no member of it has a name.)
  bool is_within(std::string_view name) const {
    const auto parts = split(name, '.');
    return parts.size() <= keys_.size() &&
           std::ranges::equal(parts, std::span(keys_).first(parts.size()));
  }

  /// The collection that a value is which begins here, by its place.
  const std::string_view* collection_here() const {
    if (keys_.empty()) return find(shape_.collections, {});
    if (keys_.size() > 2 || keys_.back().empty()) return nullptr;
    const auto is_here = [&](std::string_view name) {
      if (keys_.size() == 1) return name == keys_.back();
      const std::size_t dot = name.find('.');
      return dot != std::string_view::npos && name.substr(0, dot) == keys_.front() &&
             name.substr(dot + 1) == keys_.back();
    };
    const auto found = std::ranges::find_if(shape_.collections, is_here);
    return found == shape_.collections.end() ? nullptr : &*found;
  }

  /// The member whose strings are entries, if the string that is here is in one.
  const std::string_view* texts_member_here() const {
    if (keys_.empty()) return nullptr;
    const auto found = std::ranges::find_if(shape_.texts_in,
                                            [&](std::string_view name) { return is_within(name); });
    return found == shape_.texts_in.end() ? nullptr : &*found;
  }

  bool value(JsonFields::Value&& value) {
    if (on_value_) return pass_on(value);
    if (in_collection()) return fail(wrong_entry());
    if (!keys_.empty() && collection_here() != nullptr &&
        !std::holds_alternative<std::nullptr_t>(value))
      return fail(fmt::format("'{}' is neither an array nor an object", keys_.back()));
    return keep_if_wanted(std::move(value));
  }

  bool pass_on(const JsonFields::Value& value) {
    const Status used = on_value_(keys_, value);
    return used || fail(used.error());
  }

  /// Keeps a requested member: one of the document or the entry, or of an object directly in it.
  bool keep_if_wanted(JsonFields::Value&& value) {
    const std::size_t base = in_entry() ? collection_depth_ : 0;
    const std::size_t depth = keys_.size() - base;
    if (depth != 1 && depth != 2) return true;

    // The key of an array is empty, so that no member of it has the name of a field.
    const std::string name = depth == 1 ? keys_.back() : keys_[base] + "." + keys_.back();
    const auto* wanted = find(shape_.fields, name);
    if (wanted == nullptr) return true;

    JsonFields& fields = in_entry() ? entry_.fields : document_.fields;
    return fields.add(*wanted, std::move(value)) || fail(fmt::format("duplicate key '{}'", name));
  }

  bool start(bool is_array) {
    if (keys_.size() == kMaxNesting) {
      tree_fault_ = fmt::format("it is nested deeper than {} levels", kMaxNesting);
      return fail(*tree_fault_);
    }

    const auto* collection = collection_here();
    if (on_value_) {
      if (!pass_on(JsonFields::Other{})) return false;
    } else if (in_collection()) {
      if (is_array || shape_.of_texts) return fail(wrong_entry());
      entry_.name = keys_.back();
      entry_.fields.clear();
    } else if (collection != nullptr && (is_array || !keys_.empty())) {
      if (document_.has(*collection)) return fail(fmt::format("duplicate key '{}'", *collection));
      document_.collections.push_back(*collection);
      entry_.collection = *collection;
      collection_depth_ = keys_.size() + 1;
    } else if (!keep_if_wanted(JsonFields::Other{})) {
      return false;
    }

    keys_.emplace_back();
    if (names_) names_->emplace_back();
    return true;
  }

  bool end() {
    keys_.pop_back();
    if (names_) names_->pop_back();
    if (in_collection()) return deliver_entry();

    if (keys_.size() < collection_depth_) collection_depth_ = 0;
    return true;
  }

  bool deliver_entry() {
    const Status used = on_entry_(entry_);
    return used || fail(used.error());
  }

  const char* wrong_entry() const {
    return shape_.of_texts ? "an entry is not a string" : "an entry is not an object";
  }

  JsonShape shape_;
  OnJsonEntry on_entry_;
  OnJsonValue on_value_;
  Strings keys_;                     // for each open container, of the member that is being read
  std::size_t collection_depth_{0};  // how many are open, including the collection; 0: in none
  JsonEntry entry_;
  JsonDocument document_;
  std::optional<Error> error_;
  std::optional<std::string> tree_fault_;

  // Of each open container, if duplicates are refused.
  std::optional<std::vector<std::unordered_set<std::string>>> names_;
};

/// The text with 0.0 for each of Python's words. Every other byte stays where it is.
std::string without_python_words(std::string_view text) {
  constexpr std::string_view kWords[] = {"NaN", "Infinity"};
  constexpr std::string_view kNumber = "0.0";
  std::string json(text);
  bool in_string = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    if (json[i] == '"') in_string = !in_string;
    if (in_string && json[i] == '\\') ++i;
    if (in_string) continue;

    for (const std::string_view word : kWords)
      if (text.substr(i).starts_with(word))
        json.replace(i, word.size(),
                     std::string(kNumber) + std::string(word.size() - kNumber.size(), ' '));
  }
  return json;
}

}  // namespace

const JsonFields::Value* JsonFields::find(std::string_view name) const {
  const auto found = std::ranges::find(values_, name, &std::pair<std::string_view, Value>::first);
  return found == values_.end() ? nullptr : &found->second;
}

bool JsonFields::add(std::string_view name, Value value) {
  if (find(name) != nullptr) return false;
  values_.emplace_back(name, std::move(value));
  return true;
}

Result<JsonDocument> read_json(std::string_view text, const JsonShape& shape,
                               const OnJsonEntry& on_entry) {
  SaxReader reader(shape, on_entry);
  Json::sax_parse(text, &reader);
  return std::move(reader).result();
}

Result<JsonDocument> read_python_json(std::string_view text, const JsonShape& shape,
                                      const OnJsonEntry& on_entry) {
  const auto has = [&](std::string_view word) { return text.find(word) != std::string_view::npos; };
  if (!has("NaN") && !has("Infinity")) return read_json(text, shape, on_entry);
  return read_json(without_python_words(text), shape, on_entry);
}

Status read_json_values(std::string_view text, OnJsonValue on_value) {
  SaxReader reader(std::move(on_value));
  Json::sax_parse(text, &reader);
  const auto document = std::move(reader).result();
  return document ? ok() : document.error();
}

std::optional<std::string> json_tree_fault(std::string_view text) {
  constexpr bool kStrict = true;
  constexpr bool kComments = true;
  SaxReader reader({}, {});
  reader.refuse_any_duplicate();
  Json::sax_parse(text, &reader, nlohmann::detail::input_format_t::json, kStrict, kComments);
  return reader.tree_fault();
}

}  // namespace model_prep
