// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/model_card.h"

#include <algorithm>
#include <iterator>
#include <set>

#include "model_prep/base/policy.h"
#include "model_prep/base/text.h"

namespace model_prep {
namespace {

constexpr std::string_view kBlanks = " \t\r";

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

/// Whether there is nothing else.
bool is_comment(std::string_view text) {
  const auto rest = trimmed(text);
  return rest.empty() || rest.starts_with('#');
}

/// A plain or quoted scalar of YAML, without a comment behind it. The text itself, which is no
/// license, if it is written in another way.
std::string_view scalar(std::string_view text) {
  text = trimmed(text);
  if (text.starts_with('"') || text.starts_with('\'')) {
    const std::size_t end = text.find(text.front(), 1);
    const bool is_whole = end != std::string_view::npos && is_comment(text.substr(end + 1));
    return is_whole ? text.substr(1, end - 1) : text;
  }
  if (text.starts_with('#')) return {};
  return trimmed(text.substr(0, text.find(" #")));
}

bool is_null(std::string_view value) { return value.empty() || value == "~" || value == "null"; }

/// The lines between the first line, `---`, and the next such line; none if there is no front
/// matter.
std::vector<std::string_view> front_matter(std::string_view readme) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (readme.starts_with(kByteOrderMark)) readme.remove_prefix(kByteOrderMark.size());

  const auto is_fence = [](std::string_view line) {
    return line.starts_with("---") && trimmed(line) == "---";
  };
  std::vector<std::string_view> lines = split(readme, '\n');
  if (!is_fence(lines.front())) return {};

  const auto end = std::find_if(lines.begin() + 1, lines.end(), is_fence);
  if (end == lines.end()) return {};
  return {lines.begin() + 1, end};
}

/// The items of `[a, b]`; nothing if the list goes on in the next line, or if a `]` is in an item.
std::optional<Strings> flow_list(std::string_view text) {
  const std::size_t end = text.find(']');
  if (end == std::string_view::npos || !is_comment(text.substr(end + 1))) return std::nullopt;

  Strings items;
  text = text.substr(1, end - 1);
  for (const std::string_view item : split(text, ','))
    if (const auto value = scalar(item); !is_null(value)) items.emplace_back(value);
  return items;
}

/// Whether a value begins a block, an object, an anchor, an alias or a tag.
bool is_other_yaml(std::string_view text) {
  constexpr std::string_view kIndicators = ">|{&*!";
  return !text.empty() && kIndicators.find(text.front()) != std::string_view::npos;
}

/// The values of a member at the top level: a scalar, `[a, b]`, or `- a` in lines of their own.
/// Nothing if it is written in another way.
std::optional<Strings> values_of(const std::vector<std::string_view>& lines,
                                 std::string_view member) {
  Strings values;
  const auto is_member = [&](std::string_view line) {
    return line.starts_with(member) && line.substr(member.size()).starts_with(':');
  };
  const auto found = std::ranges::find_if(lines, is_member);
  if (found == lines.end()) return values;
  if (std::any_of(found + 1, lines.end(), is_member)) return std::nullopt;

  const std::string_view text = trimmed(found->substr(member.size() + 1));
  if (text.starts_with('[')) return flow_list(text);
  if (is_other_yaml(text)) return std::nullopt;
  if (const auto value = scalar(text); !is_null(value)) return Strings{std::string(value)};

  for (auto line = found + 1; line != lines.end(); ++line) {
    const std::string_view item = trimmed(*line);
    if (item.empty() || item.starts_with('#')) continue;
    if (!item.starts_with("- ") && item.starts_with('-') && !item.starts_with("---"))
      return std::nullopt;
    if (!item.starts_with("- ")) break;
    if (is_other_yaml(trimmed(item.substr(2)))) return std::nullopt;
    if (const auto value = scalar(item.substr(2)); !is_null(value)) values.emplace_back(value);
  }
  return values;
}

/// As an id, whatever it is.
std::string forced_id(std::string_view text) {
  constexpr std::size_t kMaxId = 128;
  std::string id(text.substr(0, kMaxId));
  for (char& c : id)
    if (!license_id(std::string(1, c))) c = '-';
  return lower_case(id);
}

}  // namespace

void add_license(std::set<std::string>& ids, std::string_view text) {
  if (text.empty()) return;
  ids.insert(forced_id(text));
  if (ids.size() <= kMaxLicenses) return;

  while (ids.size() >= kMaxLicenses) ids.erase(std::prev(ids.end()));
  ids.emplace(kTooManyLicenses);
}

Strings card_licenses(std::set<std::string> ids, std::string_view license_name) {
  if (!license_name.empty() && ids.erase("other") != 0)
    ids.insert(forced_id(std::string("other:").append(license_name)));
  return {ids.begin(), ids.end()};
}

std::optional<Strings> licenses_in_card(std::string_view readme) {
  const auto lines = front_matter(readme);
  const auto licenses = values_of(lines, "license");
  if (!licenses) return std::nullopt;

  const auto names = values_of(lines, "license_name");
  std::set<std::string> ids;
  for (const std::string& license : *licenses) add_license(ids, license);
  return card_licenses(std::move(ids), names && !names->empty() ? names->front() : "");
}

}  // namespace model_prep
