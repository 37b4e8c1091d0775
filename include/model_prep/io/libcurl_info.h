// SPDX-License-Identifier: Apache-2.0
// Facts about the libcurl that this program runs with.
#pragma once

#include <string>

namespace model_prep {

/// `libcurl/7.88.1`, for the user agent and the log.
std::string transport_version();

/// The file with the system's CA certificates, which every connection trusts; empty if libcurl
/// knows none.
std::string system_authorities();

/// False if that file is missing, as in an image without ca-certificates. Every handshake would
/// fail for that alone, even with a --ca-file that is enough.
bool has_system_authorities();

}  // namespace model_prep
