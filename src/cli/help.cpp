// SPDX-License-Identifier: Apache-2.0
#include "model_prep/cli/help.h"

#include <algorithm>
#include <sstream>
#include <utility>
#include <vector>

#include <fmt/ranges.h>

namespace model_prep {
namespace {

constexpr int kMinHelpWidth = 40;
constexpr int kDefaultWidth = 80;
constexpr int kMaxHelpWidth = 100;           // longer lines are hard to read
constexpr std::size_t kLeftColumn = 24;      // fits every flag with its placeholder
constexpr std::size_t kMinRightColumn = 40;  // in a narrower terminal,
constexpr std::size_t kIndentBelow = 6;      // texts are below their names

/// Lines of at most `width` columns, of which all but the first have this indent.
std::string wrap(const std::string& text, std::size_t width, std::size_t indent = 0) {
  std::string lines;
  std::string line;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (!line.empty() && indent + line.size() + 1 + word.size() > width)
      lines += std::exchange(line, "") + "\n" + std::string(indent, ' ');
    line += (line.empty() ? "" : " ") + word;
  }
  return lines + line + "\n";
}

/// Left and right column.
using Lines = std::vector<std::pair<std::string, std::string>>;

std::string section(std::string_view title, const Lines& lines, std::size_t width) {
  if (lines.empty()) return {};

  const bool is_below =
      kLeftColumn + kMinRightColumn > width || std::ranges::any_of(lines, [](const auto& line) {
        return line.first.size() + 4 > kLeftColumn;
      });
  const std::size_t indent = is_below ? kIndentBelow : kLeftColumn;
  std::string text = fmt::format("\n{}:\n", title);
  for (const auto& [left, right] : lines)
    text += is_below ? fmt::format("  {}\n{:{}}{}", left, "", indent, wrap(right, width, indent))
                     : fmt::format("  {:<{}}{}", left, indent - 2, wrap(right, width, indent));
  return text;
}

Lines lines_of(std::span<const HelpLine> all, std::optional<Command> command) {
  Lines lines;
  for (const HelpLine& each : all)
    if (!command || (each.commands & of(*command)) != 0) lines.emplace_back(each.left, each.right);
  return lines;
}

Lines flags_of(std::string_view group, Command command) {
  Lines lines;
  for (const Flag& flag : flags()) {
    if (flag.group != group || !flag.is_for(command)) continue;
    const std::string variables =
        flag.variables.empty() ? "" : fmt::format(" [{}]", fmt::join(flag.variables, ", "));
    lines.emplace_back(fmt::format("{}{}{}", flag.name, flag.is_switch() ? "" : " ", flag.type),
                       flag.text + variables);
  }
  return lines;
}

}  // namespace

std::string help_text(std::optional<Command> command, std::optional<int> columns) {
  const int terminal = columns.value_or(kDefaultWidth);
  const auto width = static_cast<std::size_t>(std::clamp(terminal, kMinHelpWidth, kMaxHelpWidth));
  const CommandText& shown = text_of(command.value_or(Command::download));

  std::string text = wrap(fmt::format("{}.", command ? shown.text : kProgramText), width);
  text += "\n" + wrap(fmt::format("Usage: model-prep {} [FLAGS] {}",
                                  command ? shown.name : "[COMMAND]", shown.arguments),
                      width);
  if (!command) {
    Lines lines;
    for (const CommandText& each : commands()) lines.emplace_back(each.name, each.text);
    text += section("Commands", lines, width) + "\n";
    text += wrap(
        "The command comes first. To download a model whose key is also a command name, write the command: model-prep download verify. The flags below are those of download; model-prep COMMAND --help shows those of another command.",
        width);
  }

  const char* arguments = command == Command::kserve_init ? kKserveText : kModelText;
  text += "\n" + wrap(arguments, width);
  for (const std::string_view group : kFlagGroups)
    text += section(group, flags_of(group, shown.command), width);
  if (!command)
    text += section("Help",
                    {{"-h, --help", "Print this and exit; after a command, its own help"},
                     {"--version", "Print the version and those of the libraries, and exit"}},
                    width);

  // The help of the program shows what is for any command.
  text += section("Environment", lines_of(variables(), command), width) + "\n";
  text += wrap(
      "A flag overrides its environment variables, which are shown in brackets. An empty variable counts as unset.",
      width);
  text += section("Examples", lines_of(examples(), command), width);
  text += section("Exit status",
                  {{"0", shown.success}, {"1", "anything else"}, {"128 + n", "ended by signal n"}},
                  width);
  return text;
}

}  // namespace model_prep
