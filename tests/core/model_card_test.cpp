// SPDX-License-Identifier: Apache-2.0
// Front matter as authors write it on the Hub.
#include "model_prep/core/model_card.h"

#include <algorithm>

#include "support/catch.h"

namespace model_prep {
namespace {

Strings licenses_of(const Strings& texts, std::string_view name = "") {
  std::set<std::string> ids;
  for (const std::string& text : texts) add_license(ids, text);
  return card_licenses(std::move(ids), name);
}

}  // namespace

TEST_CASE("the license of a card is found however it is written") {
  const auto [front_matter, licenses] = GENERATE(table<std::string, Strings>({
      {"license: apache-2.0\n", {"apache-2.0"}},
      {"language: en\nlicense: MIT\ntags:\n- exbert\n", {"mit"}},
      {"license: \"mit\"  # see LICENSE\n", {"mit"}},
      {"license: 'mit'\n", {"mit"}},
      {"license: mit # a comment\n", {"mit"}},
      {"license: mit\r\n", {"mit"}},
      {"license:\n- cc-by-4.0\n- mit\nlanguage: en\n", {"cc-by-4.0", "mit"}},
      {"license:\n  - mit\n  # also\n  - 'gpl-3.0'\n", {"gpl-3.0", "mit"}},
      {"license: [mit, \"apache-2.0\"]\n", {"apache-2.0", "mit"}},
      {"license: other\nlicense_name: Llama-Custom\nlicense_link: LICENSE\n",
       {"other:llama-custom"}},
      {"license: other\n", {"other"}},
      {"license: my own license\n", {"my-own-license"}},
  }));
  INFO(front_matter);
  CHECK(licenses_in_card("---\n" + front_matter + "---\n# Model\n") == licenses);
}

TEST_CASE("a card that names no license has none") {
  const std::string card = GENERATE(
      as<std::string>{}, "", "# Model\nlicense: mit\n", "---\nlanguage: en\n---\n",
      "---\nlicense:\n---\n", "---\nlicense: null\n---\n", "---\nlicense: ~\n---\n",
      "---\nlicense: # none\n---\n", "---\nlicense:\nlanguage: en\n---\n", "---\nlicense: mit\n",
      "\n---\nlicense: mit\n---\n", "---\nmodel-index:\n  license: mit\n---\n",
      "---\nlicense_name: x\n---\n", "---\na: b\n---\nlicense: mit\n", "---\nlicense: []\n---\n");
  INFO(card);
  CHECK(licenses_in_card(card) == Strings());
}

TEST_CASE("a license that is written in another way is not known, instead of half known") {
  const std::string license =
      GENERATE(as<std::string>{}, "[mit,\n  cc-by-nc-4.0]", "\n- mit\n-\n  cc-by-nc-4.0",
               "\n- mit\n-\tgpl-3.0", ">-\n  apache-2.0", "|\n  mit", "&anchor mit", "{name: mit}",
               "\n- mit\n- *other", "mit\nlicense: gpl-3.0", "['a]', gpl-3.0]");
  INFO(license);
  CHECK_FALSE(licenses_in_card("---\nlicense: " + license + "\n---\n"));
}

TEST_CASE("more licenses than are kept are allowed by no list") {
  const int count = GENERATE(33, 34, 35, 100);
  Strings many;
  for (int i = 0; i < count; ++i) many.push_back("license-" + std::to_string(i));
  const Strings kept = licenses_of(many);
  CHECK(kept.size() <= kMaxLicenses);
  CHECK(std::ranges::count(kept, kTooManyLicenses) == 1);

  // However often one is named, it is one; and what comes behind it counts.
  const Strings repeated(100, "mit");
  CHECK(licenses_of(repeated) == Strings{"mit"});
  Strings hidden = repeated;
  hidden.push_back("gpl-3.0");
  CHECK(licenses_of(hidden) == Strings{"gpl-3.0", "mit"});
}

TEST_CASE("a text in quotes that goes on is not the license in the quotes") {
  const std::string license =
      GENERATE(as<std::string>{}, "'mit''s'", "\"mit\" or not", "[\"mit] #\"]");
  INFO(license);
  CHECK(licenses_in_card("---\nlicense: " + license + "\n---\n") != Strings{"mit"});
}

TEST_CASE("a byte order mark before the front matter does not hide it") {
  CHECK(licenses_in_card("\xef\xbb\xbf---\nlicense: mit\n---\n") == Strings{"mit"});
}

TEST_CASE("ids are sorted, each once, and a name counts only with the license other") {
  CHECK(licenses_of({"MIT", "apache-2.0", "mit", ""}) == Strings{"apache-2.0", "mit"});
  CHECK(licenses_of({"mit"}, "x") == Strings{"mit"});
  CHECK(licenses_of({"other"}, "A B\x1b") == Strings{"other:a-b-"});
  CHECK(licenses_of({std::string(1000, 'x')}).front().size() == 128);
  CHECK(licenses_of({"other"}, std::string(1000, 'x')).front().size() == 128);
}

}  // namespace model_prep
