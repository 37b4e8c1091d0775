// SPDX-License-Identifier: Apache-2.0
#include "model_prep/program/app.h"

#include "model_prep/program/cleanup.h"
#include "model_prep/program/download.h"
#include "model_prep/program/list.h"
#include "model_prep/program/lock.h"
#include "model_prep/program/session.h"
#include "model_prep/program/verify.h"

namespace model_prep {

int run(const Options& options, const SignalFd& signals, std::ostream& out) {
  Session session(options, signals, out);
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
