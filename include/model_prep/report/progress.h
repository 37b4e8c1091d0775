// SPDX-License-Identifier: Apache-2.0
// Progress of a run: live lines on a terminal, a log line every ten seconds elsewhere, or nothing.
//
// `report/progress_tracker.h` counts, `report/progress_view.h` draws the live lines, and
// `report/console.h` keeps them below the log. The loop thread calls the observer, which decides
// nothing: no download depends on it.
//
//   observer.planned(plan, now);
//   if (now >= observer.due()) observer.show(scheduler.active_files(), retries, now);
//   observer.file_done(file, FileEnd::ready, 0);
//   observer.finished();
#pragma once

#include <cstdint>
#include <span>

#include "model_prep/base/clock.h"
#include "model_prep/report/log.h"
#include "model_prep/report/progress_tracker.h"

namespace model_prep {

enum class ProgressMode : std::uint8_t { automatic, bar, log, none };
template <>
inline constexpr std::string_view kNames<ProgressMode>[] = {"auto", "bar", "log", "none"};

class Observer {
 public:
  Observer(ProgressMode mode, Console& console, Log& log);

  void planned(ProgressPlan plan, TimePoint now);
  /// A file of the plan, by index, has ended after this many retries.
  void file_done(std::size_t file, FileEnd end, int retries);
  /// When to call `show`; `max` if there is nothing to show.
  TimePoint due() const { return due_; }
  /// The files in flight, and all retries so far.
  void show(std::span<const ActiveFile> active_files, int retries, TimePoint now);
  /// Removes the live lines. May be called again.
  void finished();

 private:
  Console& console_;
  Log& log_;
  bool enabled_;
  bool live_;  ///< else in the log
  Duration interval_;
  ProgressTracker tracker_;
  TimePoint due_{TimePoint::max()};
};

}  // namespace model_prep
