// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "fuzz/targets.h"
#include "model_prep/core/builds.h"
#include "model_prep/core/file_selection.h"
#include "model_prep/core/hub_json.h"
#include "model_prep/core/policy_check.h"
#include "model_prep/core/snapshot_record.h"

namespace model_prep::fuzz {
namespace {

ModelSpec wanting(FileFilter filter) {
  return {.key = "m",
          .repo = *RepoId::parse("org/name"),
          .revision = *Revision::parse("main"),
          .ref = "main",
          .variant_requested = Build::fp32,
          .variant = Build::fp32,
          .filter = std::move(filter),
          .lock = {}};
}

void check_selection(const Listing& listing, const ModelSpec& spec) {
  const auto files = select_files(listing, spec);
  if (!files) return check_message(files.error());
  require(!files->files.empty(), "a selection is not empty");
  check_files(files->files);
  for (const RemoteFile& file : files->files)
    require(std::any_of(listing.files.begin(), listing.files.end(),
                        [&](const RemoteFile& listed) {
                          return listed.path == file.path && listed.blob == file.blob;
                        }),
            "what is selected is listed");
}

void check_listing_of(Result<Listing> found) {
  if (!found) {
    require(found.error().kind == ErrorKind::protocol, "a listing is refused as protocol");
    return check_message(found.error());
  }
  Listing& listing = *found;
  for (const RepoPath& path : listing.masked) check_path(path);
  for (const std::string& name : listing.unusable)
    require(!RepoPath::parse(name), "only names that no directory can hold are kept apart");
  if (Status checked = check_listing(listing, "org/name"); !checked)
    return check_message(checked.error());
  check_files(listing.files);
  check_selection(listing,
                  wanting({.include = {}, .exclude = {}, .select_weights_automatically = true}));
  check_selection(listing, wanting({.include = {"*"}, .exclude = {}}));
  check_selection(listing, wanting({.include = {"*.json", "*[0-9]*"}, .exclude = {"onnx/"}}));
  const auto tree = serialize_tree(listing.files);
  require(tree.has_value(), "a listing of the hub can be written");
  const auto back = parse_tree(*tree);
  require(back && same_files(*back, listing.files), "a listing that was written is read again");
  const auto remembered = parse_record(
      serialize_record({.listing = listing.files, .blobs = {}, .unusable = listing.unusable}));
  require(remembered && same_files(remembered->listing, listing.files) &&
              remembered->unusable == listing.unusable,
          "a listing is remembered");
}

/// Whatever the bytes are, they are read as each kind of deciding file.
void check_deciding(std::string_view input) {
  const std::vector<ListedFile> all = {{*RepoPath::parse("unet/model.onnx")},
                                       {*RepoPath::parse("config.json")}};
  DecidingFacts facts;
  for (const char* name : {"unet/m.safetensors.index.json", "config.json", "modules.json",
                           "model_index.json", "unet/model.onnx"}) {
    const Status read = read_deciding_file(facts, *RepoPath::parse(name), input, all, "org/name");
    if (!read) check_message(read.error());
  }
  for (const auto* named : {&facts.shards, &facts.external_data})
    for (const auto& [by, files] : *named)
      for (const RepoPath& file : files) check_path(file);

  const auto selected = select_build(all, Build::onnx, facts, "org/name");
  if (!selected) check_message(selected.error());
}

/// What is remembered of the Hub's word, and said of it under the strictest policy.
void check_facts(const HubFacts& facts) {
  const auto back = parse_record(serialize_record({.listing = {}, .blobs = {}, .facts = facts}));
  require(back && back->facts == facts, "license and scan are remembered");

  ResolvedSnapshot snapshot{wanting({}), *CommitId::parse(std::string(40, 'c')), {}, {}};
  snapshot.spec.policy = {.licenses = std::set<std::string>{}, .scan = ScanPolicy::required};
  snapshot.facts = facts;
  const Status checked = check_policy(snapshot, HubAsked::yes);
  require(!checked, "no license is allowed");
  check_message(checked.error());
  snapshot.spec.policy.licenses.reset();
  if (const Status scanned = check_policy(snapshot, HubAsked::yes); !scanned)
    check_message(scanned.error());
  for (const std::string& warning : scan_warnings(snapshot))
    check_message({ErrorKind::unsafe, warning});
}

}  // namespace

void hub_json(std::string_view input) {
  const auto info = parse_info(input, "org/name");
  if (!info) {
    check_message(info.error());
  } else {
    require(is_lower_hex(info->commit.hex(), 40), "a commit has 40 hex digits");
    if (info->licenses) check_licenses(*info->licenses);
    check_facts({.licenses = info->licenses, .scan = info->scan});
  }
  ScanVerdict scan{.complete = true};
  std::set<std::string> seen;
  if (const Status read = add_scan_page(scan, seen, input, "org/name"); !read)
    check_message(read.error());
  check_facts({.scan = std::move(scan)});
  check_deciding(input);
  check_listing_of(parse_tree_page(input, "org/name"));
  check_listing_of(parse_blobs(input, "org/name", {}));
}

}  // namespace model_prep::fuzz
