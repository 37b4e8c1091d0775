// SPDX-License-Identifier: Apache-2.0
// A folder that is an OCI image layout, to which an image is added. Names and documents are those
// of `core/oci_image.h`.
//
// Blobs appear whole: each is written under a temporary name, synced, and renamed to its digest.
// `index.json` is replaced at the end, so an export that fails or is killed leaves complete blobs,
// which the next one uses, and no image. A blob that is there already, byte for byte, is not
// written again; one that was damaged is replaced. Blobs of images that lost their tag are left to
// other tools.
//
// One export at a time (io/export_lock.h). One thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "model_prep/core/oci_image.h"
#include "model_prep/io/directory.h"
#include "model_prep/io/export_lock.h"
#include "model_prep/io/verified_read.h"

namespace model_prep {

class OciLayout {
 public:
  /// Creates the folder if it does not exist. A `usage` error if it holds anything but a layout, an
  /// `io` error if another export writes to it. Removes what a killed one left. `folder` is
  /// canonical.
  static Result<std::unique_ptr<OciLayout>> open(const std::string& folder);

  /// Whether `open` would refuse what the folder holds. Writes nothing.
  static Status check(const std::string& folder);
  ~OciLayout();
  OciLayout(const OciLayout&) = delete;
  OciLayout& operator=(const OciLayout&) = delete;

  /// Whether a blob of this size is there: perhaps the one that is about to be added.
  bool has_size(Bytes size) const { return blobs_.contains(size); }

  /// Adds what `fill` passes on, exactly `size` bytes. `fill` may be called twice: if a blob of
  /// that size is there, first only to find out whether it is the same one.
  using Fill = std::function<Status(const ByteConsumer& consume)>;
  Result<OciBlob> add(Bytes size, const Fill& fill);
  Result<OciBlob> add(const std::string& text);

  /// Makes this the image of the tag.
  Status set_tag(const std::string& tag, const OciBlob& image);

 private:
  OciLayout(const std::string& folder, std::unique_ptr<ExportLock> lock);
  Status prepare();
  bool has_at(const std::string& path, Bytes offset, std::string_view bytes) const;
  Result<Digest> write_temporary(const std::string& temporary, Bytes size, const Fill& fill);

  const OciLayoutNames names_;
  const Directory directory_;
  const std::unique_ptr<ExportLock> lock_;
  std::map<Bytes, std::set<std::string>> blobs_;  // paths, by size
};

}  // namespace model_prep
