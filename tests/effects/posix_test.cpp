// SPDX-License-Identifier: Apache-2.0
#include "model_prep/effects/posix.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

#include "support/catch.h"
#include "support/temporary_folder.h"

namespace model_prep {
namespace {

namespace fs = std::filesystem;
using testing::TemporaryFolder;

std::string read_all(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::size_t entries_in(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

/// Runs `work` in a child and gives its answer, a small number.
int in_child(const std::function<int()>& work) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(work());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

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

bool acquired(const Result<std::optional<FileLock>>& lock) { return lock.has_value() && lock->has_value(); }

}  // namespace

TEST_CASE("a descriptor is closed with its owner and moves with it") {
  int number = -1;
  {
    UniqueFd first(::open("/dev/null", O_RDONLY));
    number = first.get();
    const UniqueFd second(std::move(first));
    CHECK(second.get() == number);
    CHECK(::fcntl(number, F_GETFD) != -1);
  }
  CHECK(::fcntl(number, F_GETFD) == -1);
}

TEST_CASE("an errno becomes its kind, with operation and object in the message") {
  const auto [number, kind] = GENERATE(table<int, ErrorKind>({{ENOSPC, ErrorKind::disk_full},
                                                              {EDQUOT, ErrorKind::disk_full},
                                                              {EFBIG, ErrorKind::disk_full},
                                                              {EACCES, ErrorKind::permission},
                                                              {EPERM, ErrorKind::permission},
                                                              {EROFS, ErrorKind::permission},
                                                              {EIO, ErrorKind::io},
                                                              {ENOENT, ErrorKind::io}}));
  const Error error = io_error("write", "/the/file", number);
  CHECK(error.kind == kind);
  CHECK(error.message.find("cannot write /the/file: ") == 0);
}

TEST_CASE("a permission error says who we are and whose the folder is") {
  const TemporaryFolder folder;
  ::chmod(folder.path().c_str(), 0555);
  const Error error = io_error("open", folder / "a/b", EACCES);
  CHECK(error.hint.find("uid " + std::to_string(::geteuid()) + " gid " + std::to_string(::getegid())) !=
        std::string::npos);
  CHECK(error.hint.find(folder.path().string() + " has mode 0555") != std::string::npos);
}

TEST_CASE("in a folder of somebody else's a file cannot be made, and the kind is permission") {
  const TemporaryFolder folder;
  ::chmod(folder.path().c_str(), 0555);
  const int answer = in_child([&] {
    if (::geteuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) return 99;
    const auto fd = open_file(folder / "new", O_WRONLY | O_CREAT);
    return !fd && fd.error().kind == ErrorKind::permission ? 0 : 1;
  });
  if (answer == 99) WARN("SKIPPED: CANNOT BECOME ANOTHER USER");
  CHECK((answer == 0 || answer == 99));
}

TEST_CASE("an atomic write replaces the content and leaves nothing else") {
  const TemporaryFolder folder;
  REQUIRE(write_atomically(folder / "file", "old", folder.path()));
  REQUIRE(write_atomically(folder / "file", "new", folder.path()));
  CHECK(read_all(folder / "file") == "new");
  CHECK(entries_in(folder.path()) == 1);
}

TEST_CASE("an atomic write that fails leaves the old content and no temporary file") {
  const TemporaryFolder folder;
  REQUIRE(write_atomically(folder / "file", "old", folder.path()));
  const int answer = in_child([&] {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit = {1000, 1000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const Status written = write_atomically(folder / "file", std::string(5000, 'x'), folder.path());
    return !written && written.error().kind == ErrorKind::disk_full ? 0 : 1;
  });
  CHECK(answer == 0);
  CHECK(read_all(folder / "file") == "old");
  CHECK(entries_in(folder.path()) == 1);
}

TEST_CASE("an atomic write over a folder fails and leaves no temporary file") {
  const TemporaryFolder folder;
  fs::create_directories(folder / "taken/inside");
  CHECK_FALSE(write_atomically(folder / "taken", "text", folder.path()).has_value());
  CHECK(entries_in(folder.path()) == 1);
}

TEST_CASE("writing to a full device is disk_full") {
  const auto fd = open_file("/dev/full", O_WRONLY);
  REQUIRE(fd.has_value());
  const Status written = write_at(fd->get(), std::string("x"), 0, "/dev/full");
  REQUIRE_FALSE(written.has_value());
  CHECK(written.error().kind == ErrorKind::disk_full);
}

TEST_CASE("bytes are written at their offset, whatever the order") {
  const TemporaryFolder folder;
  const auto fd = open_file(folder / "file", O_RDWR | O_CREAT);
  REQUIRE(fd.has_value());
  REQUIRE(write_at(fd->get(), std::string("cd"), 2, "file"));
  REQUIRE(write_at(fd->get(), std::string("ab"), 0, "file"));
  CHECK(read_all(folder / "file") == "abcd");
}

TEST_CASE("a link is made, replaced, and put in a file's place") {
  const TemporaryFolder folder;
  REQUIRE(link_atomically(folder / "link", "first", folder.path()));
  REQUIRE(link_atomically(folder / "link", "second", folder.path()));
  CHECK(link_text(folder / "link") == "second");
  REQUIRE(write_atomically(folder / "file", "text", folder.path()));
  REQUIRE(link_atomically(folder / "file", "third", folder.path()));
  CHECK(link_text(folder / "file") == "third");
  CHECK(entries_in(folder.path()) == 2);
}

TEST_CASE("a link that cannot be made leaves no temporary file") {
  const TemporaryFolder folder;
  fs::create_directories(folder / "taken/inside");
  CHECK_FALSE(link_atomically(folder / "taken", "text", folder.path()).has_value());
  CHECK(entries_in(folder.path()) == 1);
}

TEST_CASE("a lock is held against another process until it is let go") {
  const TemporaryFolder folder;
  Holder other(folder / "lock");
  const auto meanwhile = FileLock::try_acquire(folder / "lock");
  REQUIRE(meanwhile.has_value());
  CHECK_FALSE(meanwhile->has_value());
  other.let_go();
  CHECK(acquired(FileLock::try_acquire(folder / "lock")));
}

TEST_CASE("our lock keeps another process out, and goes with its owner") {
  const TemporaryFolder folder;
  const auto other_gets_it = [&] {
    return in_child([&] {
      const int fd = ::open((folder / "lock").c_str(), O_RDWR);
      return ::flock(fd, LOCK_EX | LOCK_NB) == 0 ? 1 : 0;
    });
  };
  {
    const auto lock = FileLock::try_acquire(folder / "lock");
    REQUIRE(acquired(lock));
    CHECK(other_gets_it() == 0);
  }
  CHECK(other_gets_it() == 1);
  CHECK(fs::exists(folder / "lock"));
}

TEST_CASE("a lock file that its holder unlinks, as some versions of filelock do, is locked anew") {
  const TemporaryFolder folder;
  const Holder other(folder / "lock");
  fs::remove(folder / "lock");
  const auto lock = FileLock::try_acquire(folder / "lock");
  CHECK(acquired(lock));
  CHECK(fs::exists(folder / "lock"));
}

TEST_CASE("locks are always of the file at the path, while another process unlinks it all the time") {
  const TemporaryFolder folder;
  const pid_t remover = ::fork();
  if (remover == 0) {
    while (true) ::unlink((folder / "lock").c_str());
  }
  int wrong = 0;
  for (int i = 0; i < 300; ++i) {
    const auto lock = FileLock::try_acquire(folder / "lock");
    wrong += lock.has_value() ? 0 : 1;
  }
  ::kill(remover, SIGKILL);
  ::waitpid(remover, nullptr, 0);
  CHECK(wrong == 0);
  CHECK(acquired(FileLock::try_acquire(folder / "lock")));
}

TEST_CASE("a lock file has mode 0664 whatever the umask") {
  const TemporaryFolder folder;
  const int mode = in_child([&] {
    ::umask(077);
    const auto lock = FileLock::try_acquire(folder / "lock");
    struct stat found {};
    ::stat((folder / "lock").c_str(), &found);
    return (found.st_mode & 0777U) == 0664U ? 0 : 1;
  });
  CHECK(mode == 0);
}

TEST_CASE("a lock where no folder is, or through a symlink, is an error") {
  const TemporaryFolder folder;
  CHECK_FALSE(FileLock::try_acquire(folder / "no/lock").has_value());
  fs::create_symlink("elsewhere", folder / "link");
  CHECK_FALSE(FileLock::try_acquire(folder / "link").has_value());
  CHECK_FALSE(fs::exists(folder / "elsewhere"));
}

TEST_CASE("folders are made with all above them, and again without harm") {
  const TemporaryFolder folder;
  REQUIRE(make_folders(folder / "a/b/c"));
  CHECK(make_folders(folder / "a/b/c").has_value());
  CHECK(fs::is_directory(folder / "a/b/c"));
}

TEST_CASE("a folder cannot be made where a file is") {
  const TemporaryFolder folder;
  REQUIRE(write_atomically(folder / "file", "", folder.path()));
  const Status made = make_folders(folder / "file/below");
  REQUIRE_FALSE(made.has_value());
  CHECK(made.error().kind == ErrorKind::io);
}

TEST_CASE("facts follow a link, own facts do not, and a dangling link has only its own") {
  const TemporaryFolder folder;
  REQUIRE(write_atomically(folder / "file", "four", folder.path()));
  fs::create_symlink("file", folder / "link");
  fs::create_symlink("nowhere", folder / "dangling");
  CHECK(facts(folder / "link")->size == 4);
  CHECK_FALSE(facts(folder / "link")->is_link);
  CHECK(own_facts(folder / "link")->is_link);
  CHECK_FALSE(facts(folder / "dangling").has_value());
  CHECK(own_facts(folder / "dangling").has_value());
}

TEST_CASE("a file larger than allowed, a folder and nothing are not read") {
  const TemporaryFolder folder;
  REQUIRE(write_atomically(folder / "file", "12345", folder.path()));
  CHECK(read_file(folder / "file", 5) == "12345");
  CHECK_FALSE(read_file(folder / "file", 4).has_value());
  CHECK_FALSE(read_file(folder.path(), 100'000).has_value());
  CHECK_FALSE(read_file(folder / "none", 5).has_value());
}

TEST_CASE("removing what is not there is no error") {
  const TemporaryFolder folder;
  CHECK(remove_file(folder / "none").has_value());
}

TEST_CASE("disk space is that of the nearest folder that exists") {
  const TemporaryFolder folder;
  const auto below = disk_space(folder / "not/yet/there");
  REQUIRE(below.has_value());
  CHECK(below->bytes > 0);
}

TEST_CASE("a canonical path has no links and dots, and keeps what does not exist yet") {
  const TemporaryFolder folder;
  fs::create_directories(folder / "real");
  fs::create_directory_symlink("real", folder / "link");
  CHECK(canonical_path(folder / "link/../link/new/./deep/") == (folder / "real/new/deep").string());
}

TEST_CASE("a relative path leads from one folder to the other") {
  CHECK(relative_path("/m/hub/models--a", "/m") == "hub/models--a");
  CHECK(relative_path("/m/models--a", "/m/hub") == "../models--a");
  CHECK(relative_path("/c/models--a", "/m/hub") == "../../c/models--a");
}

TEST_CASE("the parent of a path") {
  CHECK(parent_of("/a/b") == "/a");
  CHECK(parent_of("/a") == "/");
  CHECK(parent_of("a") == ".");
}

TEST_CASE("a signal is read once, and the next one ends the process") {
  const int answer = in_child([] {
    const SignalFd signals;
    if (signals.read()) return 1;
    ::raise(SIGTERM);
    if (signals.read() != SIGTERM || signals.read()) return 2;
    signals.end_at_next();
    ::raise(SIGINT);
    return 3;
  });
  CHECK(answer == 128 + SIGINT);
}

TEST_CASE("names for temporary files and processes do not repeat") {
  CHECK(temporary_name("/f", "x") != temporary_name("/f", "x"));
  CHECK(temporary_name("/f", "x").starts_with("/f/x."));
  CHECK(temporary_name("/f", "x").ends_with(".tmp"));
  CHECK(random_hex(16).size() == 16);
  CHECK(process_identity() != process_identity());
}

}  // namespace model_prep
