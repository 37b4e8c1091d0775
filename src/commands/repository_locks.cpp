// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/repository_locks.h"

#include <algorithm>

namespace model_prep {
namespace {

constexpr auto kMaxCleanupWait = std::chrono::minutes(1);
constexpr auto kCleanupPoll = std::chrono::milliseconds(50);

}  // namespace

bool RepositoryLocks::share(const RepoId& repo, const std::function<bool()>& stopped) {
  if (locks_.contains(repo)) return false;
  const Repository& repository = session_.cache.repository(repo);
  const Directory& directory = *repository.lock_directory;
  if (!directory.create_directories(repository.layout.lock_directory)) return false;
  const auto try_lock = [&] {
    return FileLock::try_acquire(directory, repository.layout.repo_lock(), LockKind::shared);
  };

  auto lock = try_lock();
  const bool must_wait = lock && !*lock;
  if (must_wait) session_.log.info(repo.text() + ": waiting for a cleanup to end");
  const TimePoint until =
      std::min(Clock::now() + kMaxCleanupWait, session_.deadline().value_or(TimePoint::max()));
  for (; lock && !*lock && Clock::now() < until && !stopped(); lock = try_lock())
    session_.signals.wait(kCleanupPoll);
  if (lock && *lock) locks_.emplace(repo, std::move(**lock));
  return must_wait;
}

}  // namespace model_prep
