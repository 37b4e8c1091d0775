// SPDX-License-Identifier: Apache-2.0
// A piece of a test in a process of its own: for users, limits and modes that the test itself must
// not take on.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <functional>

namespace model_prep::testing {

/// Runs `work` in a child and gives its answer, a small number.
inline int in_child(const std::function<int()>& work) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(work());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace model_prep::testing
