// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/cache_faults.h"

namespace model_prep {
namespace {

ErrorKind error_kind(CacheFaultKind kind) {
  switch (kind) {
    case CacheFaultKind::missing:
    case CacheFaultKind::dangling:
    case CacheFaultKind::ref:
    case CacheFaultKind::listing: return ErrorKind::offline_missing;
    case CacheFaultKind::damaged: return ErrorKind::digest_mismatch;
    case CacheFaultKind::mode: return ErrorKind::permission;
    case CacheFaultKind::misdirected:
    case CacheFaultKind::unreadable:
    case CacheFaultKind::foreign: return ErrorKind::io;
  }
  return ErrorKind::io;
}

}  // namespace

Error error_of(const CacheFault& fault) {
  return {fault.error.value_or(error_kind(fault.kind)), fault.message,
          "model-prep verify --repair mends it"};
}

}  // namespace model_prep
