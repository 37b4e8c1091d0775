// SPDX-License-Identifier: Apache-2.0
// The scheduler's vocabulary: what it works on, what it wants done, and how the caller answers.
//
// Values only. The caller carries out actions in order and reports the result of each through the
// event that its comment names. Sizes and offsets are bytes.
#pragma once

#include "model_prep/base/blob_spec.h"
#include "model_prep/base/log_level.h"
#include "model_prep/base/response.h"
#include "model_prep/core/fetch_plan.h"
#include "model_prep/core/response_check.h"
#include "model_prep/core/resume_record.h"
#include "model_prep/core/segments.h"
#include "model_prep/core/source_selector.h"

namespace model_prep {

using ItemId = std::size_t;

/// A file to fetch, or a query of the Hub's API.
struct WorkItem {
  RequestContext context;
  std::vector<Source> sources;     ///< at the hub and its mirrors
  std::optional<BlobSpec> blob{};  ///< of a file; a query has none
  bool check_existing{false};      ///< a blob exists that no record of ours covers
  std::size_t copies{0};           ///< of it, to be checked too

  /// Indices of the models that want it. It is not started once none of them can succeed.
  std::vector<std::size_t> models{};

  /// Files that may hold its bytes, which need no request.
  std::vector<NearbyFile> nearby{};
};

/// Hash the blob that exists, or one of its copies: `on_hash`. An empty result: its size is wrong.
struct CheckExisting {
  ItemId item;
  std::size_t copy{0};  ///< 0: the blob itself
};

/// `on_lock`, or `on_busy` if another process holds it.
struct TryLock {
  ItemId item;
};

/// `on_staged`, or `on_busy` if another process is writing this blob.
struct OpenStaging {
  ItemId item;
  bool fresh;      ///< discard what is staged
  bool take_over;  ///< from a writer whose heartbeat has stopped
};

/// Copy these bytes of a nearby file into the staging file: `on_copied`, or `on_not_copied`.
struct CopyNearby {
  ItemId item;
  std::size_t file;  ///< of the item's nearby files
  ByteRange range;

  /// Nothing is staged: the staging file may become a clone of the whole file instead.
  bool may_clone;
};

/// `on_bytes` after each write, then `on_end`.
struct StartTransfer {
  TransferId id;
  ItemId item;
  std::size_t source;    ///< of the item, also after redirects
  std::size_t endpoint;  ///< of that source
  Url url;
  std::optional<ByteRange> range;  ///< to request; nothing: the whole file
  bool with_token;                 ///< the token of that endpoint
};
struct CancelTransfer {
  TransferId id;
};

/// Everything below `watermark` may be hashed: `on_hash` once it is the whole file.
struct HashTo {
  ItemId item;
  Bytes watermark;
};

/// Write the resume record: `on_lost` if the staging file is no longer ours.
struct SaveResume {
  ItemId item;
};

/// Rename the staging file into place: `on_published`, or `on_lost`.
struct Publish {
  ItemId item;
};

/// Release the lock, close the files, stop hashing.
struct Close {
  ItemId item;
  bool drop_staging;
};
struct Finish {
  ItemId item;
  FileOutcome outcome;
};
struct Notice {
  LogLevel level;
  std::string text;
};

using Action = std::variant<CheckExisting, TryLock, OpenStaging, CopyNearby, StartTransfer,
                            CancelTransfer, HashTo, SaveResume, Publish, Close, Finish, Notice>;

/// What there was when the blob's lock was acquired.
enum class LockResult : std::uint8_t { acquired, acquired_blob_exists };

}  // namespace model_prep
