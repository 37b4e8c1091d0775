// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "fuzz/targets.h"
#include "model_prep/base/text.h"
#include "model_prep/cli/flag_values.h"

namespace model_prep::fuzz {
namespace {

/// `$NAME` and `${NAME}` as Python's os.path.expandvars has them, by another way than the
/// program's.
std::string expanded(const std::string& text, const Environment& environment) {
  std::string result;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at + 1;
    if (text[at] == '$') {
      const bool braced = end < text.size() && text[end] == '{';
      std::string name;
      for (end += braced ? 1 : 0;
           end < text.size() && kWordCharacters.find(text[end]) != std::string_view::npos; ++end)
        name += text[end];
      const bool closed = !braced || (end < text.size() && text[end] == '}');
      const auto variable = environment.find(name);
      if (!name.empty() && closed && variable != environment.end()) {
        result += variable->second;
        at = end + (braced ? 1 : 0);
        continue;
      }
      end = at + 1;
    }
    result.append(text, at, end - at);
    at = end;
  }
  return result;
}

void check_path(const FlagValues& values, const std::string& path) {
  const Status plain = values.check_path({"HF_HOME", path});
  if (!plain) {
    require(plain.error().kind == ErrorKind::usage, "a path is refused as the user's mistake");
    check_message(plain.error());
    return;
  }
  const std::string text = values.expand(path);
  require(
      std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }),
      "a path has no control character");
  require(text.empty() || std::string_view(" \"'").find(text.front()) == std::string_view::npos,
          "a path has no quotes or blanks before it");
}

void check_words(const std::string& text) {
  const auto value = boolean_of(text);
  require(value == boolean_of(" " + text + "\n"), "blanks around a boolean do not matter");
  require(!value || trimmed(text).size() <= 5, "a boolean is a short word");
  for (const std::string& item : split_list(text)) {
    require(!item.empty() && item == trimmed(item), "an item has no blanks around it");
    require(item.find_first_of(",\n") == std::string::npos, "an item is one");
  }
}

}  // namespace

void variables(std::string_view input) {
  Lines lines(input);
  Environment environment;
  for (const char* name : {"A", "HF_HOME", "_1", "AB"}) environment[name] = lines.next();
  const std::string path(lines.rest());
  const FlagValues values(environment);

  if (!path.starts_with('~')) {
    require(values.expand(path) == expanded(path, environment),
            "variables are expanded once, as Python does");
    require(path.find('$') != std::string::npos || values.expand(path) == path,
            "a path without variables stays as it is");
  }
  check_path(values, path);
  check_words(path);
  for (const auto& [name, text] : environment) {
    const auto value = values.get(name);
    require(value.has_value() == !trimmed(text).empty(), "a variable of blanks is unset");
    require(!value || (text.starts_with(*value) && trimmed(*value) == trimmed(text)),
            "a value loses only the blanks at its end");
  }
}

}  // namespace model_prep::fuzz
