// SPDX-License-Identifier: Apache-2.0
// What is checked of selected weights: halves, pointers and pickles.
#include "model_prep/core/weight_checks.h"

#include <chrono>

#include "core/builders.h"
#include "support/catch.h"

using namespace model_prep;
using namespace model_prep::testing;

namespace {

using Names = std::vector<std::string>;

ResolvedSnapshot snapshot_of(const Names& files, const Names& all) {
  ResolvedSnapshot made{spec("m", "org/name"), commit('c'), {}, {}};
  for (const std::string& name : files) made.files.push_back(plain_file(name, 1, '1'));
  for (const std::string& name : all) made.listing.push_back(plain_file(name, 1, '1'));
  return made;
}

/// Of a snapshot whose files all begin like a pickle.
std::optional<std::string> warning_of(const ResolvedSnapshot& of) {
  return pickle_warning(
      of, [](const RemoteFile&) { return PickleFindings{.form = PickleForm::pickle}; });
}

}  // namespace

TEST_CASE("half an OpenVINO model is an error that names the other half") {
  ModelSpec model = spec("m", "org/name");
  model.variant = Build::openvino_int8;
  const auto half = [&](const Names& names) {
    const Status checked = check_openvino(snapshot_of(names, {}).files, model);
    return checked ? "" : checked.error().message;
  };
  CHECK(half({"openvino_model.xml", "openvino_model.bin", "training.bin"}).empty());
  CHECK(
      half({"config.json", "openvino/a.xml"}) ==
      "org/name: openvino/a.xml is selected without openvino/a.bin, but an OpenVINO model needs both");
  CHECK(
      half({"openvino_model.bin"}) ==
      "org/name: openvino_model.bin is selected without openvino_model.xml, but an OpenVINO model needs both");
}

TEST_CASE("the first bytes tell whether a file is a pickle") {
  const auto warning = [](const std::string& name, const std::string& bytes) {
    const auto text = pickle_warning(snapshot_of({name}, {}), [&](const RemoteFile&) {
      return look_for_pickle(range_of(bytes), PickleDepth::form);
    });
    return text ? text->substr(0, text->find(", which")) : "";
  };
  using namespace std::string_literals;
  CHECK(warning("pytorch_model.bin", "\x80\x02}q"s) == "m: pytorch_model.bin is a pickle");
  CHECK(warning("a.ckpt", "PK\x03\x04"s) == "m: a.ckpt may be a pickle");
  CHECK(warning("a.pkl", "(lp0\n"s) == "m: a.pkl may be a pickle");

  // CTranslate2, fastText, MessagePack of spaCy, KenLM, nothing at all.
  for (const std::string& other :
       {"\x06\0\0\0"s, "\xba\x16\x4f\x2f"s, "\x81\xa5"s, "mmap lm http"s, "\x80"s, ""s})
    CHECK(warning("model.bin", other).empty());
}

TEST_CASE("a policy refuses pickles with code, or all of them, and what hides behind their names") {
  const auto refusal = [](PicklePolicy policy, const PickleFindings& findings,
                          const char* path = "a.pt") {
    return pickle_refusal(policy, path, findings).value_or("");
  };
  const PickleFindings none;
  const PickleFindings tensors = {.form = PickleForm::pickle};
  const PickleFindings code = {.form = PickleForm::pickle, .imports = {"os.system"}};
  const PickleFindings hidden = {.form = PickleForm::opaque, .why = "it is too large a pickle"};
  for (const auto policy : {PicklePolicy::allow, PicklePolicy::warn})
    for (const auto& findings : {none, tensors, code, hidden})
      CHECK(refusal(policy, findings).empty());

  constexpr auto kCode = PicklePolicy::forbid_code;
  constexpr auto kAll = PicklePolicy::forbid;
  CHECK(refusal(kCode, none).empty());
  CHECK(refusal(kCode, tensors).empty());
  CHECK(refusal(kCode, code) == "it is a pickle that imports os.system");
  CHECK(refusal(kCode, hidden) ==
        "it may be a pickle, and it cannot be looked into: it is too large a pickle");
  CHECK(refusal(kCode, none, "a.pkl") ==
        "it may be a pickle, in a form that cannot be looked into");
  CHECK(refusal(kAll, none).empty());
  CHECK(refusal(kAll, tensors) == "it is a pickle");
  CHECK(refusal(kAll, code) == "it is a pickle that imports os.system");
  CHECK_FALSE(refusal(kAll, hidden).empty());
  CHECK_FALSE(refusal(kAll, none, "a.pkl").empty());
}

TEST_CASE("an ONNX model whose data is missing or too short is told from one that is whole") {
  const std::vector<RemoteFile> files = {lfs_file("onnx/model.onnx_data", 100, '1')};
  const auto fault = [&](const ExternalData& data) {
    return external_data_fault("onnx/model.onnx", data, by_path(files)).value_or("");
  };
  CHECK(fault({{"model.onnx_data", 100}}).empty());
  CHECK(fault({{"./model.onnx_data", 0}}).empty());
  CHECK(fault({{"model.onnx_data", 101}}) ==
        "onnx/model.onnx keeps data up to byte 101 of onnx/model.onnx_data, which has 100");
  CHECK(fault({{"other", 0}}) ==
        "onnx/model.onnx keeps data in onnx/other, which is not one of the files");
}

TEST_CASE("many names of data are looked up among many files in no time") {
  std::vector<RemoteFile> files;
  ExternalData data;
  for (int i = 0; i < 200'000; ++i) {
    const std::string name = "weights-of-a-layer-" + std::to_string(i);
    files.push_back(plain_file("onnx/" + name, 10, '1'));
    data[name] = 10;
  }

  const auto begun = std::chrono::steady_clock::now();
  CHECK_FALSE(external_data_fault("onnx/model.onnx", data, by_path(files)));
  CHECK(std::chrono::steady_clock::now() - begun < std::chrono::seconds(20));
}

TEST_CASE("what a pickle imports or hides is a line of its own") {
  CHECK_FALSE(import_warning("a.pt", {.form = PickleForm::pickle}));
  CHECK(import_warning("a.pt", {.form = PickleForm::opaque, .why = "it is too large a pickle"}) ==
        "a.pt was not looked into: it is too large a pickle");
  CHECK(import_warning("a.pt", {.form = PickleForm::pickle, .imports = {"os.system"}}) ==
        "a.pt imports os.system, which PyTorch's weights_only loading refuses");
  CHECK(import_warning("a.pt", {.form = PickleForm::opaque, .imports = {"a.b", "os.system"}}) ==
        "a.pt imports a.b and 1 more, which PyTorch's weights_only loading refuses");
}

TEST_CASE("weights that are a committed Git LFS pointer are refused as what they are") {
  const auto check = [](const RemoteFile& file, const std::string& bytes) {
    ResolvedSnapshot of_file = snapshot_of({}, {});
    of_file.files = {file};
    return check_pointers(of_file, [&](const RemoteFile&) { return bytes; });
  };
  const std::string pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:";
  for (const char* name : {"model.safetensors", "unet/x.bin", "a.onnx", "model.gguf"}) {
    const Status status = check(plain_file(name, 134, '1'), pointer);
    REQUIRE_FALSE(status);
    CHECK(status.error().kind == ErrorKind::not_found);
    CHECK(status.error().message.find(name) != std::string::npos);
  }
  CHECK(check(plain_file("model.safetensors", 134, '1'), "{}"));
  CHECK(check(plain_file("notes", 134, '1'), pointer));
  CHECK(check(lfs_file("model.safetensors", 134, '1'), pointer));
}

TEST_CASE("the warning about pickles is one line per model, with what could be loaded instead") {
  CHECK_FALSE(
      warning_of(snapshot_of({"model.safetensors"}, {"model.safetensors", "pytorch_model.bin"})));
  CHECK(
      warning_of(snapshot_of({"config.json", "pytorch_model.bin"},
                             {"config.json", "model.safetensors", "pytorch_model.bin"})) ==
      "m: pytorch_model.bin is a pickle, which can run code when loaded; there are safetensors in the same directory");
  CHECK(
      warning_of(snapshot_of({"a.pkl", "b.pt", "c.ckpt"}, {"a.pkl", "b.pt", "c.ckpt"})) ==
      "m: a.pkl and 2 more are pickles, which can run code when loaded, and this revision has no safetensors; the "
      "Hub may have a conversion of it, as refs/pr/N");
  CHECK(warning_of(snapshot_of({"2_Dense/pytorch_model.bin", "model.safetensors"},
                               {"2_Dense/pytorch_model.bin", "model.safetensors"})) ==
        "m: 2_Dense/pytorch_model.bin is a pickle, which can run code when loaded");
}

TEST_CASE("a shard that an index gives to PyTorch's loader counts as a pickle, whatever its name") {
  const ResolvedSnapshot of = snapshot_of({"config.json", "weights-1.dat"}, {});
  const auto look = [](const RemoteFile&) { return PickleFindings{.form = PickleForm::pickle}; };
  CHECK_FALSE(pickle_warning(of, look));
  CHECK(pickle_warning(of, look, {path("weights-1.dat")}) ==
        "m: weights-1.dat is a pickle, which can run code when loaded");
}

TEST_CASE("without a listing the warning does not mention other files") {
  CHECK(warning_of(snapshot_of({"pytorch_model.bin"}, {})) ==
        "m: pytorch_model.bin is a pickle, which can run code when loaded");
}

TEST_CASE("a whole commit causes the warning only if there is nothing else to load") {
  ResolvedSnapshot both = snapshot_of({"model.safetensors", "pytorch_model.bin"},
                                      {"model.safetensors", "pytorch_model.bin"});
  both.spec.whole_commit = true;
  CHECK_FALSE(warning_of(both));
  ResolvedSnapshot one = snapshot_of({"pytorch_model.bin"}, {"pytorch_model.bin"});
  one.spec.whole_commit = true;
  CHECK(warning_of(one));
}

TEST_CASE("a dataset's .bin does not count as a pickle") {
  ResolvedSnapshot data = snapshot_of({"tokens.bin"}, {"tokens.bin"});
  data.spec.repo = repo("datasets/org/name");
  CHECK_FALSE(warning_of(data));
}

TEST_CASE("a .bin of OpenVINO or ggml does not count as a pickle") {
  const Names names = {"a.bin", "a.xml", "ggml-base.bin", "openvino_model.bin"};
  CHECK_FALSE(warning_of(snapshot_of(names, names)));
}
