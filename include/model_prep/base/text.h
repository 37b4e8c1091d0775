// SPDX-License-Identifier: Apache-2.0
// Text for people. Words of others are made fit to be shown: a server's message or a file's name
// may hold anything, and shall not steer the terminal, forge a line of the log or fill it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace model_prep {

bool is_utf8(std::string_view text);

/// `text` with '?' for each control character (C0, DEL, C1), line separator, mark that turns the
/// writing direction, and byte that is not UTF-8.
std::string sanitize(std::string_view text);

/// Printable, and nothing in it that a CI runner takes for a command: GitHub's and Azure's look for
/// `##[…]` and
/// `##vso[…]` anywhere in a line, so the second of two `#` is a '?' too.
std::string sanitize_for_log(std::string_view text);

/// Printable, and not much longer than `most` bytes: what was cut is `…`.
std::string truncated(std::string_view text, std::size_t most = 120);

/// How many columns of a terminal a text takes at most. A simple rule: no character that is
/// common in names counts too little, a few count too much. Two for each wide character (Chinese,
/// Japanese, Korean, most emoji), one for each mark that combines with the one before it.
std::size_t display_width(std::string_view text);

/// Not wider than `width`: what was cut from its middle is `…`.
std::string elide_middle(std::string_view text, std::size_t width);

/// `91.6 MB`, from ten GB on `12.3 GB`: powers of 1000, as the Hub's pages count.
std::string format_bytes(std::int64_t bytes);

/// `1 retry`, `2 retries`.
std::string format_retries(int retries);

/// `58.2`, in the unit in which `format_bytes` tells the whole.
std::string format_part_of(std::int64_t whole, std::int64_t part);

}  // namespace model_prep
