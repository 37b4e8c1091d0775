// SPDX-License-Identifier: Apache-2.0
#include "model_prep/cli/flag_values.h"

#include <algorithm>

#include <fmt/format.h>

#include "model_prep/base/text.h"

namespace model_prep {

void FlagValues::add(const std::string& flag, const Strings& given, const Strings& variables) {
  std::vector<Value>& values = values_[flag];
  for (const std::string& value : given) values.push_back({flag, value});
  if (!given.empty()) return;

  for (const std::string& variable : variables)
    if (const auto value = get(variable)) values.push_back({variable, *value});
}

std::vector<FlagValues::Value> FlagValues::find_all(const std::string& flag) const {
  const auto found = values_.find(flag);
  return found == values_.end() ? std::vector<Value>() : found->second;
}

std::optional<FlagValues::Value> FlagValues::find(const std::string& flag) const {
  const auto all = find_all(flag);
  return all.empty() ? std::nullopt : std::optional(all.front());
}

bool FlagValues::has(const std::string& flag) const {
  const auto found = find(flag);
  return found && found->name == flag;
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
    const std::size_t begin = at + (braced ? 2 : 1);
    std::size_t end = std::min(text.find_first_not_of(kWordCharacters, begin), text.size());
    const auto value = get(text.substr(begin, end - begin));
    if (braced && text.compare(end, 1, "}") == 0) ++end;
    if (value) text.replace(at, end - at, *value);
  }
  return text;
}

Error bad_value(const FlagValues::Value& found, std::string_view expected) {
  return {ErrorKind::usage,
          fmt::format("{} is '{}', but must be {}", found.name, found.value, expected)};
}

bool is_true(const std::optional<std::string>& value) {
  const std::string word = lower_case(value.value_or(""));
  return word == "1" || word == "on" || word == "yes" || word == "true";
}

std::string trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return std::string(text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1));
}

Strings split_list(std::string_view text) {
  Strings items;
  for (const std::string_view part : split(text, ','))
    if (std::string item = trimmed(part); !item.empty()) items.push_back(std::move(item));
  return items;
}

}  // namespace model_prep
