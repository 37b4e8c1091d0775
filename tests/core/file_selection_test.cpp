// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/file_selection.h"

#include "core/builders.h"
#include "support/catch.h"

using namespace model_prep;
using namespace model_prep::testing;

namespace {

ModelSpec with_filter(FileFilter filter) {
  ModelSpec model = spec("m", "org/name");
  model.filter = std::move(filter);
  return model;
}

ModelSpec general() { return with_filter({{}, {}, true}); }

Listing listing_of(const std::vector<std::string>& names) {
  Listing listing;
  for (const std::string& name : names) listing.files.push_back(plain_file(name, 1, '1'));
  return listing;
}

std::vector<std::string> names_of(const std::vector<RemoteFile>& files) {
  std::vector<std::string> names;
  for (const RemoteFile& file : files) names.push_back(file.path.text());
  return names;
}

std::vector<std::string> selected(const Listing& listing, const ModelSpec& model) {
  const auto files = select_files(listing, model);
  return files ? names_of(files->files)
               : std::vector<std::string>{"error: " + files.error().message};
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("a file is kept if an include matches and no exclude does") {
  const Listing listing =
      listing_of({"config.json", "model.safetensors", "onnx/config.json", "vocab.txt"});
  CHECK(selected(listing, with_filter({{"*.json", "*.safetensors"}, {"onnx/*"}, false})) ==
        Names{"config.json", "model.safetensors"});
}

TEST_CASE("an include list without matches is not_found with a hint") {
  const auto files = select_files(listing_of({"config.json"}), with_filter({{}, {}, false}));
  REQUIRE_FALSE(files);
  CHECK(files.error().kind == ErrorKind::not_found);
  CHECK(files.error().message == "org/name: no file of this revision belongs to the variant fp32");
  CHECK_FALSE(files.error().hint.empty());
}

TEST_CASE("if patterns of the command line select nothing, the error lists all of them") {
  FileFilter filter{{"*.onnx", "x/"}, {"*.json"}, false};
  filter.from_command_line = true;
  const auto files = select_files(listing_of({"config.json"}), with_filter(filter));
  REQUIRE_FALSE(files);
  CHECK(files.error().kind == ErrorKind::not_found);
  CHECK(
      files.error().message ==
      "org/name: no file of this revision matches --include '*.onnx' --include 'x/' --exclude '*.json'");
}

TEST_CASE("the filter that selects everything selects every file") {
  const Names all = {".gitattributes", "a/b/c.onnx", "model.bin", "model.safetensors"};
  CHECK(selected(listing_of(all), with_filter({{"*"}, {}, false})) == all);
}

TEST_CASE("automatic selection takes safetensors if there are any, and no other weights") {
  const Listing listing =
      listing_of({".gitattributes", "1_Pooling/config.json", "README.md", "config.json",
                  "coreml/x/model.mlpackage/weights.bin", "flax_model.msgpack", "model.safetensors",
                  "model.safetensors.index.json", "onnx/model.onnx", "onnx/config.json",
                  "openvino/openvino_model.bin", "openvino/openvino_model.xml", "pytorch_model.bin",
                  "pytorch_model.bin.index.json", "rust_model.ot", "sentencepiece.bpe.model",
                  "tf_model.h5", "tokenizer.json", "vocab.txt"});
  CHECK(selected(listing, general()) == Names{"1_Pooling/config.json", "README.md", "config.json",
                                              "model.safetensors", "sentencepiece.bpe.model",
                                              "tokenizer.json", "vocab.txt"});
}

TEST_CASE("automatic selection takes PyTorch's own weights if there are no safetensors") {
  const Listing listing =
      listing_of({"config.json", "pytorch_model.bin", "tf_model.h5", "vocab.txt"});
  CHECK(selected(listing, general()) == Names{"config.json", "pytorch_model.bin", "vocab.txt"});
}

TEST_CASE("only automatic selection reads indexes, and none that is too large") {
  Listing listing =
      listing_of({"model-00001-of-00001.safetensors", "model.safetensors.index.json"});
  CHECK(names_of(deciding_files(listing, general())) == Names{"model.safetensors.index.json"});
  CHECK(deciding_files(listing, with_filter({{"*"}, {}, false})).empty());
  listing.files[1].size = kMaxDecidingFile + 1;
  CHECK(deciding_files(listing, general()).empty());
}

TEST_CASE(
    "without the variant, automatic selection falls back to fp32, and a manifest's variant stays") {
  ModelSpec wanted = general();
  wanted.variant = Build::onnx;
  CHECK(select_files(listing_of({"onnx/model.onnx"}), wanted)->variant == Build::onnx);
  CHECK(select_files(listing_of({"model.safetensors"}), wanted)->variant == Build::fp32);
  wanted.filter = {{"*"}, {}, false};
  CHECK(select_files(listing_of({"model.safetensors"}), wanted)->variant == Build::onnx);
}

TEST_CASE(
    "half an OpenVINO model is an error in a manifest's variant, but not for the user's patterns") {
  ModelSpec model = with_filter({{"*.xml", "*.json"}, {}, false});
  model.variant = Build::openvino_int8;
  const Listing listing = listing_of({"config.json", "openvino_model.bin", "openvino_model.xml"});
  CHECK(selected(listing, model) ==
        Names{"error: org/name: openvino_model.xml is selected without openvino_model.bin, "
              "but an OpenVINO model needs both"});
  model.filter.from_command_line = true;
  CHECK(selected(listing, model) == Names{"config.json", "openvino_model.xml"});
}

TEST_CASE("a masked safetensors file counts for automatic selection") {
  Listing listing = listing_of({"config.json", "pytorch_model.bin"});
  listing.masked = {path("model.safetensors")};
  const auto files = select_files(listing, general());
  REQUIRE_FALSE(files);
  CHECK(files.error().kind == ErrorKind::gated);
}

TEST_CASE("a selected file with a masked digest is gated, with the page to visit") {
  Listing listing = listing_of({"config.json"});
  listing.masked = {path("model.safetensors")};
  const auto files = select_files(listing, with_filter({{"*"}, {}, false}));
  REQUIRE_FALSE(files);
  CHECK(files.error().kind == ErrorKind::gated);
  CHECK(
      files.error().message ==
      "org/name: access to this repository is restricted: the Hub hides the digest of model.safetensors");
  CHECK(files.error().hint.find("https://huggingface.co/org/name,") != std::string::npos);
}

TEST_CASE("a masked file that is not selected is ignored") {
  Listing listing = listing_of({"config.json"});
  listing.masked = {path("model.safetensors")};
  CHECK(selected(listing, with_filter({{"*.json"}, {}, false})) == Names{"config.json"});
}

TEST_CASE("a listing is sorted by path") {
  Listing listing = listing_of({"b", "a/x", "a.x", "Z"});
  REQUIRE(check_listing(listing, "org/name"));
  CHECK(names_of(listing.files) == Names{"Z", "a.x", "a/x", "b"});
}

TEST_CASE("a listing that no directory can hold is refused") {
  const Names names = GENERATE(values<Names>({{"a", "a"},
                                              {"x", "a/b", "a/b"},
                                              {"a", "a/b"},
                                              {"a/b/c", "a"},
                                              {"a/b/c", "a/b"},
                                              {"a/b", "a-b", "a/b/c/d"}}));
  Listing listing = listing_of(names);
  const Status status = check_listing(listing, "org/name");
  REQUIRE_FALSE(status);
  CHECK(status.error().kind == ErrorKind::protocol);
  CHECK(status.error().message.starts_with("org/name: the Hub lists '"));
}

TEST_CASE("a digest with two sizes is refused, in whatever order") {
  Listing listing;
  listing.files = {plain_file("a", 1, 'a'), plain_file("b", 2, 'b'), plain_file("c", 3, 'a')};
  if (GENERATE(false, true)) std::ranges::reverse(listing.files);
  const Status status = check_listing(listing, "org/name");
  REQUIRE_FALSE(status);
  CHECK(status.error().kind == ErrorKind::protocol);
  listing.files[0].size = listing.files[2].size;
  CHECK(check_listing(listing, "org/name"));
}

TEST_CASE("a directory of which no file is listed is found, and of which one is, is not") {
  Listing listing = listing_of({"a/b/c", "d"});
  listing.masked = {path("m/x")};
  listing.unusable = {"u/y\\z"};
  listing.folders = {"a", "a/b", "m", "u"};
  CHECK_FALSE(empty_folder(listing));
  listing.folders.push_back(GENERATE(as<std::string>{}, "1_Pooling", "a/", "d", "a/b/c", ""));
  CHECK(empty_folder(listing) == listing.folders.back());
}

TEST_CASE("a second list adds only what the first lacks") {
  Listing listing = listing_of({"a", "b/c"});
  listing.masked = {path("m")};
  Listing more = listing_of({"b/c", "b/d"});
  more.masked = {path("m"), path("n")};
  more.unusable = {"x\r"};
  add_missing(listing, more);
  CHECK(names_of(listing.files) == Names{"a", "b/c", "b/d"});
  CHECK(listing.masked == std::vector{path("m"), path("n")});
  CHECK(listing.unusable == Strings{"x\r"});
}

TEST_CASE("a name that no directory here can hold matters only if it is selected") {
  Listing listing = listing_of({"config.json"});
  listing.unusable = {"docs\\Icon\r"};
  CHECK(selected(listing, general()) == Names{"config.json"});
  CHECK(selected(listing, with_filter({{"*.json"}, {}, false})) == Names{"config.json"});
  CHECK(selected(listing, with_filter({{"*"}, {"docs*Icon*"}, false})) == Names{"config.json"});

  const auto all = select_files(listing, with_filter({{"*"}, {}, false}));
  REQUIRE_FALSE(all);
  CHECK(all.error().kind == ErrorKind::protocol);
  CHECK(all.error().message.find("Icon") != std::string::npos);
  CHECK(all.error().hint.find("--exclude 'docs*Icon*'") != std::string::npos);
}

TEST_CASE("weights with a name that no directory here can hold are not left out silently") {
  Listing listing = listing_of({"config.json"});
  listing.unusable = {"sub\\model.safetensors"};
  const auto selected = select_files(listing, general());
  REQUIRE_FALSE(selected);

  // --exclude alone would take everything else.
  CHECK(selected.error().hint.find("--exclude") == std::string::npos);
  CHECK(selected.error().hint.ends_with("select the files that you need with --include"));
}

TEST_CASE("masked files count for path conflicts") {
  Listing listing = listing_of({"a/b"});
  SECTION("the same path twice") { listing.masked = {path("a/b")}; }
  SECTION("a file, then a directory of its name") { listing.masked = {path("a")}; }
  SECTION("a directory, then a file of its name") { listing.masked = {path("a/b/c")}; }
  CHECK(check_listing(listing, "org/name").has_value() == listing.masked.empty());
}

TEST_CASE("names that only share a prefix are no conflict") {
  Listing listing = listing_of({"a", "a.b", "ab/c", "b/a", "b/a.x"});
  CHECK(check_listing(listing, "org/name"));
}
