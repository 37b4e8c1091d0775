// SPDX-License-Identifier: Apache-2.0
// Text for people to read.
//
// Text from outside, such as a server's message or a file name, may contain anything. It is
// sanitized before it is shown, so that it cannot control the terminal, forge a log line or flood
// the log.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model_prep/base/types.h"

namespace model_prep {

/// The letters and digits of ASCII, and `_`.
inline constexpr std::string_view kWordCharacters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";

bool is_utf8(std::string_view text);

/// A byte that is not UTF-8 becomes 0.
std::u32string code_points(std::string_view text);

/// At least one part; `a,,` has an empty one in the middle and one at the end.
std::vector<std::string_view> split(std::string_view text, char separator);

/// Of ASCII letters only.
std::string lower_case(std::string_view text);

/// Replaces each control character (C0, DEL, C1), line separator, mark that changes the writing
/// direction, and byte that is not UTF-8 by '?'.
std::string sanitize(std::string_view text);

/// Like `sanitize`, and without anything that a CI runner takes for a command. GitHub's and Azure's
/// runners look for `##[…]` and `##vso[…]` anywhere in a line, so the second of two `#` becomes
/// '?'.
std::string sanitize_for_log(std::string_view text);

/// A JSON text with the same meaning that is safe in a log: what `sanitize_for_log` would replace
/// is an escape instead. Its layout may have line ends.
std::string escape_for_log(std::string_view json);

/// Without blanks and line ends at the end, which a variable that was read from a file may have.
std::string_view trimmed_end(std::string_view text);

/// Sanitized, and cut to `max_bytes`, with `…` in place of the rest.
std::string truncated(std::string_view text, std::size_t max_bytes = 120);

/// How many columns of a terminal a text takes at most. A simple rule: no character that is
/// common in names counts too little, a few count too much. Two for each wide character (Chinese,
/// Japanese, Korean, most emoji), one for each mark that combines with the one before it.
std::size_t display_width(std::string_view text);

/// Not wider than `width`: what was cut from its middle is `ellipsis`, which is one column wide.
std::string elide_middle(std::string_view text, std::size_t width, std::string_view ellipsis = "…");

/// `91.6 MB`, and `12.3 GB` from ten GB on: powers of 1000, as on the Hub's pages.
std::string format_bytes(Bytes bytes);

/// `1 file`, `2 files`, of any integer.
std::string format_count(auto count, std::string_view noun) {
  return std::to_string(count).append(" ").append(noun).append(count == 1 ? "" : "s");
}

/// `1 retry`, `2 retries`.
std::string format_retries(int retries);

/// `2026-01-31T23:59:59Z`, as in RFC 3339.
std::string format_utc(std::chrono::sys_seconds time);

/// `58.2`, in the unit that `format_bytes` uses for the whole.
std::string format_part_of(Bytes whole, Bytes part);

}  // namespace model_prep
