// SPDX-License-Identifier: Apache-2.0
#include "model_prep/base/suggestions.h"

#include "support/catch.h"

namespace model_prep {

using Words = std::vector<std::string>;

TEST_CASE("a typo gets the closest known word as suggestion") {
  const Words keys = {"all-MiniLM-L6-v2", "bge-reranker-base", "flan-t5-small"};
  CHECK(closest_word("flan-t5-smal", keys) == "flan-t5-small");
  CHECK(closest_word("flan_t5_small", keys) == "flan-t5-small");
  CHECK(closest_word("all-minilm-l6-v2", keys) == "all-MiniLM-L6-v2");
  CHECK(closest_word("bge-rernaker-base", keys) == "bge-reranker-base");
  CHECK(closest_word("all-MiniLM-L12-v2", keys) == "all-MiniLM-L6-v2");
  CHECK(closest_word("verfiy", {"download", "verify", "list"}) == "verify");
}

TEST_CASE("a word unlike any known word gets no suggestion") {
  CHECK_FALSE(closest_word("gpt2", {"all-MiniLM-L6-v2", "flan-t5-small"}));
  CHECK_FALSE(closest_word("x", {"y"}));
  CHECK_FALSE(closest_word("", {"list"}));
  CHECK_FALSE(closest_word("abc", {}));
  CHECK_FALSE(closest_word(std::string(100'000, 'a'), {std::string(100'000, 'a')}));
}

TEST_CASE("the closest word is suggested, and the first of two that are equally close") {
  CHECK(closest_word("modl", {"modal", "model"}) == "modal");
  CHECK(closest_word("model", {"modal", "models", "model"}) == "model");
}

TEST_CASE("the suggestion can begin a hint") {
  CHECK(did_you_mean("lst", {"list"}) == "did you mean 'list'? ");
  CHECK(did_you_mean("entirely", {"list"}).empty());
}

}  // namespace model_prep
