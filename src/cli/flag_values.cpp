// SPDX-License-Identifier: Apache-2.0
#include "model_prep/cli/flag_values.h"

#include <algorithm>
#include <array>
#include <cctype>

#include <fmt/format.h>

namespace model_prep {

std::vector<FlagValues::Value> FlagValues::find_all(const std::string& flag) const {
  std::vector<Value> found;
  if (const auto given = given_.find(flag); given != given_.end()) {
    for (const std::string& value : given->second) found.push_back({flag, value});
    return found;
  }
  const auto known = variables_.find(flag);
  if (known == variables_.end()) return found;
  for (const std::string& variable : known->second)
    if (const auto value = get(variable)) found.push_back({variable, *value});
  return found;
}

std::optional<FlagValues::Value> FlagValues::find(const std::string& flag) const {
  const auto all = find_all(flag);
  return all.empty() ? std::nullopt : std::optional(all.front());
}

std::optional<std::string> FlagValues::get(const std::string& variable) const {
  const auto found = environment_.find(variable);
  return found == environment_.end() || found->second.empty() ? std::nullopt
                                                              : std::optional(found->second);
}

std::string FlagValues::expand(const std::string& path) const {
  std::string text = path;
  if (text == "~" || text.starts_with("~/")) text = get("HOME").value_or("~") + text.substr(1);
  for (std::size_t at = 0; (at = text.find('$', at)) != std::string::npos; ++at) {
    const bool braced = text.compare(at + 1, 1, "{") == 0;
    std::size_t end = at + (braced ? 2 : 1);
    const std::size_t begin = end;
    while (end < text.size() &&
           (std::isalnum(static_cast<unsigned char>(text[end])) != 0 || text[end] == '_'))
      ++end;
    const auto value = get(text.substr(begin, end - begin));
    if (braced && text.compare(end, 1, "}") == 0) ++end;
    if (value) text.replace(at, end - at, *value);
  }
  return text;
}

Error bad_value(const FlagValues::Value& found, std::string_view expected) {
  return {ErrorKind::usage,
          fmt::format("{} is '{}', but must be {}", found.name, found.value, expected),
          {}};
}

bool is_true(std::optional<std::string> value) {
  if (!value) return false;
  std::transform(value->begin(), value->end(), value->begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  constexpr std::array<std::string_view, 4> kTrue = {"1", "ON", "YES", "TRUE"};
  return std::find(kTrue.begin(), kTrue.end(), *value) != kTrue.end();
}

std::string trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return std::string(text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1));
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> items;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    if (std::string item = trimmed(text.substr(0, comma)); !item.empty())
      items.push_back(std::move(item));
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
  }
  return items;
}

}  // namespace model_prep
