// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/leftovers.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "io/flock_rule.h"
#include "model_prep/io/file_lock.h"
#include "model_prep/io/hasher.h"
#include "support/catch.h"
#include "support/in_child.h"
#include "support/temporary_folder.h"

namespace model_prep {
namespace {

namespace fs = std::filesystem;
using testing::excludes_nobody;
using testing::FlockRule;
using testing::in_child;
using testing::read_text;
using testing::TemporaryFolder;
using testing::write_text;

const RepoId kStagedRepo = *RepoId::parse("org/name");
constexpr std::int64_t kSize = 2 * kMinClaimedSize;
constexpr std::int64_t kSmall = 100;

RangeSet ranges(std::initializer_list<ByteRange> list) {
  RangeSet set;
  for (const ByteRange& range : list) set.add(range);
  return set;
}

WriterIdentity writer(const std::string& machine, const std::string& random) {
  return {"host:42", WriterTag::make(machine, random)};
}
const WriterIdentity kDead = writer("aaaaaaaa", "00000001");
const WriterIdentity kNext = writer("aaaaaaaa", "00000002");       // of the same machine
const WriterIdentity kElsewhere = writer("bbbbbbbb", "00000003");  // of another

using Opened = Result<std::variant<Staging, Staging::OwnedByOther>>;

const Staging::OpenRequest kPatient{false, false};
const Staging::OpenRequest kSilent{false, true};

/// A repository's directories, and a request to open a staging file there.
struct Place {
  TemporaryFolder top;
  Directory folder{top.path().string()};
  Repository repository{folder, folder, kStagedRepo};
  const CacheLayout& layout = repository.layout;
  Digest blob = sha256_of("big");
  std::int64_t size = kSize;
  fs::path record = layout.resume(blob);

  explicit Place(std::int64_t of_size = kSize) : size(of_size) {
    fs::create_directories(layout.blobs);
    fs::create_directories(layout.own_directory);
  }
  Opened open(const WriterIdentity& self, const Staging::OpenRequest& asked = kPatient) const {
    return Staging::open(repository, blob, size, self, asked);
  }
  fs::path file(const WriterIdentity& of) const { return layout.staging(blob, of.tag); }
  std::size_t blobs() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(layout.blobs), {}));
  }
};

bool is_staging(const Opened& opened) { return opened && std::holds_alternative<Staging>(*opened); }
bool is_owned(const Opened& opened) {
  return opened && std::holds_alternative<Staging::OwnedByOther>(*opened);
}
Staging& staging_of(Opened& opened) { return std::get<Staging>(*opened); }

/// A writer that died after it had saved bytes 0-20 and 40-60.
struct Left : Place {
  explicit Left(std::int64_t of_size = kSize) : Place(of_size) {
    auto opened = open(kDead);
    REQUIRE(is_staging(opened));
    static_cast<void>(staging_of(opened).write(std::string(60, 'x'), 0));
    static_cast<void>(staging_of(opened).save(ranges({{0, 20}, {40, 60}})));
  }
};

constexpr int kNoVolume = 99;
const std::string kTightVolume = "size=2560k";  // room for one file of kSize, not for two

/// Mounts a small volume over the folder, for this process alone. An overlay has the space of what
/// it lies on, and no more in memory than a disk has as far as the program can see.
bool mount_volume(const fs::path& folder, bool is_in_memory) {
  if (::unshare(CLONE_NEWNS) != 0) return false;
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
  if (::mount("none", folder.c_str(), "tmpfs", 0, kTightVolume.c_str()) != 0) return false;
  if (is_in_memory) return true;

  for (const char* part : {"lower", "upper", "work"}) fs::create_directory(folder / part);
  const std::string parts = "lowerdir=" + (folder / "lower").string() +
                            ",upperdir=" + (folder / "upper").string() +
                            ",workdir=" + (folder / "work").string();
  return ::mount("none", folder.c_str(), "overlay", 0, parts.c_str()) == 0;
}

}  // namespace

TEST_CASE(
    "after a death proven by the staging file's lock, the next process resumes in the same file") {
  const Left left;
  auto opened = left.open(kNext);
  REQUIRE(is_staging(opened));
  CHECK(staging_of(opened).have().text() == "0-20,40-60");
  CHECK_FALSE(staging_of(opened).copying());
  CHECK(fs::file_size(left.file(kDead)) == 60);
  CHECK(parse_resume(read_text(left.record))->writer == kNext.tag);
  CHECK(left.blobs() == 2);
}

TEST_CASE("a small file is resumed too, if it was recorded") {
  const Left left(kSmall);
  auto opened = left.open(kNext);
  REQUIRE(is_staging(opened));
  CHECK(staging_of(opened).have().text() == "0-20,40-60");
}

TEST_CASE("without proof of a death the record's owner may be alive, and nothing is touched") {
  const Left left;
  const std::string record = read_text(left.record);
  const std::string proof = GENERATE("of another machine", "locks that exclude nobody", "no file");
  CAPTURE(proof);
  std::optional<FlockRule> rule;
  if (proof == "locks that exclude nobody") rule.emplace(excludes_nobody);
  if (proof == "no file") fs::remove(left.file(kDead));
  auto opened = left.open(proof == "of another machine" ? kElsewhere : kNext);
  REQUIRE(is_owned(opened));
  CHECK(std::get<Staging::OwnedByOther>(*opened).owner() == "process host:42");
  CHECK(std::get<Staging::OwnedByOther>(*opened).text == record);
  CHECK(read_text(left.record) == record);
  CHECK(left.blobs() == (proof == "no file" ? 1 : 2));
}

TEST_CASE("a writer that lives keeps its file to itself, whatever becomes of other locks") {
  const Place place;
  auto first = place.open(kDead);
  REQUIRE(is_staging(first));
  REQUIRE(staging_of(first).write(std::string("mine"), 0));
  REQUIRE(*staging_of(first).save(ranges({{0, 4}})) == StagingOwner::us);
  CHECK(is_owned(place.open(kNext)));
  CHECK(*staging_of(first).save(ranges({{0, 4}})) == StagingOwner::us);
}

TEST_CASE("a new staging file is locked before anybody else can find and lock it") {
  const Place place(kSmall);
  UniqueFd other;
  const auto lock_it_first = [&](int, int) -> std::optional<int> {
    if (auto found = place.folder.open_file(place.file(kNext), O_RDONLY); found && !other) {
      other = std::move(*found);
      static_cast<void>(lock_file(other));
    }
    return std::nullopt;
  };
  {
    const FlockRule rule(lock_it_first);
    REQUIRE(is_staging(place.open(kNext)));
  }
  CHECK_FALSE(other);
}

TEST_CASE("every save is a heartbeat") {
  Place place;
  auto opened = place.open(kDead);
  REQUIRE(is_staging(opened));
  const std::string before = read_text(place.record);
  REQUIRE(*staging_of(opened).save({}) == StagingOwner::us);
  CHECK(read_text(place.record) != before);
}

TEST_CASE("a silent writer's bytes are copied, and its own file is removed afterwards") {
  const Left left;
  auto opened = left.open(kElsewhere, kSilent);
  REQUIRE(is_staging(opened));
  Staging& staging = staging_of(opened);
  CHECK(staging.copying());
  CHECK(parse_resume(read_text(left.record))->writer == kElsewhere.tag);
  CHECK(parse_resume(read_text(left.record))->have.text() == "0-20,40-60");
  while (staging.copying()) REQUIRE(staging.copy_some());
  CHECK(staging.have().text() == "0-20,40-60");
  CHECK(read_text(left.file(kElsewhere)).substr(0, 20) == std::string(20, 'x'));
  CHECK_FALSE(fs::exists(left.file(kDead)));
  CHECK(parse_resume(read_text(left.record))->file == kElsewhere.tag);
}

TEST_CASE("a copy whose claim is lost ends, and leaves the bytes to the one who has it") {
  const Left left;
  auto first = left.open(kElsewhere, kSilent);
  auto second = left.open(writer("bbbbbbbb", "00000009"), kSilent);
  REQUIRE(is_staging(first));
  REQUIRE(is_staging(second));
  CHECK(*staging_of(first).copy_some() == StagingOwner::other);
  CHECK_FALSE(staging_of(first).copying());
  CHECK(fs::exists(left.file(kDead)));
  while (staging_of(second).copying()) REQUIRE(*staging_of(second).copy_some() == StagingOwner::us);
  CHECK(staging_of(second).have().text() == "0-20,40-60");
  CHECK_FALSE(fs::exists(left.file(kDead)));
}

TEST_CASE("a take-over needs no room for both files") {
  const Place place;
  constexpr std::int64_t kHalf = kSize / 4;
  const bool in_memory = GENERATE(true, false);
  CAPTURE(in_memory);
  const int answer = in_child([&] {
    if (!mount_volume(place.top.path(), in_memory)) return kNoVolume;
    fs::create_directories(place.layout.blobs);
    fs::create_directories(place.layout.own_directory);
    {
      auto dead = place.open(kDead);
      if (!is_staging(dead)) return 1;
      const std::string bytes(3 * kHalf, 'x');
      if (!staging_of(dead).write(bytes, 0)) return 2;
      if (!staging_of(dead).save(ranges({{0, kHalf}, {kHalf + 1, 3 * kHalf}}))) return 3;
    }
    auto opened = place.open(kElsewhere, kSilent);
    if (!is_staging(opened)) return 4;
    Staging& staging = staging_of(opened);
    while (staging.copying())
      if (!staging.copy_some()) return 5;

    // Without a reservation as much is kept as found room.
    if (!staging.has_made_room()) return 10;
    if (staging.have().text() != (in_memory ? "0-" + std::to_string(kHalf) : "")) return 6;
    if (fs::exists(place.file(kDead))) return 7;
    if (parse_resume(read_text(place.record))->file != kElsewhere.tag) return 8;
    return staging.write(std::string(kSize, 'y'), 0) ? 0 : 9;
  });
  if (answer == kNoVolume) skip_test("NO MOUNT NAMESPACE FOR THIS USER");
  CHECK((answer == 0 || answer == kNoVolume));
}

TEST_CASE("only a file that this process made is hashed from memory") {
  const Place place;
  auto made = place.open(kNext);
  REQUIRE(is_staging(made));
  if (!staging_of(made).is_ours_alone()) {
    skip_test("THE FOLDER FOR TEMPORARY FILES IS ON A FILE SYSTEM WHERE NO FILE IS");
    return;
  }

  const Left left;
  auto resumed = left.open(kNext);
  REQUIRE(is_staging(resumed));
  CHECK_FALSE(staging_of(resumed).is_ours_alone());

  const Left silent;
  auto copied = silent.open(kElsewhere, kSilent);
  REQUIRE(is_staging(copied));
  while (staging_of(copied).copying()) REQUIRE(staging_of(copied).copy_some());
  CHECK(staging_of(copied).is_ours_alone());
}

TEST_CASE("killing a copy halfway loses nothing") {
  const Left left;
  {
    auto opened = left.open(kElsewhere, kSilent);
  }
  auto again = left.open(writer("bbbbbbbb", "00000009"), kSilent);
  REQUIRE(is_staging(again));
  while (staging_of(again).copying()) REQUIRE(staging_of(again).copy_some());
  CHECK(staging_of(again).have().text() == "0-20,40-60");
}

TEST_CASE("a killed take-over does not prove that the file's first writer is dead") {
  const Left left;
  {
    auto opened = left.open(kElsewhere, kSilent);
  }
  auto again = left.open(writer("bbbbbbbb", "00000009"));
  CHECK(is_owned(again));
}

TEST_CASE("a take-over that was killed is dead for its own machine, wherever the file came from") {
  const Left left;
  const auto dead = [&](const WriterIdentity& self) {
    const auto leftovers = find_leftovers(left.repository, self);
    return std::ranges::count(leftovers, true, &Leftover::dead);
  };
  const WriterIdentity neighbour = writer("bbbbbbbb", "00000009");
  {
    auto opened = left.open(kElsewhere, kSilent);
    REQUIRE(is_staging(opened));
    CHECK(dead(neighbour) == 0);
  }
  CHECK(left.blobs() == 3);
  CHECK(dead(neighbour) == 3);
  CHECK(dead(kNext) == 0);
}

TEST_CASE("a writer that was only suspended finds its staging taken over, and damages nothing") {
  Place place;
  auto first = place.open(kDead);
  REQUIRE(is_staging(first));
  REQUIRE(staging_of(first).write(std::string("mine"), 0));
  REQUIRE(staging_of(first).save(ranges({{0, 4}})));
  auto second = place.open(kElsewhere, kSilent);
  REQUIRE(is_staging(second));
  while (staging_of(second).copying()) REQUIRE(staging_of(second).copy_some());
  const std::string record = read_text(place.record);
  CHECK(*staging_of(first).save(ranges({{0, 4}})) != StagingOwner::us);
  REQUIRE(staging_of(first).write(std::string("EVIL"), 0));
  CHECK(read_text(place.record) == record);
  CHECK(read_text(place.file(kElsewhere)) == "mine");
  const auto published = staging_of(first).publish();
  REQUIRE(published.has_value());
  CHECK(*published == StagingOwner::nobody);
}

TEST_CASE("when two begin at once, one gets the claim") {
  const Place place;
  auto first = place.open(kDead);
  CHECK(is_staging(first));
  CHECK(is_owned(place.open(kNext)));
}

TEST_CASE("small files are not claimed: two writers have a file each, and both publish") {
  const Place place(kSmall);
  auto first = place.open(kDead);
  auto second = place.open(kNext);
  REQUIRE(is_staging(first));
  REQUIRE(is_staging(second));
  CHECK_FALSE(fs::exists(place.record));
  const std::string text(kSmall, 't');
  REQUIRE(staging_of(first).write(text, 0));
  REQUIRE(staging_of(second).write(text, 0));
  CHECK(*staging_of(first).publish() == StagingOwner::us);
  CHECK(read_text(place.layout.blob(place.blob)) == text);
  CHECK(*staging_of(second).publish() == StagingOwner::us);
  CHECK(read_text(place.layout.blob(place.blob)) == text);
  CHECK(place.blobs() == 1);
}

TEST_CASE("the first writer to save a slow small file's record owns it") {
  const Place place(kSmall);
  auto first = place.open(kDead);
  auto second = place.open(kNext);
  REQUIRE(*staging_of(first).save({}) == StagingOwner::us);
  REQUIRE(*staging_of(second).save({}) == StagingOwner::us);
  CHECK(parse_resume(read_text(place.record))->writer == kDead.tag);
}

TEST_CASE("a fresh start discards the old staging and uses a new file") {
  const Left left;
  auto opened = left.open(kNext);
  auto again = left.open(kNext, {true, false});
  REQUIRE(is_staging(again));
  CHECK(staging_of(again).have().empty());
  CHECK(fs::file_size(left.file(kNext)) == 0);
  CHECK_FALSE(fs::exists(left.file(kDead)));
  CHECK(parse_resume(read_text(left.record))->have.empty());
  CHECK(left.blobs() == 2);
}

TEST_CASE("a record that is torn, of another size or ahead of its file is ignored in the end") {
  const Left left;
  const ResumeRecord good = *parse_resume(read_text(left.record));
  const std::string text = read_text(left.record);
  const std::string kind = GENERATE("no end of line", "empty", "garbage", "other size", "cut file",
                                    "no file", "another format", "a second name", "a symlink");
  INFO(kind);
  if (kind == "no end of line") write_text(left.record, text.substr(0, text.size() - 1));
  if (kind == "empty") write_text(left.record, "");
  if (kind == "garbage") write_text(left.record, "\x01\x02\n");
  if (kind == "other size")
    write_text(left.record,
               serialize_resume({good.owner, good.writer, good.file, 1, 99, good.have}));
  if (kind == "cut file") fs::resize_file(left.file(kDead), 50);
  if (kind == "no file") fs::remove(left.file(kDead));
  if (kind == "another format") write_text(left.record, "model-prep-1 me 100 0-20\n");
  if (kind == "a second name") fs::create_hard_link(left.file(kDead), left.top / "precious");
  if (kind == "a symlink") {
    fs::rename(left.file(kDead), left.top / "precious");
    fs::create_symlink(left.top / "precious", left.file(kDead));
  }
  const bool proves_death = kind == "other size" || kind == "cut file" || kind == "a second name";
  CHECK(is_owned(left.open(kNext)) != proves_death);
  auto opened = left.open(kNext, kSilent);
  REQUIRE(is_staging(opened));
  CHECK(staging_of(opened).have().empty());
  CHECK(fs::file_size(left.file(kNext)) == 0);
  if (fs::exists(left.top / "precious")) CHECK(fs::file_size(left.top / "precious") == 60);
}

TEST_CASE("an unreadable record is waited for and then replaced") {
  const Place place;
  const std::string text = GENERATE("half a li", "", "\x01\x02\n", "model-prep-1 me 100 0-20\n");
  write_text(place.record, text);
  CHECK(is_owned(place.open(kNext)));
  auto opened = place.open(kNext, kSilent);
  REQUIRE(is_staging(opened));
  CHECK(parse_resume(read_text(place.record))->writer == kNext.tag);
}

TEST_CASE("after a shorter record is written over a longer one, only the shorter one is read") {
  const Left left;
  auto opened = left.open(kNext);
  REQUIRE(*staging_of(opened).save(ranges({{0, 60}})) == StagingOwner::us);
  CHECK(parse_resume(read_text(left.record))->have.text() == "0-60");
}

TEST_CASE("a symlink in place of the record or staging file is not written through") {
  const Place place;
  write_text(place.top / "precious", "precious");
  const bool record = GENERATE(false, true);
  fs::create_symlink(place.top / "precious", record ? place.record : place.file(kNext));
  auto opened = place.open(kNext);
  if (is_staging(opened)) {
    REQUIRE(staging_of(opened).write(std::string("evil"), 0));
    static_cast<void>(staging_of(opened).save(ranges({{0, 4}})));
  }
  CHECK(read_text(place.top / "precious") == "precious");
}

TEST_CASE("a hard link in place of the record is replaced, not written through") {
  const Place place;
  auto opened = place.open(kNext);
  REQUIRE(is_staging(opened));
  write_text(place.top / "precious", "precious");
  fs::remove(place.record);
  fs::create_hard_link(place.top / "precious", place.record);
  CHECK(*staging_of(opened).save({}) == StagingOwner::us);
  CHECK(read_text(place.top / "precious") == "precious");
  CHECK(parse_resume(read_text(place.record))->writer == kNext.tag);
}

TEST_CASE("a record that may not be touched is another's, and a small file does without one") {
  const Place place(kSmall);
  fs::create_symlink(place.top / "elsewhere", place.record);
  auto opened = place.open(kNext, kSilent);
  REQUIRE(is_staging(opened));
  CHECK(*staging_of(opened).save({}) == StagingOwner::us);
  CHECK_FALSE(fs::exists(place.top / "elsewhere"));
}

TEST_CASE("a published blob has its final name, and no staging is left") {
  const Left left;
  auto opened = left.open(kNext);
  REQUIRE(is_staging(opened));
  REQUIRE(staging_of(opened).write(std::string("!"), kSize - 1));
  const auto published = staging_of(opened).publish();
  REQUIRE(published.has_value());
  CHECK(*published == StagingOwner::us);
  CHECK(fs::exists(left.layout.blob(left.blob)));
  CHECK(left.blobs() == 1);
}

TEST_CASE("a deleted or replaced staging file is noticed at the next save, and not published") {
  const Place place;
  auto opened = place.open(kNext);
  REQUIRE(is_staging(opened));
  fs::remove(place.file(kNext));
  const bool replaced = GENERATE(false, true);
  if (replaced) write_text(place.file(kNext), "another's");
  CHECK(*staging_of(opened).save({}) == StagingOwner::nobody);
  const auto published = staging_of(opened).publish();
  REQUIRE(published.has_value());
  CHECK(*published == StagingOwner::nobody);
  CHECK_FALSE(fs::exists(place.layout.blob(place.blob)));
}

TEST_CASE(
    "a file that somebody has appended to is not published, and the next one is begun afresh") {
  const Place place;
  auto opened = place.open(kNext);
  REQUIRE(is_staging(opened));
  REQUIRE(staging_of(opened).write(std::string(kSize, 'x'), 0));
  REQUIRE(*staging_of(opened).save(ranges({{0, kSize}})) == StagingOwner::us);
  std::ofstream(place.file(kNext), std::ios::app) << "more";
  CHECK(*staging_of(opened).publish() == StagingOwner::changed);
  CHECK_FALSE(fs::exists(place.layout.blob(place.blob)));
  auto again = place.open(kNext);
  REQUIRE(is_staging(again));
  CHECK(staging_of(again).have().empty());
  CHECK(fs::file_size(place.file(kNext)) == 0);
}

TEST_CASE("a claim that appears at the last moment is left alone") {
  const Place place;
  ResumeFile ours(place.repository, place.blob, kNext.tag);
  const ResumeRecord mine{"host:1", kNext.tag, kNext.tag, 0, kSize, {}};
  write_text(place.record,
             serialize_resume({"host:2", kElsewhere.tag, kElsewhere.tag, 1, kSize, {}}));
  CHECK(*ours.create(mine) == StagingOwner::other);
  CHECK(parse_resume(read_text(place.record))->writer == kElsewhere.tag);
}

TEST_CASE("a deleted record is written again") {
  const Place place;
  auto opened = place.open(kNext);
  fs::remove(place.record);
  CHECK(*staging_of(opened).save({}) == StagingOwner::us);
  CHECK(fs::exists(place.record));
}

TEST_CASE("a blob that is a link into a shared store is replaced, not written through") {
  const Place place;
  const fs::path blob = place.layout.blob(place.blob);
  fs::create_directories(place.top / "blobs/ab");
  write_text(place.top / "blobs/ab/store", "damaged");
  fs::create_symlink("../../blobs/ab/store", blob);
  auto opened = place.open(kNext);
  REQUIRE(staging_of(opened).write(std::string("!"), kSize - 1));
  REQUIRE(staging_of(opened).publish().has_value());
  CHECK_FALSE(fs::is_symlink(blob));
  CHECK(read_text(place.top / "blobs/ab/store") == "damaged");
}

TEST_CASE("the record shows who fetches and how much is on disk") {
  const Left left;
  CHECK(read_resume(left.repository, left.blob).owner() == "process host:42");
  CHECK(staged_bytes(left.repository, left.blob, kSize) == 40);
  CHECK(staged_bytes(left.repository, left.blob, kSize + 1) == 0);
  fs::remove(left.record);
  CHECK(read_resume(left.repository, left.blob).owner() == "another process");
}

TEST_CASE("the space that a staging file has reserved is its own already") {
  const Left left;
  const UniqueFd file(::open(left.file(kDead).c_str(), O_RDWR | O_CLOEXEC));
  if (::fallocate(file.get(), FALLOC_FL_KEEP_SIZE, 0, kSize) != 0) {
    skip_test("THE FOLDER FOR TEMPORARY FILES CANNOT RESERVE SPACE");
    return;
  }
  CHECK(reserved_bytes(left.repository, left.blob, kSize) == kSize);
  fs::create_hard_link(left.file(kDead), left.top / "precious");
  CHECK(reserved_bytes(left.repository, left.blob, kSize) == 0);
  fs::remove(left.record);
  CHECK(reserved_bytes(left.repository, left.blob, kSize) == 0);
}

TEST_CASE(
    "staging files without a record are swept if their writer is certainly dead, or after a day") {
  const Place place(kSmall);
  fs::create_directories(place.layout.lock_directory);
  const auto sweep = [&] { sweep_staging(place.repository, kNext); };
  write_text(place.file(kDead), "left");
  write_text(place.file(kElsewhere), "left");
  SECTION("of this machine, with a free lock") {
    sweep();
    CHECK_FALSE(fs::exists(place.file(kDead)));
    CHECK(fs::exists(place.file(kElsewhere)));
  }
  SECTION("with its lock held, so its writer is alive") {
    const auto lock = FileLock::try_acquire(place.folder, place.layout.lock(place.blob));
    sweep();
    CHECK(fs::exists(place.file(kDead)));
  }
  SECTION("with its own lock held, so its writer is alive") {
    fs::remove(place.file(kDead));
    const auto alive = place.open(kDead);
    sweep();
    CHECK(fs::exists(place.file(kDead)));
  }
  SECTION("of another machine, a day old") {
    fs::last_write_time(place.file(kElsewhere),
                        fs::file_time_type::clock::now() - std::chrono::hours(25));
    sweep();
    CHECK_FALSE(fs::exists(place.file(kElsewhere)));
  }
  SECTION("a record left over after its blob was published") {
    write_text(place.layout.blob(place.blob), "text");
    write_text(place.record, serialize_resume({"host:1", kDead.tag, kDead.tag, 1, kSmall, {}}));
    fs::remove(place.file(kDead));
    sweep();
    CHECK_FALSE(fs::exists(place.record));
    CHECK(fs::exists(place.layout.blob(place.blob)));
  }
  SECTION("named by a record") {
    write_text(place.record, serialize_resume({"host:1", kDead.tag, kDead.tag, 1, kSmall, {}}));
    sweep();
    CHECK(fs::exists(place.file(kDead)));
  }
}

TEST_CASE("a record that cannot be read keeps its staging file from being swept, for a day") {
  const Left left;
  fs::create_directories(left.layout.lock_directory);
  const std::string what = GENERATE("a torn line", "a loop");
  CAPTURE(what);
  fs::remove(left.record);
  if (what == "a torn line") write_text(left.record, "half a li");
  if (what == "a loop") fs::create_symlink(left.record.filename(), left.record);
  sweep_staging(left.repository, kNext);
  CHECK(fs::exists(left.file(kDead)));

  if (what == "a loop") return;  // whose age cannot be told
  for (const fs::path& old : {left.file(kDead), left.record})
    fs::last_write_time(old, fs::file_time_type::clock::now() - std::chrono::hours(25));
  sweep_staging(left.repository, kNext);
  CHECK_FALSE(fs::exists(left.file(kDead)));
}

TEST_CASE("discarding removes file and record") {
  const Left left;
  auto opened = left.open(kNext);
  REQUIRE(staging_of(opened).drop());
  CHECK(left.blobs() == 0);
}

}  // namespace model_prep
