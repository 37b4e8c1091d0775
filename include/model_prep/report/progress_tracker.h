// SPDX-License-Identifier: Apache-2.0
// The progress of a run in numbers: bytes, rates, time left, and what each model is doing.
//
// A tracker gets the plan once, each file's end, and a sample of the files in flight now and then:
// five times a second or every ten seconds. It counts bytes on disk, or bytes read where files are
// only hashed. Bytes that were there when the run began count as done, and bytes that are fetched
// twice count once. Pure; time is an argument.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "model_prep/base/clock.h"
#include "model_prep/core/activity.h"

namespace model_prep {

struct ProgressPlan {
  struct File {
    Bytes bytes{0};
    Bytes done{0};
    std::vector<std::size_t> models;  ///< those that need it, as indices
  };
  std::vector<File> files;
  Strings models;  ///< their names; a model without files is not shown
};

enum class FileEnd : std::uint8_t { ready, given_up };

struct ModelProgress {
  std::string name;
  Bytes bytes{0};
  Bytes done{0};
  double rate{0};                        ///< bytes per second
  Activity activity{Activity::waiting};  ///< the greatest of its files' activities; kept for a
                                         ///< second, so that it can be read
  Duration pause{};
  int retries{0};
  bool finished{false};  ///< all its files have ended
  bool in_flight() const { return !finished && activity != Activity::waiting; }
};

struct ProgressSnapshot {
  std::vector<ModelProgress> models;  ///< those that have files
  Bytes bytes{0};
  Bytes done{0};
  double rate{0};
  std::int64_t files{0};
  std::int64_t files_done{0};
  std::int64_t models_ready{0};
  std::int64_t models_failed{0};
  int retries{0};
  std::string left;  ///< `19 s left`, `stalled`, `waiting for the first bytes`, `verifying`
};

class ProgressTracker {
 public:
  void begin(ProgressPlan plan, TimePoint now);
  void file_done(std::size_t file, FileEnd end, int retries);
  void sample(std::span<const ActiveFile> active_files, int retries, TimePoint now);
  ProgressSnapshot progress();

 private:
  /// Bytes per second over about the last five seconds, from the first byte on.
  struct Rate {
    Bytes last{0};
    double sum{0};
    double weight{0};  ///< 0 until bytes have arrived
    /// Whether bytes have arrived since the last sample.
    bool sample(Bytes done, double seconds);
    double value() const { return weight > 0 ? sum / weight : 0; }
  };
  struct Model : ModelProgress {
    std::int64_t unfinished_files{0};
    int active_retries{0};  ///< of the files in flight
    bool failed{false};
    Rate speed{};
    TimePoint last_active{TimePoint::min()};
  };

  void add_up_files();
  void sample_activities(std::span<const ActiveFile> active_files, TimePoint now);
  void sample_time_left(bool moved, double seconds);

  ProgressPlan plan_;
  std::vector<Model> models_;
  ProgressSnapshot all_;  ///< without models and texts
  Rate rate_;
  TimePoint sampled_at_{};
  double idle_seconds_{0};  ///< since the last byte
  std::optional<double> seconds_left_;
};

/// A log line of at most about 110 characters:
/// `612.3 of 1528.0 MB, 48.2 MB/s, 19 s left, 8 of 24 files, 2 retries; bge-reranker-base 52 %,
/// flan-t5-small 98 %`
std::string progress_text(const ProgressSnapshot& progress);

/// The part of it that live lines need: `19 s left, 8 of 24 files, 2 retries`.
std::string remaining_text(const ProgressSnapshot& progress);

/// `52`; 100 only if no byte is missing.
int percent(Bytes done, Bytes bytes);

/// `42 s`, `3 min 20 s`, `2 h 5 min`.
std::string time_left(double seconds);

}  // namespace model_prep
