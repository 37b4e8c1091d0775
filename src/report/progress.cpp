// SPDX-License-Identifier: Apache-2.0
#include "model_prep/report/progress.h"

#include "model_prep/report/progress_view.h"

namespace model_prep {

Observer::Observer(ProgressMode mode, Console& console, Log& log)
    : console_(console),
      log_(log),
      enabled_(mode != ProgressMode::none),
      live_(mode != ProgressMode::log && console.is_live()),
      interval_(live_ ? std::chrono::milliseconds(200) : std::chrono::seconds(10)) {}

void Observer::planned(ProgressPlan plan, TimePoint now) {
  tracker_.begin(std::move(plan), now);
  if (enabled_) due_ = now + interval_;
}

void Observer::file_done(std::size_t file, FileEnd end, int retries) {
  tracker_.file_done(file, end, retries);
}

void Observer::show(std::span<const ActiveFile> active_files, int retries, TimePoint now) {
  tracker_.sample(active_files, retries, now);
  const ProgressSnapshot progress = tracker_.progress();

  if (live_)
    console_.show_live(progress_lines(progress, console_.screen()));
  else
    log_.info(progress_text(progress));
  due_ = now + interval_;
}

void Observer::finished() {
  console_.show_live({});
  due_ = TimePoint::max();
}

}  // namespace model_prep
