// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/commit_diff.h"

#include "core/builders.h"
#include "support/catch.h"

using namespace model_prep;
using namespace model_prep::testing;

TEST_CASE("added, removed and different files are changes; equal files are not") {
  const std::vector<RemoteFile> before = {plain_file("a", 1, '1'), plain_file("b", 1, '2'),
                                          lfs_file("c", 1, '3')};
  const std::vector<RemoteFile> now = {plain_file("d", 1, '4'), lfs_file("c", 1, '5'),
                                       plain_file("a", 1, '1')};
  CHECK(changes_between(before, now) == std::vector<Change>{{ChangeKind::removed, path("b")},
                                                            {ChangeKind::changed, path("c")},
                                                            {ChangeKind::added, path("d")}});
  CHECK(changes_between(before, before).empty());
}
