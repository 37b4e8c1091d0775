// SPDX-License-Identifier: Apache-2.0
#include "io/flock_rule.h"

#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace {

model_prep::testing::FlockRule::Answer& flock_answer() {
  static model_prep::testing::FlockRule::Answer answer;
  return answer;
}

}  // namespace

/// In place of libc's.
extern "C" int flock(int fd, int operation) noexcept {
  if (const auto& answer = flock_answer())
    if (const std::optional<int> error = answer(fd, operation)) {
      errno = *error;
      return *error == 0 ? 0 : -1;
    }
  return static_cast<int>(::syscall(SYS_flock, fd, operation));
}

namespace model_prep::testing {

FlockRule::FlockRule(Answer answer) { flock_answer() = std::move(answer); }
FlockRule::~FlockRule() { flock_answer() = nullptr; }

}  // namespace model_prep::testing
