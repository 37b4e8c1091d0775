// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/directory.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "support/catch.h"
#include "support/in_child.h"
#include "support/temporary_folder.h"

namespace model_prep {
namespace {

namespace fs = std::filesystem;
using testing::in_child;
using testing::read_text;
using testing::TemporaryFolder;

std::size_t entries_in(const fs::path& folder) {
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

/// A directory to write to, and a second one outside of it that must not change.
struct Shared {
  TemporaryFolder all;
  fs::path inside = all / "cache";
  fs::path outside = all / "outside";
  Directory folder{inside.string()};

  Shared() {
    fs::create_directories(inside / "real");
    fs::create_directories(outside / "below");
    std::ofstream(outside / "precious") << "precious";
    fs::create_directory_symlink(outside, inside / "planted");
  }
  bool outside_untouched() const {
    return entries_in(outside) == 2 && fs::is_empty(outside / "below") &&
           read_text(outside / "precious") == "precious";
  }
};

}  // namespace

TEST_CASE("a pipe in place of a file is an error, and is not waited for") {
  const TemporaryFolder folder;
  const Directory root(folder.path());
  REQUIRE(::mkfifo((folder / "file").c_str(), 0666) == 0);
  for (const int flags : {O_RDONLY, O_WRONLY, O_RDWR})
    CHECK_FALSE(root.open_file(folder / "file", flags).has_value());
}

TEST_CASE("creating a file in another user's directory is a permission error") {
  const TemporaryFolder folder;
  ::chmod(folder.path().c_str(), 0555);
  const int answer = in_child([&] {
    if (::geteuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) return 99;
    const auto fd = Directory(folder.path()).open_file(folder / "new", O_WRONLY | O_CREAT);
    return !fd && fd.error().kind == ErrorKind::permission ? 0 : 1;
  });
  if (answer == 99) skip_test("CANNOT BECOME ANOTHER USER");
  CHECK((answer == 0 || answer == 99));
}

TEST_CASE("an atomic write replaces the content and leaves nothing else") {
  const TemporaryFolder folder;
  REQUIRE(Directory(folder.path()).write_atomically(folder / "file", "old", folder.path()));
  REQUIRE(Directory(folder.path()).write_atomically(folder / "file", "new", folder.path()));
  CHECK(read_text(folder / "file") == "new");
  CHECK(entries_in(folder.path()) == 1);
}

TEST_CASE("an atomic write that fails leaves the old content and no temporary file") {
  const TemporaryFolder folder;
  REQUIRE(Directory(folder.path()).write_atomically(folder / "file", "old", folder.path()));
  const int answer = in_child([&] {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit = {1000, 1000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const Status written =
        Directory(folder.path())
            .write_atomically(folder / "file", std::string(5000, 'x'), folder.path());
    return !written && written.error().kind == ErrorKind::disk_full ? 0 : 1;
  });
  CHECK(answer == 0);
  CHECK(read_text(folder / "file") == "old");
  CHECK(entries_in(folder.path()) == 1);
}

TEST_CASE("an atomic write over a directory fails and leaves no temporary file") {
  const TemporaryFolder folder;
  fs::create_directories(folder / "taken/inside");
  CHECK_FALSE(Directory(folder.path())
                  .write_atomically(folder / "taken", "text", folder.path())
                  .has_value());
  CHECK(entries_in(folder.path()) == 1);
}

TEST_CASE("a link is created, replaced, and put in the place of a file") {
  const TemporaryFolder folder;
  REQUIRE(Directory(folder.path()).link_atomically(folder / "link", "first", folder.path()));
  REQUIRE(Directory(folder.path()).link_atomically(folder / "link", "second", folder.path()));
  CHECK(read_link(folder / "link") == "second");
  REQUIRE(Directory(folder.path()).write_atomically(folder / "file", "text", folder.path()));
  REQUIRE(Directory(folder.path()).link_atomically(folder / "file", "third", folder.path()));
  CHECK(read_link(folder / "file") == "third");
  CHECK(entries_in(folder.path()) == 2);
}

TEST_CASE("permissions are added to a file and a directory, and not to a file with a second name") {
  const TemporaryFolder folder;
  const Directory root(folder.path());
  const fs::path file = folder / "file";
  std::ofstream(file) << "text";
  fs::create_directories(folder / "below/inside");
  fs::permissions(file, fs::perms(0600));
  fs::permissions(folder / "below", fs::perms(0700));
  CHECK(root.add_permissions(file, 0044).has_value());
  CHECK(root.add_permissions(folder / "below", 0055).has_value());
  CHECK(fs::status(file).permissions() == fs::perms(0644));
  CHECK(fs::status(folder / "below").permissions() == fs::perms(0755));

  fs::permissions(file, fs::perms(0600));
  fs::create_hard_link(file, folder / "planted");
  const Status refused = root.add_permissions(folder / "planted", 0044);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().kind == ErrorKind::permission);
  CHECK(fs::status(file).permissions() == fs::perms(0600));
}

TEST_CASE("a link that cannot be created leaves no temporary file") {
  const TemporaryFolder folder;
  fs::create_directories(folder / "taken/inside");
  CHECK_FALSE(Directory(folder.path())
                  .link_atomically(folder / "taken", "text", folder.path())
                  .has_value());
  CHECK(entries_in(folder.path()) == 1);
}

TEST_CASE("removing a missing file is no error") {
  const TemporaryFolder folder;
  CHECK(Directory(folder.path()).remove(folder / "none").has_value());
}

TEST_CASE("nothing behind a planted symlink is written, created, renamed, removed or synced") {
  const Shared shared;
  const Directory& folder = shared.folder;
  const std::string planted = shared.inside / "planted";
  const std::string good = shared.inside / "real";
  REQUIRE(folder.write_atomically(good + "/file", "text", good));
  CHECK_FALSE(folder.open_file(planted + "/precious", O_RDWR).has_value());
  CHECK_FALSE(folder.open_file(planted + "/new", O_RDWR | O_CREAT).has_value());
  CHECK_FALSE(folder.create_directories(planted + "/new").has_value());
  CHECK_FALSE(folder.create_directories(planted + "/below/new").has_value());
  CHECK_FALSE(folder.rename(good + "/file", planted + "/precious").has_value());
  CHECK_FALSE(folder.rename(planted + "/precious", good + "/taken").has_value());
  CHECK_FALSE(folder.remove(planted + "/precious").has_value());
  CHECK_FALSE(folder.sync(planted).has_value());
  CHECK_FALSE(folder.write_atomically(planted + "/precious", "text", good).has_value());
  CHECK_FALSE(folder.write_atomically(good + "/file", "text", planted).has_value());
  CHECK_FALSE(folder.link_atomically(planted + "/link", "text", good).has_value());
  CHECK_FALSE(folder.link_atomically(good + "/file", "text", planted).has_value());
  CHECK_FALSE(folder.copy_atomically(good + "/file", planted + "/copy", good).has_value());
  CHECK_FALSE(folder.copy_atomically(planted + "/precious", good + "/copy", good).has_value());
  CHECK(shared.outside_untouched());
  CHECK(entries_in(good) == 1);
}

TEST_CASE("an error about a symlink in the way names it and says what to do") {
  const Shared shared;
  const Status made = shared.folder.create_directories(shared.inside / "planted/new");
  REQUIRE_FALSE(made.has_value());
  CHECK(made.error().kind == ErrorKind::permission);
  CHECK(made.error().message.find((shared.inside / "planted").string() + " is a symlink") == 0);
  CHECK_FALSE(made.error().hint.empty());
}

TEST_CASE("a symlink in the place of a directory is not accepted as the directory") {
  const Shared shared;
  CHECK_FALSE(shared.folder.create_directories(shared.inside / "planted").has_value());
  CHECK_FALSE(Directory(shared.inside / "planted")
                  .open_file(shared.inside / "planted/new", O_RDWR | O_CREAT)
                  .has_value());
  CHECK(shared.outside_untouched());
}

TEST_CASE("a directory that becomes a symlink while it is in use is not written through") {
  const Shared shared;
  const fs::path real = shared.inside / "real";
  REQUIRE(shared.folder.write_atomically(real / "file", "text", real));
  fs::rename(real, shared.inside / "moved");
  fs::create_directory_symlink(shared.outside, real);
  const auto opened = shared.folder.open_file(real / "new", O_RDWR | O_CREAT);
  REQUIRE_FALSE(opened.has_value());
  CHECK(opened.error().message.starts_with(real.string() + " is a symlink"));
  CHECK_FALSE(shared.folder.remove(real / "precious").has_value());
  CHECK_FALSE(shared.folder.sync(real).has_value());
  CHECK_FALSE(shared.folder.create_directories(real / "new").has_value());
  CHECK(shared.outside_untouched());
  CHECK(entries_in(shared.inside / "moved") == 1);
}

TEST_CASE("a parent that becomes a symlink while it is in use is not written through") {
  const Shared shared;
  fs::create_directories(shared.inside / "real/below");
  REQUIRE(shared.folder.open_file(shared.inside / "real/below/file", O_RDWR | O_CREAT));
  fs::rename(shared.inside / "real", shared.inside / "moved");
  fs::create_directory_symlink(shared.outside, shared.inside / "real");
  const auto opened = shared.folder.open_file(shared.inside / "real/below/new", O_RDWR | O_CREAT);
  REQUIRE_FALSE(opened.has_value());
  CHECK(opened.error().message.starts_with((shared.inside / "real").string() + " is a symlink"));
  CHECK(shared.outside_untouched());
}

TEST_CASE("a directory that was replaced by another one is opened again") {
  const Shared shared;
  const fs::path real = shared.inside / "real";
  REQUIRE(shared.folder.open_file(real / "old", O_RDWR | O_CREAT));
  fs::rename(real, shared.inside / "moved");
  CHECK_FALSE(shared.folder.open_file(real / "new", O_RDWR | O_CREAT).has_value());
  fs::create_directories(real);
  REQUIRE(shared.folder.open_file(real / "new", O_RDWR | O_CREAT));
  CHECK(fs::exists(real / "new"));
  CHECK(entries_in(shared.inside / "moved") == 1);
}

TEST_CASE("however many directories are used, only some of them stay open") {
  const Shared shared;
  const auto open_files = [] { return entries_in("/proc/self/fd"); };
  const std::size_t before = open_files();
  for (int i = 0; i < 200; ++i) {
    const fs::path one = shared.inside / std::to_string(i) / "below";
    REQUIRE(shared.folder.create_directories(one));
    REQUIRE(shared.folder.write_atomically(one / "file", "text", shared.inside / "real"));
  }
  CHECK(open_files() <= before + 32);
}

TEST_CASE("a symlink as the last component is replaced or removed itself, not followed") {
  const Shared shared;
  const fs::path link = shared.inside / "real/link";
  fs::create_symlink(shared.outside / "precious", link);
  CHECK_FALSE(shared.folder.open_file(link, O_RDWR).has_value());
  CHECK_FALSE(shared.folder.open_file(link, O_RDWR | O_CREAT).has_value());
  REQUIRE(shared.folder.write_atomically(link, "text", shared.inside));
  CHECK(read_text(link) == "text");
  fs::remove(link);
  fs::create_symlink(shared.outside / "precious", link);
  CHECK(shared.folder.remove(link));
  CHECK_FALSE(fs::is_symlink(link));
  CHECK(shared.outside_untouched());
}

TEST_CASE("the root directory is created with its parents") {
  const TemporaryFolder place;
  const Directory folder((place / "a/b").string());
  REQUIRE(folder.create_directories(place / "a/b/c/d"));
  REQUIRE(folder.create_directories(place / "a/b/c/d"));
  CHECK(fs::is_directory(place / "a/b/c/d"));
}

TEST_CASE("a copy has the same bytes and leaves the original") {
  const Shared shared;
  const std::string text(1'000'000, 'x');
  const fs::path original = shared.inside / "real/file";
  REQUIRE(shared.folder.write_atomically(original, text, shared.inside));
  REQUIRE(shared.folder.copy_atomically(original, shared.inside / "copy", shared.inside));
  CHECK(read_text(shared.inside / "copy") == text);
  CHECK(read_text(original) == text);
}

TEST_CASE("copying a range keeps its offset, and a source that is too short is an error") {
  const TemporaryFolder place;
  std::ofstream(place / "from") << "0123456789";
  std::ofstream(place / "to") << "----------";
  const UniqueFd from(::open((place / "from").c_str(), O_RDONLY));
  const UniqueFd to(::open((place / "to").c_str(), O_RDWR));
  REQUIRE(copy_bytes(from, to, 3, 7, {"from", "to"}));
  CHECK(read_text(place / "to") == "---3456---");
  const Status short_by_ten = copy_bytes(from, to, 5, 20, {"from", "to"});
  REQUIRE_FALSE(short_by_ten);
  CHECK(short_by_ten.error().message == "from became shorter while it was read");

  // A file that was opened for writing alone cannot be read, and the other way round.
  const UniqueFd no_reading(::open((place / "from").c_str(), O_WRONLY));
  const UniqueFd no_writing(::open((place / "to").c_str(), O_RDONLY));
  const Status unread = copy_bytes(no_reading, to, 0, 1, {"from", "to"});
  const Status unwritten = copy_bytes(from, no_writing, 0, 1, {"from", "to"});
  REQUIRE_FALSE((unread || unwritten));
  CHECK(unread.error().message.starts_with("cannot read from: "));
  CHECK(unwritten.error().message.starts_with("cannot write to: "));
}

TEST_CASE(
    "directories and files get their modes from the umask, and the group of a setgid directory") {
  const TemporaryFolder place;
  const int answer = in_child([&] {
    ::umask(002);
    if (::chown(place.path().c_str(), static_cast<uid_t>(-1), 4242) != 0) return 99;
    ::chmod(place.path().c_str(), 02775);
    const Directory folder(place.path());
    if (!folder.create_directories(place / "a/b") ||
        !folder.write_atomically(place / "a/b/file", "text", place / "a"))
      return 1;
    struct stat below{};
    struct stat file{};
    ::stat((place / "a/b").c_str(), &below);
    ::stat((place / "a/b/file").c_str(), &file);
    const bool group = below.st_gid == 4242 && file.st_gid == 4242;
    return group && (below.st_mode & 07777U) == 02775U && (file.st_mode & 07777U) == 0664U ? 0 : 2;
  });
  if (answer == 99) skip_test("MAY NOT CHANGE A FOLDER'S GROUP");
  CHECK((answer == 0 || answer == 99));
}

TEST_CASE("names of temporary files do not repeat") {
  CHECK(temporary_name("/f", "x") != temporary_name("/f", "x"));
  CHECK(temporary_name("/f", "x").starts_with("/f/x."));
  CHECK(temporary_name("/f", "x").ends_with(".tmp"));
}

}  // namespace model_prep
