// SPDX-License-Identifier: Apache-2.0
#include "model_prep/base/text.h"

#include "support/catch.h"

namespace model_prep {

TEST_CASE("harmless text from outside is shown unchanged") {
  const std::string text =
      GENERATE("", "plain words", "Zahlen/\xc3\xa9t\xc3\xa9 \xe4\xb8\xad\xf0\x9f\x98\x80.txt");
  CHECK(is_utf8(text));
  CHECK(sanitize(text) == text);
  CHECK(truncated(text) == text);
}

TEST_CASE("external text cannot control a terminal, end a line or change its direction") {
  CHECK(sanitize("a\nb\r\x1b[2Jc\x7f") == "a?b??[2Jc?");
  CHECK(sanitize(std::string("a\0b", 3)) == "a?b");
  CHECK(sanitize("\xc2\x9b\x32J") == "?2J");  // CSI as one character
  CHECK(sanitize("a\xe2\x80\xa8z\xe2\x80\xae.exe") ==
        "a?z?.exe");  // line separator, right-to-left override
}

TEST_CASE("external text contains no CI runner command, at any position in a line") {
  CHECK(sanitize_for_log("it says ##[add-mask]x") == "it says #?[add-mask]x");
  CHECK(sanitize_for_log("###[error]##vso[task]") == "#?#[error]#?vso[task]");
  CHECK(sanitize_for_log("#\n#[x] # # C#") == "#?#[x] # # C#");
}

TEST_CASE("JSON is made safe to print without another meaning") {
  CHECK(escape_for_log("{\"a\": [1, \"\xc3\xa9 # \\n\"]\n}") ==
        "{\"a\": [1, \"\xc3\xa9 # \\n\"]\n}");
  CHECK(escape_for_log("\"###[x]##\"") == "\"#\\u0023#[x]#\\u0023\"");
  CHECK(escape_for_log("\"\\\\\xc2\x9b\x7f\xe2\x80\xae\"") == "\"\\\\\\u009b\\u007f\\u202e\"");
  CHECK(escape_for_log("").empty());
}

TEST_CASE("bytes that are not UTF-8 are shown as question marks") {
  const std::string bytes = GENERATE("\xff", "\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                     "\x80", "\xe0\x80\xaf");
  CAPTURE(bytes.size());
  CHECK_FALSE(is_utf8("a" + bytes + "b"));
  CHECK(sanitize("a" + bytes + "b") == "a" + std::string(bytes.size(), '?') + "b");
}

TEST_CASE("long text is truncated at a character boundary, with a mark") {
  CHECK(truncated(std::string(200, 'x'), 10) == std::string(10, 'x') + "…");
  CHECK(truncated("\xc3\xa9\xc3\xa9\xc3\xa9", 3) == "\xc3\xa9…");
  CHECK(truncated(std::string(10, 'x'), 10) == std::string(10, 'x'));
}

TEST_CASE("sizes are shown in powers of 1000") {
  CHECK(format_bytes(0) == "0.0 kB");
  CHECK(format_bytes(612) == "0.6 kB");
  CHECK(format_bytes(90'868'376) == "90.9 MB");
  CHECK(format_part_of(90'868'376, 1'234'567) == "1.2");
  CHECK(format_part_of(612, 306) == "0.3");
  CHECK(format_part_of(40'000'000'000, 1'234'567'890) == "1.2");
  CHECK(format_bytes(9'990'000'000) == "9990.0 MB");
  CHECK(format_bytes(70'216'700'000) == "70.2 GB");
}

TEST_CASE("no text is wider on a terminal than its computed width") {
  CHECK(display_width("") == 0);
  CHECK(display_width("größe") == 5);
  CHECK(display_width("漢字") == 4);
  CHECK(display_width("e\u0301") == 2);
  CHECK(display_width("a – b…") == 6);
  CHECK(display_width("🤗") == 2);
}

TEST_CASE("times are written as in RFC 3339, in UTC and with all zeros") {
  const auto text = [](long long seconds) {
    return format_utc(std::chrono::sys_seconds(std::chrono::seconds(seconds)));
  };
  CHECK(text(0) == "1970-01-01T00:00:00Z");
  CHECK(text(1'709'251'199) == "2024-02-29T23:59:59Z");
  CHECK(text(4'107'542'405) == "2100-03-01T00:00:05Z");
  CHECK(text(-1) == "1969-12-31T23:59:59Z");
}

TEST_CASE("text is shortened by removing whole characters from the middle") {
  CHECK(elide_middle("abcdefgh", 8) == "abcdefgh");
  CHECK(elide_middle("abcdefgh", 5) == "ab…gh");
  CHECK(elide_middle("abcdefgh", 1) == "…");
  CHECK(elide_middle("abcdefgh", 0).empty());
  CHECK(elide_middle("漢字漢字漢字", 7) == "漢…漢字");
}

}  // namespace model_prep
