// SPDX-License-Identifier: Apache-2.0
// Checks that a cache is valid at this instant, whichever processes were killed in it.
//
//   kill …
//   CHECK(wrong_in(machine.cache(), {repo}).empty());
//
// It checks what README.md guarantees at any instant, not completeness: every blob under a final
// name has the digest in its name, every link of a snapshot leads to a blob, every ref names a
// snapshot with all files of its commit, and every other file is a known kind of leftover.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "support/hub_content.h"

namespace model_prep::testing {

/// One line for each violation. `repos` has the files of each commit; a ref to any other commit is
/// a violation.
std::vector<std::string> wrong_in(const std::filesystem::path& cache,
                                  const std::vector<HubRepo>& repos);

/// What the cache lacks of this tree, and what it has in addition. Ignores temporary files, and the
/// resume record of an existing blob: a kill between the rename and the removal of the record
/// leaves it.
std::vector<std::string> differences(const std::filesystem::path& cache,
                                     const std::map<std::string, std::string>& wanted);

/// Of one blob.
bool is_what_its_name_says(const std::filesystem::path& blob);

/// Staging files, resume records and temporaries.
bool is_leftover(const std::filesystem::path& path);

}  // namespace model_prep::testing
