// SPDX-License-Identifier: Apache-2.0
// Facts about the libcurl that this program runs with.
#pragma once

#include <string>

#include "model_prep/base/types.h"

namespace model_prep {

/// `libcurl/7.88.1`, for the user agent and the log.
std::string transport_version();

/// `libcurl 7.88.1`, and `nghttp2 1.52.0` if it can do HTTP/2.
Strings transport_libraries();

/// Where the system's CA certificates are looked for (core/authority_files.h).
Strings system_authority_files();

/// The first of these files that is there, which every connection trusts; empty if none is. Looks
/// at the disk.
std::string system_authorities();

}  // namespace model_prep
