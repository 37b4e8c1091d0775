// SPDX-License-Identifier: Apache-2.0
#include "model_prep/report/progress_tracker.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "model_prep/base/text.h"

namespace model_prep {
namespace {

constexpr double kRateMemory = 5.0;  // seconds: the time constant with which old samples fade
constexpr double kLeftMemory = 3.0;  // seconds: how fast the time left follows the rate
constexpr double kStalled = 5.0;     // seconds without a byte
constexpr auto kMinShown = std::chrono::seconds(1);  // small files come and go too fast to read
constexpr std::size_t kMaxText = 110;

}  // namespace

bool ProgressTracker::Rate::sample(Bytes done, double seconds) {
  // A file that starts again at zero is not a negative speed.
  const Bytes moved = std::max<Bytes>(0, done - last);
  last = done;
  // The time before the first byte says nothing about the speed.
  if (weight <= 0 && moved == 0) return false;

  const double fade = std::exp(-seconds / kRateMemory);
  sum = sum * fade + static_cast<double>(moved) / seconds * (1 - fade);
  weight = weight * fade + (1 - fade);
  return moved > 0;
}

void ProgressTracker::begin(ProgressPlan plan, TimePoint now) {
  *this = {};
  plan_ = std::move(plan);
  sampled_at_ = now;
  all_.files = static_cast<std::int64_t>(plan_.files.size());
  for (const std::string& name : plan_.models) models_.emplace_back().name = name;
  for (const ProgressPlan::File& file : plan_.files)
    for (const std::size_t model : file.models) ++models_[model].unfinished_files;

  add_up_files();
  rate_.last = all_.done;
  for (Model& model : models_) model.speed.last = model.done;
}

void ProgressTracker::add_up_files() {
  all_.bytes = all_.done = 0;
  for (Model& model : models_) model.bytes = model.done = 0;

  for (const ProgressPlan::File& file : plan_.files) {
    all_.bytes += file.bytes;
    all_.done += file.done;
    for (const std::size_t model : file.models) {
      models_[model].bytes += file.bytes;
      models_[model].done += file.done;
    }
  }
}

void ProgressTracker::file_done(std::size_t index, FileEnd end, int retries) {
  ProgressPlan::File& file = plan_.files[index];
  ++all_.files_done;

  // The rest of a file that was given up no longer counts: otherwise the run would never be done.
  if (end == FileEnd::ready)
    file.done = file.bytes;
  else
    file.bytes = file.done;

  for (const std::size_t at : file.models) {
    Model& model = models_[at];
    model.retries += retries;
    model.finished = --model.unfinished_files == 0;
    model.failed = model.failed || end == FileEnd::given_up;
  }
}

void ProgressTracker::sample(std::span<const ActiveFile> active_files, int retries, TimePoint now) {
  const double seconds = in_seconds(now - sampled_at_);
  if (seconds <= 0) return;

  sampled_at_ = now;
  all_.retries = retries;
  for (const ActiveFile& active : active_files) {
    ProgressPlan::File& file = plan_.files[active.index];
    file.done = std::clamp<Bytes>(active.done, 0, file.bytes);
  }

  add_up_files();
  for (Model& model : models_) model.speed.sample(model.done, seconds);
  sample_time_left(rate_.sample(all_.done, seconds), seconds);
  sample_activities(active_files, now);
}

/// The time left counts down by the clock and is corrected slowly: computed from the rate alone it
/// would jump.
void ProgressTracker::sample_time_left(bool moved, double seconds) {
  idle_seconds_ = moved ? 0 : idle_seconds_ + seconds;
  if (idle_seconds_ >= kStalled || rate_.value() < 1) return seconds_left_.reset();

  const double by_rate = static_cast<double>(all_.bytes - all_.done) / rate_.value();
  const double counted_down = seconds_left_.value_or(by_rate + seconds) - seconds;
  const double correction = (by_rate - counted_down) * (1 - std::exp(-seconds / kLeftMemory));
  seconds_left_ = std::max(0.1, counted_down + correction);
}

void ProgressTracker::sample_activities(std::span<const ActiveFile> active_files, TimePoint now) {
  std::vector<ActiveFile> seen(models_.size());
  for (const ActiveFile& file : active_files) {
    for (const std::size_t index : plan_.files[file.index].models) {
      ActiveFile& model = seen[index];
      model.failures += file.failures;
      if (std::pair(file.activity, -file.pause) <= std::pair(model.activity, -model.pause))
        continue;
      model.activity = file.activity;
      model.pause = file.pause;
    }
  }

  for (std::size_t i = 0; i < models_.size(); ++i) {
    Model& model = models_[i];
    model.active_retries = seen[i].failures;
    const bool waiting = seen[i].activity == Activity::waiting;
    if (waiting && now < model.last_active + kMinShown) continue;
    if (!waiting) model.last_active = now;
    model.activity = seen[i].activity;
    model.pause = seen[i].pause;
  }
}

ProgressSnapshot ProgressTracker::progress() {
  add_up_files();
  ProgressSnapshot all = all_;
  all.rate = rate_.value();
  all.left = all.done >= all.bytes ? "verifying"
             : seconds_left_       ? time_left(*seconds_left_) + " left"
             : rate_.weight > 0    ? "stalled"
                                   : "waiting for the first bytes";

  for (const Model& model : models_) {
    if (model.unfinished_files == 0 && !model.finished) continue;
    all.models.push_back(model);
    all.models.back().rate = model.speed.value();
    all.models.back().retries += model.active_retries;
    all.models_ready += model.finished && !model.failed ? 1 : 0;
    all.models_failed += model.failed ? 1 : 0;
  }
  return all;
}

int percent(Bytes done, Bytes bytes) {
  return done >= bytes ? 100 : static_cast<int>(done * 100 / bytes);
}

std::string remaining_text(const ProgressSnapshot& progress) {
  std::string text = fmt::format("{}, {} of {}", progress.left, progress.files_done,
                                 format_count(progress.files, "file"));
  if (progress.retries > 0) text += ", " + format_retries(progress.retries);
  return text;
}

std::string progress_text(const ProgressSnapshot& progress) {
  std::string text =
      fmt::format("{} of {}, {}/s, {}", format_part_of(progress.bytes, progress.done),
                  format_bytes(progress.bytes), format_bytes(static_cast<Bytes>(progress.rate)),
                  remaining_text(progress));
  if (progress.models.size() < 2) return text;

  Strings active;
  for (const ModelProgress& model : progress.models)
    if (model.in_flight())
      active.push_back(
          fmt::format("{} {} %", elide_middle(model.name, 30), percent(model.done, model.bytes)));

  std::string_view separator = "; ";
  for (std::size_t i = 0; i < active.size(); ++i) {
    if (display_width(text) + separator.size() + display_width(active[i]) > kMaxText)
      return fmt::format("{}{}{}", text, separator,
                         i == 0 ? format_count(active.size(), "model")
                                : fmt::format("{} more", active.size() - i));
    text.append(separator).append(active[i]);
    separator = ", ";
  }
  return text;
}

std::string time_left(double seconds) {
  // Rounded up: "0 s" while bytes are missing would be wrong.
  const auto whole = static_cast<std::int64_t>(std::ceil(std::min(seconds, 1e9)));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

}  // namespace model_prep
