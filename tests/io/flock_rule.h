// SPDX-License-Identifier: Apache-2.0
// flock(2) as other file systems have it, for the code under test in this process.
#pragma once

#include <functional>
#include <optional>

namespace model_prep::testing {

/// As long as it lives, each call of flock(2) asks `answer` first: an errno, 0 for success without
/// a lock, or nothing for the real call.
class FlockRule {
 public:
  using Answer = std::function<std::optional<int>(int fd, int operation)>;
  explicit FlockRule(Answer answer);
  ~FlockRule();
  FlockRule(const FlockRule&) = delete;
  FlockRule& operator=(const FlockRule&) = delete;
};

/// Everybody gets every lock.
inline std::optional<int> excludes_nobody(int, int) { return 0; }

}  // namespace model_prep::testing
