// SPDX-License-Identifier: Apache-2.0
// Base64 as RFC 4648, section 4 has it, and nothing that other decoders let pass.
//
// One sequence of bytes has one text: padding must be there, the bits that belong to no byte are 0,
// and there is no space or line end. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace model_prep {

/// Nothing if the text is not what an encoder writes.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace model_prep
