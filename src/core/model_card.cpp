// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/model_card.h"

#include <algorithm>
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

/// A plain or quoted scalar of YAML, without a comment behind it.
std::string_view scalar(std::string_view text) {
  text = trimmed(text);
  if (text.starts_with('"') || text.starts_with('\'')) {
    const std::size_t end = text.find(text.front(), 1);
    return end == std::string_view::npos ? text : text.substr(1, end - 1);
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

/// The items of `[a, b]`; nothing if the list goes on in the next line.
std::optional<Strings> flow_list(std::string_view text) {
  const std::size_t end = text.find(']');
  if (end == std::string_view::npos) return std::nullopt;

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
  const auto found = std::ranges::find_if(lines, [&](std::string_view line) {
    return line.starts_with(member) && line.substr(member.size()).starts_with(':');
  });
  if (found == lines.end()) return values;

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

Strings card_licenses(const Strings& licenses, std::string_view license_name) {
  std::set<std::string> ids;
  for (const std::string& license : licenses) {
    if (license.empty()) continue;
    if (ids.size() == kMaxLicenses) {
      ids.emplace(kTooManyLicenses);
      break;
    }
    std::string id = forced_id(license);
    if (id == "other" && !license_name.empty()) id = forced_id(id.append(":").append(license_name));
    ids.insert(std::move(id));
  }
  return {ids.begin(), ids.end()};
}

std::optional<Strings> licenses_in_card(std::string_view readme) {
  const auto lines = front_matter(readme);
  const auto licenses = values_of(lines, "license");
  if (!licenses) return std::nullopt;
  const auto names = values_of(lines, "license_name");
  return card_licenses(*licenses, names && !names->empty() ? names->front() : "");
}

}  // namespace model_prep
