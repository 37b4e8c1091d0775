// SPDX-License-Identifier: Apache-2.0
// Requests small files of repositories, whose text is read at once: those that decide on a
// selection, that name dependencies, and cards.
//
// Wrong bytes may have changed on the way, or come from a bad mirror: a file is requested once from
// each endpoint, and twice from a single one, before it fails with `digest_mismatch`.
#pragma once

#include <functional>
#include <span>
#include <string_view>

#include "model_prep/commands/fetcher.h"

namespace model_prep {

struct SmallFile {
  RepoId repo;
  CommitId commit;
  RemoteFile file;

  /// How messages name it: `org/name config.json`.
  std::string object() const { return repo.text() + " " + file.path.text(); }
};

/// `on_text` gets each file's index, and its bytes or an error, when they arrive, on this thread;
/// it must not query. The bytes are forgotten afterwards.
using OnText = std::function<void(std::size_t file, const Result<std::string_view>& text)>;
void request_small_files(Fetcher& fetcher, std::span<const SmallFile> files, const OnText& on_text);

}  // namespace model_prep
