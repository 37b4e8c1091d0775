// SPDX-License-Identifier: Apache-2.0
#include "model_prep/cli/help.h"

#include <algorithm>
#include <sstream>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace model_prep {
namespace {

constexpr int kMinWidth = 40;
constexpr int kDefaultWidth = 80;
constexpr int kMaxWidth = 100;               // longer lines are hard to read
constexpr std::size_t kLeftColumn = 24;      // fits every flag with its placeholder
constexpr std::size_t kMinRightColumn = 40;  // in a narrower terminal,
constexpr std::size_t kIndentBelow = 6;      // texts are below their names

std::vector<std::string> wrap(const std::string& text, std::size_t width) {
  std::vector<std::string> lines(1);
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (!lines.back().empty() && lines.back().size() + 1 + word.size() > width)
      lines.emplace_back();
    lines.back() += (lines.back().empty() ? "" : " ") + word;
  }
  return lines;
}

/// Left and right column.
using Lines = std::vector<std::pair<std::string, std::string>>;

class HelpText {
 public:
  explicit HelpText(std::size_t width) : width_(width) {}

  void paragraph(const std::string& text) {
    if (!text_.empty()) text_ += "\n";
    text_ += fmt::format("{}\n", fmt::join(wrap(text, width_), "\n"));
  }

  void section(std::string_view title, const Lines& lines) {
    if (lines.empty()) return;
    text_ += fmt::format("\n{}:\n", title);

    const bool is_below = kLeftColumn + kMinRightColumn > width_ ||
                          std::any_of(lines.begin(), lines.end(), [](const auto& line) {
                            return line.first.size() + 4 > kLeftColumn;
                          });
    const std::size_t indent = is_below ? kIndentBelow : kLeftColumn;
    for (const auto& [left, right] : lines) {
      std::string start = "  " + left;
      if (is_below) text_ += std::exchange(start, "") + "\n";
      for (const std::string& part : wrap(right, width_ - indent))
        text_ += fmt::format("{:<{}}{}\n", std::exchange(start, ""), indent, part);
    }
  }

  std::string take() { return std::move(text_); }

 private:
  std::size_t width_;
  std::string text_;
};

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
    const std::string left =
        flag.is_switch() ? flag.name : fmt::format("{} {}", flag.name, flag.type);
    const std::string variables =
        flag.variables.empty() ? "" : fmt::format(" [{}]", fmt::join(flag.variables, ", "));
    lines.emplace_back(left, flag.text + variables);
  }
  return lines;
}

}  // namespace

std::string help_text(std::optional<Command> command, std::optional<int> columns) {
  const int terminal = columns.value_or(kDefaultWidth);
  HelpText help(static_cast<std::size_t>(std::clamp(terminal, kMinWidth, kMaxWidth)));
  const CommandText& shown = text_of(command.value_or(Command::download));

  help.paragraph(fmt::format("{}.", command ? shown.text : kProgramText));
  help.paragraph(
      fmt::format("Usage: model-prep {} [FLAGS] [MODEL...]", command ? shown.name : "[COMMAND]"));
  if (!command) {
    Lines lines;
    for (const CommandText& each : commands()) lines.emplace_back(each.name, each.text);
    help.section("Commands", lines);
    help.paragraph(
        "The command comes first. To download a model whose key is also a command name, write the command: model-prep download verify. The flags below are those of download; model-prep COMMAND --help shows those of another command.");
  }

  help.paragraph(fmt::format("MODEL is {}.", kModelText));
  for (const std::string_view group : kFlagGroups)
    help.section(group, flags_of(group, shown.command));
  if (!command)
    help.section("Help", {{"-h, --help", "Print this and exit; after a command, its own help"},
                          {"--version", "Print the version and exit"}});

  // The help of the program shows what is for any command.
  help.section("Environment", lines_of(variables(), command));
  help.paragraph(
      "A flag beats its variables, which are shown in brackets. An empty variable counts as unset.");
  help.section("Examples", lines_of(examples(), command));
  help.section("Exit status",
               {{"0", shown.success}, {"1", "anything else"}, {"128 + n", "ended by signal n"}});
  return help.take();
}

}  // namespace model_prep
