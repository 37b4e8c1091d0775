// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/json_reader.h"

#include "support/catch.h"

namespace model_prep {
namespace {

constexpr std::string_view kFields[] = {"id", "size", "lfs", "lfs.size"};
constexpr std::string_view kFilesPath[] = {"files"};

/// `name:size` of each entry.
std::string entries_of(const std::string& text, std::span<const std::string_view> collections) {
  std::string found;
  const auto document = read_json(text, {collections, kFields}, [&](const JsonEntry& entry) {
    found += entry.name + ":" + std::to_string(entry.fields.integer("size").value_or(-1)) + " ";
    return ok();
  });
  return document ? found : document.error().message;
}

}  // namespace

TEST_CASE("the requested members are kept with their types, and no others") {
  const auto document = read_json(
      R"({"id": "a", "other": "b", "size": null, "lfs": {"size": 7, "oid": [1, {"size": 2}]}, "x": [{"id": 1}]})",
      {.fields = kFields});
  REQUIRE(document);
  CHECK(document->fields.text("id") == "a");
  CHECK_FALSE(document->fields.integer("id"));
  CHECK_FALSE(document->fields.has("size"));
  CHECK(document->fields.has("lfs"));
  CHECK(document->fields.integer("lfs.size") == 7);
  CHECK_FALSE(document->fields.has("other"));
}

TEST_CASE("each string below a chosen member is an entry, however deep, and no other string is") {
  constexpr std::string_view kChosen[] = {"map"};
  std::string found;
  const auto document = read_json(
      R"({"a": "x", "map": {"b": "1", "c": ["2", null, 3, {"d": "4"}]}, "e": {"map": "y"}})",
      {.texts_in = kChosen}, [&](const JsonEntry& entry) {
        found += entry.name + "=" + entry.text + " ";
        return ok();
      });
  REQUIRE(document);
  CHECK(found == "b=1 =2 d=4 ");
}

TEST_CASE("strings can be chosen in a member of an object, which may be a string itself") {
  constexpr std::string_view kChosen[] = {"card.license"};
  const auto found_in = [&](const std::string& text) {
    std::string found;
    const auto document = read_json(text, {.texts_in = kChosen}, [&](const JsonEntry& entry) {
      found += std::string(entry.collection) + ":" + entry.text + " ";
      return ok();
    });
    return document ? found : document.error().message;
  };
  CHECK(found_in(R"({"card": {"license": "a", "other": ["b"]}})") == "card.license:a ");
  CHECK(found_in(R"({"card": {"license": ["a", "b"]}})") == "card.license:a card.license:b ");
  CHECK(found_in(R"({"license": "a", "x": {"card": {"license": "b"}}})").empty());
  CHECK(found_in(R"({"card": "license"})").empty());
  CHECK(found_in(R"({"card": [{"license": "a"}]})").empty());
}

TEST_CASE("entries may be those of a member of an object") {
  constexpr std::string_view kNested[] = {"files", "status.files"};
  CHECK(entries_of(R"({"status": {"files": [{"size": 1}], "size": 2}, "files": [{"size": 3}]})",
                   kNested) == ":1 :3 ");
  CHECK(entries_of(R"({"status": {"files": null}})", kNested).empty());
  CHECK(entries_of(R"({"x": {"status": {"files": [{"size": 1}]}}})", kNested).empty());
  CHECK(entries_of(R"({"status": [{"files": [{"size": 1}]}]})", kNested).empty());
  CHECK(entries_of(R"({"status": {"files": [1]}})", kNested) == "an entry is not an object");
  CHECK(entries_of(R"({"status": {"files": 1}})", kNested) ==
        "'files' is neither an array nor an object");
}

TEST_CASE("a boolean is kept as one") {
  const auto document = read_json(R"({"id": true, "lfs": {"size": false}})", {.fields = kFields});
  REQUIRE(document);
  CHECK(document->fields.boolean("id") == true);
  CHECK(document->fields.boolean("lfs.size") == false);
  CHECK_FALSE(document->fields.text("id"));
  CHECK_FALSE(document->fields.boolean("lfs"));
}

TEST_CASE("nested members of the same name are not confused with the requested ones") {
  const std::string text = GENERATE(as<std::string>{}, R"([{"id": "a", "lfs": {"size": 1}}])",
                                    R"({"lfs": [{"size": 1}]})", R"({"lfs": ["size", 1]})",
                                    R"({"": {"id": "a", "lfs": {"size": 1}}})", R"({"": ["id"]})");
  CAPTURE(text);
  const auto document = read_json(text, {.fields = kFields});
  REQUIRE(document);
  CHECK_FALSE(document->fields.has("id"));
  CHECK_FALSE(document->fields.has("lfs.size"));
}

TEST_CASE("a number that is not a 64-bit integer is not accepted as one") {
  const std::string number =
      GENERATE("1.0", "1e3", "9223372036854775808", "-9223372036854775809", "true", "\"1\"", "[1]");
  const auto document = read_json("{\"size\":" + number + "}", {.fields = kFields});
  REQUIRE(document);
  CHECK(document->fields.has("size"));
  CHECK_FALSE(document->fields.integer("size"));
}

TEST_CASE("entries of a list or an object arrive one by one") {
  CHECK(entries_of(R"([{"size": 1}, {"size": 2, "deep": [[{"size": 3}]]}, {}])", kTopArray) ==
        ":1 :2 :-1 ");
  CHECK(entries_of(R"({"size": 9, "files": {"a": {"size": 1}, "b": {}}, "more": [{"size": 3}]})",
                   kFilesPath) == "a:1 b:-1 ");
  CHECK(entries_of(R"({"files": [{"size": 1}]})", kFilesPath) == ":1 ");
  CHECK(entries_of(R"({"x": {"files": [{"size": 1}]}})", kFilesPath).empty());
  CHECK(entries_of(R"([[{"size": 1}]])", kFilesPath).empty());
}

TEST_CASE("duplicate members, text that is not JSON and a missing list are refused") {
  CHECK(entries_of("[1]", kTopArray) == "an entry is not an object");
  CHECK(entries_of("[[]]", kTopArray) == "an entry is not an object");
  CHECK(entries_of(R"([{"size": 1, "size": 2}])", kTopArray) == "duplicate key 'size'");
  CHECK(entries_of(R"({"files": [], "files": []})", kFilesPath) == "duplicate key 'files'");
  CHECK(entries_of(R"({"files": 1})", kFilesPath) == "'files' is neither an array nor an object");
  CHECK(entries_of("[{}", kTopArray) == "invalid JSON at byte 4");
  CHECK(entries_of("[{\"a\": \"\xff\"}]", kTopArray) == "invalid JSON at byte 9");
  CHECK(entries_of(std::string(1'000'000, '['), kFilesPath) ==
        "it is nested deeper than 64 levels");
}

TEST_CASE("a callback can end the reading with its own error") {
  const auto document = read_json("[{}, {}]", {.collections = kTopArray}, [](const JsonEntry&) {
    return Error{ErrorKind::protocol, "enough", {}};
  });
  REQUIRE_FALSE(document);
  CHECK(document.error().message == "enough");
}

TEST_CASE(
    "each value of a document is passed on with its place, containers before their elements") {
  std::string seen;
  const Status read =
      read_json_values(R"({"a": {"b": "x", "c": [1, {"d": null}, []]}, "e": true})",
                       [&](std::span<const std::string> path, const JsonFields::Value& value) {
                         for (const std::string& key : path) seen += key + "/";
                         if (const auto* text = std::get_if<std::string>(&value))
                           seen += "=" + *text;
                         if (const auto* number = std::get_if<std::int64_t>(&value))
                           seen += "=" + std::to_string(*number);
                         if (std::holds_alternative<std::nullptr_t>(value)) seen += "=null";
                         seen += " ";
                         return ok();
                       });
  CHECK(read);
  CHECK(seen == " a/ a/b/=x a/c/ a/c//=1 a/c// a/c//d/=null a/c// e/ ");
}

TEST_CASE("reading values ends at the first error, of the text or of the function") {
  const auto fault = [](const std::string& text, int fails_at) {
    const Status read = read_json_values(
        text, [&](std::span<const std::string>, const JsonFields::Value&) -> Status {
          if (fails_at-- != 0) return ok();
          return Error{ErrorKind::usage, "enough"};
        });
    return read ? "" : read.error().message;
  };
  CHECK(fault("[1, 2]", -1).empty());
  CHECK(fault("[1, 2]", 0) == "enough");
  CHECK(fault("[1, 2]", 2) == "enough");
  CHECK(fault("[1, 2", -1) == "invalid JSON at byte 6");
  CHECK(fault("", -1) == "invalid JSON at byte 1");
  CHECK(fault(std::string(100, '['), -1) == "it is nested deeper than 64 levels");
}

TEST_CASE("the words that Python's json writes are numbers in files of a repository only") {
  const std::string text = R"({"a": [0.0, Infinity, -Infinity, NaN], "b": "NaN \" Infinity"})";
  constexpr std::string_view kFields[] = {"a", "b"};
  const auto read = read_python_json(text, {.fields = kFields});
  REQUIRE(read);
  CHECK(read->fields.has("a"));
  CHECK(read->fields.text("b") == "NaN \" Infinity");

  CHECK_FALSE(read_json(text, {.fields = kFields}));
  const std::string other = GENERATE("[Inf]", "[nan]", "[NaNs]", "{NaN: 1}", "[Infinity");
  CHECK_FALSE(read_python_json(other, {}));
}

TEST_CASE("the depth is that of the text without its comments") {
  CHECK_FALSE(json_tree_fault("/* [[ \" */ {\"a\": [1]} // \""));
  CHECK(json_tree_fault("/* \" */" + std::string(65, '[')) == "it is nested deeper than 64 levels");
  CHECK_FALSE(json_tree_fault("\"" + std::string(100, '[') + "\""));
}

TEST_CASE("a member that is there twice is named by its path, wherever it is") {
  CHECK(json_tree_fault(R"({"a": 1, "a": 2})") == "a: appears twice");
  CHECK(json_tree_fault(R"({"a": {"b": {"c": 1, "d": [], "c": {}}}})") == "a.b.c: appears twice");
  CHECK(json_tree_fault(R"([{"a": 1, "\u0061": 2}])") == ".a: appears twice");
  CHECK_FALSE(json_tree_fault(R"({"a": {"a": {"b": 1}, "b": 1}, "b": [{"b": 1}, {"b": 1}]})"));
  CHECK_FALSE(json_tree_fault(R"({"a": 1, )"));
}

}  // namespace model_prep
