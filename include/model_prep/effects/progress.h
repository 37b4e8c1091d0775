// SPDX-License-Identifier: Apache-2.0
// How far it is: a live bar on a terminal, a log line every ten seconds elsewhere, or nothing.
//
// Debian has no progress-bar library for C++, so this is one, and small. The loop thread calls it; it decides nothing
// and nothing depends on it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "model_prep/effects/log.h"
#include "model_prep/values/response.h"

namespace model_prep {

enum class ProgressMode : std::uint8_t { automatic, bar, log, none };

class Observer {
 public:
  virtual ~Observer() = default;
  virtual void planned(std::int64_t bytes, std::int64_t files, TimePoint now) = 0;
  virtual void moved(std::int64_t bytes) = 0;
  virtual void file_done() = 0;
  /// Shows what is due at `now`; when to be called again.
  virtual TimePoint tick(TimePoint now) = 0;
  /// The live line goes away.
  virtual void finished() = 0;
};

std::unique_ptr<Observer> make_progress(ProgressMode mode, Console& console, Log& log);

/// What is shown; separate from where, so that a test can read it.
class Meter {
 public:
  void begin(std::int64_t bytes, std::int64_t files, TimePoint now);
  void moved(std::int64_t bytes) { moved_ += bytes; }
  void file_done() { ++files_done_; }
  /// Takes a sample for the rate, which is that of the last ten seconds or so.
  void sample(TimePoint now);
  /// `612.3 of 1528.0 MB, 48.2 MB/s, 19 s left, 8 of 24 files`
  std::string text() const;
  std::string bar(int columns) const;

 private:
  double fraction() const;
  std::int64_t bytes_{0};
  std::int64_t files_{0};
  std::int64_t moved_{0};
  std::int64_t files_done_{0};
  std::int64_t sampled_{0};
  TimePoint sampled_at_{};
  double rate_{0};  // bytes per second
};

/// `42 s`, `3 min 20 s`, `2 h 5 min`.
std::string time_left(double seconds);

}  // namespace model_prep
