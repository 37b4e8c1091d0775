// SPDX-License-Identifier: Apache-2.0
#include "model_prep/base/text.h"

#include "support/catch.h"

namespace model_prep {

TEST_CASE("text of others is shown as it is if it is harmless") {
  const std::string text = GENERATE("", "plain words", "Zahlen/\xc3\xa9t\xc3\xa9 \xe4\xb8\xad\xf0\x9f\x98\x80.txt");
  CHECK(is_utf8(text));
  CHECK(printable(text) == text);
  CHECK(shown(text) == text);
}

TEST_CASE("text of others can neither steer a terminal, nor end a line, nor turn its direction") {
  CHECK(printable("a\nb\r\x1b[2Jc\x7f") == "a?b??[2Jc?");
  CHECK(printable(std::string("a\0b", 3)) == "a?b");
  CHECK(printable("\xc2\x9b\x32J") == "?2J");                        // CSI as one character
  CHECK(printable("a\xe2\x80\xa8z\xe2\x80\xae.exe") == "a?z?.exe");  // line separator, right-to-left override
}

TEST_CASE("text of others gives no command to a CI runner, which looks for it anywhere in a line") {
  CHECK(loggable("it says ##[add-mask]x") == "it says #?[add-mask]x");
  CHECK(loggable("###[error]##vso[task]") == "#?#[error]#?vso[task]");
  CHECK(loggable("#\n#[x] # # C#") == "#?#[x] # # C#");
}

TEST_CASE("bytes that are not UTF-8 are shown as such") {
  const std::string bytes =
      GENERATE("\xff", "\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80", "\xe0\x80\xaf");
  CAPTURE(bytes.size());
  CHECK_FALSE(is_utf8("a" + bytes + "b"));
  CHECK(printable("a" + bytes + "b") == "a" + std::string(bytes.size(), '?') + "b");
}

TEST_CASE("long text is cut between letters, and says so") {
  CHECK(shown(std::string(200, 'x'), 10) == std::string(10, 'x') + "…");
  CHECK(shown("\xc3\xa9\xc3\xa9\xc3\xa9", 3) == "\xc3\xa9…");
  CHECK(shown(std::string(10, 'x'), 10) == std::string(10, 'x'));
}

TEST_CASE("sizes are told in powers of 1000") {
  CHECK(megabytes(0) == "0.0 kB");
  CHECK(megabytes(612) == "0.6 kB");
  CHECK(megabytes(90'868'376) == "90.9 MB");
  CHECK(megabytes_of(90'868'376, 1'234'567) == "1.2");
  CHECK(megabytes_of(612, 306) == "0.3");
  CHECK(megabytes_of(40'000'000'000, 1'234'567'890) == "1.2");
  CHECK(megabytes(9'990'000'000) == "9990.0 MB");
  CHECK(megabytes(70'216'700'000) == "70.2 GB");
}

TEST_CASE("a text is as wide as a terminal shows it") {
  CHECK(text_width("") == 0);
  CHECK(text_width("größe") == 5);
  CHECK(text_width("漢字") == 4);
  CHECK(text_width("e\u0301") == 1);
  CHECK(text_width("a\u200bb") == 2);
  CHECK(text_width("🤗") == 2);
}

TEST_CASE("a text is fitted by taking from its middle, and no character is cut") {
  CHECK(fitted("abcdefgh", 8) == "abcdefgh");
  CHECK(fitted("abcdefgh", 5) == "ab…gh");
  CHECK(fitted("abcdefgh", 1) == "…");
  CHECK(fitted("abcdefgh", 0).empty());
  CHECK(fitted("漢字漢字漢字", 7) == "漢…漢字");
  CHECK(fitted("aaae\u0301e\u0301e\u0301", 3) == "a…e\u0301");
}

}  // namespace model_prep
