// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <utility>

#include "io/flock_rule.h"
#include "support/catch.h"
#include "support/in_child.h"
#include "support/temporary_folder.h"

namespace model_prep {
namespace {

namespace fs = std::filesystem;
using testing::FlockRule;
using testing::in_child;
using testing::TemporaryFolder;

/// A child that holds a lock of flock(2) on a path until it is let go.
class Holder {
 public:
  explicit Holder(const fs::path& path) {
    int ready[2];
    int release[2];
    if (::pipe(ready) != 0 || ::pipe(release) != 0) throw std::runtime_error("pipe");
    child_ = ::fork();
    if (child_ == 0) {
      const int fd = ::open(path.c_str(), O_RDWR | O_CREAT, 0664);
      char byte = ::flock(fd, LOCK_EX) == 0 ? 'y' : 'n';
      ::close(release[1]);
      static_cast<void>(!::write(ready[1], &byte, 1));
      static_cast<void>(!::read(release[0], &byte, 1));
      ::_exit(0);
    }
    char byte = 'n';
    static_cast<void>(!::read(ready[0], &byte, 1));
    ::close(ready[0]);
    ::close(ready[1]);
    ::close(release[0]);
    release_ = release[1];
  }
  ~Holder() { let_go(); }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;
  void let_go() {
    if (release_ < 0) return;
    ::close(std::exchange(release_, -1));
    ::waitpid(child_, nullptr, 0);
  }

 private:
  pid_t child_ = 0;
  int release_ = -1;
};

bool acquired(const Result<std::optional<FileLock>>& lock) {
  return lock.has_value() && lock->has_value();
}

}  // namespace

TEST_CASE("a lock excludes another process until it is released") {
  const TemporaryFolder folder;
  Holder other(folder / "lock");
  const auto meanwhile = FileLock::try_acquire(Directory(folder.path()), folder / "lock");
  REQUIRE(meanwhile.has_value());
  CHECK_FALSE(meanwhile->has_value());
  other.let_go();
  CHECK(acquired(FileLock::try_acquire(Directory(folder.path()), folder / "lock")));
}

TEST_CASE("our lock excludes another process, and ends with its owner") {
  const TemporaryFolder folder;
  const auto other_gets_it = [&] {
    return in_child([&] {
      const int fd = ::open((folder / "lock").c_str(), O_RDWR);
      return ::flock(fd, LOCK_EX | LOCK_NB) == 0 ? 1 : 0;
    });
  };
  {
    const auto lock = FileLock::try_acquire(Directory(folder.path()), folder / "lock");
    REQUIRE(acquired(lock));
    CHECK(other_gets_it() == 0);
  }
  CHECK(other_gets_it() == 1);
  CHECK(fs::exists(folder / "lock"));
}

TEST_CASE(
    "a lock file that its holder unlinks, as some filelock versions do, is locked at a new file") {
  const TemporaryFolder folder;
  const Holder other(folder / "lock");
  fs::remove(folder / "lock");
  const auto lock = FileLock::try_acquire(Directory(folder.path()), folder / "lock");
  CHECK(acquired(lock));
  CHECK(fs::exists(folder / "lock"));
}

TEST_CASE("a lock is on the file at the path, even if that was replaced just before it was taken") {
  const TemporaryFolder folder;
  const Directory root(folder.path());
  bool replaced = false;
  const FlockRule rule([&](int, int) -> std::optional<int> {
    if (!std::exchange(replaced, true)) fs::remove(folder / "lock");
    return std::nullopt;
  });
  const auto lock = FileLock::try_acquire(root, folder / "lock");
  REQUIRE(acquired(lock));
  CHECK(replaced);
  CHECK(lock_excludes(root, folder / "lock"));
}

TEST_CASE("nobody gets a lock on a file that is replaced each time") {
  const TemporaryFolder folder;
  const FlockRule rule([&](int, int) -> std::optional<int> {
    fs::remove(folder / "lock");
    return std::nullopt;
  });
  const auto lock = FileLock::try_acquire(Directory(folder.path()), folder / "lock");
  REQUIRE(lock.has_value());
  CHECK_FALSE(lock->has_value());
}

TEST_CASE("a lock file has mode 0664 whatever the umask") {
  const TemporaryFolder folder;
  const int mode = in_child([&] {
    ::umask(077);
    const auto lock = FileLock::try_acquire(Directory(folder.path()), folder / "lock");
    struct stat found{};
    ::stat((folder / "lock").c_str(), &found);
    return (found.st_mode & 0777U) == 0664U ? 0 : 1;
  });
  CHECK(mode == 0);
}

TEST_CASE("a lock in a missing directory, or through a symlink, is an error") {
  const TemporaryFolder folder;
  CHECK_FALSE(FileLock::try_acquire(Directory(folder.path()), folder / "no/lock").has_value());
  fs::create_symlink("elsewhere", folder / "link");
  CHECK_FALSE(FileLock::try_acquire(Directory(folder.path()), folder / "link").has_value());
  CHECK_FALSE(fs::exists(folder / "elsewhere"));
}

TEST_CASE("a lock knows whether it excludes others") {
  const TemporaryFolder folder;
  const auto lock = FileLock::try_acquire(Directory(folder.path()), folder / "lock");
  REQUIRE(acquired(lock));
  CHECK(lock_excludes(Directory(folder.path()), folder / "lock"));
}

TEST_CASE("a lock excludes others on NFS too, where only a file open for writing can be locked") {
  const TemporaryFolder folder;
  const FlockRule rule([](int fd, int operation) -> std::optional<int> {
    const bool may_write = (::fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY;
    if ((operation & LOCK_EX) == 0 || may_write) return std::nullopt;
    return EBADF;
  });
  const auto lock = FileLock::try_acquire(Directory(folder.path()), folder / "lock");
  REQUIRE(acquired(lock));
  CHECK(lock_excludes(Directory(folder.path()), folder / "lock"));
}

TEST_CASE("where everybody gets every lock, a lock knows that it excludes nobody") {
  const TemporaryFolder folder;
  const FlockRule rule(testing::excludes_nobody);
  const auto lock = FileLock::try_acquire(Directory(folder.path()), folder / "lock");
  REQUIRE(acquired(lock));
  CHECK_FALSE(lock_excludes(Directory(folder.path()), folder / "lock"));
}

TEST_CASE("a pipe in place of a lock file is locked, and is not waited for") {
  const TemporaryFolder folder;
  REQUIRE(::mkfifo((folder / "lock").c_str(), 0666) == 0);
  const auto lock = FileLock::try_acquire(Directory(folder.path()), folder / "lock");
  CHECK(acquired(lock));
  CHECK(lock_excludes(Directory(folder.path()), folder / "lock"));
}

TEST_CASE("another user's read-only lock file can still be locked") {
  const TemporaryFolder folder;
  std::ofstream(folder / "lock") << "";
  ::chmod(folder.path().c_str(), 0755);
  ::chmod((folder / "lock").c_str(), 0644);
  const int answer = in_child([&] {
    if (::geteuid() != 0 || ::setgid(65534) != 0 || ::setuid(65534) != 0) return 99;
    return acquired(FileLock::try_acquire(Directory(folder.path()), folder / "lock")) ? 0 : 1;
  });
  if (answer == 99) skip_test("CANNOT BECOME ANOTHER USER");
  CHECK((answer == 0 || answer == 99));
}

TEST_CASE("the mode of a hard-linked file is left alone") {
  const TemporaryFolder folder;
  std::ofstream(folder / "precious") << "";
  ::chmod((folder / "precious").c_str(), 0600);
  fs::create_hard_link(folder / "precious", folder / "lock");
  static_cast<void>(FileLock::try_acquire(Directory(folder.path()), folder / "lock"));
  CHECK(fs::status(folder / "precious").permissions() ==
        (fs::perms::owner_read | fs::perms::owner_write));
}

}  // namespace model_prep
