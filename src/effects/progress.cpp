// SPDX-License-Identifier: Apache-2.0
#include "model_prep/effects/progress.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "model_prep/values/text.h"

namespace model_prep {
namespace {

constexpr auto kRedraw = std::chrono::milliseconds(200);  // five times a second
constexpr auto kLogEvery = std::chrono::seconds(10);
constexpr double kRateMemory = 5.0;  // seconds: old samples fade with this time constant
constexpr int kNarrowest = 60;       // below this many columns there is text only

class Silent : public Observer {
 public:
  void planned(std::int64_t, std::int64_t, TimePoint) override {}
  void moved(std::int64_t) override {}
  void file_done() override {}
  TimePoint tick(TimePoint) override { return TimePoint::max(); }
  void finished() override {}
};

/// Everything but how a due line is shown.
class Metered : public Observer {
 public:
  explicit Metered(Duration every) : every_(every) {}
  void planned(std::int64_t bytes, std::int64_t files, TimePoint now) override {
    meter_.begin(bytes, files, now);
    due_ = now + every_;
  }
  void moved(std::int64_t bytes) override { meter_.moved(bytes); }
  void file_done() override { meter_.file_done(); }
  TimePoint tick(TimePoint now) override {
    if (due_ == TimePoint{}) return TimePoint::max();  // nothing planned yet
    if (now < due_) return due_;
    meter_.sample(now);
    show(meter_);
    return due_ = now + every_;
  }
  void finished() override { due_ = {}; }

 protected:
  virtual void show(const Meter& meter) = 0;

 private:
  Duration every_;
  Meter meter_;
  TimePoint due_{};
};

class Bar : public Metered {
 public:
  explicit Bar(Console& console) : Metered(kRedraw), console_(console) {}
  void finished() override {
    Metered::finished();
    console_.live("");
  }

 protected:
  void show(const Meter& meter) override { console_.live(meter.bar(console_.columns())); }

 private:
  Console& console_;
};

class Lines : public Metered {
 public:
  explicit Lines(Log& log) : Metered(kLogEvery), log_(log) {}

 protected:
  void show(const Meter& meter) override { log_.info(meter.text()); }

 private:
  Log& log_;
};

}  // namespace

std::unique_ptr<Observer> make_progress(ProgressMode mode, Console& console, Log& log) {
  if (mode == ProgressMode::none) return std::make_unique<Silent>();
  if (mode != ProgressMode::log && console.is_terminal()) return std::make_unique<Bar>(console);
  return std::make_unique<Lines>(log);
}

void Meter::begin(std::int64_t bytes, std::int64_t files, TimePoint now) {
  *this = {};
  bytes_ = bytes;
  files_ = files;
  sampled_at_ = now;
}

void Meter::sample(TimePoint now) {
  const double seconds = std::chrono::duration<double>(now - sampled_at_).count();
  if (seconds <= 0) return;
  const double current = static_cast<double>(moved_ - sampled_) / seconds;
  const double fade = sampled_ == 0 && rate_ == 0 ? 0 : std::exp(-seconds / kRateMemory);
  rate_ = rate_ * fade + current * (1 - fade);
  sampled_ = moved_;
  sampled_at_ = now;
}

double Meter::fraction() const {
  return bytes_ <= 0 ? 1.0 : std::min(1.0, static_cast<double>(moved_) / static_cast<double>(bytes_));
}

std::string Meter::text() const {
  const std::int64_t shown = std::min(moved_, bytes_);  // what was fetched twice is not shown twice
  std::string left = moved_ == 0 ? "waiting for the first bytes" : "stalled";
  if (rate_ >= 1) left = time_left(static_cast<double>(bytes_ - shown) / rate_) + " left";
  return fmt::format("{:.1f} of {}, {:.1f} MB/s, {}, {} of {} files", static_cast<double>(shown) / 1e6,
                     megabytes(bytes_), rate_ / 1e6, left, files_done_, files_);
}

std::string Meter::bar(int columns) const {
  const std::string words = fmt::format("{:3.0f} % {}", fraction() * 100, text());
  const int room = columns - static_cast<int>(words.size()) - 4;
  if (columns < kNarrowest || room < 8) return words.substr(0, static_cast<std::size_t>(std::max(1, columns - 1)));
  const int width = std::min(room, 40);
  const int full = static_cast<int>(fraction() * width);
  return fmt::format("[{:#<{}}{:.<{}}] {}", "", full, "", width - full, words);
}

std::string time_left(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::ceil(std::min(seconds, 1e9)));  // never «0 s» while bytes are left
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

}  // namespace model_prep
