// SPDX-License-Identifier: Apache-2.0
// The summary as JSON: its members, their order, and what is escaped.
#include "model_prep/report/summary_json.h"

#include <nlohmann/json.hpp>

#include "core/builders.h"
#include "support/catch.h"

using namespace model_prep;

namespace {

ModelReport detailed_model() {
  return {.spec = testing::spec("all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"),
          .status = ModelStatus::downloaded,
          .commit = std::string(40, 'c'),
          .snapshot = "/app/models/hub/snapshots/c",
          .bytes = 90868988,
          .bytes_downloaded = 90868376,
          .bytes_reused = 612,
          .duration_s = 3.20049,
          .error = {},
          .files = {{.path = "config.json",
                     .size = 612,
                     .sha256 = std::string(64, 'd'),
                     .git_sha1 = std::string(40, 'e'),
                     .status = FileReportStatus::cached,
                     .attempts = 0,
                     .duration_s = 0,
                     .error = {}},
                    {.path = "model.safetensors",
                     .size = 90868376,
                     .sha256 = std::string(64, 'a'),
                     .git_sha1 = {},
                     .status = FileReportStatus::downloaded,
                     .attempts = 2,
                     .duration_s = 2.9,
                     .error = {},
                     .source = "https://huggingface.co"}}};
}

RunReport detailed_run(std::vector<ModelReport> models) {
  return {.tool = "model-prep 0.1.0",
          .command = "download",
          .timestamp = "2026-11-20T19:07:00Z",
          .duration_s = 12.3454,
          .dry_run = false,
          .offline = false,
          .cache_dir = "/app/models/hub",
          .endpoints = {"https://huggingface.co"},
          .variant = Build::fp32,
          .requests = 61,
          .retries = 1,
          .signal = {},
          .error = {},
          .models = std::move(models)};
}

constexpr const char* kGood = R"({
  "schema_version": 1,
  "tool": "model-prep 0.1.0",
  "command": "download",
  "timestamp": "2026-11-20T19:07:00Z",
  "duration_s": 12.345,
  "success": true,
  "exit_code": 0,
  "dry_run": false,
  "offline": false,
  "cache_dir": "/app/models/hub",
  "endpoint": "https://huggingface.co",
  "openvino": false,
  "error": null,
  "totals": {
    "models": 1,
    "failed": 0,
    "files": 2,
    "bytes": 90868988,
    "bytes_downloaded": 90868376,
    "bytes_reused": 612,
    "requests": 61,
    "retries": 1
  },
  "models": {
    "all-MiniLM-L6-v2": {
      "success": true,
      "status": "downloaded",
      "repo": "sentence-transformers/all-MiniLM-L6-v2",
      "revision": "main",
      "commit": "cccccccccccccccccccccccccccccccccccccccc",
      "pinned": false,
      "ref": "main",
      "variant_requested": "fp32",
      "variant": "fp32",
      "license": null,
      "scan": null,
      "snapshot": "/app/models/hub/snapshots/c",
      "size_mb": 90.9,
      "bytes_downloaded": 90868376,
      "bytes_reused": 612,
      "duration_s": 3.2,
      "error": null,
      "files": [
        {
          "path": "config.json",
          "size": 612,
          "sha256": "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd",
          "git_sha1": "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee",
          "status": "cached",
          "attempts": 0,
          "duration_s": 0.0,
          "error": null
        },
        {
          "path": "model.safetensors",
          "size": 90868376,
          "sha256": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
          "status": "downloaded",
          "source": "https://huggingface.co",
          "attempts": 2,
          "duration_s": 2.9,
          "error": null
        }
      ],
      "dependencies": []
    }
  }
}
)";

constexpr const char* kFailed = R"({
  "schema_version": 1,
  "tool": "model-prep 0.1.0",
  "command": "download",
  "timestamp": "2026-11-20T19:07:00Z",
  "duration_s": 12.345,
  "success": false,
  "exit_code": 143,
  "dry_run": false,
  "offline": true,
  "cache_dir": "/app/models/hub",
  "endpoint": "https://huggingface.co",
  "openvino": true,
  "error": {
    "kind": "interrupted",
    "message": "stopped by SIGTERM",
    "hint": "run it again"
  },
  "totals": {
    "models": 1,
    "failed": 1,
    "files": 1,
    "bytes": 0,
    "bytes_downloaded": 0,
    "bytes_reused": 0,
    "requests": 61,
    "retries": 1
  },
  "models": {
    "org/name": {
      "success": false,
      "status": "interrupted",
      "repo": "org/name",
      "revision": "v1",
      "commit": null,
      "pinned": false,
      "ref": "main",
      "variant_requested": "openvino-int8",
      "variant": "fp32",
      "license": null,
      "scan": null,
      "snapshot": null,
      "size_mb": 0.0,
      "bytes_downloaded": 0,
      "bytes_reused": 0,
      "duration_s": 0.0,
      "error": {
        "kind": "gated",
        "message": "org/name: access to this model is restricted",
        "hint": null
      },
      "files": [
        {
          "path": "x",
          "size": 5,
          "sha256": null,
          "status": "failed",
          "attempts": 5,
          "duration_s": 0.0,
          "error": {
            "kind": "network",
            "message": "cannot download org/name x",
            "hint": null
          }
        }
      ],
      "dependencies": [
        {
          "repo": "org/base",
          "revision": "v1",
          "reason": "the base model of an adapter",
          "file": "adapter_config.json",
          "code": false,
          "present": true
        }
      ]
    }
  }
}
)";

}  // namespace

TEST_CASE("the summary of a good run") {
  CHECK(serialize_summary(detailed_run({detailed_model()})) == kGood);
}

TEST_CASE("the summary of a run that a signal ended, with errors at every level") {
  ModelReport model{
      .spec = testing::spec("org/name", "org/name", "v1"),
      .status = ModelStatus::interrupted,
      .error = Error{ErrorKind::gated, "org/name: access to this model is restricted", {}},
      .files = {}};
  model.spec.variant_requested = Build::openvino_int8;
  model.files.push_back({.path = "x",
                         .size = 5,
                         .sha256 = {},
                         .git_sha1 = {},
                         .status = FileReportStatus::failed,
                         .attempts = 5,
                         .error = Error{ErrorKind::network, "cannot download org/name x", {}}});
  model.dependencies.push_back({.repo = testing::repo("org/base"),
                                .revision = testing::revision("v1"),
                                .reason = "the base model of an adapter",
                                .file = testing::path("adapter_config.json"),
                                .present = true});
  RunReport report = detailed_run({model});
  report.signal = 15;
  report.offline = true;
  report.variant = Build::openvino_int8;
  report.error = Error{ErrorKind::interrupted, "stopped by SIGTERM", "run it again"};
  CHECK(serialize_summary(report) == kFailed);
}

TEST_CASE("the summary has the license, and what the scanners found, as far as they are known") {
  const auto member = [](const HubFacts& facts) {
    ModelReport model = detailed_model();
    model.facts = facts;
    return nlohmann::json::parse(
        serialize_summary(detailed_run({model})))["models"]["all-MiniLM-L6-v2"];
  };
  CHECK(member({.licenses = Strings{}})["license"] == nlohmann::json::array());
  CHECK(member({.licenses = Strings{"mit", "other:x"}})["license"] ==
        nlohmann::json{"mit", "other:x"});
  CHECK(member({.scan = ScanVerdict{false, {{"a.pkl", "unsafe"}}}})["scan"] ==
        nlohmann::json{{"complete", false}, {"findings", {{"a.pkl", "unsafe"}}}});
}

TEST_CASE("the summary of verify also has the faults, and which libraries find which models") {
  ModelReport model = detailed_model();
  model.status = ModelStatus::failed;
  model.faults.push_back({.kind = CacheFaultKind::damaged,
                          .remedy = Remedy::rehash,
                          .path = "/c/blobs/x",
                          .message = "org/name x: its bytes hash to b, expected a",
                          .expected = "a",
                          .found = "b"});
  RunReport report = detailed_run({model});
  CHECK(serialize_summary(report).find("faults") == std::string::npos);
  report.services = {{.name = "hf-hub",
                      .looks_in = "/h",
                      .found = {"one"},
                      .missing = {{"two", "there is no refs/main", true}},
                      .advice = "set HF_HOME=/c"}};
  report.loads = {{"one", {"peft", "0.21", Loads::no, "it needs adapter_config.json"}}};
  const std::string text = serialize_summary(report);
  CHECK(text.find(R"("faults": [
        {
          "kind": "damaged",
          "path": "/c/blobs/x",
          "message": "org/name x: its bytes hash to b, expected a",
          "expected": "a",
          "found": "b"
        }
      ])") != std::string::npos);
  CHECK(text.find(R"("services": [
    {
      "name": "hf-hub",
      "looks_in": "/h",
      "found": [
        "one"
      ],
      "missing": {
        "two": "there is no refs/main"
      },
      "advice": "set HF_HOME=/c"
    }
  ])") != std::string::npos);
  CHECK(text.find(R"("loads": [
    {
      "model": "one",
      "library": "peft",
      "versions": "0.21",
      "loads": "no",
      "write": "it needs adapter_config.json"
    }
  ])") != std::string::npos);
}

TEST_CASE("the summary of export also has what was written") {
  RunReport report = detailed_run({detailed_model()});
  report.exported = ExportReport{.to = "oci:/srv/images:v1",
                                 .digest = "sha256:" + std::string(64, 'a'),
                                 .layers = {{*Digest::parse(std::string(64, 'b')), 7}},
                                 .folders = {}};
  const auto json = nlohmann::json::parse(serialize_summary(report));
  CHECK(json["export"]["to"] == "oci:/srv/images:v1");
  CHECK(json["export"]["digest"] == "sha256:" + std::string(64, 'a'));
  CHECK(json["export"]["layers"] ==
        nlohmann::json{{{"digest", "sha256:" + std::string(64, 'b')}, {"size", 7}}});
  CHECK(json["export"]["folders"].empty());
  CHECK_FALSE(nlohmann::json::parse(serialize_summary(detailed_run({detailed_model()})))
                  .contains("export"));
}

TEST_CASE("patterns of the command line are members of each model") {
  ModelReport model = detailed_model();
  model.spec.filter = {.exclude = {"onnx/*"}, .from_command_line = true};
  const std::string text = serialize_summary(detailed_run({model}));
  CHECK(text.find(R"("include": [],
      "exclude": [
        "onnx/*"
      ],)") != std::string::npos);
}

TEST_CASE("bytes that are not UTF-8 do not prevent the summary") {
  RunReport report = detailed_run({detailed_model()});
  report.cache_dir = "/models/\xff\xfe";
  CHECK(serialize_summary(report).find("\"cache_dir\": \"/models/\xef\xbf\xbd") !=
        std::string::npos);
}

TEST_CASE("the summary on stdout contains no command to a CI runner, and the same text") {
  RunReport report = detailed_run({detailed_model()});
  report.error = Error{ErrorKind::protocol, "###[add-mask]x##", {}};
  CHECK(serialize_summary(report).find(R"("message": "#\u0023#[add-mask]x#\u0023",)") !=
        std::string::npos);
}

TEST_CASE("the models have the order of the run") {
  ModelReport second = detailed_model();
  second.spec.key = "a-model";
  const std::string text = serialize_summary(detailed_run({detailed_model(), second}));
  CHECK(text.find("\"all-MiniLM-L6-v2\": {") < text.find("\"a-model\": {"));
}
