// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/snapshot_record.h"

#include "core/builders.h"
#include "support/catch.h"

using namespace model_prep;
using namespace model_prep::testing;

TEST_CASE("a record remembers the names that no directory can hold, and is as before without any") {
  SnapshotRecord known{
      .listing = {plain_file("a", 1, '1')}, .blobs = {}, .unusable = {"Icon\r", "a\\b"}};
  const auto back = parse_record(serialize_record(known));
  REQUIRE(back);
  CHECK(back->unusable == known.unusable);
  CHECK(back->listing.size() == 1);
  known.unusable.clear();
  CHECK(serialize_record(known).find("unusable") == std::string::npos);
}

TEST_CASE("a record remembers which files were signed, and is as before without any") {
  SnapshotRecord known;
  const SignedBy by{std::string(64, 'a'), sha256('b')};
  const std::vector<RemoteFile> files = {plain_file("a", 1, '1'), plain_file("b/c", 1, '2')};
  add_signature(known, by, files);
  const auto back = parse_record(serialize_record(known));
  REQUIRE(back);
  CHECK(back->signature == known.signature);

  TrustedSigner signer;
  signer.id = by.trusted;
  CHECK(is_signed(*back, signer, files));
  CHECK(is_signed(*back, signer, {files[1]}));
  CHECK_FALSE(is_signed(*back, signer, {files[0], plain_file("d", 1, '3')}));
  // The same name with other bytes, as somebody who took over the Hub may list it.
  CHECK_FALSE(is_signed(*back, signer, {plain_file("a", 1, '3')}));
  signer.id = std::string(64, 'c');
  CHECK_FALSE(is_signed(*back, signer, files));

  known.signature.reset();
  CHECK(serialize_record(known).find("sign") == std::string::npos);
}

TEST_CASE("files of another selection are added to the same signature, not to another") {
  SnapshotRecord record;
  const SignedBy by{std::string(64, 'a'), sha256('b')};
  add_signature(record, by, {plain_file("a", 1, '1')});
  add_signature(record, by, {plain_file("b", 1, '1')});
  CHECK(record.signature->files.size() == 2);

  const SignedBy other{std::string(64, 'c'), sha256('b')};
  add_signature(record, other, {plain_file("b", 1, '1')});
  CHECK(record.signature->by == other);
  REQUIRE(record.signature->files.size() == 1);
  CHECK(record.signature->files.contains(path("b")));
}

TEST_CASE("a record whose signature is not whole has none") {
  SnapshotRecord known;
  add_signature(known, {std::string(64, 'a'), sha256('b')}, {plain_file("a", 1, '1')});
  const std::string text = serialize_record(known);
  for (const char* member : {"\"trusted\"", "\"key\"", "\"signature\""}) {
    std::string changed = text;
    changed.replace(changed.find(member), 3, "\"x_");
    const auto back = parse_record(changed);
    CAPTURE(member);
    REQUIRE(back);
    CHECK_FALSE(back->signature);
  }
}

TEST_CASE("a record remembers license and scan, and that one is not known") {
  const HubFacts facts = GENERATE(
      HubFacts{}, HubFacts{.licenses = Strings{}}, HubFacts{.licenses = Strings{"mit", "other:x"}},
      HubFacts{.scan = ScanVerdict{.complete = true}},
      HubFacts{.licenses = Strings{"mit"},
               .scan = ScanVerdict{.findings = {{"a\"b.pkl", "unsafe"}, {"c", "caution"}}}});
  const auto back = parse_record(serialize_record({.listing = {}, .blobs = {}, .facts = facts}));
  REQUIRE(back);
  CHECK(back->facts == facts);
}

TEST_CASE("a record of an older version, without license and scan, is as it ever was") {
  CHECK(serialize_record({}) == "{\n \"format\": 1,\n \"blobs\": {}\n}\n");
  const auto back = parse_record(R"({"format": 1, "blobs": {}})");
  REQUIRE(back);
  CHECK(back->facts == HubFacts{});
}

namespace {

RemoteFile with_xet(RemoteFile file, const std::string& hash) {
  file.xet_hash = hash;
  return file;
}

std::vector<RemoteFile> sample_listing() {
  return {lfs_file("other.bin", 5, 'c'),
          plain_file("\xf0\x9f\x98\x80", 1, '7'),
          plain_file("\xef\xbf\xae", 1, '6'),
          with_xet(lfs_file("model.safetensors", 1048576, 'a'), std::string(64, 'b')),
          plain_file("a\"b'&</>.json", 17592186044416, '5'),
          plain_file("Zahlen/\xc3\xa9t\xc3\xa9 \xe4\xb8\xad\xf0\x9f\x98\x80.txt", 7, '4'),
          plain_file("1_Pooling/config.json", 2, '1'),
          plain_file(".gitattributes", 0, '2')};
}

// What Python prints for it: json.dumps({"format_version": 1, "files": …}, indent=1), the files
// sorted by path.
constexpr const char* kSampleTree = R"({
 "format_version": 1,
 "files": {
  ".gitattributes": {
   "size": 0,
   "blob_id": "2222222222222222222222222222222222222222"
  },
  "1_Pooling/config.json": {
   "size": 2,
   "blob_id": "1111111111111111111111111111111111111111"
  },
  "Zahlen/\u00e9t\u00e9 \u4e2d\ud83d\ude00.txt": {
   "size": 7,
   "blob_id": "4444444444444444444444444444444444444444"
  },
  "a\"b'&</>.json": {
   "size": 17592186044416,
   "blob_id": "5555555555555555555555555555555555555555"
  },
  "model.safetensors": {
   "size": 1048576,
   "blob_id": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
   "lfs_sha256": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
   "lfs_size": 1048576,
   "xet_hash": "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
  },
  "other.bin": {
   "size": 5,
   "blob_id": "cccccccccccccccccccccccccccccccccccccccc",
   "lfs_sha256": "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc",
   "lfs_size": 5
  },
  "\uffee": {
   "size": 1,
   "blob_id": "6666666666666666666666666666666666666666"
  },
  "\ud83d\ude00": {
   "size": 1,
   "blob_id": "7777777777777777777777777777777777777777"
  }
 }
})";

bool same_file(const RemoteFile& a, const RemoteFile& b) {
  return a.path == b.path && a.size == b.size && a.blob == b.blob && a.oid == b.oid &&
         a.xet_hash == b.xet_hash;
}

std::string blob_entry(const std::string& members) {
  return R"({"format": 1, "blobs": {")" + std::string(64, 'a') + "\": " + members + "}}";
}

std::string tree_entry(const std::string& path, const std::string& members) {
  return R"({"format_version": 1, "files": {")" + path + "\": " + members + "}}";
}

const std::string kSha1Text = "\"" + std::string(40, 'b') + "\"";
const std::string kSha256Text = "\"" + std::string(64, 'b') + "\"";

}  // namespace

TEST_CASE("the tree listing is byte for byte what Python writes") {
  CHECK(serialize_tree(sample_listing()) == kSampleTree);
}

TEST_CASE("the tree listing of an empty commit is what Python writes") {
  CHECK(serialize_tree({}) == "{\n \"format_version\": 1,\n \"files\": {}\n}");
}

TEST_CASE("there is no tree listing while the git id of a file is unknown") {
  RemoteFile file = lfs_file("model.bin", 5, 'a');
  file.oid.reset();
  CHECK_FALSE(serialize_tree({plain_file("config.json", 2, '1'), file}));
}

TEST_CASE("a masked or odd Xet hash is not written into the tree listing") {
  const std::string hash =
      GENERATE(as<std::string>{}, "", "x", std::string(64, '*'), std::string(64, 'B'));
  const auto text = serialize_tree({with_xet(lfs_file("model.bin", 5, 'a'), hash)});
  REQUIRE(text);
  CHECK(text->find("xet_hash") == std::string::npos);
}

TEST_CASE("a tree listing is read back, sorted by path") {
  const auto files = parse_tree(kSampleTree);
  REQUIRE(files);
  std::vector<RemoteFile> expected = sample_listing();
  std::sort(expected.begin(), expected.end(),
            [](const auto& a, const auto& b) { return a.path < b.path; });
  CHECK(std::equal(files->begin(), files->end(), expected.begin(), expected.end(), same_file));
}

TEST_CASE("the sample of huggingface_hub's format is read") {
  const auto files = parse_tree(
      tree_entry("1_Pooling/config.json", R"({"size": 2, "blob_id": )" + kSha1Text + "}"));
  REQUIRE(files);
  REQUIRE(files->size() == 1);
  CHECK(same_file(files->front(), plain_file("1_Pooling/config.json", 2, 'b')));
}

TEST_CASE("an invalid tree listing is ignored") {
  const std::string text = GENERATE_COPY(
      std::string(), std::string("null"), std::string("[]"), std::string("1"), std::string("\"x\""),
      std::string("{}"), std::string(R"({"format_version": 2, "files": {}})"),
      std::string(R"({"format_version": "1", "files": {}})"),
      std::string(R"({"format_version": 1})"), std::string(R"({"format_version": 1, "files": 7})"),
      std::string(R"({"format_version": 1, "files": "abc"})"),
      std::string(R"({"format_version": 1, "files": ["a"]})"), tree_entry("a", "7"),
      tree_entry("a", "null"), tree_entry("a", "{}"), tree_entry("a", "[]"),
      tree_entry("a", R"({"size": 1})"),
      tree_entry("a", R"({"size": "1", "blob_id": )" + kSha1Text + "}"),
      tree_entry("a", R"({"size": -1, "blob_id": )" + kSha1Text + "}"),
      tree_entry("a", R"({"size": null, "blob_id": )" + kSha1Text + "}"),
      tree_entry("a", R"({"size": 18446744073709551615, "blob_id": )" + kSha1Text + "}"),
      tree_entry("a", R"({"size": 1, "blob_id": )" + kSha256Text + "}"),
      tree_entry("a", R"({"size": 1, "blob_id": "../../etc/passwd"})"),
      tree_entry("a", R"({"size": 1, "blob_id": 7})"),
      tree_entry("a", R"({"size": 1, "xet_hash": 7, "blob_id": )" + kSha1Text + "}"),
      tree_entry("a", R"({"size": 1, "lfs_sha256": )" + kSha256Text + R"(, "blob_id": )" +
                          kSha1Text + "}"),
      tree_entry("a",
                 R"({"size": 1, "lfs_size": 1, "lfs_sha256": null, "blob_id": )" + kSha1Text + "}"),
      tree_entry("../a", R"({"size": 1, "blob_id": )" + kSha1Text + "}"),
      tree_entry("/a", R"({"size": 1, "blob_id": )" + kSha1Text + "}"),
      tree_entry("a\\u0000b", R"({"size": 1, "blob_id": )" + kSha1Text + "}"),
      tree_entry("", R"({"size": 1, "blob_id": )" + kSha1Text + "}"), tree_entry("\xff\xfe", "{}"),
      std::string(kSampleTree) + "x");
  CAPTURE(text);
  CHECK_FALSE(parse_tree(text));
}

TEST_CASE("a tree listing truncated anywhere is ignored") {
  const std::string whole = kSampleTree;
  for (std::size_t length = 0; length < whole.size(); ++length)
    if (parse_tree(std::string_view(whole).substr(0, length)))
      FAIL("accepted when cut at " << length);
  SUCCEED();
}

TEST_CASE("a record is read back") {
  SnapshotRecord record{sample_listing(), {}};
  record.blobs.emplace(sha256('a'), VerifiedBlob{1048576, 1'700'000'000'123'456'789, sha256('a')});
  record.blobs.emplace(git_sha1('1'), VerifiedBlob{2, -1, sha256('e')});
  const auto back = parse_record(serialize_record(record));
  REQUIRE(back);
  CHECK(back->blobs == record.blobs);
  CHECK(back->listing.size() == record.listing.size());
  CHECK(serialize_record(*back) == serialize_record(record));
}

TEST_CASE("a record without a listing is read back without one") {
  SnapshotRecord record;
  record.blobs.emplace(sha256('a'), VerifiedBlob{1, 2, sha256('a')});
  const auto back = parse_record(serialize_record(record));
  REQUIRE(back);
  CHECK(back->listing.empty());
  CHECK(back->blobs == record.blobs);
}

TEST_CASE("a record leaves its listing out when a git id is unknown, and keeps its blobs") {
  SnapshotRecord record{{lfs_file("model.bin", 5, 'a')}, {}};
  record.listing.front().oid.reset();
  record.blobs.emplace(sha256('a'), VerifiedBlob{5, 2, sha256('a')});
  const auto back = parse_record(serialize_record(record));
  REQUIRE(back);
  CHECK(back->listing.empty());
  CHECK(back->blobs == record.blobs);
}

TEST_CASE("a record vouches for a blob only if it has the digests that are wanted") {
  const VerifiedBlob verified{5, 0, sha256('a')};
  CHECK(vouches_for(verified, {.digest = sha256('a'), .size = 5}));
  CHECK_FALSE(vouches_for(verified, {.digest = sha256('b'), .size = 5}));
  CHECK(vouches_for(verified, {.digest = git_sha1('1'), .size = 5}));
  CHECK(vouches_for(verified, {.digest = git_sha1('1'), .size = 5, .locked_sha256 = sha256('a')}));
  CHECK_FALSE(
      vouches_for(verified, {.digest = git_sha1('1'), .size = 5, .locked_sha256 = sha256('b')}));
}

TEST_CASE("an invalid record is ignored") {
  const std::string text = GENERATE_COPY(
      std::string(), std::string("{}"), std::string("[1]"), std::string("nonsense"),
      std::string(R"({"format": 1})"), std::string(R"({"format": 2, "blobs": {}})"),
      std::string(R"({"format": null, "blobs": {}})"), std::string(R"({"format": 1, "blobs": 7})"),
      std::string(R"({"format": 1, "blobs": ["a"]})"),
      std::string(R"({"format": 1, "blobs": {}, "listing": 7})"),
      std::string(R"({"format": 1, "blobs": {}, "listing": {"a": 7}})"),
      std::string(R"({"format": 1, "blobs": {"../x": {"size": 1, "mtime_ns": 1, "sha256": )" +
                  kSha256Text + "}}}"),
      blob_entry("7"), blob_entry("{}"), blob_entry(R"({"size": 1, "mtime_ns": 1})"),
      blob_entry(R"({"size": 1, "mtime_ns": 1, "sha256": )" + kSha1Text + "}"),
      blob_entry(R"({"size": 1, "mtime_ns": 1, "sha256": 7})"),
      blob_entry(R"({"size": "1", "mtime_ns": 1, "sha256": )" + kSha256Text + "}"),
      blob_entry(R"({"size": 1, "mtime_ns": {}, "sha256": )" + kSha256Text + "}"),
      std::string(200'000, '['));
  CAPTURE(text.substr(0, 200));
  CHECK_FALSE(parse_record(text));
}

TEST_CASE("a record truncated anywhere is ignored") {
  SnapshotRecord record{{plain_file("config.json", 2, '1')}, {}};
  record.blobs.emplace(sha256('a'), VerifiedBlob{5, 2, sha256('a')});
  const std::string whole = serialize_record(record);
  for (std::size_t length = 0; length + 1 < whole.size();
       ++length)  // the last byte is the line end
    if (parse_record(std::string_view(whole).substr(0, length)))
      FAIL("accepted when cut at " << length);
  SUCCEED();
}

TEST_CASE("a record of plain files says what they are, and any other is as ever") {
  SnapshotRecord record;
  CHECK(serialize_record(record).find("origin") == std::string::npos);
  record.origin = "org/name@\"1\" all +*.json";
  const auto read = parse_record(serialize_record(record));
  REQUIRE(read);
  CHECK(read->origin == record.origin);
}

TEST_CASE("a claim of an imported folder is kept apart from a listing, which takes its place") {
  SnapshotRecord record{{}, {}};
  record.claimed = {lfs_file("model.bin", 5, 'a')};
  const auto back = parse_record(serialize_record(record));
  REQUIRE(back);
  CHECK(back->listing.empty());
  REQUIRE(back->claimed.size() == 1);
  CHECK(back->claimed.front().blob == sha256('a'));

  record.listing = {lfs_file("model.bin", 5, 'b')};
  CHECK(serialize_record(record).find("claimed") == std::string::npos);
  CHECK_FALSE(parse_record(R"({"format": 1, "blobs": {}, "claimed": {"a": 7}})"));
}
