// SPDX-License-Identifier: Apache-2.0
#include "model_prep/base/text.h"

#include <algorithm>

#include <fmt/format.h>

namespace model_prep {
namespace {

struct CodePoint {
  char32_t value{0};
  std::size_t length{0};  ///< 0: these bytes are not UTF-8
};

/// The first code point of a text that is not empty, as RFC 3629 defines UTF-8: no overlong form,
/// no surrogate, nothing beyond U+10FFFF.
CodePoint first_code_point(std::string_view text) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  if (byte(0) < 0x80) return {byte(0), 1};

  const std::size_t length = byte(0) >= 0xf0 ? 4 : byte(0) >= 0xe0 ? 3 : 2;
  if (byte(0) < 0xc2 || byte(0) > 0xf4 || text.size() < length) return {};

  char32_t value = byte(0) & (0xffU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    value = (value << 6) | (byte(i) & 0x3fU);
  }

  constexpr char32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = value >= 0xd800 && value <= 0xdfff;
  return value < kSmallest[length] || value > 0x10ffff || surrogate ? CodePoint{}
                                                                    : CodePoint{value, length};
}

bool is_unprintable(char32_t c) {
  const bool control = c < 0x20 || (c >= 0x7f && c < 0xa0);
  const bool line_end = c == 0x2028 || c == 0x2029;
  const bool direction =
      c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
  return control || line_end || direction;
}

/// Two from the first wide alphabet (Hangul) on, except for Latin and Greek letters, punctuation
/// and symbols. Marks that only change the character before them count as one: rather too wide than
/// too narrow.
std::size_t columns_of(char32_t c) {
  const bool symbol = c >= 0x1e00 && c < 0x2e80;
  return c >= 0x1100 && !symbol ? 2 : 1;
}

struct Unit {
  const char* name;
  double bytes;
};

Unit unit_for(Bytes bytes) {
  if (bytes < 100'000) return {"kB", 1e3};
  if (bytes < 10'000'000'000) return {"MB", 1e6};
  return {"GB", 1e9};
}

/// Removes the first character; a byte that is not UTF-8 counts as one, with the value 0.
CodePoint take_character(std::string_view& text) {
  CodePoint point = first_code_point(text);
  point.length = std::max<std::size_t>(1, point.length);
  text.remove_prefix(point.length);
  return point;
}

}  // namespace

bool is_utf8(std::string_view text) {
  while (!text.empty() && first_code_point(text).length > 0) take_character(text);
  return text.empty();
}

std::u32string code_points(std::string_view text) {
  std::u32string points;
  while (!text.empty()) points += take_character(text).value;
  return points;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0;;) {
    const std::size_t end = text.find(separator, begin);
    parts.push_back(text.substr(begin, end - begin));
    if (end == std::string_view::npos) return parts;
    begin = end + 1;
  }
}

std::string lower_case(std::string_view text) {
  std::string result;
  for (const char c : text) result += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return result;
}

std::string sanitize(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const std::string_view from = text;
    const CodePoint point = take_character(text);
    result += is_unprintable(point.value) ? "?" : from.substr(0, point.length);
  }
  return result;
}

std::string sanitize_for_log(std::string_view text) {
  std::string result = sanitize(text);
  for (std::size_t at = 0; (at = result.find("##", at)) != std::string::npos;) result[++at] = '?';
  return result;
}

std::string escape_for_log(std::string_view json) {
  const auto is_suspect = [](unsigned char c) { return c == '#' || c >= 0x7f; };
  std::string result;
  while (!json.empty()) {
    const auto plain = std::ranges::find_if(json, is_suspect) - json.begin();
    result += json.substr(0, static_cast<std::size_t>(plain));
    json.remove_prefix(static_cast<std::size_t>(plain));
    if (json.empty()) break;

    const std::string_view from = json;
    const CodePoint point = take_character(json);
    const bool is_command = point.value == '#' && result.ends_with('#');
    if (is_command || (point.value > 0 && is_unprintable(point.value)))
      result += fmt::format("\\u{:04x}", static_cast<unsigned>(point.value));
    else
      result += from.substr(0, point.length);
  }
  return result;
}

std::string_view trimmed_end(std::string_view text) {
  return text.substr(0, text.find_last_not_of(" \t\r\n") + 1);
}

std::string truncated(std::string_view text, std::size_t max_bytes) {
  if (text.size() <= max_bytes) return sanitize(text);

  // Never in the middle of a character.
  while (max_bytes > 0 && (static_cast<unsigned char>(text[max_bytes]) & 0xc0) == 0x80) --max_bytes;
  return sanitize(text.substr(0, max_bytes)) + "…";
}

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) width += columns_of(take_character(text).value);
  return width;
}

std::string elide_middle(std::string_view text, std::size_t width, std::string_view ellipsis) {
  if (display_width(text) <= width) return std::string(text);
  if (width == 0) return {};

  std::string_view back = text;
  std::size_t room = width / 2;
  while (columns_of(first_code_point(back).value) <= room)
    room -= columns_of(take_character(back).value);

  const std::string_view front = text.substr(0, text.size() - back.size());
  while (display_width(front) + 1 + display_width(back) > width) take_character(back);
  return fmt::format("{}{}{}", front, ellipsis, back);
}

std::string format_retries(int retries) {
  return fmt::format("{} {}", retries, retries == 1 ? "retry" : "retries");
}

std::string format_bytes(Bytes bytes) {
  return fmt::format("{} {}", format_part_of(bytes, bytes), unit_for(bytes).name);
}

std::string format_utc(std::chrono::sys_seconds time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count());
}

std::string format_part_of(Bytes whole, Bytes part) {
  return fmt::format("{:.1f}", static_cast<double>(part) / unit_for(whole).bytes);
}

}  // namespace model_prep
