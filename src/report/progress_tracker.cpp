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

double in_seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

bool ProgressTracker::Rate::sample(std::int64_t done, double seconds) {
  // A file that starts again at zero is not a negative speed.
  const std::int64_t moved = std::max<std::int64_t>(0, done - last_);
  last_ = done;
  // The time before the first byte says nothing about the speed.
  if (weight_ <= 0 && moved == 0) return false;

  const double fade = std::exp(-seconds / kRateMemory);
  sum_ = sum_ * fade + static_cast<double>(moved) / seconds * (1 - fade);
  weight_ = weight_ * fade + (1 - fade);
  return moved > 0;
}

void ProgressTracker::begin(ProgressPlan plan, TimePoint now) {
  *this = {};
  plan_ = std::move(plan);
  for (const std::string& name : plan_.models) models_.push_back({.progress = {.name = name}});

  for (const ProgressPlan::File& file : plan_.files) {
    bytes_ += file.bytes;
    done_ += file.done;
    for (const std::size_t index : file.models) {
      Model& model = models_[index];
      model.progress.bytes += file.bytes;
      model.progress.done += file.done;
      ++model.unfinished_files;
    }
  }

  rate_.begin(done_);
  for (Model& model : models_) model.rate.begin(model.progress.done);
  sampled_at_ = now;
}

void ProgressTracker::set_done(std::size_t index, std::int64_t done) {
  ProgressPlan::File& file = plan_.files[index];
  const std::int64_t change = std::clamp<std::int64_t>(done, 0, file.bytes) - file.done;
  file.done += change;
  done_ += change;
  for (const std::size_t model : file.models) models_[model].progress.done += change;
}

void ProgressTracker::file_done(std::size_t index, FileEnd end, int retries) {
  ProgressPlan::File& file = plan_.files[index];
  ++files_done_;
  if (end == FileEnd::ready) set_done(index, file.bytes);

  // The rest of a file that was given up no longer counts: otherwise the run would never be done.
  const std::int64_t missing = file.bytes - file.done;
  file.bytes -= missing;
  bytes_ -= missing;
  for (const std::size_t at : file.models) {
    Model& model = models_[at];
    model.progress.bytes -= missing;
    model.progress.retries += retries;
    model.progress.finished = --model.unfinished_files == 0;
    model.failed = model.failed || end == FileEnd::given_up;
  }
}

void ProgressTracker::sample(std::span<const ActiveFile> active_files, int retries, TimePoint now) {
  const double seconds = in_seconds(now - sampled_at_);
  if (seconds <= 0) return;

  sampled_at_ = now;
  retries_ = retries;
  for (const ActiveFile& file : active_files) set_done(file.file, file.done);
  for (Model& model : models_) model.rate.sample(model.progress.done, seconds);
  sample_time_left(rate_.sample(done_, seconds), seconds);
  sample_activities(active_files, now);
}

/// The time left counts down by the clock and is corrected slowly: computed from the rate alone it
/// would jump.
void ProgressTracker::sample_time_left(bool moved, double seconds) {
  has_moved_ = has_moved_ || moved;
  idle_seconds_ = moved ? 0 : idle_seconds_ + seconds;
  if (idle_seconds_ >= kStalled || rate_.value() < 1) return seconds_left_.reset();

  const double by_rate = static_cast<double>(bytes_ - done_) / rate_.value();
  const double counted_down = seconds_left_.value_or(by_rate + seconds) - seconds;
  const double correction = (by_rate - counted_down) * (1 - std::exp(-seconds / kLeftMemory));
  seconds_left_ = std::max(0.1, counted_down + correction);
}

void ProgressTracker::sample_activities(std::span<const ActiveFile> active_files, TimePoint now) {
  std::vector<ActiveFile> seen(models_.size());
  for (const ActiveFile& file : active_files) {
    for (const std::size_t index : plan_.files[file.file].models) {
      ActiveFile& model = seen[index];
      model.failures += file.failures;
      const bool sooner = file.activity == Activity::paused && file.pause < model.pause;
      if (file.activity < model.activity || (file.activity == model.activity && !sooner)) continue;
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
    model.progress.activity = seen[i].activity;
    model.progress.pause = seen[i].pause;
  }
}

ProgressSnapshot ProgressTracker::progress() const {
  ProgressSnapshot all{.models = {},
                       .bytes = bytes_,
                       .done = done_,
                       .rate = rate_.value(),
                       .files = static_cast<std::int64_t>(plan_.files.size()),
                       .files_done = files_done_,
                       .retries = retries_,
                       .left = has_moved_ ? "stalled" : "waiting for the first bytes"};
  if (done_ >= bytes_)
    all.left = "verifying";
  else if (seconds_left_)
    all.left = time_left(*seconds_left_) + " left";

  for (const Model& model : models_) {
    if (model.unfinished_files == 0 && !model.progress.finished) continue;
    all.models.push_back(model.progress);
    all.models.back().rate = model.rate.value();
    all.models.back().retries += model.active_retries;
    all.models_ready += model.progress.finished && !model.failed ? 1 : 0;
    all.models_failed += model.failed ? 1 : 0;
  }
  return all;
}

int percent(std::int64_t done, std::int64_t bytes) {
  if (done >= bytes) return 100;
  const double exact = static_cast<double>(done) * 100 / static_cast<double>(bytes);
  return std::min(99, static_cast<int>(exact));
}

std::string remaining_text(const ProgressSnapshot& progress) {
  std::string text =
      fmt::format("{}, {} of {} files", progress.left, progress.files_done, progress.files);
  if (progress.retries > 0) text += ", " + format_retries(progress.retries);
  return text;
}

std::string progress_text(const ProgressSnapshot& progress) {
  std::string text =
      fmt::format("{} of {}, {}/s, {}", format_part_of(progress.bytes, progress.done),
                  format_bytes(progress.bytes),
                  format_bytes(static_cast<std::int64_t>(progress.rate)), remaining_text(progress));
  if (progress.models.size() < 2) return text;

  std::vector<const ModelProgress*> active;
  for (const ModelProgress& model : progress.models)
    if (!model.finished && model.activity != Activity::waiting) active.push_back(&model);

  for (std::size_t i = 0; i < active.size(); ++i) {
    const std::string one =
        fmt::format("{}{} {} %", i == 0 ? "; " : ", ", elide_middle(active[i]->name, 30),
                    percent(active[i]->done, active[i]->bytes));
    if (display_width(text) + display_width(one) > kMaxText)
      return text + fmt::format("{}{} {}", i == 0 ? "; " : ", ", active.size() - i,
                                i == 0 ? "models" : "more");
    text += one;
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
