// SPDX-License-Identifier: Apache-2.0
// Writes models as an image into an OCI image layout (core/image_plan.h, io/oci_layout.h).
//
// A layer's digest is computed while its blobs are read, hashed and written, in one pass. If a file
// of the layer's size is there already, a first pass only hashes, and the second is spared if it is
// that layer.
#pragma once

#include <span>

#include "model_prep/commands/blob_reader.h"

namespace model_prep {

/// The tag leads to the image if it succeeds, and is as it was if not.
Result<ExportReport> export_image(Session& session, std::span<const ResolvedSnapshot> snapshots,
                                  BlobReader& reader);

}  // namespace model_prep
