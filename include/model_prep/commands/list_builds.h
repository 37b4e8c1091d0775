// SPDX-License-Identifier: Apache-2.0
// `list --builds`: which builds the repositories of the models have on the Hub, with their sizes.
//
// It asks for the listing of each commit, whatever the cache holds. It reads no file of the
// repository, so that names alone decide what belongs to a build (core/builds.h): a download, which
// reads the deciding files, may take a little more or less.
#pragma once

#include "model_prep/commands/session.h"

namespace model_prep {

/// Returns the exit code.
int run_list_builds(Session& session);

}  // namespace model_prep
