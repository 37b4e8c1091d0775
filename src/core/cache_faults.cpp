// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/cache_faults.h"

namespace model_prep {
namespace {

ErrorKind error_kind(FaultKind kind) {
  switch (kind) {
    case FaultKind::missing:
    case FaultKind::dangling:
    case FaultKind::ref:
    case FaultKind::listing: return ErrorKind::offline_missing;
    case FaultKind::damaged: return ErrorKind::digest_mismatch;
    case FaultKind::mode: return ErrorKind::permission;
    case FaultKind::misdirected:
    case FaultKind::unreadable:
    case FaultKind::foreign: return ErrorKind::io;
  }
  return ErrorKind::io;
}

}  // namespace

std::string_view name(FaultKind kind) {
  switch (kind) {
    case FaultKind::missing: return "missing";
    case FaultKind::dangling: return "dangling";
    case FaultKind::misdirected: return "misdirected";
    case FaultKind::damaged: return "damaged";
    case FaultKind::unreadable: return "unreadable";
    case FaultKind::ref: return "ref";
    case FaultKind::listing: return "listing";
    case FaultKind::mode: return "mode";
    case FaultKind::foreign: return "foreign";
  }
  return "missing";
}

Error error_of(const Fault& fault) {
  return {fault.error.value_or(error_kind(fault.kind)), fault.message, "model-prep verify --repair mends it"};
}

}  // namespace model_prep
