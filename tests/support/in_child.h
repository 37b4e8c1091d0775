// SPDX-License-Identifier: Apache-2.0
// Runs part of a test in a child process, to change user, limits or umask there only.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <functional>

namespace model_prep::testing {

/// Runs `work` in a child process and returns its result, a small number.
inline int in_child(const std::function<int()>& work) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(work());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace model_prep::testing
