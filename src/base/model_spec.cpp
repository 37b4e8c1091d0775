// SPDX-License-Identifier: Apache-2.0
#include "model_prep/base/model_spec.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "model_prep/base/text.h"

namespace model_prep {
namespace {

constexpr std::size_t kMaxPartBytes = 255;   // NAME_MAX of the usual file systems
constexpr std::size_t kMaxPathBytes = 1024;  // well below PATH_MAX: the cache directory comes first

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

/// Why `text` cannot be a relative path inside a directory, or nullptr if it can.
const char* path_defect(std::string_view text) {
  if (text.empty()) return "is empty";
  if (text.size() > kMaxPathBytes) return "is longer than 1024 bytes";
  if (!is_utf8(text)) return "is not UTF-8";
  if (std::ranges::any_of(text, is_control)) return "has a control character";
  if (text.find('\\') != std::string_view::npos) return "has a backslash";

  for (const std::string_view part : split(text, '/')) {
    if (part.empty()) return "is absolute or has an empty part";
    if (part == "." || part == "..") return "has a '.' or '..' part";
    if (part.size() > kMaxPartBytes) return "has a part over 255 bytes";
  }

  return nullptr;
}

bool is_word(char c) { return kWordCharacters.find(c) != std::string_view::npos; }

bool is_repo_part(std::string_view part) {
  if (part.empty() || part.size() > 96) return false;
  if (!is_word(part.front()) || !is_word(part.back())) return false;
  return std::ranges::all_of(part, [](char c) { return is_word(c) || c == '-' || c == '.'; });
}

}  // namespace

Result<RepoId> RepoId::parse(std::string_view text) {
  RepoId repo(text);
  const auto parts = split(repo.name(), '/');

  // `--` separates the parts of a directory name in the cache.
  const bool well_formed = parts.size() <= 2 && std::ranges::all_of(parts, is_repo_part) &&
                           text.find("--") == std::string_view::npos &&
                           text.find("..") == std::string_view::npos && !text.ends_with(".git");
  if (well_formed) return repo;

  return Error{
      ErrorKind::usage, fmt::format("'{}' is not a repository name", truncated(text)),
      "write org/name, datasets/org/name, spaces/org/name or kernels/org/name, as in the URL of its page on the Hub"};
}

RepoKind RepoId::kind() const {
  // A lone `datasets` is a model of that name: a kind is always followed by a slash.
  const std::size_t slash = text().find('/');
  if (slash == std::string::npos) return RepoKind::model;
  return value_of<RepoKind>(text().substr(0, slash)).value_or(RepoKind::model);
}

std::string_view RepoId::name() const {
  const std::size_t begin = kind() == RepoKind::model ? 0 : text().find('/') + 1;
  return std::string_view(text()).substr(begin);
}

Result<CommitId> CommitId::parse(std::string_view text) {
  if (is_lower_hex(text, 40)) return CommitId(std::string(text));

  return Error{ErrorKind::protocol,
               fmt::format("'{}' is not a commit of 40 hex digits", truncated(text))};
}

Result<Revision> Revision::parse(std::string_view text) {
  if (const char* defect = path_defect(text))
    return Error{ErrorKind::usage, fmt::format("revision '{}' {}", truncated(text), defect),
                 "a revision is a commit of 40 hex digits, a branch, a tag or refs/pr/N"};
  return Revision(text);
}

std::optional<CommitId> Revision::commit() const {
  const auto commit = CommitId::parse(text());
  return commit ? std::optional(*commit) : std::nullopt;
}

Result<RepoPath> RepoPath::parse(std::string_view text) {
  if (const char* defect = path_defect(text))
    return Error{ErrorKind::protocol, fmt::format("file name '{}' {}", truncated(text), defect)};
  return RepoPath(text);
}

Bytes total_blob_size(const std::vector<RemoteFile>& files) {
  std::set<Digest> counted;
  Bytes bytes = 0;
  for (const RemoteFile& file : files)
    if (counted.insert(file.blob).second) bytes += file.size;
  return bytes;
}

bool is_whole_commit(const ResolvedSnapshot& snapshot) {
  return snapshot.spec.whole_commit ||
         (snapshot.unusable.empty() && snapshot.files.size() == snapshot.listing.size());
}

}  // namespace model_prep
