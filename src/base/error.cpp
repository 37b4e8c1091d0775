// SPDX-License-Identifier: Apache-2.0
#include "model_prep/base/error.h"

namespace model_prep {

Disposition disposition(ErrorKind kind) {
  if (kind >= ErrorKind::network && kind <= ErrorKind::server) return Disposition::retry;
  if (kind >= ErrorKind::not_found && kind <= ErrorKind::offline_missing)
    return Disposition::fail_item;
  return Disposition::abort_run;
}

}  // namespace model_prep
