// SPDX-License-Identifier: Apache-2.0
// Which process writes a staging file, in the name of that file and in its resume record.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace model_prep {

/// `<machine>-<random>`, eight hex digits each. `machine` is the same for all processes of one
/// kernel; all zeros mean that it is unknown, and then it is equal to no other.
class WriterTag {
 public:
  static std::optional<WriterTag> parse(std::string_view text);
  static WriterTag make(const std::string& machine, const std::string& random) {
    return WriterTag(machine + "-" + random);
  }
  const std::string& text() const { return text_; }
  bool same_machine(const WriterTag& other) const;
  bool operator==(const WriterTag&) const = default;

 private:
  explicit WriterTag(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

}  // namespace model_prep
