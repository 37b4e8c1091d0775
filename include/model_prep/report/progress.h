// SPDX-License-Identifier: Apache-2.0
// How far it is: live lines on a terminal, a log line every ten seconds elsewhere, or nothing.
//
// What is counted is `report/progress_tracker.h`, what the lines look like
// `report/progress_view.h`, how they stay below the log `report/log.h`. The loop thread calls it;
// it decides nothing and nothing depends on it:
//
//   observer.planned(work, now);
//   if (now >= observer.due()) observer.show(scheduler.at_work(now), retries, now);
//   observer.file_done(file, FileEnd::ready, 0);
//   observer.finished();
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "model_prep/base/clock.h"
#include "model_prep/report/log.h"
#include "model_prep/report/progress_tracker.h"

namespace model_prep {

enum class ProgressMode : std::uint8_t { automatic, bar, log, none };

class Observer {
 public:
  virtual ~Observer() = default;
  virtual void planned(ProgressPlan work, TimePoint now) = 0;
  /// One of the work's files, by index, and how often it was tried again.
  virtual void file_done(std::size_t file, FileEnd end, int retries) = 0;
  /// When to call `show`; `max` if nothing is to be shown.
  virtual TimePoint due() const = 0;
  /// The files that are begun and not done, and all retries so far.
  virtual void show(std::span<const ActiveFile> active_files, int retries, TimePoint now) = 0;
  /// The live lines go away. May be called again.
  virtual void finished() = 0;
};

std::unique_ptr<Observer> make_progress(ProgressMode mode, Console& console, Log& log);

}  // namespace model_prep
