// SPDX-License-Identifier: Apache-2.0
// How far a run is: bytes, rates, time left and what each model is at, for those who watch.
//
// A meter is given the work once, hears of each file's end, and takes a sample now and then, five
// times a second or every ten seconds. Bytes count that are on disk, or read where files are only
// hashed: what was there when the run began counts as done, what is fetched twice does not count
// twice. Pure; time is an argument.
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
    std::int64_t bytes{0};
    std::int64_t done{0};
    std::vector<std::size_t> models;  ///< that want it
  };
  std::vector<File> files;
  std::vector<std::string> models;  ///< their names; those that no file belongs to are not shown
};

enum class FileEnd : std::uint8_t { ready, given_up };

struct ModelProgress {
  std::string name;
  std::int64_t bytes{0};
  std::int64_t done{0};
  double rate{0};                        ///< bytes per second
  Activity activity{Activity::waiting};  ///< of its files the one that says most; held for a
                                         ///< moment, so that it can be read
  Duration pause{};
  int retries{0};
  bool over{false};  ///< all its files have ended
};

struct ProgressSnapshot {
  std::vector<ModelProgress> models;  ///< those that have files
  std::int64_t bytes{0};
  std::int64_t done{0};
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
  void begin(ProgressPlan work, TimePoint now);
  void file_done(std::size_t file, FileEnd end, int retries);
  void sample(std::span<const ActiveFile> active_files, int retries, TimePoint now);
  ProgressSnapshot progress() const;

 private:
  /// Bytes per second over the last five seconds or so, from the first byte on.
  class Rate {
   public:
    void begin(std::int64_t done) { *this = {}, seen_ = done; }
    /// Whether anything moved.
    bool sample(std::int64_t done, double seconds);
    double value() const { return weight_ > 0 ? sum_ / weight_ : 0; }

   private:
    std::int64_t seen_{0};
    double sum_{0};
    double weight_{0};
  };
  struct Model {
    ModelProgress progress;
    std::int64_t files{0};  // that have not ended
    int failures{0};        // of those
    bool failed{false};
    Rate rate{};
    TimePoint active{TimePoint::min()};
  };

  void set_done(std::size_t file, std::int64_t done);
  void sample_activities(std::span<const ActiveFile> active_files, TimePoint now);
  void sample_time_left(bool moved, double seconds);

  ProgressPlan work_;
  std::vector<Model> models_;
  std::int64_t bytes_{0};
  std::int64_t done_{0};
  std::int64_t files_done_{0};
  int retries_{0};
  Rate rate_;
  TimePoint sampled_at_{};
  bool moved_{false};           // ever
  double still_{0};             // seconds without a byte
  std::optional<double> left_;  // seconds
};

/// One line for a log, not longer than 110 characters or so:
/// `612.3 of 1528.0 MB, 48.2 MB/s, 19 s left, 8 of 24 files, 2 retries; bge-reranker-base 52 %,
/// flan-t5-small 98 %`
std::string progress_text(const ProgressSnapshot& progress);

/// `52 %`; 100 only if nothing is missing.
int percent(std::int64_t done, std::int64_t bytes);

/// `42 s`, `3 min 20 s`, `2 h 5 min`.
std::string time_left(double seconds);

}  // namespace model_prep
