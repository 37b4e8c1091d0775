// SPDX-License-Identifier: Apache-2.0
// What flags and variables say, before it is understood: a flag beats its variables, of which the
// first that is set counts, and an empty variable is unset.
//
// Only the flags that the command uses are known here, so that a variable for another command
// cannot be wrong.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model_prep/base/error.h"

namespace model_prep {

using Environment = std::map<std::string, std::string>;

class FlagValues {
 public:
  explicit FlagValues(const Environment& environment) : environment_(environment) {}

  /// The command uses this flag, which these variables stand for.
  void register_flag(const std::string& flag, std::vector<std::string> variables) {
    variables_[flag] = std::move(variables);
  }
  /// It stands on the command line, with these values; a switch has the value "1".
  void set(const std::string& flag, std::vector<std::string> values) {
    given_[flag] = std::move(values);
  }

  struct Value {
    std::string name;  ///< of the flag or variable
    std::string value;
  };
  std::optional<Value> find(const std::string& flag) const;
  /// Like `find`, but each value that was given, or all of the variables that are set.
  std::vector<Value> find_all(const std::string& flag) const;
  bool has(const std::string& flag) const { return given_.contains(flag); }
  std::optional<std::string> get(const std::string& variable) const;
  /// `~` and `$NAME`, `${NAME}` at any place, as huggingface_hub expands its folders. An unknown
  /// name stays as it is.
  std::string expand(const std::string& path) const;

 private:
  const Environment& environment_;
  std::map<std::string, std::vector<std::string>> variables_;
  std::map<std::string, std::vector<std::string>> given_;
};

Error bad_value(const FlagValues::Value& found, std::string_view wants);

/// huggingface_hub's rule (docs/developing/hub-protocol.md, section 2): anything but 1, ON, YES and
/// TRUE is false.
bool is_true(std::optional<std::string> value);
std::string trimmed(std::string_view text);
/// At commas, each item trimmed, empty ones left out.
std::vector<std::string> split_list(std::string_view text);

}  // namespace model_prep
