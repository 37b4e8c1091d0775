// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/kserve_arguments.h"

#include "support/catch.h"

using namespace model_prep;

namespace {

std::string name_of(const std::string& uri) {
  const auto models = parse_kserve_arguments({uri, "/mnt/models"});
  return models ? models->front().name : "";
}

Error error_of(const Strings& arguments) {
  const auto models = parse_kserve_arguments(arguments);
  REQUIRE_FALSE(models);
  CHECK(models.error().kind == ErrorKind::usage);
  return models.error();
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("KServe's address of a model has its revision behind a colon") {
  CHECK(name_of("hf://org/name") == "org/name");
  CHECK(name_of("hf://org/name:main") == "org/name@main");
  CHECK(name_of("hf://org/name:refs/pr/1") == "org/name@refs/pr/1");
  const std::string commit(40, 'a');
  CHECK(name_of("hf://org/name:" + commit) == "org/name@" + commit);
}

TEST_CASE("a word that would be a build elsewhere is a revision here") {
  CHECK(name_of("hf://org/name:onnx") == "org/name@onnx");
}

TEST_CASE("KServe's arguments are pairs, the outer folder first") {
  const auto models = parse_kserve_arguments(
      {"hf://org/adapter", "/mnt/models/adapter", "hf://org/base", "/mnt/models"});
  REQUIRE(models);
  REQUIRE(models->size() == 2);
  CHECK(models->front().name == "org/base");
  CHECK(models->front().folder == "/mnt/models");
  CHECK(models->back().name == "org/adapter");
  CHECK(models->back().folder == "/mnt/models/adapter");
}

TEST_CASE("arguments that are no pairs are an error that shows how to write them") {
  const Error none = error_of({});
  CHECK(contains(none.message, "got 0 arguments"));
  CHECK(contains(none.hint, "kserve-init hf://org/name:revision /mnt/models"));
  CHECK(contains(error_of({"hf://org/name"}).message, "got 1 argument"));
  CHECK(contains(error_of({"hf://org/a", "hf://org/b"}).message, "destination of hf://org/a"));
  CHECK(contains(error_of({"/mnt/models", "hf://org/a"}).message, "'/mnt/models' is no address"));
  CHECK(contains(error_of({"hf://org/a", "models"}).message, "no absolute path"));
}

TEST_CASE("the address of another store says who fetches that") {
  CHECK(contains(error_of({"s3://bucket/model", "/mnt/models"}).hint,
                 "leave s3:// to KServe's own storage initializer"));
  CHECK(contains(error_of({"https://host/model", "/mnt/models"}).hint, "leave https://"));
  CHECK(contains(error_of({"pvc://claim/model", "/mnt/models"}).hint, "mounts pvc:// itself"));
  CHECK(contains(error_of({"oci://registry/image", "/mnt/models"}).hint, "takes oci:// itself"));
}

TEST_CASE("an address that KServe does not know is refused") {
  for (const char* uri :
       {"hf://", "hf://name", "hf://datasets/org/name", "hf://org/name/file", "hf://org/",
        "hf:///name", "hf://org/name:", "hf://org/name:a..b/..", "HF://org/name", "org/name"})
    CHECK(name_of(uri).empty());
  CHECK(contains(error_of({"hf://org/name@main", "/mnt/models"}).hint, "behind a colon"));
  CHECK(contains(error_of({"hf://org/name:v1:onnx", "/mnt/models"}).hint, "--variant BUILD"));
}

TEST_CASE("no model and no folder may be given twice") {
  CHECK(contains(error_of({"hf://org/a", "/a", "hf://org/a", "/b"}).message, "'org/a' is given"));
  CHECK(contains(error_of({"hf://org/a", "/a", "hf://org/b", "/a"}).message, "'/a' is given"));
}
