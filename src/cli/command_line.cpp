// SPDX-License-Identifier: Apache-2.0
#include "model_prep/cli/command_line.h"

#include <algorithm>

#include <unistd.h>

#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include "model_prep/base/suggestions.h"
#include "model_prep/cli/help.h"
#include "model_prep/io/posix.h"

namespace model_prep {
namespace {

/// What is accepted, and after `app.parse` what was given.
struct CommandLine {
  CommandLine() {
    // The program takes the flags of all commands, so that a flag may also come before its command,
    // and so that one which the command does not take can be named (take_flags).
    app.add_option("MODEL", models_before);
    app.set_help_flag("-h,--help");
    app.set_version_flag("--version", program_version());
    for (const Flag& flag : flags()) {
      if (flag.is_switch())
        app.add_flag(flag.name);
      else
        app.add_option(flag.name)
            ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
            ->allow_extra_args(false);  // one value a flag; the next word is a model
    }

    // At most one, so that `download verify` downloads a model named verify.
    app.require_subcommand(0, 1);
    for (const CommandText& each : commands())
      app.add_subcommand(each.name)->fallthrough()->add_option("MODEL", models_after);
  }

  std::optional<Command> command() const {
    for (const CommandText& each : commands())
      if (app.got_subcommand(each.name)) return each.command;
    return std::nullopt;
  }

  CLI::App app;
  Strings models_before;  ///< the command; all of them if there is none
  Strings models_after;
};

constexpr const char* kHelpHint = "model-prep --help lists the flags";

/// These print and exit, with any command, so they are not in the list.
bool is_print_flag(std::string_view name) {
  return name == "-h" || name == "--help" || name == "--version";
}

const Flag* find_flag(std::string_view name) {
  const auto found =
      std::ranges::find_if(flags(), [&](const auto& flag) { return name == flag.name; });
  return found == flags().end() ? nullptr : &*found;
}

/// CLI11 takes `--cleanup=false` for `--cleanup`.
Status check_values(const Strings& arguments) {
  for (const std::string& word : arguments) {
    if (word == "--") break;  // only models follow

    const std::size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    const Flag* flag = find_flag(name);
    const bool is_switch = is_print_flag(name) || (flag != nullptr && flag->is_switch());
    if (is_switch && equals != std::string::npos)
      return Error{ErrorKind::usage, name + " takes no value",
                   "write " + name + ", or leave it out"};
  }
  return ok();
}

/// An error of CLI11, in this program's words.
Error explain(const CommandLine& line, const CLI::ParseError& error) {
  const std::string text = error.what();
  Error result{ErrorKind::usage, text, kHelpHint};

  // The only mismatch that is possible here is "--jobs: 1 required N missing".
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr)
    result.message = text.substr(0, text.find(':')) + " needs a value";

  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    Strings known = {"--help", "--version"};
    for (const Flag& flag : flags()) known.emplace_back(flag.name);

    const std::string extra = line.app.remaining(true).front();
    const std::string name = extra.substr(0, extra.find('='));
    result.message = "unknown flag " + name;
    result.hint = did_you_mean(name, known) + result.hint;
  }
  return result;
}

/// Adds what was given to `values`.
Status take_flags(const CommandLine& line, Command command, FlagValues& values) {
  const char* name = text_of(command).name;
  for (const Flag& flag : flags()) {
    const Strings given = line.app.get_option(flag.name)->results();
    const bool is_taken = flag.is_for(command);
    if (!is_taken && !given.empty())
      return Error{ErrorKind::usage, fmt::format("{} does not take {}", name, flag.name),
                   fmt::format("model-prep {} --help lists its flags", name)};
    if (given.size() > 1 && !flag.is_switch() && !flag.repeats)
      return Error{ErrorKind::usage, fmt::format("{} is given {} times", flag.name, given.size()),
                   "pass it once"};

    if (is_taken) values.add(flag.name, given, flag.variables);
  }
  return ok();
}

}  // namespace

Result<Options> parse_command_line(const Strings& arguments, FlagValues& values) {
  if (Status checked = check_values(arguments); !checked) return checked.error();

  CommandLine line;
  Options parsed;
  try {
    // CLI11 takes arguments from the back of the vector.
    line.app.parse(Strings(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::CallForHelp&) {
    parsed.print = help_text(line.command(), terminal_columns(STDOUT_FILENO));
    return parsed;
  } catch (const CLI::CallForVersion&) {
    parsed.print = version_text();
    return parsed;
  } catch (const CLI::ParseError& error) {
    return explain(line, error);
  }

  const auto command = line.command();
  parsed.command = command.value_or(Command::download);
  parsed.models = command ? line.models_after : line.models_before;
  // `model-prep a download` could mean two models or a command, so it is not guessed.
  if (command && !line.models_before.empty()) {
    const char* name = text_of(*command).name;
    return Error{ErrorKind::usage, fmt::format("the command {} must come before the models", name),
                 fmt::format("if {} is a model, write: model-prep download {} {}", name,
                             fmt::join(line.models_before, " "), name)};
  }

  if (Status taken = take_flags(line, parsed.command, values); !taken) return taken.error();
  return parsed;
}

}  // namespace model_prep
