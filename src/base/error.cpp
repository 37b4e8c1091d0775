// SPDX-License-Identifier: Apache-2.0
#include "model_prep/base/error.h"

#include <new>

namespace model_prep {

Disposition disposition(ErrorKind kind) {
  if (kind >= ErrorKind::network && kind <= ErrorKind::server) return Disposition::retry;
  if (kind >= ErrorKind::not_found && kind <= ErrorKind::signature_mismatch)
    return Disposition::fail_item;
  return Disposition::abort_run;
}

Disposition disposition(const Error& error) {
  return error.of_one_item ? Disposition::fail_item : disposition(error.kind);
}

Error error_from(const std::exception& exception) {
  if (const auto* fatal = dynamic_cast<const FatalError*>(&exception)) return fatal->error;
  if (dynamic_cast<const std::bad_alloc*>(&exception) != nullptr)
    return {ErrorKind::io, "out of memory", "give model-prep more memory, or select fewer models"};
  return {ErrorKind::internal, exception.what()};
}

}  // namespace model_prep
