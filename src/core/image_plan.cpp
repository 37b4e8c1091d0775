// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/image_plan.h"

#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>

#include "model_prep/core/cache_layout.h"
#include "model_prep/core/fetch_plan.h"
#include "model_prep/core/policy_check.h"
#include "model_prep/core/snapshot_record.h"

namespace model_prep {
namespace {

/// All files of the commit; empty if they are not known, or if the lock does not say them: what a
/// cache knows beyond a lock depends on what else was ever downloaded into it.
std::vector<RemoteFile> image_listing(const ResolvedSnapshot& snapshot) {
  if (snapshot.spec.fully_locked && !snapshot.spec.whole_commit) return {};

  // Only some endpoints send it, and nobody needs it of a file that is here.
  std::vector<RemoteFile> listing = snapshot.listing;
  for (RemoteFile& file : listing) file.xet_hash.clear();
  return listing;
}

/// A name in an archive is relative.
std::string in_archive(const std::string& path) { return path.substr(1); }

/// What the run demands of a model, and a run in the image will demand again. More would make the
/// image depend on what else the cache was ever asked.
void add_demanded(SnapshotRecord& record, const ResolvedSnapshot& snapshot) {
  const MissingFacts demanded = missing_facts(snapshot.spec.policy, {});
  if (demanded.licenses) record.facts.licenses = snapshot.facts.licenses;
  if (demanded.scan) record.facts.scan = snapshot.facts.scan;
  if (snapshot.spec.signer && snapshot.signed_by)
    add_signature(record, *snapshot.signed_by, snapshot.files);
}

class Planner {
 public:
  Planner(std::span<const ResolvedSnapshot> snapshots, const std::string& prefix)
      : snapshots_(snapshots), root_(prefix.empty() ? "" : "/" + prefix) {}

  std::vector<ImageLayer> run() {
    for (std::size_t i = 0; i < snapshots_.size(); ++i) add_snapshot(i);
    add_refs();
    add_home_links();

    std::vector<ImageLayer> layers = large_layers();
    layers.push_back(layer(std::move(small_), "small files, links, refs and records"));
    return layers;
  }

 private:
  struct Large {
    std::string order;  ///< the repository and the path of the file, then the blob
    std::string title;
    ImageEntry entry;
  };
  using Entries = std::map<std::string, ImageEntry>;  // by path

  void add_small(const std::string& path, TarEntry tar, decltype(ImageEntry::content) content) {
    tar.path = in_archive(path);
    small_.try_emplace(tar.path, ImageEntry{tar, std::move(content)});
  }

  void add_text(const std::string& path, std::string text) {
    const auto size = static_cast<Bytes>(text.size());
    add_small(path, {.path = {}, .size = size}, std::move(text));
  }

  void add_link(const std::string& path, const std::string& target) {
    add_small(path, {.path = {}, .kind = TarKind::link, .target = target}, {});
  }

  void add_snapshot(std::size_t index) {
    const ResolvedSnapshot& snapshot = snapshots_[index];
    const CacheLayout layout(root_, snapshot.spec.repo);
    for (std::size_t i = 0; i < snapshot.files.size(); ++i) {
      const RemoteFile& file = snapshot.files[i];
      add_blob(layout, {index, i});
      add_link(layout.link(snapshot.commit, file.path), link_target(file.path, file.blob));
    }

    const std::vector<RemoteFile> listing = image_listing(snapshot);
    if (const auto tree = serialize_tree(listing);
        tree && !listing.empty() && is_whole_commit(snapshot))
      add_text(layout.tree(snapshot.commit), *tree);

    const ImageRecord record{snapshot.spec.repo, snapshot.commit};
    const auto length = static_cast<Bytes>(image_record(snapshots_, record, {}).size());
    add_small(layout.record(snapshot.commit), {.path = {}, .size = length}, record);
  }

  void add_blob(const CacheLayout& layout, ImageBlob blob) {
    const ResolvedSnapshot& snapshot = snapshots_[blob.snapshot];
    const RemoteFile& file = snapshot.files[blob.file];
    const std::string path = layout.blob(file.blob);
    const TarEntry tar{.path = in_archive(path), .size = file.size};
    if (file.size < kLargeBlob) return add_small(path, tar, blob);

    // A blob may have several names: the first one counts, whichever model has it.
    const std::string title = snapshot.spec.repo.text() + " " + file.path.text();
    Large large{title + " " + file.blob.hex(), title, {tar, blob}};
    const auto [known, is_new] = large_.try_emplace(tar.path, large);
    if (!is_new && large.order < known->second.order) known->second = std::move(large);
  }

  void add_refs() {
    // What a model claims for certain comes first.
    for (const bool if_unset : {false, true})
      for (const ResolvedSnapshot& snapshot : snapshots_) {
        const ModelSpec& spec = snapshot.spec;
        for (const std::string& name : refs_to_write(spec, snapshot.commit))
          if ((spec.ref_if_unset && name == spec.ref) == if_unset)
            add_text(CacheLayout(root_, spec.repo).ref(name), snapshot.commit.hex());
      }
  }

  void add_home_links() {
    if (root_ != "/hub" && !root_.ends_with("/hub")) return;
    for (const ResolvedSnapshot& snapshot : snapshots_) {
      const std::string name = repo_folder_name(snapshot.spec.repo);
      add_link(root_.substr(0, root_.size() - 3) + name, "hub/" + name);
    }
  }

  /// Contiguous runs of about equal length.
  std::vector<ImageLayer> large_layers() const {
    std::vector<Large> all;
    for (const auto& [path, large] : large_) all.push_back(large);
    std::ranges::sort(all, {}, &Large::order);

    std::vector<ImageLayer> layers;
    const std::size_t count = std::min(all.size(), kMaxLayers - 1);
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t begin = i * all.size() / count;
      const std::size_t end = (i + 1) * all.size() / count;
      Entries entries;
      for (std::size_t j = begin; j < end; ++j)
        entries.try_emplace(all[j].entry.tar.path, all[j].entry);
      const std::string others =
          end - begin > 1 ? fmt::format(" and {} more", end - begin - 1) : "";
      layers.push_back(layer(std::move(entries), all[begin].title + others));
    }
    return layers;
  }

  /// With the directories on the way, so that it can be unpacked alone.
  static ImageLayer layer(Entries entries, std::string title) {
    std::set<std::string> directories;
    for (const auto& [path, entry] : entries)
      for (std::size_t slash = path.find('/'); slash != std::string::npos;
           slash = path.find('/', slash + 1))
        directories.insert(path.substr(0, slash));
    for (const std::string& path : directories)
      entries.try_emplace(path, ImageEntry{{.path = path, .kind = TarKind::directory}});

    ImageLayer layer{.entries = {}, .size = kTarEnd, .title = std::move(title)};
    for (auto& [path, entry] : entries) {
      layer.size += tar_size(entry.tar);
      layer.entries.push_back(std::move(entry));
    }
    std::ranges::stable_sort(layer.entries, {}, [](const ImageEntry& entry) {
      return std::holds_alternative<ImageRecord>(entry.content);
    });
    return layer;
  }

  const std::span<const ResolvedSnapshot> snapshots_;
  const std::string root_;
  Entries small_;
  std::map<std::string, Large> large_;  // by path
};

}  // namespace

std::vector<ImageLayer> plan_image(std::span<const ResolvedSnapshot> snapshots,
                                   const std::string& prefix) {
  return Planner(snapshots, prefix).run();
}

std::string image_record(std::span<const ResolvedSnapshot> snapshots, const ImageRecord& record,
                         const KnownSha256& known) {
  // Until it is known, a digest of the same length.
  constexpr std::array<unsigned char, 32> kNone{};
  const Digest none = Digest::from_bytes(DigestKind::sha256, kNone);

  SnapshotRecord result;
  for (const ResolvedSnapshot& snapshot : snapshots) {
    if (snapshot.spec.repo != record.repo || snapshot.commit != record.commit) continue;
    if (std::vector<RemoteFile> listing = image_listing(snapshot); !listing.empty()) {
      result.listing = std::move(listing);
      result.unusable = snapshot.unusable;
    }
    add_demanded(result, snapshot);
    for (const RemoteFile& file : snapshot.files) {
      const auto found = known.find(file.blob);
      const Digest sha256 = file.blob.kind() == DigestKind::sha256 ? file.blob
                            : found == known.end()                 ? none
                                                                   : found->second;
      result.blobs.insert_or_assign(file.blob, VerifiedBlob{file.size, 0, sha256});
    }
  }
  return serialize_record(result);
}

}  // namespace model_prep
