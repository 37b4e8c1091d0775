// SPDX-License-Identifier: Apache-2.0
// guard_decisions WORK: a fixed amount of one kind of work of the pure layers, whose instructions
// tests/bench/guard/run counts. It does no I/O, and the same in every run.
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "core/random_faults.h"
#include "model_prep/core/fetch_plan.h"
#include "model_prep/core/file_selection.h"
#include "model_prep/core/hub_json.h"
#include "model_prep/core/snapshot_record.h"

namespace {

using namespace model_prep;

constexpr int kFiles = 1'000;
constexpr int kRounds = 10;

void require(bool truth, std::string_view what) {
  if (!truth) throw std::runtime_error("not so: " + std::string(what));
}

// One page of /tree/, as the Hub writes it: every tenth file is in LFS.
std::string tree_page() {
  std::string text = "[";
  for (int i = 0; i < kFiles; ++i) {
    text += fmt::format(R"({}{{"type":"file","oid":"{:040x}","size":{},"path":"data/part-{:05}.)",
                        i == 0 ? "" : ",", i * 7919 + 1, 4096 + i, i);
    if (i % 10 == 0) {
      text += fmt::format(
          R"(safetensors","lfs":{{"oid":"{:064x}","size":{},"pointerSize":131}},"xetHash":"{:064x}"}})",
          i + 1, 4096 + i, i + 2);
    } else {
      text += R"(json"})";
    }
  }
  return text + "]";
}

ModelSpec everything() {
  return {.key = "many",
          .repo = *RepoId::parse("org/many"),
          .revision = *Revision::parse("main"),
          .ref = "main",
          .variant_requested = Build::fp32,
          .variant = Build::fp32,
          .filter = {.include = {"*.json", "*.txt", "*.safetensors"},
                     .exclude = {"onnx/*", "openvino/*"}},
          .lock = {}};
}

Listing listing_of(const std::string& page) {
  auto listing = parse_tree_page(page, "org/many");
  require(listing && check_listing(*listing, "org/many"), "the page is a listing");
  require(listing->files.size() == kFiles, "every entry is a file");
  return std::move(*listing);
}

void read_listing() {
  const std::string page = tree_page();
  for (int round = 0; round < kRounds; ++round) {
    const auto selected = select_files(listing_of(page), everything());
    require(selected && selected->files.size() == kFiles, "every file is selected");
  }
}

void build_plan() {
  const Listing listing = listing_of(tree_page());
  const ResolvedSnapshot snapshot{everything(), *CommitId::parse(std::string(40, 'c')),
                                  listing.files, listing.files};
  SnapshotView view;
  view.files.assign(snapshot.files.size(), FileView{});
  const std::vector<PlannedModel> wanted{{0, &snapshot, &view}};
  for (int round = 0; round < kRounds; ++round)
    require(make_plan(wanted).jobs.size() == kFiles, "each file is a job");
}

void keep_record() {
  SnapshotRecord record{.listing = listing_of(tree_page()).files, .blobs = {}};
  for (const RemoteFile& file : record.listing) {
    record.blobs.emplace(file.blob, VerifiedBlob{file.size, 1'700'000'000'000'000'000, file.blob});
  }
  const auto digest = *Digest::parse(std::string(64, 'a'));
  for (auto& [blob, verified] : record.blobs) verified.sha256 = digest;
  for (int round = 0; round < kRounds; ++round) {
    const auto back = parse_record(serialize_record(record));
    require(back && back->blobs == record.blobs, "a record is read as it was written");
  }
}

void run_scheduler() {
  for (unsigned seed = 0; seed < 100; ++seed)
    require(testing::RandomFaults(seed).run().empty(), "the scheduler's promises");
}

int work(std::string_view kind) {
  if (kind == "listing") return read_listing(), EXIT_SUCCESS;
  if (kind == "plan") return build_plan(), EXIT_SUCCESS;
  if (kind == "record") return keep_record(), EXIT_SUCCESS;
  if (kind == "scheduler") return run_scheduler(), EXIT_SUCCESS;
  std::cerr << "usage: guard_decisions listing|plan|record|scheduler\n";
  return 2;
}

}  // namespace

int main(int count, char** values) {
  try {
    return work(count == 2 ? values[1] : "");
  } catch (const std::exception& error) {
    std::cerr << "guard_decisions: " << error.what() << "\n";
    return EXIT_FAILURE;
  }
}
