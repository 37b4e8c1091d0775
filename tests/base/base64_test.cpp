// SPDX-License-Identifier: Apache-2.0
#include "model_prep/base/base64.h"

#include "support/catch.h"

namespace model_prep {

TEST_CASE("the test vectors of RFC 4648 are decoded") {
  CHECK(decode_base64("") == "");
  CHECK(decode_base64("Zg==") == "f");
  CHECK(decode_base64("Zm8=") == "fo");
  CHECK(decode_base64("Zm9v") == "foo");
  CHECK(decode_base64("Zm9vYg==") == "foob");
  CHECK(decode_base64("Zm9vYmE=") == "fooba");
  CHECK(decode_base64("Zm9vYmFy") == "foobar");
  CHECK(decode_base64("+/+/") == "\xfb\xff\xbf");
}

TEST_CASE("base64 that no encoder writes is refused") {
  for (const char* text : {"Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Zm9v=", "====", "=Zg=", "Zg=g",
                           "Z===", "Zm9v\n", " Zm9v", "Zm_-", "Zm9vZ", "Zm9v Zm9", "Z\xc3\xbcm9"}) {
    CAPTURE(text);
    CHECK_FALSE(decode_base64(text));
  }
}

}  // namespace model_prep
