// SPDX-License-Identifier: Apache-2.0
#include "model_prep/base/error.h"

namespace model_prep {

std::string_view name(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::usage: return "usage";
    case ErrorKind::network: return "network";
    case ErrorKind::timeout: return "timeout";
    case ErrorKind::rate_limited: return "rate_limited";
    case ErrorKind::server: return "server";
    case ErrorKind::not_found: return "not_found";
    case ErrorKind::revision_not_found: return "revision_not_found";
    case ErrorKind::gated: return "gated";
    case ErrorKind::unauthorized: return "unauthorized";
    case ErrorKind::disabled: return "disabled";
    case ErrorKind::protocol: return "protocol";
    case ErrorKind::digest_mismatch: return "digest_mismatch";
    case ErrorKind::lock_mismatch: return "lock_mismatch";
    case ErrorKind::offline_missing: return "offline_missing";
    case ErrorKind::disk_full: return "disk_full";
    case ErrorKind::permission: return "permission";
    case ErrorKind::io: return "io";
    case ErrorKind::deadline: return "deadline";
    case ErrorKind::interrupted: return "interrupted";
    case ErrorKind::internal: return "internal";
  }
  return "internal";
}

Disposition disposition(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::network:
    case ErrorKind::timeout:
    case ErrorKind::rate_limited:
    case ErrorKind::server: return Disposition::retry;
    case ErrorKind::not_found:
    case ErrorKind::revision_not_found:
    case ErrorKind::gated:
    case ErrorKind::unauthorized:
    case ErrorKind::disabled:
    case ErrorKind::protocol:
    case ErrorKind::digest_mismatch:
    case ErrorKind::lock_mismatch:
    case ErrorKind::offline_missing: return Disposition::fail_item;
    case ErrorKind::usage:
    case ErrorKind::disk_full:
    case ErrorKind::permission:
    case ErrorKind::io:
    case ErrorKind::deadline:
    case ErrorKind::interrupted:
    case ErrorKind::internal: return Disposition::abort_run;
  }
  return Disposition::abort_run;
}

}  // namespace model_prep
