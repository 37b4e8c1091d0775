// SPDX-License-Identifier: Apache-2.0
// What the run came to, as a value, as JSON and as an exit code.
//
// The summary's members stand in a fixed order and are only ever added to; a golden test holds
// them. Pure: time and durations are given.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model_prep/base/error.h"
#include "model_prep/base/model_spec.h"
#include "model_prep/core/cache_faults.h"

namespace model_prep {

struct FileReport {
  std::string path;
  std::int64_t size{0};
  std::string sha256;    ///< empty where it is not known: a dry run, a file that failed
  std::string git_sha1;  ///< of a plain git file
  std::string status;    ///< downloaded, cached, planned, failed, skipped; verified
  int attempts{0};
  double duration_s{0};
  std::optional<Error> error;
};

enum class ModelStatus : std::uint8_t {
  downloaded,
  cached,
  planned,
  verified,
  repaired,
  failed,
  interrupted
};
/// As it stands in the summary.
std::string_view to_string(ModelStatus status);

struct ModelReport {
  std::string key;
  ModelStatus status{ModelStatus::failed};
  std::string repo;
  std::string revision;
  std::string commit;  ///< empty if it did not resolve
  bool pinned{false};
  std::string ref;
  std::string variant_requested;
  std::string variant;
  std::vector<std::string>
      include{};  ///< patterns of the command line, which took the place of the variant's; with
  std::vector<std::string> exclude{};  ///< none at all it is the variant that chose the files
  std::string snapshot;
  std::int64_t bytes{0};  ///< of the variant's blobs, each once
  std::int64_t bytes_downloaded{0};
  std::int64_t bytes_reused{0};
  double duration_s{0};
  std::optional<Error> error;
  std::vector<FileReport> files;
  std::vector<CacheFault> faults{};  ///< that `verify` found and nothing has mended
  bool success() const {
    return status != ModelStatus::failed && status != ModelStatus::interrupted;
  }
};

/// Whether a kind of service finds the models where it looks (commands/consumers.h).
struct ConsumerReport {
  struct Missing {
    std::string key;
    std::string reason;
    bool elsewhere;  ///< it looks in another place than where the model lies
  };
  std::string name;
  std::string looks_in;  ///< empty: nowhere under this environment
  std::vector<std::string> found;
  std::vector<Missing> missing;
  std::string advice;  ///< what to do if something is missing
};

/// What `cleanup` has removed of a repository, or would.
struct PrunedRepository {
  struct Revision {
    std::string commit;
    std::vector<std::string> refs;
    std::int64_t bytes{0};
  };
  std::string repo;
  std::vector<Revision> revisions;
  std::int64_t blobs{0};
  std::int64_t unfinished{0};  ///< files of downloads that did not end
  std::int64_t bytes{0};
  std::string kept_because;
  std::optional<Error> error;
};

struct RunReport {
  std::string tool;
  std::string command;
  std::string timestamp;  ///< UTC, RFC 3339
  double duration_s{0};
  bool dry_run{false};
  bool offline{false};
  std::string cache_dir;
  std::vector<std::string> endpoints{};  ///< in order of preference
  Variant variant{Variant::fp32};
  std::int64_t requests{0};
  int retries{0};
  std::optional<int> signal;   ///< that ended the run
  std::optional<Error> error;  ///< that concerns the whole run
  std::vector<ModelReport> models;
  std::optional<std::int64_t> bytes_hashed{};  ///< by `verify`; for the last line of the log
  std::optional<std::vector<ConsumerReport>> services{};  ///< of `verify`
  std::optional<std::vector<PrunedRepository>> cleanup{};
  bool success() const;
};

/// What `list` says of a model.
enum class CacheState : std::uint8_t { missing, partial, cached, other_revision };
/// As it is shown: `other revision`.
std::string_view to_string(CacheState state);

struct ListedModel {
  std::string key;
  std::string repo;
  std::string revision;
  std::string commit;  ///< empty: not known
  std::string variant_requested;
  std::string variant;
  bool by_patterns{false};  ///< of the command line: it is not the variant that chose the files
  std::optional<std::int64_t> size;
  CacheState state{CacheState::missing};
  std::string where;  ///< a snapshot's folder; empty: nowhere
};
/// As JSON, with a line end.
std::string list_text(const std::vector<ListedModel>& models, const std::string& cache_dir);

/// Over all models.
struct Totals {
  std::int64_t models{0};
  std::int64_t failed{0};
  std::int64_t files{0};
  std::int64_t bytes{0};
  std::int64_t downloaded{0};
  std::int64_t reused{0};
};
Totals totals_of(const RunReport& report);

/// 0 when every model is complete, 128 + n when signal n ended the run, else 1.
int exit_code(const RunReport& report);
/// With a line end.
std::string serialize_summary(const RunReport& report);

}  // namespace model_prep
