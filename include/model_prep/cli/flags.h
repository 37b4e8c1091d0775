// SPDX-License-Identifier: Apache-2.0
// The list of what the command line accepts: commands, flags, environment variables, examples.
//
// Data only. command_line.h parses by it and help.h prints it; docs/reference.md and the bash
// completion are held to it by tests. To add a flag: docs/developing/architecture.md, section 10.1.
// Everything here is constant, so any thread may read it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model_prep/base/types.h"

namespace model_prep {

enum class Command : std::uint8_t {
  download,
  verify,
  list,
  cleanup,
  lock,
  export_models,
  kserve_init
};

/// A set of commands, one bit for each.
using Commands = unsigned;
constexpr Commands of(Command command) { return 1U << static_cast<unsigned>(command); }

struct CommandText {
  Command command;
  const char* name;
  const char* text;
  const char* success;  ///< what exit status 0 means
  const char* arguments{"[MODEL...]"};
};
std::span<const CommandText> commands();
const CommandText& text_of(Command command);

/// The headings of --help, in order.
inline constexpr std::string_view kFlagGroups[] = {"Models", "Policy",  "Actions",
                                                   "Paths",  "Network", "Output"};

struct Flag {
  std::string_view group;
  const char* name;   ///< with its dashes
  const char* type;   ///< the placeholder for its value; empty for a switch, which takes none
  Commands commands;  ///< that accept it
  Strings variables;  ///< environment variables, the first that is set wins
  const char* text;
  bool repeats{false};  ///< may be given more than once

  bool is_switch() const { return *type == '\0'; }
  bool is_for(Command command) const { return (commands & of(command)) != 0; }
};
/// In the order of --help.
const std::vector<Flag>& flags();

/// Environment variables without a flag, or an example: what is shown left and right of the gap.
struct HelpLine {
  const char* left;
  const char* right;
  Commands commands;  ///< whose help shows it
};
std::span<const HelpLine> variables();
std::span<const HelpLine> examples();

inline constexpr const char* kProgramText =
    "Downloads models from the Hugging Face Hub, verifies every byte, and leaves them in the cache that Python services read offline";
inline constexpr const char* kModelText =
    "MODEL is a key from the manifest, or org/name[@revision] or the address of its page for any model on the Hub, datasets/org/name for a dataset, spaces/org/name for a space, kernels/org/name for a kernel. Without a MODEL, the models in MODELS_TO_DOWNLOAD are used, or else the whole manifest.";
inline constexpr const char* kKserveText =
    "URI is hf://org/name[:revision], and DESTINATION the folder for its files, an absolute path: the arguments that KServe appends. Unless --variant chooses a build, all files of the repository are taken. The cache is a temporary one beside the first DESTINATION, unless --cache-dir names one.";

}  // namespace model_prep
