// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/app.h"

#include "model_prep/commands/cleanup.h"
#include "model_prep/commands/download.h"
#include "model_prep/commands/list.h"
#include "model_prep/commands/lock.h"
#include "model_prep/commands/session.h"
#include "model_prep/commands/verify.h"

namespace model_prep {

int run(const Options& options, const SignalFd& signals, const Output& output) {
  Session session(options, signals, output);
  switch (options.command) {
    case Command::download: return run_download(session);
    case Command::verify: return run_verify(session);
    case Command::list: return run_list(session);
    case Command::cleanup: return run_cleanup(session);
    case Command::lock: return run_lock(session);
  }
  return 1;
}

}  // namespace model_prep
