// SPDX-License-Identifier: Apache-2.0
#include "model_prep/report/progress.h"

#include "model_prep/report/progress_view.h"

namespace model_prep {
namespace {

constexpr auto kRedraw = std::chrono::milliseconds(200);  // five times a second
constexpr auto kLogEvery = std::chrono::seconds(10);

class Silent : public Observer {
 public:
  void planned(ProgressPlan, TimePoint) override {}
  void file_done(std::size_t, FileEnd, int) override {}
  TimePoint due() const override { return TimePoint::max(); }
  void show(std::span<const ActiveFile>, int, TimePoint) override {}
  void finished() override {}
};

/// Everything but how it is shown.
class Metered : public Observer {
 public:
  explicit Metered(Duration every) : every_(every) {}
  void planned(ProgressPlan work, TimePoint now) override {
    meter_.begin(std::move(work), now);
    due_ = now + every_;
  }
  void file_done(std::size_t file, FileEnd end, int retries) override {
    meter_.file_done(file, end, retries);
  }
  TimePoint due() const override { return due_; }
  void show(std::span<const ActiveFile> active_files, int retries, TimePoint now) override {
    meter_.sample(active_files, retries, now);
    show(meter_.progress());
    due_ = now + every_;
  }
  void finished() override { due_ = TimePoint::max(); }

 protected:
  virtual void show(const ProgressSnapshot& progress) = 0;

 private:
  Duration every_;
  ProgressTracker meter_;
  TimePoint due_{TimePoint::max()};
};

class Live : public Metered {
 public:
  explicit Live(Console& console) : Metered(kRedraw), console_(console) {}
  void planned(ProgressPlan work, TimePoint now) override {
    block_ = {};
    Metered::planned(std::move(work), now);
  }
  void finished() override {
    Metered::finished();
    console_.live({});
  }

 protected:
  void show(const ProgressSnapshot& progress) override {
    console_.live(block_.lines(progress, console_.screen()));
  }

 private:
  Console& console_;
  ProgressView block_;
};

class Lines : public Metered {
 public:
  explicit Lines(Log& log) : Metered(kLogEvery), log_(log) {}

 protected:
  void show(const ProgressSnapshot& progress) override { log_.info(progress_text(progress)); }

 private:
  Log& log_;
};

}  // namespace

std::unique_ptr<Observer> make_progress(ProgressMode mode, Console& console, Log& log) {
  if (mode == ProgressMode::none) return std::make_unique<Silent>();
  if (mode != ProgressMode::log && console.is_terminal()) return std::make_unique<Live>(console);
  return std::make_unique<Lines>(log);
}

}  // namespace model_prep
