// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/posix.h"
#include "model_prep/io/streams.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <thread>

#include "support/catch.h"
#include "support/in_child.h"
#include "support/temporary_folder.h"

namespace model_prep {
namespace {

namespace fs = std::filesystem;
using testing::in_child;
using testing::read_text;
using testing::TemporaryFolder;
using testing::write_text;

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

TEST_CASE("a permission error names the current user and the owner of the directory") {
  const TemporaryFolder folder;
  ::chmod(folder.path().c_str(), 0555);
  const Error error = io_error("open", folder / "a/b", EACCES);
  CHECK(error.hint.find("uid " + std::to_string(::geteuid()) + " gid " +
                        std::to_string(::getegid())) != std::string::npos);
  CHECK(error.hint.find(folder.path().string() + " has mode 0555") != std::string::npos);
}

TEST_CASE("writing to a full device is disk_full") {
  const UniqueFd fd(::open("/dev/full", O_WRONLY));
  const Status written = write_at(fd, std::string("x"), 0, "/dev/full");
  REQUIRE_FALSE(written.has_value());
  CHECK(written.error().kind == ErrorKind::disk_full);
}

TEST_CASE("bytes are written at their offset, whatever the order") {
  const TemporaryFolder folder;
  const UniqueFd fd(::open((folder / "file").c_str(), O_RDWR | O_CREAT, 0600));
  REQUIRE(write_at(fd, std::string("cd"), 2, "file"));
  REQUIRE(write_at(fd, std::string("ab"), 0, "file"));
  CHECK(read_text(folder / "file") == "abcd");
}

TEST_CASE("missing parent directories are created too, and existing ones are no error") {
  const TemporaryFolder folder;
  REQUIRE(model_prep::create_directories(folder / "a/b/c"));
  CHECK(model_prep::create_directories(folder / "a/b/c").has_value());
  CHECK(fs::is_directory(folder / "a/b/c"));
}

TEST_CASE("a directory cannot be created where a file is") {
  const TemporaryFolder folder;
  write_text(folder / "file", "");
  const Status made = model_prep::create_directories(folder / "file/below");
  REQUIRE_FALSE(made.has_value());
  CHECK(made.error().kind == ErrorKind::io);
}

TEST_CASE("stat follows a link, lstat does not, and a dangling link has only the latter") {
  const TemporaryFolder folder;
  write_text(folder / "file", "four");
  fs::create_symlink("file", folder / "link");
  fs::create_symlink("nowhere", folder / "dangling");
  CHECK(stat_path(folder / "link")->size == 4);
  CHECK_FALSE(stat_path(folder / "link")->is_link);
  CHECK(lstat_path(folder / "link")->is_link);
  CHECK_FALSE(stat_path(folder / "dangling").has_value());
  CHECK(lstat_path(folder / "dangling").has_value());
}

TEST_CASE("a file larger than allowed, a directory or a missing file cannot be read") {
  const TemporaryFolder folder;
  write_text(folder / "file", "12345");
  CHECK(read_file(folder / "file", 5) == "12345");
  CHECK_FALSE(read_file(folder / "file", 4).has_value());
  CHECK_FALSE(read_file(folder.path(), 100'000).has_value());
  CHECK_FALSE(read_file(folder / "none", 5).has_value());
}

TEST_CASE("disk space is that of the nearest existing directory") {
  const TemporaryFolder folder;
  CHECK_FALSE(disk_space("/proc").has_value());  // it counts no blocks
  const auto below = disk_space(folder / "not/yet/there");
  REQUIRE(below.has_value());
  CHECK(below->bytes > 0);
}

TEST_CASE("a canonical path has no links and dots, and keeps missing components") {
  const TemporaryFolder folder;
  fs::create_directories(folder / "real");
  fs::create_directory_symlink("real", folder / "link");
  CHECK(canonical_path(folder / "link/../link/new/./deep/") == (folder / "real/new/deep").string());
}

TEST_CASE("a relative path leads from one directory to the other") {
  CHECK(relative_path("/m/hub/models--a", "/m") == "hub/models--a");
  CHECK(relative_path("/m/models--a", "/m/hub") == "../models--a");
  CHECK(relative_path("/c/models--a", "/m/hub") == "../../c/models--a");
}

TEST_CASE("a path's parent is found") {
  CHECK(parent_path("/a/b") == "/a");
  CHECK(parent_path("/a") == "/");
  CHECK(parent_path("a") == ".");
}

TEST_CASE("the first signal is read again and again, and the next one ends the process") {
  const int answer = in_child([] {
    const SignalFd signals;
    if (signals.read()) return 1;
    ::raise(SIGTERM);
    if (signals.read() != SIGTERM || signals.read() != SIGTERM) return 2;
    ::raise(SIGINT);
    return 3;
  });
  CHECK(answer == 128 + SIGINT);
}

TEST_CASE("neither a pipe nor a device is waited for or read") {
  const TemporaryFolder folder;
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  for (const fs::path& path : {folder / "pipe", fs::path("/dev/zero"), folder.path()}) {
    CAPTURE(path.string());
    CHECK_FALSE(read_file(path, 100).has_value());
    CHECK_FALSE(open_for_reading(path).has_value());
  }
}

TEST_CASE("text is appended to a file, which is created if missing, also through a link") {
  const TemporaryFolder folder;
  fs::create_symlink("file", folder / "link");
  REQUIRE(append_to_file(folder / "link", "one\n").has_value());
  REQUIRE(append_to_file(folder / "file", "two\n").has_value());
  CHECK(read_text(folder / "file") == "one\ntwo\n");
  CHECK_FALSE(append_to_file(folder / "none/file", "x").has_value());
  CHECK_FALSE(append_to_file(folder.path(), "x").has_value());
  const auto full = append_to_file("/dev/full", "x");
  REQUIRE_FALSE(full.has_value());
  CHECK(full.error().kind == ErrorKind::disk_full);
}

TEST_CASE("an existing file is overwritten in place, and nothing else is touched or created") {
  const TemporaryFolder folder;
  std::ofstream(folder / "file") << "a longer text";
  REQUIRE(*overwrite_existing(folder / "file", "short"));
  CHECK(read_text(folder / "file") == "short");
  fs::create_symlink("file", folder / "link");
  fs::create_directory(folder / "folder");
  for (const char* name : {"none", "link", "folder"})
    CHECK_FALSE(*overwrite_existing(folder / name, "other"));
  CHECK_FALSE(fs::exists(folder / "none"));
  CHECK(read_text(folder / "file") == "short");
  fs::create_hard_link(folder / "file", folder / "second-name");
  CHECK_FALSE(*overwrite_existing(folder / "file", "other"));
  CHECK(read_text(folder / "file") == "short");
}

TEST_CASE("stdout that does not block is written in full to a slow reader") {
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC) == 0);
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  const std::string text(1'000'000, 'x');
  std::string received;
  std::thread reading([&] {
    std::array<char, 4096> block{};
    for (ssize_t count = -1; count != 0;) {
      count = ::read(reader.get(), block.data(), block.size());
      if (count > 0) received.append(block.data(), static_cast<std::size_t>(count));
    }
  });
  CHECK(write_output(writer.get(), text));
  writer = UniqueFd();
  reading.join();
  CHECK(received == text);
}

TEST_CASE("writing to a pipe without a reader does not block") {
  const TemporaryFolder folder;
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK_FALSE(append_to_file(folder / "pipe", "x").has_value());
  CHECK(overwrite_existing(folder / "pipe", "x").has_value());
  const int reader = ::open((folder / "pipe").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  CHECK(overwrite_existing(folder / "pipe", "x").has_value());
  char byte = 0;
  CHECK(::read(reader, &byte, 1) == 0);
  ::close(reader);
}

TEST_CASE("a directory is listed sorted, one level or all of them, without following links") {
  const TemporaryFolder folder;
  fs::create_directories(folder / "b/c");
  write_text(folder / "b/file", "x");
  write_text(folder / "a", "x");
  fs::create_directory_symlink("b", folder / "link");
  CHECK(list_directory(folder.path()) ==
        std::vector<std::string>{folder / "a", folder / "b", folder / "link"});
  CHECK(list_recursively(folder.path()) ==
        std::vector<std::string>{folder / "a", folder / "b", folder / "b/c", folder / "b/file",
                                 folder / "link"});
}

TEST_CASE("a directory that does not exist is empty, and one that cannot be listed is an error") {
  const TemporaryFolder folder;
  write_text(folder / "file", "x");
  Status status = ok();
  CHECK(list_recursively(folder / "missing", &status).empty());
  CHECK(status.has_value());
  CHECK(list_directory(folder / "file").empty());
  CHECK(list_directory(folder / "file", &status).empty());
  CHECK_FALSE(status.has_value());
}

TEST_CASE("a process's name has its pid, and child processes share the machine's name") {
  CHECK(host_and_pid().ends_with(":" + std::to_string(::getpid())));
  CHECK(machine_name().size() == 8);
  CHECK(in_child([name = machine_name()] { return machine_name() == name ? 0 : 1; }) == 0);
  CHECK(random_hex(16).size() == 16);
  CHECK(random_hex(16) != random_hex(16));
}

TEST_CASE("as many processors are counted as this thread may use") {
  CHECK(processors() >= 1);
  cpu_set_t before;
  REQUIRE(sched_getaffinity(0, sizeof before, &before) == 0);
  CHECK(processors() == static_cast<std::size_t>(CPU_COUNT(&before)));

  std::size_t first = 0;
  while (!CPU_ISSET(first, &before)) ++first;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
  const std::size_t counted = processors();
  REQUIRE(sched_setaffinity(0, sizeof before, &before) == 0);
  CHECK(counted == 1);
}

}  // namespace model_prep
