// SPDX-License-Identifier: Apache-2.0
// SIGKILL at random instants, again and again: nothing wrong is ever visible, and no recorded byte
// is requested again.
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <random>
#include <set>
#include <sstream>
#include <thread>

#include "black_box/parallel.h"
#include "black_box/test_host.h"
#include "black_box/tree_check.h"
#include "model_prep/core/segments.h"
#include "support/catch.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr std::int64_t kWeightsSize = 14 * kMiB;
constexpr int kJobs = 4;
constexpr std::int64_t kSegment = 4 * kMiB;
const std::string kRepo = "org/kill";

HubRepo repo_to_kill() {
  std::vector<HubFile> files = {{kWeights, MadeUpBytes{kWeightsSize, 5}, true}};
  for (int i = 0; i < 30; ++i) {
    const std::string name = "part" + std::to_string(i % 3) + "/" + std::to_string(i) + ".json";
    files.push_back(
        {name, MadeUpBytes{1000 + 997 * i, static_cast<std::uint64_t>(100 + i)}, i % 2 == 0});
  }
  return make_repo(kRepo, std::move(files));
}

/// What must not be fetched again: published files, and the recorded ranges of the weights.
struct Kept {
  std::set<std::string> files;
  RangeSet ranges;
};

RangeSet recorded_ranges(const fs::path& record) {
  std::istringstream words(read_text(record));
  for (std::string word; words >> word;)
    if (word.find('-') != std::string::npos &&
        word.find_first_not_of("0123456789-,") == std::string::npos)
      if (const auto ranges = RangeSet::parse(word, kWeightsSize)) return *ranges;
  return {};
}

/// One machine on which runs are started, killed, checked and started again.
class CrashLoop {
 public:
  explicit CrashLoop(unsigned seed) : random_(seed) { hub_.add(repo_); }

  void kill_once() {
    const Kept kept = what_is_kept();
    hub_.clear_requests();
    const auto program = machine_.start({kRepo, "--jobs", std::to_string(kJobs)});
    wait_for_the_moment();
    program->send_signal(SIGKILL);
    const ProgramResult result = program->wait();
    count(kept);
    for (const std::string& fault : wrong_in(machine_.cache(), {repo_})) tell(fault);
    if (result.signal == SIGKILL) ++kills;
    if (result.exit_code.value_or(0) != 0)
      tell("exit code " + std::to_string(*result.exit_code) + result.err);
    if (result.exit_code == 0) start_over();
  }

  void complete() {
    const Kept kept = what_is_kept();
    hub_.clear_requests();
    const Run run = machine_.run({kRepo});
    count(kept);
    if (run.exit_code != 0)
      tell("the last run ended with " + std::to_string(run.exit_code) + run.err);
    start_over();
  }

  int kills = 0;
  int lives = 0;
  std::int64_t most_fetched = 0;  ///< in one life, beyond its files' size, by kill
  std::vector<std::string> wrong;

 private:
  /// At the beginning, in the middle, or while links and refs are created.
  void wait_for_the_moment() {
    const auto upto = [&](int most) {
      return microseconds(std::uniform_int_distribution(0, most)(random_));
    };
    const auto has = [](std::size_t requests) {
      return [=](const auto& log) { return log.size() >= requests; };
    };
    switch (std::uniform_int_distribution(0, 4)(random_)) {
      case 0: return std::this_thread::sleep_for(upto(40'000));
      case 1:
      case 2:
        hub_.wait_until(has(4), milliseconds(500));
        return std::this_thread::sleep_for(upto(350'000));
      default:
        hub_.wait_until([&](const auto& log) { return ends_soon(log); }, milliseconds(3000));
        return std::this_thread::sleep_for(upto(30'000));
    }
  }

  bool ends_soon(const std::vector<LoggedRequest>& log) const {
    if (kept_bytes_ == kWeightsSize) return !log.empty();
    const std::int64_t sent = sent_of(log, kWeights);
    return sent > 0 && sent + kept_bytes_ >= kWeightsSize;
  }

  Kept what_is_kept() {
    Kept kept;
    for (const HubFile& file : repo_.commits.at(main_of(repo_)))
      if (fs::exists(blob_of(machine_, repo_, file.path))) kept.files.insert(file.path);
    kept.ranges =
        recorded_ranges(blob_of(machine_, repo_, kWeights).string() + ".model-prep.resume");
    kept_bytes_ = kept.files.contains(kWeights) ? kWeightsSize : kept.ranges.total();
    return kept;
  }

  void count(const Kept& kept) {
    for (const LoggedRequest& request : hub_.requests()) {
      if (request.file.empty()) continue;
      if (kept.files.contains(request.file))
        tell(request.file + " was there, and was asked for again");
      if (request.file == kWeights && request.range && overlaps(kept.ranges, *request.range))
        tell("of " + kept.ranges.text() + " on disk " + *request.range + " was asked for again");
    }
    fetched_ += sent_of(hub_, kWeights);
    ++kills_of_life_;
  }

  static bool overlaps(const RangeSet& kept, const std::string& header) {
    const std::size_t dash = header.find('-');
    const std::size_t equals = header.find('=');
    const ByteRange asked{std::stoll(header.substr(equals + 1, dash - equals - 1)),
                          std::stoll(header.substr(dash + 1)) + 1};
    RangeSet rest = kept;
    rest.remove(asked);
    return rest.total() != kept.total();
  }

  void start_over() {
    for (const std::string& difference : differences(machine_.cache(), wanted_)) tell(difference);
    if (fetched_ > kWeightsSize + kills_of_life_ * kJobs * kSegment)
      tell("fetched " + std::to_string(fetched_));
    most_fetched = std::max(most_fetched, (fetched_ - kWeightsSize) / std::max(1, kills_of_life_));
    fetched_ = 0;
    kills_of_life_ = 0;
    ++lives;
    fs::remove_all(machine_.cache());
  }

  void tell(const std::string& what) {
    wrong.push_back("kill " + std::to_string(kills) + ": " + what);
  }

  std::mt19937 random_;
  FakeHub hub_{{.bytes_per_second_per_connection = 16 * kMiB}};  // 1/4 s for each range
  const HubRepo repo_ = repo_to_kill();
  const Tree wanted_ = published(repo_);
  const TestHost machine_{hub_};
  std::int64_t fetched_ = 0;
  std::int64_t kept_bytes_ = 0;
  int kills_of_life_ = 0;
};

}  // namespace

TEST_CASE("a run killed at any instant shows nothing wrong, and no stored byte is fetched again") {
  const std::size_t lanes = 8;
  const int kills_of_lane = is_long_run() ? 60 : 6;
  const unsigned seed = std::random_device{}();
  std::vector<std::unique_ptr<CrashLoop>> lives;
  for (unsigned i = 0; i < lanes; ++i) lives.push_back(std::make_unique<CrashLoop>(seed + i));
  in_parallel(lanes, lanes, [&](std::size_t lane) {
    for (int i = 0; i < kills_of_lane; ++i) lives[lane]->kill_once();
    lives[lane]->complete();
  });
  INFO("seed " << seed);
  int kills = 0;
  int ends = 0;
  std::int64_t most = 0;
  for (const auto& life : lives) {
    CHECK(life->wrong == std::vector<std::string>());
    kills += life->kills;
    ends += life->lives;
    most = std::max(most, life->most_fetched);
  }
  CHECK(kills >= 3 * kills_of_lane);  // a kill after the end does not count
  std::cout << "kills: seed " << seed << ", " << kills << " survived, " << ends
            << " trees completed, at most " << most / 1000
            << " kB of a life's weights came again per kill\n";
}

}  // namespace model_prep::testing
