// SPDX-License-Identifier: Apache-2.0
// The words of the command line: commands, flags, variables, examples. Once, for reading them
// (command_line.h) and for --help (help.h).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace model_prep {

enum class Command : std::uint8_t { download, verify, list, cleanup, lock };

struct CommandText {
  Command command;
  const char* name;
  const char* text;
  const char* success;  ///< what exit code 0 means
};
std::span<const CommandText> commands();
const CommandText& text_of(Command command);

/// A set of commands, a bit for each.
using Commands = unsigned;
constexpr Commands of(Command command) { return 1U << static_cast<unsigned>(command); }

/// What a flag's value is, for a shell that completes it.
enum class ValueKind : std::uint8_t { none, text, file, folder, choice };

struct Flag {
  const char* group;  ///< the heading that it stands under
  const char* name;
  std::vector<std::string> variables;  ///< that stand for it; the first that is set counts
  ValueKind kind;                      ///< none: a switch
  const char* type;                    ///< what the value is called
  const char* text;
  Commands commands;
  std::vector<std::string> choices{};  ///< all the values that there are, of a choice
  bool repeats{false};                 ///< may be given several times
  bool is_for(Command command) const { return (commands & of(command)) != 0; }
};
/// In the order in which they are shown; a group's flags stand together.
const std::vector<Flag>& flags();

/// A flag that prints something and ends.
struct InfoFlag {
  const char* name;
  ValueKind kind;
  const char* type;
  const char* text;
  std::vector<std::string> choices{};
};
const std::vector<InfoFlag>& info_flags();

/// A variable that no flag stands for.
struct Variable {
  const char* names;
  const char* text;
};
std::span<const Variable> variables();

struct Example {
  const char* line;
  const char* text;
  Commands commands;
};
std::span<const Example> examples();

inline constexpr const char* kProgramText =
    "Downloads models from the Hugging Face Hub, verified, into the cache that Python services read offline";
inline constexpr const char* kModelText =
    "A key of the manifest, or org/name[@revision] for any model of the Hub, datasets/org/name for a dataset, "
    "spaces/org/name for a space; without any, what MODELS_TO_DOWNLOAD lists, else all of the manifest";

/// `128 + n` and all that; what 0 means depends on the command.
std::string exit_code_text(Command command);

}  // namespace model_prep
