// SPDX-License-Identifier: Apache-2.0
// The result of a run, as values, with its totals and its exit code.
//
// `report/summary_json.h` writes it as JSON, `report/run_summary_text.h` as text. Sizes are in
// bytes, durations in seconds; a text that is not known is empty. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model_prep/base/error.h"
#include "model_prep/base/model_spec.h"
#include "model_prep/core/builds.h"
#include "model_prep/core/cache_faults.h"
#include "model_prep/core/consumer_table.h"
#include "model_prep/core/dependencies.h"
#include "model_prep/core/oci_image.h"
#include "model_prep/core/prune_plan.h"

namespace model_prep {

enum class FileReportStatus : std::uint8_t {
  downloaded,
  cached,
  planned,
  verified,
  failed,
  skipped  ///< not begun
};
template <>
inline constexpr std::string_view kNames<FileReportStatus>[] = {"downloaded", "cached", "planned",
                                                                "verified",   "failed", "skipped"};

struct FileReport {
  std::string path;
  Bytes size{0};
  std::string sha256{};    ///< empty if it is not known: in a dry run, of a file that failed
  std::string git_sha1{};  ///< of a plain git file only
  FileReportStatus status{FileReportStatus::failed};
  int attempts{0};
  double duration_s{0};
  std::optional<Error> error;
  std::string source{};  ///< if downloaded: as in `FileOutcome`
};

enum class ModelStatus : std::uint8_t {
  downloaded,
  cached,
  planned,
  verified,
  repaired,
  exported,
  failed,
  interrupted
};
template <>
inline constexpr std::string_view kNames<ModelStatus>[] = {
    "downloaded", "cached", "planned", "verified", "repaired", "exported", "failed", "interrupted"};

struct ModelReport {
  ModelSpec spec;
  ModelStatus status{ModelStatus::failed};
  std::string commit{};    ///< empty if it did not resolve
  std::string snapshot{};  ///< its directory; empty if it did not resolve
  std::optional<SignedBy> signed_by{};
  Bytes bytes{0};  ///< of the selected blobs, each counted once
  Bytes bytes_downloaded{0};
  Bytes bytes_reused{0};
  double duration_s{0};
  std::optional<Error> error{};
  std::vector<FileReport> files{};
  std::vector<Dependency> dependencies{};
  HubFacts facts{};
  std::vector<CacheFault> faults{};  ///< found by `verify` and not repaired
  bool success() const {
    return status != ModelStatus::failed && status != ModelStatus::interrupted;
  }
};

/// What selects the files of a model, for a table: the variant, or `patterns` of the command line.
std::string selected_by(const ModelSpec& spec);

/// Whether a library that loads models finds them (commands/consumers.h).
struct ConsumerReport {
  struct Missing {
    std::string key;
    std::string reason;
    bool elsewhere;  ///< the library reads a directory that does not hold the model
  };
  std::string name;
  std::string looks_in;  ///< a directory; empty: none in this environment
  Strings found{};
  std::vector<Missing> missing{};
  std::string advice{};  ///< what to do about a missing model
};

/// Whether a library loads a model that it finds.
struct LoadReport {
  std::string model;  ///< its key
  ConsumerVerdict verdict;
};

/// What `cleanup` removed from a repository, or would remove.
struct PrunedRepository {
  std::string repo;
  PrunePlan removed{};
  Bytes bytes{0};
  std::optional<Error> error{};
};

/// What `export` wrote.
struct ExportReport {
  std::string to;      ///< as the user names it
  std::string digest;  ///< of an image
  std::vector<OciBlob> layers;
  Strings folders;  ///< with plain files, in the order of the models
};

struct RunReport {
  std::string tool;
  std::string command;
  std::string timestamp;  ///< UTC, RFC 3339
  double duration_s{0};
  bool dry_run{false};
  bool offline{false};
  std::string cache_dir;
  Strings endpoints{};  ///< in order of preference
  Variant variant{Build::fp32};
  std::int64_t requests{0};
  int retries{0};
  std::optional<int> signal;   ///< the one that ended the run
  std::optional<Error> error;  ///< of the whole run
  std::vector<ModelReport> models;
  std::optional<Bytes> bytes_hashed{};  ///< by `verify` and `export`; not in the JSON
  std::optional<std::vector<ConsumerReport>> services{};   ///< of `verify`
  std::vector<LoadReport> loads{};                         ///< of `verify`
  std::optional<std::vector<PrunedRepository>> cleanup{};  ///< of `cleanup` and --cleanup
  std::optional<ExportReport> exported{};                  ///< of `export`, if it succeeded
  bool success() const;
};

/// A model's state in the cache, as `list` reports it.
enum class CacheState : std::uint8_t { missing, partial, cached, other_revision };
template <>
inline constexpr std::string_view kNames<CacheState>[] = {"missing", "partial", "cached",
                                                          "other revision"};

struct ListedModel {
  ModelSpec spec;        ///< its size is that of the files, if they are known
  std::string commit{};  ///< empty: unknown
  CacheState state{CacheState::missing};
  std::string where{};  ///< the snapshot's directory; empty: none
};

/// What `list --builds` found of a model.
struct ModelBuilds {
  ModelSpec spec;
  std::string commit;
  std::vector<AvailableBuild> builds;
};

/// Sums over all models.
struct Totals {
  std::int64_t models{0};
  std::int64_t failed{0};
  std::int64_t files{0};
  Bytes bytes{0};
  Bytes downloaded{0};
  Bytes reused{0};
};
Totals totals_of(const RunReport& report);

/// 0 if every model is complete, 128 + n if signal n ended the run, else 1.
int exit_code(const RunReport& report);

}  // namespace model_prep
