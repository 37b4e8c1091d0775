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
  if (kind >= ErrorKind::network && kind <= ErrorKind::server) return Disposition::retry;
  if (kind >= ErrorKind::not_found && kind <= ErrorKind::offline_missing)
    return Disposition::fail_item;
  return Disposition::abort_run;
}

}  // namespace model_prep
