// SPDX-License-Identifier: Apache-2.0
#include "model_prep/cli/help.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "model_prep/base/text.h"

namespace model_prep {
namespace {

constexpr std::size_t kNarrowest = 40;
constexpr std::size_t kUsual = 80;
constexpr std::size_t kWidest = 100;  // longer lines are hard to read
constexpr std::size_t kMostLeft =
    24;  // of the left column; if it is wider, what it explains stands below it,
constexpr std::size_t kLeastRight = 40;  // and if it leaves less than that

struct Entry {
  std::string left;
  std::string right;
};
struct Section {
  std::string title;
  std::vector<Entry> entries;
};

Entry entry_of(const Flag& flag, bool names_commands) {
  std::string right = flag.text;
  if (flag.repeats) right += "; may be given several times";
  std::vector<std::string> of_commands;
  for (const CommandText& each : commands())
    if (flag.is_for(each.command)) of_commands.emplace_back(each.name);
  if (names_commands && of_commands.size() < commands().size())
    right += fmt::format(" (of {})", fmt::join(of_commands, ", "));
  if (!flag.variables.empty()) right += fmt::format(" [{}]", fmt::join(flag.variables, ", "));
  const std::string left =
      flag.kind == ValueKind::none ? flag.name : fmt::format("{} {}", flag.name, flag.type);
  return {left, right};
}

Entry entry_of(const InfoFlag& asking) {
  const std::string name = std::string_view(asking.name) == "--help" ? "-h, --help" : asking.name;
  return {asking.kind == ValueKind::none ? name : fmt::format("{} {}", name, asking.type),
          asking.text};
}

/// Of one command; of none: all there is, each with the commands that it is for.
std::vector<Section> flag_sections(std::optional<Command> command) {
  std::vector<Section> sections;
  for (const Flag& flag : flags()) {
    if (command && !flag.is_for(*command)) continue;
    if (sections.empty() || sections.back().title != flag.group)
      sections.push_back({flag.group, {}});
    sections.back().entries.push_back(entry_of(flag, !command));
  }
  return sections;
}

Section command_section() {
  Section section{"Commands", {}};
  for (const CommandText& each : commands()) section.entries.push_back({each.name, each.text});
  return section;
}

Section asking_section() {
  Section section{"Help", {}};
  for (const InfoFlag& asking : info_flags()) section.entries.push_back(entry_of(asking));
  return section;
}

Section variable_section() {
  Section section{"Environment, besides (a flag beats it; an empty variable is unset)", {}};
  for (const Variable& variable : variables())
    section.entries.push_back({variable.names, variable.text});
  return section;
}

Section example_section(std::optional<Command> command) {
  Section section{"Examples", {}};
  for (const Example& example : examples())
    if (!command || (example.commands & of(*command)) != 0)
      section.entries.push_back({example.line, example.text});
  return section;
}

std::vector<std::string> wrapped(std::string_view text, std::size_t width) {
  std::vector<std::string> lines(1);
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    if (!lines.back().empty() && display_width(lines.back()) + 1 + display_width(word) > width)
      lines.emplace_back();
    lines.back() += fmt::format("{}{}", lines.back().empty() ? "" : " ", word);
  }
  return lines;
}

std::string laid_out(const Section& section, std::size_t width) {
  std::size_t left = 0;
  for (const Entry& entry : section.entries) left = std::max(left, entry.left.size());
  const bool beside = left <= kMostLeft && left + 4 + kLeastRight <= width;
  const std::size_t indent = beside ? left + 4 : 6;
  std::string text = fmt::format("{}\n", fmt::join(wrapped(section.title + ":", width), "\n"));
  for (const Entry& entry : section.entries) {
    std::string head = fmt::format("  {}", entry.left);
    for (const std::string& line : wrapped(entry.right, width - indent)) {
      if (!beside && !head.empty()) text += std::exchange(head, "") + "\n";
      text += fmt::format("{:<{}}{}\n", std::exchange(head, ""), indent, line);
    }
  }
  return text;
}

}  // namespace

std::string help_text(std::optional<Command> command, std::optional<int> columns) {
  const std::size_t terminal = columns ? static_cast<std::size_t>(std::max(0, *columns)) : kUsual;
  const std::size_t width = std::clamp(terminal, kNarrowest, kWidest);
  const Command shown = command.value_or(Command::download);
  std::string text;
  const auto paragraph = [&](const std::string& words) {
    text += fmt::format("{}\n", fmt::join(wrapped(words, width), "\n"));
  };
  paragraph(fmt::format("{}.", command ? text_of(shown).text : kProgramText));
  text += "\n";
  paragraph(fmt::format("Usage: model-prep {} [FLAGS] [MODEL...]",
                        command ? text_of(shown).name : "[COMMAND]"));
  std::vector<Section> sections;
  if (!command) sections.push_back(command_section());
  text += "\n";
  paragraph(fmt::format("MODEL: {}.", kModelText));
  for (Section& section : flag_sections(shown)) sections.push_back(std::move(section));
  if (!command) sections.push_back(asking_section());
  sections.push_back(variable_section());
  sections.push_back(example_section(command));
  for (const Section& section : sections) text += "\n" + laid_out(section, width);
  text += "\n";
  paragraph(fmt::format("Exit code: {}.", exit_code_text(shown)));
  if (!command) paragraph("model-prep COMMAND --help tells the flags of another command.");
  return text;
}

}  // namespace model_prep
