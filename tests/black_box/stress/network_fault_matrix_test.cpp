// SPDX-License-Identifier: Apache-2.0
// Every fault at every request, once and permanently (docs/reliability.md): the right tree or the
// right error, in bounded time and with a bounded number of requests.
#include <algorithm>
#include <chrono>
#include <iostream>
#include <mutex>
#include <sstream>

#include "black_box/parallel.h"
#include "black_box/test_host.h"
#include "black_box/tree_check.h"
#include "support/catch.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kLarge = 9 * kMiB;  // three ranges for three connections: 4, 4 and 1 MiB
constexpr int kMostMoreRequests =
    36;  // more than without a fault: attempts for each of three ranges, with their redirects
// libcurl averages the speed over five seconds, so it detects a stall after six or seven seconds,
// not after one.
constexpr double kMostSeconds = 30;

/// Where a fault happens.
struct Place {
  const char* name;
  int column;  ///< of the table
  Fault::On on;
  const char* repo;
  const char* file;
  int skip;               ///< requests of this kind without a fault before
  std::int64_t position;  ///< in the body of the response
  std::int64_t offset;    ///< in the file
};

const Place kPlaces[] = {
    {"commit", 0, Fault::On::repo_info, "org/small", "", 0, 10, 0},
    {"listing, page 1", 0, Fault::On::tree, "org/small", "", 0, 10, 0},
    {"listing, page 2", 0, Fault::On::tree, "org/small", "", 1, 10, 0},
    {"address of a file", 1, Fault::On::resolve, "org/small", "model.safetensors", 0, 10, 0},
    {"plain file", 2, Fault::On::resolve_cache, "org/small", "config.json", 0, 1, 1},
    {"file in one piece", 3, Fault::On::payload, "org/small", "model.safetensors", 0, 150'000,
     150'000},
    {"first byte of a large file", 4, Fault::On::payload, "org/large", "model.safetensors", 0, 0,
     0},
    {"middle of a large file", 4, Fault::On::payload, "org/large", "model.safetensors", 1, 2 * kMiB,
     kLarge / 2},
    {"last byte of a large file", 4, Fault::On::payload, "org/large", "model.safetensors", 2,
     kMiB - 1, kLarge - 1},
};
constexpr int kColumns = 5;

/// What a fault may depend on.
struct Spot {
  std::int64_t position;
  std::int64_t offset;
  std::string self;  ///< the URL of the request itself
};

template <int code>
Fault::What status(const Spot&) {
  return Status{code};
}
template <class Kind>
Fault::What plainly(const Spot&) {
  return Kind{};
}
Fault::What reset_inside(const Spot& spot) { return Reset{spot.position}; }
Fault::What stall_inside(const Spot& spot) { return Stall{.after = spot.position}; }
Fault::What drip(const Spot& spot) { return Drip{.bytes_per_second = 3, .after = spot.position}; }
Fault::What flip(const Spot& spot) { return FlipByte{spot.offset}; }
Fault::What short_body(const Spot& spot) { return ShortBody{spot.position + 1}; }
Fault::What circle(const Spot& spot) { return Redirect{spot.self}; }
Fault::What to_file(const Spot&) { return Redirect{"file:///etc/passwd"}; }
Fault::What to_ftp(const Spot&) { return Redirect{"ftp://127.0.0.1/model"}; }
Fault::What to_nowhere(const Spot&) { return Redirect{""}; }
Fault::What refused(const Spot&) { return Redirect{"http://127.0.0.1:1/"}; }
// A label longer than DNS allows fails in the resolver of every machine, without a DNS request.
Fault::What no_dns(const Spot&) { return Redirect{"http://" + std::string(64, 'x') + ".invalid/"}; }

/// For each column the outcome of a single fault and of a permanent one. "-": the fault does not
/// exist there. "a|b": it is random which connection meets the fault, or whether the fault follows
/// the last byte.
struct Row {
  const char* fault;
  Fault::What (*what)(const Spot&);
  const char* outcomes[kColumns];
};

// clang-format off
const Row kTable[] = {
    //                    commit and listing           address                      plain file                   file in one piece            ranges
    {"status 400", status<400>, {"protocol protocol",  "protocol protocol",         "protocol protocol",         "tree protocol",             "tree protocol"}},
    {"status 401", status<401>, {"not_found not_found", "not_found not_found",      "not_found not_found",       "tree protocol",             "tree protocol"}},
    {"status 403", status<403>, {"unauthorized unauthorized", "unauthorized unauthorized", "unauthorized unauthorized", "tree protocol",       "tree protocol"}},
    {"status 404", status<404>, {"not_found not_found", "not_found not_found",      "not_found not_found",       "tree protocol",             "tree protocol"}},
    {"status 408", status<408>, {"tree timeout",       "tree timeout",              "tree timeout",              "tree timeout",              "tree timeout"}},
    {"status 409", status<409>, {"protocol protocol",  "protocol protocol",         "protocol protocol",         "protocol protocol",         "protocol protocol"}},
    {"status 410", status<410>, {"not_found not_found", "not_found not_found",      "not_found not_found",       "tree protocol",             "tree protocol"}},
    {"status 416", status<416>, {"protocol protocol",  "tree protocol",             "tree protocol",             "tree protocol",             "tree protocol"}},
    {"status 418", status<418>, {"protocol protocol",  "protocol protocol",         "protocol protocol",         "protocol protocol",         "protocol protocol"}},
    {"status 425", status<425>, {"tree server",        "tree server",               "tree server",               "tree server",               "tree server"}},
    {"status 429", status<429>, {"tree rate_limited",  "tree rate_limited",         "tree rate_limited",         "tree rate_limited",         "tree rate_limited"}},
    {"status 500", status<500>, {"tree server",        "tree server",               "tree server",               "tree server",               "tree server"}},
    {"status 502", status<502>, {"tree server",        "tree server",               "tree server",               "tree server",               "tree server"}},
    {"status 503", status<503>, {"tree server",        "tree server",               "tree server",               "tree server",               "tree server"}},
    {"status 504", status<504>, {"tree server",        "tree server",               "tree server",               "tree server",               "tree server"}},
    {"reset before the answer", plainly<Reset>, {"tree network", "tree network",    "tree network",              "tree network",              "tree network"}},
    {"reset in the body", reset_inside, {"tree network", "tree network", "tree tree", "tree tree", "tree tree"}},
    {"silence before the answer", plainly<Stall>, {"tree timeout", "tree timeout",  "tree timeout",              "tree timeout",              "tree timeout"}},
    {"silence in the body", stall_inside, {"tree timeout", "tree timeout", "tree tree", "tree tree", "tree tree"}},
    {"a drip", drip,   {"deadline deadline", "deadline deadline", "- -", "deadline deadline", "deadline deadline"}},
    {"body too short", short_body, {"tree network", "tree network", "tree network", "tree network", "tree network"}},
    {"body too long", plainly<LongBody>, {"protocol protocol", "tree tree",         "protocol|tree protocol|tree",         "protocol|tree protocol|tree",         "protocol|tree protocol|tree"}},
    {"a wrong byte", flip,      {"- -",                "- -",                       "tree digest_mismatch",      "tree digest_mismatch",      "tree digest_mismatch"}},
    {"range ignored", plainly<RangeIgnored>, {"- -",   "- -",                       "- -",                       "- -",                       "tree tree"}},
    {"wrong range", plainly<WrongRange>, {"- -",       "- -",                       "- -",                       "- -",                       "protocol protocol"}},
    {"wrong total", plainly<WrongTotal>, {"- -",       "protocol protocol",         "- -",                       "- -",                       "tree protocol"}},
    {"gzip", plainly<ContentEncoding>, {"protocol protocol", "tree tree",           "tree digest_mismatch",      "tree digest_mismatch",      "tree digest_mismatch"}},
    {"no length", plainly<Chunked>, {"tree tree",      "tree tree",                 "tree tree",                 "tree tree",                 "tree tree"}},
    {"web page", plainly<Html>, {"protocol protocol",  "protocol protocol",         "protocol protocol",         "protocol protocol",         "protocol protocol"}},
    {"half a JSON", plainly<GarbageJson>, {"protocol protocol", "tree protocol",    "tree protocol",             "tree protocol",             "tree protocol"}},
    {"redirect in a circle", circle, {"tree protocol", "tree protocol",             "tree protocol",             "tree protocol",             "tree protocol"}},
    {"redirect to a file", to_file, {"protocol protocol", "protocol protocol",      "protocol protocol",         "protocol protocol",         "protocol protocol"}},
    {"redirect to ftp", to_ftp, {"protocol protocol",  "protocol protocol",         "protocol protocol",         "protocol protocol",         "protocol protocol"}},
    {"redirect to nowhere", to_nowhere, {"protocol protocol", "protocol protocol",  "protocol protocol",         "protocol protocol",         "protocol protocol"}},
    {"expired signature", plainly<ExpiredSignature>, {"unauthorized unauthorized", "unauthorized unauthorized", "unauthorized unauthorized", "tree protocol", "tree protocol"}},
    {"a host without an address", no_dns, {"tree network", "tree network",          "tree network",              "tree network",              "tree network"}},
    {"a host that refuses", refused, {"tree network",  "tree network",              "tree network",              "tree network",              "tree network"}},
};
// clang-format on

/// The places that differ from the rest of their column.
struct Exception {
  const char* fault;
  const char* place;
  const char* outcomes;
};
const Exception kExceptions[] = {
    {"status 400", "listing, page 1", "tree tree"},
    {"status 404", "listing, page 1",
     "tree tree"},  // like a mirror without this route, so the other form is requested
    {"reset in the body", "first byte of a large file",
     "tree network"},  // elsewhere each attempt makes progress
    {"silence in the body", "first byte of a large file", "tree timeout"},
    {"a drip", "middle of a large file",
     "deadline|tree deadline"},                      // the second response may be the shortest
    {"a drip", "last byte of a large file", "- -"},  // one byte arrives in time
};

struct Cell {
  const Row* row;
  const Place* place;
  bool permanent;
  std::string wanted;
};

struct Outcome {
  std::string found;  ///< like `wanted`
  std::vector<std::string> wrong;
  std::string log;
  int more_requests = 0;
  double seconds = 0;
};

HubRepo small() {
  return make_repo(
      "org/small",
      {{"config.json", "{}"}, {"vocab.txt", "words"}, {kWeights, MadeUpBytes{300'000, 1}, true}});
}

HubOptions two_entries_a_page() {
  HubOptions options;
  options.page_size = 2;
  return options;
}

/// A hub and the log of a run without faults. Each cell has one to itself.
class Stage {
 public:
  Stage() {
    for (const HubRepo& repo : repos_) {
      hub_.add(repo);
      clean_[repo.id] = requests_of(repo.id);
      wanted_[repo.id] = published(repo);
    }
  }

  Outcome play(const Cell& cell) {
    const Place& place = *cell.place;
    hub_.clear_faults();
    hub_.clear_requests();
    hub_.add(fault_of(cell));
    const TestHost machine(hub_);
    const Run run = machine.run(arguments_of(cell));
    Outcome outcome{.found = run.error_kind(place.repo),
                    .wrong = wrong_in(machine.cache(), repos_),
                    .log = run.err};
    if (outcome.found == "none") outcome.found = "tree";
    const bool is_tree = outcome.found == "tree";
    if (is_tree && tree_of(machine.cache()) != wanted_.at(place.repo))
      outcome.wrong.emplace_back("another tree");
    if (run.exit_code != (is_tree ? 0 : 1))
      outcome.wrong.push_back("exit code " + std::to_string(run.exit_code));
    const fs::path folder = machine.cache() / ("models--org--" + std::string(place.repo).substr(4));
    if (!is_tree &&
        (fs::exists(folder / "refs") || fs::exists(folder / "snapshots" / main_of(repo_of(cell)))))
      outcome.wrong.emplace_back("something is published");
    outcome.more_requests =
        static_cast<int>(hub_.requests().size()) - static_cast<int>(clean_.at(place.repo).size());
    if (run.summary.is_object()) outcome.seconds = run.summary["duration_s"];
    return outcome;
  }

 private:
  /// Two attempts where the run must fail, so that there is one back-off; more where a slow machine
  /// may add failures of its own.
  static std::vector<std::string> arguments_of(const Cell& cell) {
    const bool is_silence = cell.row->what == stall_inside ||
                            cell.row->what == static_cast<decltype(Row::what)>(plainly<Stall>);
    return {cell.place->repo,
            "--jobs",
            "3",
            "--retries",
            contains(cell.wanted, "tree") ? "5"
            : is_silence                  ? "1"
                                          : "2",
            "--timeout",
            is_silence ? "1" : "20",
            "--deadline",
            cell.row->what == drip ? "4" : "60"};
  }

  std::vector<LoggedRequest> requests_of(const std::string& repo) {
    hub_.clear_requests();
    const TestHost machine(hub_);
    machine.run({repo, "--jobs", "3"});
    return hub_.requests();
  }

  const HubRepo& repo_of(const Cell& cell) const {
    return repos_[cell.place->repo == repos_[0].id ? 0 : 1];
  }

  Fault fault_of(const Cell& cell) const {
    const Place& place = *cell.place;
    Spot spot{place.position, place.offset, {}};
    const std::string kind = place.on == Fault::On::repo_info ? "repo_info"
                             : place.on == Fault::On::tree    ? "tree"
                                                              : "resolve";
    int skip = place.skip;
    for (const LoggedRequest& request : clean_.at(place.repo))
      if (request.kind == kind && request.file == place.file && skip-- >= 0)
        spot.self = request.target;
    spot.self = hub_.endpoint() + spot.self;
    Fault fault{.on = place.on,
                .file = place.file,
                .times = cell.permanent ? -1 : 1,
                .what = cell.row->what(spot)};
    // Only one response has this byte, and their order is random.
    if (!std::holds_alternative<FlipByte>(fault.what)) fault.skip = place.skip;
    return fault;
  }

  FakeHub hub_{two_entries_a_page()};
  std::vector<HubRepo> repos_{small(), large_repo(kLarge)};
  std::map<std::string, std::vector<LoggedRequest>> clean_;
  std::map<std::string, Tree> wanted_;
};

std::vector<Cell> all_cells() {
  std::vector<Cell> cells;
  for (const Row& row : kTable)
    for (const Place& place : kPlaces) {
      const char* text = row.outcomes[place.column];
      for (const Exception& exception : kExceptions)
        if (exception.fault == std::string(row.fault) && exception.place == std::string(place.name))
          text = exception.outcomes;
      std::istringstream outcomes(text);
      for (const bool permanent : {false, true}) {
        std::string wanted;
        outcomes >> wanted;
        if (wanted != "-") cells.push_back({&row, &place, permanent, wanted});
      }
    }
  return cells;
}

/// A third of the cells, so that each fault and each place occurs, without those that take seven
/// seconds.
std::vector<Cell> every_third(const std::vector<Cell>& cells) {
  std::vector<Cell> some;
  for (std::size_t i = 0; i < cells.size(); ++i)
    if ((i / 18 + i) % 3 == 0 && cells[i].row->what != stall_inside) some.push_back(cells[i]);
  return some;
}

std::string cell_name(const Cell& cell) {
  return std::string(cell.row->fault) + " at the " + cell.place->name +
         (cell.permanent ? " permanently" : " once");
}

}  // namespace

TEST_CASE("every fault at every request ends in the right tree or in the right error") {
  std::vector<Cell> cells = all_cells();
  if (!is_long_run()) cells = every_third(cells);
  // Start the slowest cells first, so that the end does not wait for one of them alone.
  std::stable_partition(cells.begin(), cells.end(),
                        [](const Cell& cell) { return cell.row->what == stall_inside; });
  std::vector<Outcome> outcomes(cells.size());
  constexpr std::size_t kThreads = 40;  // nearly all of the time is back-off and stalls
  std::mutex mutex;
  std::vector<std::unique_ptr<Stage>> free;
  in_parallel(kThreads, cells.size(), [&](std::size_t i) {
    std::unique_ptr<Stage> stage;
    {
      const std::lock_guard lock(mutex);
      if (!free.empty()) {
        stage = std::move(free.back());
        free.pop_back();
      }
    }
    if (!stage) stage = std::make_unique<Stage>();
    outcomes[i] = stage->play(cells[i]);
    const std::lock_guard lock(mutex);
    free.push_back(std::move(stage));
  });
  std::map<std::string, int> counts;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const Outcome& outcome = outcomes[i];
    ++counts[outcome.found];
    INFO(cell_name(cells[i]) << "\n" << outcome.log);
    INFO("wanted " << cells[i].wanted << ", found " << outcome.found);
    CHECK(contains("|" + cells[i].wanted + "|", "|" + outcome.found + "|"));
    CHECK(outcome.wrong == std::vector<std::string>());
    CHECK(outcome.more_requests <= kMostMoreRequests);
    CHECK(outcome.seconds < kMostSeconds);
  }
  std::cout << "fault matrix: " << cells.size() << " cells;";
  for (const auto& [kind, count] : counts) std::cout << ' ' << kind << ' ' << count;
  const auto most = std::max_element(
      outcomes.begin(), outcomes.end(),
      [](const auto& a, const auto& b) { return a.more_requests < b.more_requests; });
  const auto longest =
      std::max_element(outcomes.begin(), outcomes.end(),
                       [](const auto& a, const auto& b) { return a.seconds < b.seconds; });
  std::cout << "; at most " << most->more_requests << " requests more, " << longest->seconds
            << " s (" << cell_name(cells[static_cast<std::size_t>(longest - outcomes.begin())])
            << ")\n";
}

}  // namespace model_prep::testing
