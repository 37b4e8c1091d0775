// SPDX-License-Identifier: Apache-2.0
#include "model_prep/cli/command_line.h"

#include <algorithm>

#include <unistd.h>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include "model_prep/base/suggestions.h"
#include "model_prep/cli/help.h"
#include "model_prep/io/posix.h"

namespace model_prep {
namespace {

struct Line {
  Line() {
    app.add_option("MODEL", models);
    app.set_help_flag("-h,--help");
    app.set_version_flag("--version", program_version());
    for (const InfoFlag& asking : info_flags()) {
      if (asking.kind != ValueKind::none)
        app.add_option(asking.name);
      else if (app.get_option_no_throw(asking.name) == nullptr)
        app.add_flag(asking.name);
    }
    for (const Flag& flag : flags()) {
      if (flag.kind == ValueKind::none)
        app.add_flag(flag.name);
      else if (CLI::Option* option = app.add_option(flag.name); flag.repeats)
        option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)->allow_extra_args(false);
    }
    // After one command no other word is taken for one: `download verify` fetches a model of that
    // name.
    app.require_subcommand(0, 1);
    for (const CommandText& each : commands())
      app.add_subcommand(each.name)->fallthrough()->add_option("MODEL", models_of_command);
  }
  std::optional<Command> command() const {
    for (const CommandText& each : commands())
      if (app.got_subcommand(each.name)) return each.command;
    return std::nullopt;
  }
  bool given(const char* flag) const { return app.count(flag) > 0; }
  std::vector<std::string> values(const char* flag) const {
    return app.get_option(flag)->results();
  }

  CLI::App app;
  std::vector<std::string> models;             ///< before a command, or without one
  std::vector<std::string> models_of_command;  ///< behind it
};

/// What CLI11 says of a word that is no flag leaves out which one was meant.
Error refused(const Line& line, const CLI::ParseError& fault) {
  constexpr const char* kHelp = "model-prep --help lists what there is";
  if (dynamic_cast<const CLI::ExtrasError*>(&fault) == nullptr)
    return {ErrorKind::usage, fault.what(), kHelp};
  std::vector<std::string> known;
  for (const Flag& flag : flags()) known.emplace_back(flag.name);
  for (const InfoFlag& asking : info_flags()) known.emplace_back(asking.name);
  const auto left = line.app.remaining(true);
  const std::string word = left.empty() ? "" : left.front().substr(0, left.front().find('='));
  return {ErrorKind::usage, fmt::format("unknown flag {}", word),
          did_you_mean(word, known) + kHelp};
}

/// The command, its models, and the flags that were given, into `settings`.
Result<ParsedCommand> take(const Line& line, FlagValues& settings) {
  ParsedCommand given{.command = line.command().value_or(Command::download),
                      .models = line.models_of_command};
  const char* name = text_of(given.command).name;
  if (!line.command())
    given.models = line.models;
  else if (!line.models.empty())
    return Error{ErrorKind::usage, fmt::format("the command {} comes before the models", name),
                 fmt::format("if '{}' is the name of a model: model-prep download {} {}", name,
                             fmt::join(line.models, " "), name)};
  for (const Flag& flag : flags()) {
    if (flag.is_for(given.command))
      settings.register_flag(flag.name, flag.variables);
    else if (line.given(flag.name))
      return Error{ErrorKind::usage,
                   fmt::format("{} is of no use to the command {}", flag.name, name),
                   fmt::format("model-prep {} --help lists what is", name)};
    if (line.given(flag.name))
      settings.set(flag.name, flag.kind == ValueKind::none ? std::vector<std::string>{"1"}
                                                           : line.values(flag.name));
  }
  return given;
}

}  // namespace

std::string program_version() { return "model-prep " MODEL_PREP_VERSION; }

Result<std::variant<ParsedCommand, TextOutput>> read_command_line(
    const std::vector<std::string>& arguments, FlagValues& settings) {
  using Read = std::variant<ParsedCommand, TextOutput>;
  Line line;
  try {
    line.app.parse(std::vector<std::string>(arguments.rbegin(),
                                            arguments.rend()));  // CLI11 takes them from the back
  } catch (const CLI::CallForHelp&) {
    return Read(TextOutput{help_text(line.command(), terminal_columns(STDOUT_FILENO))});
  } catch (const CLI::CallForVersion&) {
    return Read(TextOutput{program_version() + "\n"});
  } catch (const CLI::ParseError& fault) {
    return refused(line, fault);
  }
  auto given = take(line, settings);
  if (!given) return given.error();
  return Read(std::move(*given));
}

}  // namespace model_prep
