// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/cache_faults.h"

namespace model_prep {
namespace {

ErrorKind error_kind(CacheFaultKind kind) {
  using enum CacheFaultKind;
  switch (kind) {
    case missing:
    case dangling:
    case ref:
    case listing: return ErrorKind::offline_missing;
    case damaged: return ErrorKind::digest_mismatch;
    case mode: return ErrorKind::permission;
    case misdirected:
    case unreadable:
    case foreign: return ErrorKind::io;
  }
  return ErrorKind::io;
}

}  // namespace

Error error_of(const CacheFault& fault) {
  return {fault.error.value_or(error_kind(fault.kind)), fault.message,
          "model-prep verify --repair repairs it"};
}

}  // namespace model_prep
