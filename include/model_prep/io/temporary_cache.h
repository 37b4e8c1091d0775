// SPDX-License-Identifier: Apache-2.0
// A cache that lasts no longer than the work for which it was made: `kserve-init` downloads into
// one beside the folder that it fills.
//
// Several processes may use it at once, since every one holds a shared lock on the directory; the
// last one removes it. A process that was killed leaves it, with all that it has downloaded, to the
// next one. Where directories cannot be locked, whoever is done first removes it. One thread.
#pragma once

#include <functional>
#include <string>

#include "model_prep/base/error.h"
#include "model_prep/io/posix.h"

namespace model_prep {

class TemporaryCache {
 public:
  /// Makes the directory, or takes the one that is there; not if that is a link, or holds anything
  /// that a cache of models does not. While another process removes it, `wait` is called again and
  /// again; its error ends that. `path` is canonical up to its last name.
  static Result<TemporaryCache> open(const std::string& path, const std::function<Status()>& wait);

  /// Removes it, unless another process uses it. Then this one must not use it any more.
  Status remove();

 private:
  TemporaryCache(std::string path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  std::string path_;
  UniqueFd fd_;  // closing releases the lock
};

}  // namespace model_prep
