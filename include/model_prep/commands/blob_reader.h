// SPDX-License-Identifier: Apache-2.0
// Reads the blobs of an export: each is hashed on the way, progress is shown, and a signal ends the
// work.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "model_prep/commands/session.h"
#include "model_prep/core/image_plan.h"
#include "model_prep/io/verified_read.h"

namespace model_prep {

class BlobReader {
 public:
  /// Refers to both.
  BlobReader(Session& session, std::span<const ResolvedSnapshot> snapshots);
  ~BlobReader() { session_.observer.finished(); }
  BlobReader(const BlobReader&) = delete;
  BlobReader& operator=(const BlobReader&) = delete;

  /// Passes on the bytes of a file, which must not be used before it returns.
  Status read(const ImageBlob& blob, const ByteConsumer& consume);

  /// The same of a file elsewhere, which must have the bytes of the blob.
  Status read_at(const std::string& path, const ImageBlob& blob, const ByteConsumer& consume);

  /// Of the blobs that were read.
  const KnownSha256& known() const { return known_; }
  Bytes bytes_hashed() const { return bytes_hashed_; }

  /// The snapshot of the last blob that could not be read, or was wrong. Not if its bytes could not
  /// be written.
  std::optional<std::size_t> failed() const { return failed_; }

 private:
  Status step(std::size_t index, Bytes done);

  Session& session_;
  const std::span<const ResolvedSnapshot> snapshots_;
  std::map<std::pair<RepoId, Digest>, std::size_t> indices_;  // in the plan of the progress
  std::vector<bool> done_;                                    // by index
  KnownSha256 known_;
  Bytes bytes_hashed_{0};
  std::optional<std::size_t> failed_;
};

/// Fails with `disk_full` if the folder has not this many bytes left.
Status check_export_space(const std::string& folder, Bytes needed);

}  // namespace model_prep
