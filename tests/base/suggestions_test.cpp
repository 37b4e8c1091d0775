// SPDX-License-Identifier: Apache-2.0
#include "model_prep/base/suggestions.h"

#include "support/catch.h"

namespace model_prep {

using Words = std::vector<std::string>;

TEST_CASE("a mistyped word leads to the one that was meant") {
  const Words keys = {"all-MiniLM-L6-v2", "bge-reranker-base", "flan-t5-small"};
  CHECK(nearest("flan-t5-smal", keys) == "flan-t5-small");
  CHECK(nearest("flan_t5_small", keys) == "flan-t5-small");
  CHECK(nearest("all-minilm-l6-v2", keys) == "all-MiniLM-L6-v2");
  CHECK(nearest("bge-rernaker-base", keys) == "bge-reranker-base");
  CHECK(nearest("all-MiniLM-L12-v2", keys) == "all-MiniLM-L6-v2");
  CHECK(nearest("verfiy", {"download", "verify", "list"}) == "verify");
}

TEST_CASE("a word that is near nothing leads nowhere") {
  CHECK_FALSE(nearest("gpt2", {"all-MiniLM-L6-v2", "flan-t5-small"}));
  CHECK_FALSE(nearest("x", {"y"}));
  CHECK_FALSE(nearest("", {"list"}));
  CHECK_FALSE(nearest("abc", {}));
  CHECK_FALSE(nearest(std::string(100'000, 'a'), {std::string(100'000, 'a')}));
}

TEST_CASE("of two that are equally near the first counts, and the nearer before both") {
  CHECK(nearest("modl", {"modal", "model"}) == "modal");
  CHECK(nearest("model", {"modal", "models", "model"}) == "model");
}

TEST_CASE("what is suggested stands before the hint") {
  CHECK(did_you_mean("lst", {"list"}) == "did you mean 'list'? ");
  CHECK(did_you_mean("entirely", {"list"}).empty());
}

}  // namespace model_prep
