// SPDX-License-Identifier: Apache-2.0
// What changed between the files of two commits, by path and digest. Pure.
#pragma once

#include "model_prep/base/model_spec.h"

namespace model_prep {

enum class ChangeKind : std::uint8_t { added, changed, removed };
template <>
inline constexpr std::string_view kNames<ChangeKind>[] = {"added", "changed", "removed"};

struct Change {
  ChangeKind kind{ChangeKind::changed};
  RepoPath path;

  bool operator==(const Change&) const = default;
};

/// Sorted by path.
std::vector<Change> changes_between(const std::vector<RemoteFile>& before,
                                    const std::vector<RemoteFile>& after);

}  // namespace model_prep
