// SPDX-License-Identifier: Apache-2.0
#include "model_prep/cli/flag_values.h"

#include <algorithm>

#include <fmt/format.h>

#include "model_prep/base/text.h"

namespace model_prep {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

}  // namespace

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

FlagValues FlagValues::without_variables() const {
  FlagValues given = *this;
  for (auto& entry : given.values_)
    std::erase_if(entry.second, [&](const Value& value) { return value.name != entry.first; });
  return given;
}

bool FlagValues::has(const std::string& flag) const {
  const auto found = find(flag);
  return found && found->name == flag;
}

std::optional<std::string> FlagValues::get(const std::string& variable) const {
  const auto found = environment_.find(variable);
  if (found == environment_.end()) return std::nullopt;

  const std::string_view text = trimmed_end(found->second);
  return text.empty() ? std::nullopt : std::optional(std::string(text));
}

std::string FlagValues::expand(const std::string& path) const {
  std::string text = path;
  if (text == "~" || text.starts_with("~/")) text = get("HOME").value_or("~") + text.substr(1);

  for (std::size_t at = 0; (at = text.find('$', at)) != std::string::npos;) {
    const bool braced = text.compare(at + 1, 1, "{") == 0;
    const std::size_t begin = at + (braced ? 2 : 1);
    std::size_t end = std::min(text.find_first_not_of(kWordCharacters, begin), text.size());
    const auto variable = environment_.find(text.substr(begin, end - begin));
    const bool is_closed = !braced || text.compare(end, 1, "}") == 0;
    if (begin == end || !is_closed || variable == environment_.end()) {
      ++at;
      continue;
    }

    if (braced) ++end;
    text.replace(at, end - at, variable->second);
    at += variable->second.size();
  }
  return text;
}

Status FlagValues::check_path(const Value& found) const {
  const std::string path = expand(found.value);
  constexpr std::string_view kAround = " \t\"'`";
  const auto is_control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
  const bool is_plain = path.empty() || (kAround.find(path.front()) == std::string_view::npos &&
                                         kAround.find(path.back()) == std::string_view::npos);
  if (is_plain && std::ranges::none_of(path, is_control)) return ok();
  return bad_value(found, "a path without quotes, blanks or line ends around it");
}

Error bad_value(const FlagValues::Value& found, std::string_view expected) {
  return {ErrorKind::usage,
          fmt::format("{} is '{}', but must be {}", found.name, truncated(found.value), expected)};
}

std::optional<bool> boolean_of(std::string_view text) {
  const std::string word = lower_case(trimmed(text));
  if (word == "1" || word == "on" || word == "yes" || word == "true") return true;
  if (word == "0" || word == "off" || word == "no" || word == "false") return false;
  return std::nullopt;
}

Result<bool> read_boolean(const FlagValues::Value& found) {
  if (const auto value = boolean_of(found.value)) return *value;
  return bad_value(found, "1, yes, on, true, 0, no, off or false");
}

std::string trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return std::string(trimmed_end(text.substr(begin)));
}

Strings split_list(std::string_view text) {
  std::string list(text);
  std::ranges::replace(list, '\n', ',');

  Strings items;
  for (const std::string_view part : split(list, ','))
    if (std::string item = trimmed(part); !item.empty()) items.push_back(std::move(item));
  return items;
}

}  // namespace model_prep
