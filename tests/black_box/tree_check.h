// SPDX-License-Identifier: Apache-2.0
// Is this cache one that a program may look into at this instant, whatever was killed in it?
//
//   kill …
//   CHECK(wrong_in(machine.cache(), {repo}).empty());
//
// It asks for what README.md promises at any instant, not for completeness: every blob
// under a final name is what its name says, every link of a snapshot leads to a blob, every ref
// names a snapshot with all files of its commit, and what else lies around is a leftover of a kind
// that is known.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "support/hub_content.h"

namespace model_prep::testing {

/// One line for each thing that is wrong. `repos` says which files a commit has; a ref to any other
/// commit is wrong.
std::vector<std::string> wrong_in(const std::filesystem::path& cache,
                                  const std::vector<HubRepo>& repos);

/// What a cache lacks of this tree, and what else is in it. Not told: temporaries, and the resume
/// record of a blob that is there, which a kill between the rename and the removal of the record
/// leaves.
std::vector<std::string> differences(const std::filesystem::path& cache,
                                     const std::map<std::string, std::string>& wanted);

/// Of one blob.
bool is_what_its_name_says(const std::filesystem::path& blob);

/// Staging files, resume records and temporaries.
bool is_leftover(const std::filesystem::path& path);

}  // namespace model_prep::testing
