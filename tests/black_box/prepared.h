// SPDX-License-Identifier: Apache-2.0
// A machine with org/small cached at a pinned commit, and an empty log of the hub. For tests of
// damage.
#pragma once

#include "test_host.h"

namespace model_prep::testing {

struct Prepared {
  FakeHub hub;
  HubRepo repo = small_repo();
  TestHost machine{hub};
  std::string pinned = "org/small@" + main_of(repo);

  Prepared() {
    hub.add(repo);
    machine.run({pinned});
    hub.clear_requests();
  }
  std::filesystem::path in_repo(const std::string& path) const {
    return machine.cache() / "models--org--small" / path;
  }
  std::filesystem::path link(const std::string& path) const {
    return in_repo("snapshots/" + main_of(repo) + "/" + path);
  }
  std::filesystem::path blob(const std::string& path) const { return blob_of(machine, repo, path); }
  std::filesystem::path record() const { return in_repo(".model-prep/" + main_of(repo) + ".json"); }
};

}  // namespace model_prep::testing
