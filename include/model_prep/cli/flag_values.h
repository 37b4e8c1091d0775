// SPDX-License-Identifier: Apache-2.0
// The text of each flag's value, from the command line or from an environment variable.
//
// A flag beats its variables, of which the first that is set wins; an empty variable counts as
// unset, and so does one of blanks, because the line end of a file that it was read from is no part
// of a value. Only flags that the command takes are added, so a variable that is meant for another
// command or service cannot be an error. Nothing is parsed here. Refers to the environment, which
// must outlive it; not for several threads.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model_prep/base/error.h"
#include "model_prep/base/types.h"

namespace model_prep {

using Environment = std::map<std::string, std::string>;

class FlagValues {
 public:
  explicit FlagValues(const Environment& environment) : environment_(environment) {}

  struct Value {
    std::string name;  ///< the flag or variable that it comes from, for messages
    std::string value;
  };
  /// The command takes this flag. `given` are its values on the command line; without any, the
  /// variables count.
  void add(const std::string& flag, const Strings& given, const Strings& variables);

  std::optional<Value> find(const std::string& flag) const;
  /// Every value on the command line; without one, every variable that is set.
  std::vector<Value> find_all(const std::string& flag) const;
  /// Only what is on the command line. `get` still finds every variable.
  FlagValues without_variables() const;
  /// Whether the flag is on the command line.
  bool has(const std::string& flag) const;
  /// A variable that may have no flag, without blanks and line ends at its end; nothing if it is
  /// unset or empty.
  std::optional<std::string> get(const std::string& variable) const;

  /// Expands `~` at the beginning, and `$NAME` and `${NAME}` anywhere, as huggingface_hub does in
  /// the directories of its environment. An unknown name stays as it is, and so does what a
  /// variable holds.
  std::string expand(const std::string& path) const;

  /// Refuses (`usage`) a path that has quotes or blanks around it, or a control character, once it
  /// is expanded: docker's --env-file passes quotes on, and no folder should be named by them.
  Status check_path(const Value& found) const;

 private:
  const Environment& environment_;
  std::map<std::string, std::vector<Value>> values_;
};

/// `expected` completes the sentence "--jobs is 'x', but must be …".
Error bad_value(const FlagValues::Value& found, std::string_view expected);

/// 1, ON, YES and TRUE in any case are true, as for huggingface_hub, which takes anything else for
/// false (docs/developing/hub-protocol.md, section 2). Here only 0, OFF, NO and FALSE are: a
/// mistyped HF_HUB_OFFLINE must not go online. Blanks around the word do not matter.
std::optional<bool> boolean_of(std::string_view text);

/// The same for a variable; any other word is a `bad_value`.
Result<bool> read_boolean(const FlagValues::Value& found);

std::string trimmed(std::string_view text);

/// The items between commas and line ends, trimmed, without empty ones.
Strings split_list(std::string_view text);

}  // namespace model_prep
