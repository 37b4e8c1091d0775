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

/// A word that names a flag.
struct FlagWord {
  std::string name;
  std::optional<std::string> value{};  ///< what follows the `=`
  bool takes_value{false};
};

/// Nothing if no command has such a flag.
std::optional<FlagWord> parse_flag(const std::string& word) {
  const std::size_t equals = word.find('=');
  FlagWord parsed{.name = word.substr(0, equals)};
  if (equals != std::string::npos) parsed.value = word.substr(equals + 1);

  // These print and exit, with any command, so they are not in the list.
  if (parsed.name == "-h" || parsed.name == "--help" || parsed.name == "--version") return parsed;

  const auto is_named = [&](const Flag& flag) { return flag.name == parsed.name; };
  const auto found = std::ranges::find_if(flags(), is_named);
  if (found == flags().end()) return std::nullopt;
  parsed.takes_value = !found->is_switch();
  return parsed;
}

/// CLI11 takes `[a,b]` for two models, and some versions take `{}` for none.
bool is_list_of_cli11(const std::string& word) {
  return (word.starts_with('[') && word.ends_with(']')) || word == "{}";
}

/// Refuses what CLI11 takes for something else. To it `--cleanup=false` is `--cleanup`, and the
/// word after `--summary` or `--summary=` is its value, even if that is another flag.
Status check_words(const Strings& arguments) {
  bool is_model = false;  // every word after `--`
  for (auto word = arguments.begin(); word != arguments.end(); ++word) {
    is_model = is_model || *word == "--";
    const auto flag = is_model ? std::nullopt : parse_flag(*word);
    if (!flag && is_list_of_cli11(*word))
      return Error{ErrorKind::usage, "unknown model '" + *word + "'",
                   "write each model as a word of its own, without brackets"};
    if (!flag) continue;

    if (!flag->takes_value) {
      if (!flag->value) continue;
      return Error{ErrorKind::usage, flag->name + " takes no value",
                   fmt::format("write {}, or leave it out", flag->name)};
    }

    const bool is_next_word = !flag->value && ++word != arguments.end();
    const std::string value = is_next_word ? *word : flag->value.value_or("");
    if (value.empty()) return Error{ErrorKind::usage, flag->name + " needs a value", kHelpHint};
    if (is_next_word && parse_flag(value))
      return Error{ErrorKind::usage, flag->name + " needs a value",
                   fmt::format("if {} is the value, write {}={}", value, flag->name, value)};
  }
  return ok();
}

/// An error of CLI11, in this program's words.
Error explain(const CommandLine& line, const CLI::ParseError& error) {
  Error result{ErrorKind::usage, error.what(), kHelpHint};
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

LogFormat detect_log_format(const Strings& arguments, const Environment& environment) {
  std::string text = FlagValues(environment).get("MODEL_PREP_LOG_FORMAT").value_or("");
  for (auto word = arguments.begin(); word != arguments.end() && *word != "--"; ++word) {
    const auto flag = parse_flag(*word);
    if (!flag || flag->name != "--log-format") continue;

    const auto next = std::next(word);
    if (flag->value || next != arguments.end()) text = flag->value ? *flag->value : *next;
  }
  return value_of<LogFormat>(text).value_or(LogFormat::text);
}

Result<Options> parse_command_line(const Strings& arguments, FlagValues& values) {
  if (Status checked = check_words(arguments); !checked) return checked.error();

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
