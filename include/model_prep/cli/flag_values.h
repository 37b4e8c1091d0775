// SPDX-License-Identifier: Apache-2.0
// The text of each flag's value, from the command line or from an environment variable.
//
// A flag beats its variables, of which the first that is set wins; an empty variable counts as
// unset. Only flags that the command takes are added, so a variable that is meant for another
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
  /// Whether the flag is on the command line.
  bool has(const std::string& flag) const;
  /// A variable that may have no flag; nothing if it is unset or empty.
  std::optional<std::string> get(const std::string& variable) const;

  /// Expands `~` at the beginning, and `$NAME` and `${NAME}` anywhere, as huggingface_hub does in
  /// the directories of its environment. An unknown name stays as it is.
  std::string expand(const std::string& path) const;

 private:
  const Environment& environment_;
  std::map<std::string, std::vector<Value>> values_;
};

/// `expected` completes the sentence "--jobs is 'x', but must be …".
Error bad_value(const FlagValues::Value& found, std::string_view expected);

/// huggingface_hub's rule: 1, ON, YES and TRUE in any case are true, anything else is false
/// (docs/developing/hub-protocol.md, section 2).
bool is_true(const std::optional<std::string>& value);

std::string trimmed(std::string_view text);

/// The items between commas, trimmed, without empty ones.
Strings split_list(std::string_view text);

}  // namespace model_prep
