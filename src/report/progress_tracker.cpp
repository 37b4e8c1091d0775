// SPDX-License-Identifier: Apache-2.0
#include "model_prep/report/progress_tracker.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "model_prep/base/text.h"

namespace model_prep {
namespace {

constexpr double kRateMemory = 5.0;  // seconds: old samples fade with this time constant
constexpr double kLeftMemory =
    3.0;  // the time left counts down, and is led to what the rate says this fast
constexpr double kStalled = 5.0;  // seconds without a byte
constexpr auto kHeld =
    std::chrono::seconds(1);  // small files come and go faster than anybody reads
constexpr std::size_t kLongestText = 110;

double in_seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

bool ProgressTracker::Rate::sample(std::int64_t done, double seconds) {
  const std::int64_t moved =
      std::max<std::int64_t>(0, done - seen_);  // back to zero after wrong bytes is no speed
  seen_ = done;
  if (weight_ <= 0 && moved == 0) return false;
  const double fade = std::exp(-seconds / kRateMemory);
  sum_ = sum_ * fade + static_cast<double>(moved) / seconds * (1 - fade);
  weight_ = weight_ * fade + (1 - fade);
  return moved > 0;
}

void ProgressTracker::begin(ProgressPlan work, TimePoint now) {
  *this = {};
  work_ = std::move(work);
  for (const std::string& name : work_.models) models_.push_back({.progress = {.name = name}});
  for (const ProgressPlan::File& file : work_.files) {
    bytes_ += file.bytes;
    done_ += file.done;
    for (const std::size_t index : file.models) {
      Model& model = models_[index];
      model.progress.bytes += file.bytes;
      model.progress.done += file.done;
      ++model.files;
    }
  }
  rate_.begin(done_);
  for (Model& model : models_) model.rate.begin(model.progress.done);
  sampled_at_ = now;
}

void ProgressTracker::set_done(std::size_t index, std::int64_t done) {
  ProgressPlan::File& file = work_.files[index];
  const std::int64_t change = std::clamp<std::int64_t>(done, 0, file.bytes) - file.done;
  file.done += change;
  done_ += change;
  for (const std::size_t model : file.models) models_[model].progress.done += change;
}

void ProgressTracker::file_done(std::size_t index, FileEnd end, int retries) {
  ProgressPlan::File& file = work_.files[index];
  ++files_done_;
  if (end == FileEnd::ready) set_done(index, file.bytes);
  const std::int64_t missing =
      file.bytes - file.done;  // of one that is given up: nobody waits for it any more
  file.bytes -= missing;
  bytes_ -= missing;
  for (const std::size_t at : file.models) {
    Model& model = models_[at];
    model.progress.bytes -= missing;
    model.progress.retries += retries;
    model.progress.over = --model.files == 0;
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

void ProgressTracker::sample_time_left(bool moved, double seconds) {
  moved_ = moved_ || moved;
  still_ = moved ? 0 : still_ + seconds;
  if (still_ >= kStalled || rate_.value() < 1) return left_.reset();
  const double by_rate = static_cast<double>(bytes_ - done_) / rate_.value();
  const double counted_down = left_.value_or(by_rate) - seconds;
  const double led =
      counted_down + (by_rate - counted_down) * (1 - std::exp(-seconds / kLeftMemory));
  left_ = std::max(0.1, left_ ? led : by_rate);
}

void ProgressTracker::sample_activities(std::span<const ActiveFile> active_files, TimePoint now) {
  struct Seen {
    Activity activity{Activity::waiting};
    Duration pause{};
    int failures{0};
  };
  std::vector<Seen> seen(models_.size());
  for (const ActiveFile& file : active_files) {
    for (const std::size_t index : work_.files[file.file].models) {
      Seen& model = seen[index];
      model.failures += file.failures;
      const bool sooner = file.activity == Activity::paused && file.pause < model.pause;
      if (file.activity < model.activity || (file.activity == model.activity && !sooner)) continue;
      model.activity = file.activity;
      model.pause = file.pause;
    }
  }
  for (std::size_t i = 0; i < models_.size(); ++i) {
    Model& model = models_[i];
    model.failures = seen[i].failures;
    if (seen[i].activity == Activity::waiting && now < model.active + kHeld) continue;
    if (seen[i].activity != Activity::waiting) model.active = now;
    model.progress.activity = seen[i].activity;
    model.progress.pause = seen[i].pause;
  }
}

ProgressSnapshot ProgressTracker::progress() const {
  ProgressSnapshot all{.models = {},
                       .bytes = bytes_,
                       .done = done_,
                       .rate = rate_.value(),
                       .files = static_cast<std::int64_t>(work_.files.size()),
                       .files_done = files_done_,
                       .retries = retries_,
                       .left = moved_ ? "stalled" : "waiting for the first bytes"};
  if (done_ >= bytes_)
    all.left = "verifying";
  else if (left_)
    all.left = time_left(*left_) + " left";
  for (const Model& model : models_) {
    if (model.files == 0 && !model.progress.over) continue;
    all.models.push_back(model.progress);
    all.models.back().rate = model.rate.value();
    all.models.back().retries += model.failures;
    all.models_ready += model.progress.over && !model.failed ? 1 : 0;
    all.models_failed += model.failed ? 1 : 0;
  }
  return all;
}

int percent(std::int64_t done, std::int64_t bytes) {
  if (done >= bytes) return 100;
  return std::min(99,
                  static_cast<int>(static_cast<double>(done) * 100 / static_cast<double>(bytes)));
}

std::string progress_text(const ProgressSnapshot& progress) {
  std::string text = fmt::format(
      "{} of {}, {}/s, {}, {} of {} files", format_part_of(progress.bytes, progress.done),
      format_bytes(progress.bytes), format_bytes(static_cast<std::int64_t>(progress.rate)),
      progress.left, progress.files_done, progress.files);
  if (progress.retries > 0) text += ", " + format_retries(progress.retries);
  if (progress.models.size() < 2) return text;
  std::vector<const ModelProgress*> busy;
  for (const ModelProgress& model : progress.models)
    if (!model.over && model.activity != Activity::waiting) busy.push_back(&model);
  for (std::size_t i = 0; i < busy.size(); ++i) {
    const std::string one =
        fmt::format("{}{} {} %", i == 0 ? "; " : ", ", elide_middle(busy[i]->name, 30),
                    percent(busy[i]->done, busy[i]->bytes));
    if (display_width(text) + display_width(one) > kLongestText)
      return text + fmt::format("{}{} {}", i == 0 ? "; " : ", ", busy.size() - i,
                                i == 0 ? "models" : "more");
    text += one;
  }
  return text;
}

std::string time_left(double seconds) {
  const auto whole = static_cast<std::int64_t>(
      std::ceil(std::min(seconds, 1e9)));  // never «0 s» while bytes are left
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

}  // namespace model_prep
