// SPDX-License-Identifier: Apache-2.0
#include "model_prep/base/error.h"

#include "model_prep/base/enum_names.h"

namespace model_prep {
namespace {

constexpr std::string_view kKinds[] = {"usage",
                                       "network",
                                       "timeout",
                                       "rate_limited",
                                       "server",
                                       "not_found",
                                       "revision_not_found",
                                       "gated",
                                       "unauthorized",
                                       "disabled",
                                       "protocol",
                                       "digest_mismatch",
                                       "lock_mismatch",
                                       "offline_missing",
                                       "disk_full",
                                       "permission",
                                       "io",
                                       "deadline",
                                       "interrupted",
                                       "internal"};

}  // namespace

std::string_view to_string(ErrorKind kind) { return name_of<ErrorKind::internal>(kKinds, kind); }

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
