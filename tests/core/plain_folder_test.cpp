// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/plain_folder.h"

#include "core/builders.h"
#include "support/catch.h"

using namespace model_prep;
using namespace model_prep::testing;

TEST_CASE("a folder has the manifest's key, or the name of the repository") {
  const auto name = [](const std::string& key, const std::string& id) {
    return plain_folder_name(spec(key, id));
  };
  CHECK(name("mine", "org/name") == "mine");
  CHECK(name("org/name@main:onnx", "org/name") == "org--name");
  CHECK(name("datasets/org/name", "datasets/org/name") == "datasets--org--name");
  CHECK_FALSE(name("..", "org/name"));
  CHECK_FALSE(name(".hidden", "org/name"));
  CHECK_FALSE(name("a\\b", "org/name"));
}

TEST_CASE("a record is of these files if it lists them and has hashed each") {
  const std::vector files = {plain_file("a", 1, '1'), plain_file("b", 2, '2')};
  SnapshotRecord record{
      .listing = files,
      .blobs = {{git_sha1('1'), {1, 0, sha256('a')}}, {git_sha1('2'), {2, 0, sha256('b')}}}};
  CHECK(is_record_of(record, files));
  CHECK_FALSE(is_record_of(record, {files[0]}));
  CHECK_FALSE(is_record_of(record, {files[0], plain_file("b", 2, '3')}));
  CHECK_FALSE(is_record_of(record, {files[0], plain_file("c", 2, '2')}));

  std::vector<RemoteFile> locked = files;
  locked[1].locked_sha256 = sha256('b');
  CHECK(is_record_of(record, locked));
  locked[1].locked_sha256 = sha256('c');
  CHECK_FALSE(is_record_of(record, locked));

  record.blobs.erase(git_sha1('2'));
  CHECK_FALSE(is_record_of(record, files));
}

TEST_CASE("what a folder holds is named by all that decides on its files") {
  const CommitId commit = *CommitId::parse(std::string(40, '1'));
  ModelSpec model = spec("mine", "org/name");
  model.variant_requested = Variant(Build::all);
  model.filter = {};
  CHECK(origin_of(model, commit) == "org/name@" + commit.hex() + " all");
  model.filter.include = {"*.json", "*.txt"};
  model.filter.exclude = {"a"};
  CHECK(origin_of(model, commit) == "org/name@" + commit.hex() + " all +*.json +*.txt -a");

  model.filter = {};
  model.policy = {.licenses = {{"apache-2.0", "mit"}},
                  .pickles = PicklePolicy::forbid,
                  .scan = ScanPolicy::required,
                  .signatures = SignaturePolicy::required};
  model.signer = TrustedSigner{.in_manifest = {}, .id = "abc"};
  CHECK(origin_of(model, commit) ==
        "org/name@" + commit.hex() +
            " all licenses=apache-2.0,mit pickles=forbid scan=required signatures=required"
            " signer=abc");
}
