// SPDX-License-Identifier: Apache-2.0
// An open file, for the parsers of headers in `core/`: they read ranges of it. The descriptor must
// outlive the range. One thread.
#pragma once

#include "model_prep/core/range_reader.h"
#include "model_prep/io/posix.h"

namespace model_prep {

/// Nothing if its size cannot be known. Bytes that cannot be read are as if they were not there
/// (`RangeReader::has_failed`).
std::optional<FileRange> range_of(const UniqueFd& fd);

}  // namespace model_prep
