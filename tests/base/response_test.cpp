// SPDX-License-Identifier: Apache-2.0
#include "model_prep/base/response.h"

#include "support/catch.h"

using namespace model_prep;

TEST_CASE("a number in a header consists of digits only and fits its type") {
  CHECK(header_number("0") == 0);
  CHECK(header_number("548105171") == 548105171);
  CHECK(header_number("999999999999999999") == 999999999999999999);
  for (const char* text :
       {"", "-1", "+1", " 1", "1 ", "1.0", "0x1", "1000000000000000000", "99999999999999999999"})
    CHECK_FALSE(header_number(text));
}

TEST_CASE("a displayed URL has no query, no user info and no fragment") {
  struct Row {
    const char* text;
    const char* origin;
    const char* shown;
  };
  const Row row = GENERATE(values<Row>({
      {"https://huggingface.co/a/b", "https://huggingface.co", "https://huggingface.co/a/b"},
      {"https://cdn.hf.co/x?Signature=secret&t=1", "https://cdn.hf.co", "https://cdn.hf.co/x"},
      {"https://user:secret@mirror.example:8443/hf/x", "https://mirror.example:8443",
       "https://mirror.example:8443/hf/x"},
      {"https://user:secret@mirror.example", "https://mirror.example", "https://mirror.example"},
      {"https://mirror.example?token=secret", "https://mirror.example", "https://mirror.example"},
      {"https://mirror.example#secret", "https://mirror.example", "https://mirror.example"},
      {"https://mirror.example/a#secret", "https://mirror.example", "https://mirror.example/a"},
      {"https://mirror.example/a@b?c@d", "https://mirror.example", "https://mirror.example/a@b"},
      {"https://mirror.example/a?to=http://user:secret@x/", "https://mirror.example",
       "https://mirror.example/a"},
      {"no address:secret", "", ""},
  }));
  CAPTURE(row.text);
  CHECK(display(Url{row.text, row.origin, true}) == row.shown);
}
