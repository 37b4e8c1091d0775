// SPDX-License-Identifier: Apache-2.0
// The content of the test hub: repositories, files, bytes and digests.
//
// All are plain values: build them in the test, add them to FakeHub, and compare a downloaded file
// with digests_of(). The bytes may be a text, generated from a seed (any size, no memory), or read
// from disk.
//
//   HubFile weights{"model.safetensors", MadeUpBytes{100'000'000, 7}, true};
//   HubRepo repo = make_repo("org/name", {{"config.json", "{}"}, weights});
//   digests_of(weights).sha256;   // the blob name
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "support/file_heads.h"

namespace model_prep::testing {

/// `size` bytes that are a function of seed and offset alone, after the head of their format; two
/// files with equal values have equal bytes.
struct MadeUpBytes {
  std::int64_t size = 0;
  std::uint64_t seed = 0;
  FileFormat format = FileFormat::any;
};

/// The bytes of a file on disk, read on demand. It must not change while a hub serves it.
struct DiskBytes {
  std::filesystem::path path;
};

/// The bytes of one file. A value; const calls may come from any thread.
struct FileContent {
  FileContent() = default;
  FileContent(const char* text) : source(std::string(text)) {}    // NOLINT: meant to convert
  FileContent(std::string text) : source(std::move(text)) {}      // NOLINT: meant to convert
  FileContent(MadeUpBytes made_up) : source(made_up) {}           // NOLINT: meant to convert
  FileContent(DiskBytes on_disk) : source(std::move(on_disk)) {}  // NOLINT: meant to convert

  std::variant<std::string, MadeUpBytes, DiskBytes> source;
};

/// Throws std::filesystem::filesystem_error if a file on disk cannot be read.
std::int64_t size_of(const FileContent& content);

/// Copies the bytes from `offset` on and returns how many: fewer than requested only at the end (or
/// if reading fails).
std::size_t read_content(const FileContent& content, std::int64_t offset, std::span<char> into);

/// The bytes [offset, offset + length), cut at the end of the file.
std::string content_text(const FileContent& content, std::int64_t offset, std::int64_t length);

/// All bytes, to compare small files.
std::string content_text(const FileContent& content);

/// Made-up content gets the format that the name promises.
FileContent content_for(std::string_view path, FileContent content);

struct HubFile {
  HubFile() = default;
  HubFile(std::string of, FileContent bytes, bool is_lfs = false)
      : path(std::move(of)), content(content_for(path, std::move(bytes))), lfs(is_lfs) {}

  std::string path;
  FileContent content;
  bool lfs = false;  ///< stored as a Git LFS pointer and served by the payload host
};

struct FileDigests {
  std::int64_t size = 0;
  std::string sha256;  ///< of the bytes
  std::string
      git_sha1;  ///< git blob id of the bytes; empty for LFS files, git has only their pointer
  std::string pointer_oid;  ///< git blob id of the LFS pointer; empty for plain files
  std::int64_t pointer_size = 0;

  /// `oid` in the tree API.
  const std::string& oid() const { return pointer_oid.empty() ? git_sha1 : pointer_oid; }
  /// The name of the blob in the cache: sha256 of an LFS file, git blob id of any other.
  const std::string& blob_name() const { return pointer_oid.empty() ? git_sha1 : sha256; }
};

/// Reads the whole content once.
FileDigests digests_of(const HubFile& file);

struct HubRepo {
  enum class Access {
    open,
    gated,         ///< info and tree are public, files need a token with access
    gated_masked,  ///< the same, and the public tree has 64 asterisks for lfs.oid and xetHash
                   ///< (live since 2026)
    private_,      ///< looks missing without a token with access
    disabled,      ///< info is public and has `disabled`, everything else is 403
  };

  /// "org/name" or "name"; of a dataset "datasets/org/name" or "datasets/name"; of a space
  /// "spaces/org/name"; of a kernel "kernels/org/name".
  std::string id;
  std::map<std::string, std::string> refs;              ///< "main", "v1.0", "refs/pr/1" -> commit
  std::map<std::string, std::vector<HubFile>> commits;  ///< 40 hex digits -> files
  Access access = Access::open;
  std::string renamed_to;    ///< not empty: everything is a relative 307 to this id
  bool has_tree_api = true;  ///< false: a mirror that answers 404 to /tree/

  /// JSON for `cardData` of the repository's info; empty: it has none.
  std::string card{};
  /// JSON for `securityRepoStatus`, if `securityStatus=true` is requested; empty: a mirror that
  /// does not know what that is.
  std::string scan = R"({"scansDone": true, "filesWithIssues": []})";
  /// What the expanded tree says of files, by path; of others `safe`, or nothing without `scan`.
  std::map<std::string, std::string> scan_of_files{};
};

/// "models" (which `id` leaves out), "datasets", "spaces" or "kernels".
std::string_view kind_of(std::string_view id);
/// The id without it.
std::string_view name_of(std::string_view id);

/// A repository with one commit under `main`; by default the commit is derived from the id.
HubRepo make_repo(std::string id, std::vector<HubFile> files, std::string commit = {});

std::string sha1_hex(std::string_view bytes);
std::string sha256_hex(std::string_view bytes);

}  // namespace model_prep::testing
