// SPDX-License-Identifier: Apache-2.0
// Whether the library gguf would open a file, from its header alone: magic, version, key-value
// pairs, the list of tensors, and whether each tensor lies in the file.
//
// The rules are those of `GGUFReader` in PyPI's gguf 0.19.0: what it accepts is sound, what it
// refuses is malformed. So version 1 is refused, each byte order is accepted, and a value that ends
// at the end of the file may be cut there if nothing follows it. One exception: the library refuses
// a tensor whose type it does not know, but forks of llama.cpp have types of their own. A file with
// one is not judged, unless something else is wrong with it.
//
// Pure. The header is read through a window: at most 256 MiB of it, with at most a million pairs
// and tensors, whose names take eight bytes of memory each. A larger one is not judged.
#pragma once

#include "model_prep/core/format_check.h"
#include "model_prep/core/range_reader.h"

namespace model_prep {

FormatCheck check_gguf(const FileRange& file);

}  // namespace model_prep
