// SPDX-License-Identifier: Apache-2.0
#include "model_prep/base/model_spec.h"

#include "support/catch.h"

using namespace model_prep;

namespace {

const std::string kCommit = "fa97f6e7cb1a59073dff9e6b13e2715cf7475ac9";
const std::string kNul("a\0b", 3);

/// What can be no path below a folder of ours, whether it is a file's or a revision's.
const std::vector<std::string>& bad_paths() {
  static const std::vector<std::string> paths = {
      "",
      "/",
      "/etc/passwd",
      "a/",
      "a//b",
      "//a",
      ".",
      "..",
      "./a",
      "../a",
      "a/..",
      "a/../b",
      "a/./b",
      "a/.",
      "\\",
      "a\\b",
      "..\\a",
      "C:\\x",
      "a\nb",
      "a\tb",
      "a\rb",
      "\x1b[31m",
      "a\x7f",
      "\x01",
      kNul,
      kNul + "/",
      std::string(256, 'a'),
      "a/" + std::string(256, 'b') + "/c",
      std::string(1, '\0'),
      [] {
        std::string deep = "a";
        while (deep.size() <= 1024) deep += "/a";
        return deep;
      }(),
  };
  return paths;
}

bool is_presentable(const std::string& message) {
  return message.size() < 400 && message.find('\n') == std::string::npos &&
         message.find('\x1b') == std::string::npos && message.find('\0') == std::string::npos &&
         message.back() != '.';
}

}  // namespace

TEST_CASE("repository names keep their spelling") {
  const std::string text =
      GENERATE(as<std::string>{}, "gpt2", "org/name", "BAAI/bge-reranker-base", "a/b.c_d-e",
               "sentence-transformers/all-MiniLM-L6-v2", "_a/_b", "1/2", "org/name.gitx");
  const auto repo = RepoId::parse(text);
  REQUIRE(repo);
  CHECK(repo->text() == text);
}

TEST_CASE(
    "a dataset, space or kernel is written like the path of its page, with or without an organisation") {
  const RepoId dataset = *RepoId::parse("datasets/org/name");
  CHECK(dataset.kind() == RepoKind::dataset);
  CHECK(dataset.name() == "org/name");
  CHECK(dataset.text() == "datasets/org/name");
  const RepoId canonical = *RepoId::parse("datasets/squad");
  CHECK(canonical.kind() == RepoKind::dataset);
  CHECK(canonical.name() == "squad");
  CHECK(RepoId::parse("spaces/org/name")->kind() == RepoKind::space);
  CHECK(RepoId::parse("spaces/org/name")->name() == "org/name");
  CHECK(RepoId::parse("kernels/org/name")->kind() == RepoKind::kernel);
  CHECK(RepoId::parse("kernels/org/name")->name() == "org/name");
  CHECK(RepoId::parse("org/name")->kind() == RepoKind::model);
  CHECK(RepoId::parse("org/name")->name() == "org/name");
  CHECK(*RepoId::parse("org/name") != dataset);
  CHECK(RepoId::parse("datasets/datasets/squad")->name() == "datasets/squad");
}

TEST_CASE("an organisation or model may be called like a repository type") {
  const std::string text = GENERATE(as<std::string>{}, "datasets", "spaces", "org/datasets",
                                    "Datasets/a", "dataset/a", "models/a");
  const auto repo = RepoId::parse(text);
  REQUIRE(repo);
  CHECK(repo->kind() == RepoKind::model);
  CHECK(repo->name() == text);
}

TEST_CASE("a repository name has at most 96 characters") {
  CHECK(RepoId::parse("org/" + std::string(96, 'a')));
  CHECK_FALSE(RepoId::parse("org/" + std::string(97, 'a')));
}

TEST_CASE("an invalid repository name is a usage error with a hint") {
  const std::string text =
      GENERATE(as<std::string>{}, "", "/", "a/", "/a", "a/b/c", "..", ".", "a/..", "../a", "a..b",
               "a/b..c", "a--b", "org/a--b", "-a", "a-", ".a", "a.", "a/-b", "a/b.", "a/b.git",
               "b.git", "a b", "a/b c", "a\\b", "a/b\n", "a:b", "a@b", "a/b?c", "a/b#c", "a/b%2e",
               "a/\xc3\xa9", "models--a--b", "https://huggingface.co/a/b", "datasets/",
               "datasets//a", "datasets/a/b/c", "models/a/b", "kernels/a/b/c", "spaces/a/..");
  CAPTURE(text);
  const auto repo = RepoId::parse(text);
  REQUIRE_FALSE(repo);
  CHECK(repo.error().kind == ErrorKind::usage);
  CHECK_FALSE(repo.error().hint.empty());
  CHECK(is_presentable(repo.error().message));
}

TEST_CASE("a repository name with a NUL is refused") {
  CHECK_FALSE(RepoId::parse(kNul));
  CHECK_FALSE(RepoId::parse("org/" + kNul));
}

TEST_CASE("a commit is 40 lower-case hex digits and nothing else") {
  CHECK(CommitId::parse(kCommit)->hex() == kCommit);
  const std::string bad = GENERATE_COPY(
      std::string(), std::string("main"), kCommit.substr(1), kCommit + "0", kCommit + "\n",
      std::string(40, 'F'), std::string(40, 'g'), std::string(64, 'a'),
      std::string("../") + kCommit.substr(3), std::string(40, '\0'));
  CAPTURE(bad);
  const auto commit = CommitId::parse(bad);
  REQUIRE_FALSE(commit);
  CHECK(commit.error().kind == ErrorKind::protocol);
  CHECK(is_presentable(commit.error().message));
}

TEST_CASE("a revision is a branch, a tag, a pull request or a commit") {
  const std::string text =
      GENERATE_COPY(std::string("main"), std::string("v1.0+b"), std::string("refs/pr/1"),
                    std::string("feature/x"), std::string("..."), std::string("a..b"), kCommit);
  const auto revision = Revision::parse(text);
  REQUIRE(revision);
  CHECK(revision->text() == text);
  CHECK(revision->commit().has_value() == (text == kCommit));
}

TEST_CASE("40 upper-case hex digits are a branch name, not a commit") {
  CHECK_FALSE(Revision::parse("FA97F6E7CB1A59073DFF9E6B13E2715CF7475AC9")->commit());
}

TEST_CASE("a revision that could leave refs/ is a usage error with a hint") {
  for (const std::string& text : bad_paths()) {
    CAPTURE(text);
    const auto revision = Revision::parse(text);
    REQUIRE_FALSE(revision);
    CHECK(revision.error().kind == ErrorKind::usage);
    CHECK_FALSE(revision.error().hint.empty());
    CHECK(is_presentable(revision.error().message));
  }
}

TEST_CASE("a file path may contain directories, spaces, dots and any script") {
  const std::string text = GENERATE(as<std::string>{}, "config.json", "1_Pooling/config.json",
                                    ".gitattributes", "sub dir/we#ird%20 \xc3\xa9.txt",
                                    "a/.hidden/b", "...", "a..b/c..", "-", "~", "a:b", "*", "con");
  const auto path = RepoPath::parse(text);
  REQUIRE(path);
  CHECK(path->text() == text);
}

TEST_CASE("a file path that could leave its directory is a protocol error") {
  for (const std::string& text : bad_paths()) {
    CAPTURE(text);
    const auto path = RepoPath::parse(text);
    REQUIRE_FALSE(path);
    CHECK(path.error().kind == ErrorKind::protocol);
    CHECK(is_presentable(path.error().message));
  }
}

TEST_CASE("a path component has at most 255 bytes, and a path 1024") {
  CHECK(RepoPath::parse(std::string(255, 'a')));
  std::string longest = std::string(255, 'a');
  while (longest.size() < 1023) longest += "/a";
  CHECK(RepoPath::parse(longest));
  CHECK(RepoPath::parse(longest + std::string(1024 - longest.size(), 'a')));
  CHECK_FALSE(RepoPath::parse(longest + std::string(1025 - longest.size(), 'a')));
}

TEST_CASE("a locked plain git file's blob name is its git id, an LFS file's its sha256") {
  const Digest sha256 = *Digest::parse(std::string(64, 'a'));
  const Digest git = *Digest::parse(std::string(40, 'b'));
  CHECK(LockedFile{1, sha256, git}.blob() == git);
  CHECK(LockedFile{1, std::nullopt, git}.blob() == git);
  CHECK(LockedFile{1, sha256, std::nullopt}.blob() == sha256);
}
