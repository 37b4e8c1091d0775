// SPDX-License-Identifier: Apache-2.0
#include "model_prep/base/glob.h"

#include <string>

#include "support/catch.h"

using namespace model_prep;

namespace {

struct Vector {
  const char* pattern;
  const char* path;
  bool matches;
};

// docs/developing/hub-protocol.md, section 6: all of its vectors.
constexpr Vector kVectors[] = {
    {"*.json", "a/b/config.json", true},
    {"*.json", "config.JSON", false},
    {"data/*.json", "data/x/y.json", true},
    {"data/", "data/x/y.bin", true},
    {"data", "data/x", false},
    {"**/*.bin", "model.bin", false},
    {"**/*.bin", "a/model.bin", true},
    {"1_Pooling/**", "1_Pooling/config.json", true},
    {"model?.bin", "model/.bin", true},
    {"m[!ao]del", "model", false},
    {"m[^ao]del", "model", true},
    {"m[^ao]del", "m^del", true},
    {"[", "[", true},
    {"a[b", "a[b", true},
    {"a[]]b", "a]b", true},
    {"a[]b", "a[]b", true},
    {"x[z-a]y", "xzy", false},
    {"x[a-]y", "x-y", true},
    {".*", ".gitattributes", true},
    {"*", "sub/.hidden", true},
    {"", "a", false},
    {"a\\b", "a/b", true},
    {"*.safetensors", "model.safetensors.index.json", false},
    {"model-0000[1-2]-of-*.safetensors", "model-00002-of-00009.safetensors", true},
    {"[[]x", "[x", true},
    {"a{b,c}", "ab", false},
};

// Answers of Python's fnmatch.fnmatchcase.
constexpr Vector kMoreVectors[] = {
    {"[a-c-e]", "b", true},
    {"[a-c-e]", "-", true},
    {"[a-c-e]", "d", false},
    {"[!z-a]", "q", true},
    {"[z-ab]", "b", true},
    {"[z-ab]", "a", false},
    {"[-a]", "-", true},
    {"[!-a]", "-", false},
    {"[--0]", "/", true},
    {"[!]", "[!]", true},
    {"[!]]", "x", true},
    {"[!]]", "]", false},
    {"[!]a]", "]", false},
    {"*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", false},
    {"?", "", false},
    {"***", "", true},
    {"?", "\xc3\xa9", true},
    {"??", "\xc3\xa9", false},
    {"[\xc3\xa9]x", "\xc3\xa9x", true},
    {"[a-\xc3\xbf]", "\xc3\xa9", true},
    {"*\xa9", "\xc3\xa9", false},
    {"a*", "b", false},
    {"*[", "a[", true},
    {"[a", "[a", true},
    {"a]", "a]", true},
    {"[]-a]", "^", true},
};

}  // namespace

TEST_CASE("patterns match like those of huggingface_hub") {
  for (const Vector& vector : kVectors) {
    CAPTURE(vector.pattern, vector.path);
    CHECK(matches_pattern(vector.pattern, vector.path) == vector.matches);
  }
}

TEST_CASE("sets, negations and code points match like those of Python") {
  for (const Vector& vector : kMoreVectors) {
    CAPTURE(vector.pattern, vector.path);
    CHECK(matches_pattern(vector.pattern, vector.path) == vector.matches);
  }
}

TEST_CASE("a set of patterns matches what one of them matches") {
  for (const Vector& vector : kVectors) {
    CAPTURE(vector.pattern, vector.path);
    CHECK(PatternSet({"no", vector.pattern}).matches(vector.path) == vector.matches);
  }
}

TEST_CASE("no pattern takes exponential time") {
  std::string pattern;
  for (int i = 0; i < 500; ++i) pattern += "*a";
  CHECK_FALSE(matches_pattern(pattern + "b", std::string(1000, 'a')));
}
