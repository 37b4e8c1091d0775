// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/leftovers.h"

#include <algorithm>
#include <chrono>
#include <filesystem>

#include <fmt/format.h>

#include "model_prep/io/file_lock.h"

namespace model_prep {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::hours kDead{24};
constexpr std::string_view kForeignSuffix = ".incomplete";
constexpr std::string_view kLockSuffix = ".lock";

/// A file in `blobs/` that is no blob, and whose it is.
struct Owned {
  Digest blob;
  std::vector<WriterTag> writers{};   ///< all that may write it; none: not known
  bool foreign{false};                ///< huggingface_hub's
  bool wanted{false};                 ///< a run could go on with it
  std::optional<std::string> twin{};  ///< is as alive as this
};

std::optional<Digest> leading_digest(std::string_view name) {
  const auto digest = Digest::parse(name.substr(0, name.find('.')));
  return digest ? std::optional(*digest) : std::nullopt;
}

std::optional<Owned> staging_of(const Repository& at, std::string_view name) {
  name.remove_suffix(kStagingSuffix.size());
  const auto blob = leading_digest(name);
  const auto tag = WriterTag::parse(name.substr(std::min(name.find('.'), name.size() - 1) + 1));
  if (!blob || !tag) return std::nullopt;
  const auto record = read_resume(at.layout, at.repo, *blob);
  if (!record || record->file != *tag) return Owned{.blob = *blob, .writers = {*tag}};
  return Owned{.blob = *blob,
               .writers = {*tag, record->writer},
               .wanted = true,
               .twin = at.layout.resume(at.repo, *blob)};
}

/// Of a blob that is published and has no staging, it stayed by a kill between the rename and its
/// removal.
std::optional<Owned> record_of(const Repository& at, std::string_view name) {
  name.remove_suffix(kResumeSuffix.size());
  const auto blob = Digest::parse(name);
  if (!blob) return std::nullopt;
  Owned owned{.blob = *blob, .wanted = !lstat_path(at.layout.blob(at.repo, *blob))};
  const auto record = read_resume(at.layout, at.repo, *blob);
  if (!record) return owned;
  owned.writers = {record->writer, record->file};
  const std::string staging = at.layout.staging(at.repo, *blob, record->file);
  if (lstat_path(staging)) {
    owned.twin = staging;
    owned.wanted = true;
  }
  return owned;
}

std::optional<Owned> owned(const Repository& at, std::string_view name) {
  if (name.ends_with(kStagingSuffix)) return staging_of(at, name);
  if (name.ends_with(kResumeSuffix)) return record_of(at, name);
  const auto blob = leading_digest(name);
  if (!blob || !name.ends_with(kForeignSuffix)) return std::nullopt;
  return Owned{.blob = *blob, .foreign = true};
}

bool is_old(const std::string& path) {
  std::error_code error;
  const auto time = fs::last_write_time(path, error);
  return !error && fs::file_time_type::clock::now() - time > kDead;
}

enum class Asking : std::uint8_t { may_make_lock, changes_nothing };

/// Nobody whom a lock of this machine could tell of is at this blob.
bool is_lock_free(const Repository& at, const Digest& blob, Asking asking) {
  const std::string path = at.layout.lock(at.repo, blob);
  if (asking == Asking::changes_nothing && !lstat_path(path)) return true;
  const auto lock = FileLock::try_acquire(at.lock_folder, path);
  return lock && *lock && (*lock)->excludes(at.lock_folder, path);
}

bool is_dead(const Repository& at, const Owned& left, const std::string& path,
             const WriterIdentity& self, Asking asking) {
  if (is_old(path) && (!left.twin || is_old(*left.twin))) return true;
  const bool of_this_machine =
      !left.writers.empty() &&
      std::all_of(left.writers.begin(), left.writers.end(), [&](const WriterTag& writer) {
        return self.tag.same_machine(writer) && writer != self.tag;
      });
  return (left.foreign || of_this_machine) && is_lock_free(at, left.blob, asking);
}

}  // namespace

void sweep_staging(const Repository& at, const WriterIdentity& self) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(at.layout.blobs(at.repo), error)) {
    const std::string path = entry.path().string();
    const auto left = owned(at, entry.path().filename().string());
    if (!left || left->foreign || left->wanted ||
        !is_dead(at, *left, path, self, Asking::may_make_lock))
      continue;
    static_cast<void>(at.folder.remove(path));  // another run's business if it cannot be done
  }
}

std::vector<Leftover> leftovers_in(const Repository& at, const WriterIdentity& self) {
  std::vector<Leftover> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(at.layout.blobs(at.repo), error)) {
    const std::string path = entry.path().string();
    const auto there = lstat_path(path);
    const auto left = owned(at, entry.path().filename().string());
    if (!left || !there || there->is_folder) continue;
    found.push_back({.path = path,
                     .blob = left->blob,
                     .bytes = there->size,
                     .mtime_ns = there->mtime_ns,
                     .dead = is_dead(at, *left, path, self, Asking::changes_nothing),
                     .old = is_old(path)});
  }
  std::sort(found.begin(), found.end(),
            [](const Leftover& a, const Leftover& b) { return a.path < b.path; });
  return found;
}

std::optional<std::string> writer_in(const Repository& at, const std::vector<Leftover>& leftovers) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(at.layout.lock_folder(at.repo), error)) {
    const std::string path = entry.path().string();
    if (!path.ends_with(kLockSuffix)) continue;
    const auto lock = FileLock::try_acquire(at.lock_folder, path);
    if (!lock) return fmt::format("somebody ({})", lock.error().message);
    const auto blob = leading_digest(entry.path().filename().string());
    if (!*lock) return blob ? staging_owner(at.layout, at.repo, *blob) : "another process";
  }
  for (const Leftover& left : leftovers)
    if (!left.dead)
      return fmt::format("{}, which may be alive,", staging_owner(at.layout, at.repo, left.blob));
  return std::nullopt;
}

}  // namespace model_prep
