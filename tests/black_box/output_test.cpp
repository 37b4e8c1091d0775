// SPDX-License-Identifier: Apache-2.0
// The output for people and pipelines: the summary, the log, the live lines.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <regex>
#include <sstream>

#include "support/catch.h"
#include "test_host.h"

namespace model_prep::testing {
namespace {

/// The text with everything that differs between runs replaced.
std::string normalised(std::string text, const TestHost& machine, const FakeHub& hub) {
  const auto replace_all = [&](const std::string& what, const std::string& with) {
    for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size())
      text.replace(at, what.size(), with);
  };
  replace_all(machine.folder().string(), "<folder>");
  replace_all(hub.endpoint(), "<endpoint>");
  const auto blank = [&](const std::string& member, const std::string& with) {
    const std::string begin = "\"" + member + "\": ";
    for (std::size_t at = 0; (at = text.find(begin, at)) != std::string::npos; at += begin.size())
      text.replace(at + begin.size(), text.find(',', at) - at - begin.size(), with);
  };
  blank("timestamp", "<time>");
  blank("duration_s", "<s>");
  return text;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

bool has_control_codes(const std::string& text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\n') || byte == 0x7f;
  });
}

constexpr const char* kGolden = R"json({
  "schema_version": 1,
  "tool": "model-prep 0.1.0",
  "command": "download",
  "timestamp": <time>,
  "duration_s": <s>,
  "success": false,
  "exit_code": 1,
  "dry_run": false,
  "offline": false,
  "cache_dir": "<folder>/home/hub",
  "endpoint": "<endpoint>",
  "openvino": false,
  "error": null,
  "totals": {
    "models": 2,
    "failed": 1,
    "files": 2,
    "bytes": 1002,
    "bytes_downloaded": 1002,
    "bytes_reused": 0,
    "requests": 7,
    "retries": 0
  },
  "models": {
    "org/golden": {
      "success": true,
      "status": "downloaded",
      "repo": "org/golden",
      "revision": "main",
      "commit": "0123456789abcdef0123456789abcdef01234567",
      "pinned": false,
      "ref": "main",
      "variant_requested": "fp32",
      "variant": "fp32",
      "license": null,
      "scan": null,
      "snapshot": "<folder>/home/hub/models--org--golden/snapshots/0123456789abcdef0123456789abcdef01234567",
      "size_mb": 0.0,
      "bytes_downloaded": 1002,
      "bytes_reused": 0,
      "duration_s": <s>,
      "error": null,
      "files": [
        {
          "path": "config.json",
          "size": 2,
          "sha256": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
          "git_sha1": "9e26dfeeb6e641a33dae4961196235bdb965b21b",
          "status": "downloaded",
          "source": "<endpoint>",
          "attempts": 1,
          "duration_s": <s>,
          "error": null
        },
        {
          "path": "model.safetensors",
          "size": 1000,
          "sha256": "e464d38c33b57fe14ca104e51441ad84f481482272a150bded27d97b9e24c8e9",
          "status": "downloaded",
          "source": "<endpoint>",
          "attempts": 1,
          "duration_s": <s>,
          "error": null
        }
      ],
      "dependencies": []
    },
    "org/missing": {
      "success": false,
      "status": "failed",
      "repo": "org/missing",
      "revision": "main",
      "commit": null,
      "pinned": false,
      "ref": "main",
      "variant_requested": "fp32",
      "variant": "fp32",
      "license": null,
      "scan": null,
      "snapshot": null,
      "size_mb": 0.0,
      "bytes_downloaded": 0,
      "bytes_reused": 0,
      "duration_s": <s>,
      "error": {
        "kind": "not_found",
        "message": "org/missing: no such repository, or it is private (the Hub says: Invalid username or password.)",
        "hint": "check the spelling; for a private or gated repository set HF_TOKEN"
      },
      "files": [],
      "dependencies": []
    }
  }
}
)json";

}  // namespace

TEST_CASE("the summary is the documented one, member by member") {
  FakeHub hub;
  hub.add(make_repo("org/golden",
                    {{"config.json", "{}"}, {"model.safetensors", MadeUpBytes{1000, 1}, true}},
                    "0123456789abcdef0123456789abcdef01234567"));
  const TestHost machine(hub);
  machine.run({"org/golden", "org/missing"});
  CHECK(normalised(read_text(machine.summary()), machine, hub) == kGolden);
}

TEST_CASE("a summary path that is a device or pipe is written to and not replaced") {
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  const std::string pipe = machine.folder() / "pipe";
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  const int reader = open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  REQUIRE(machine.run({"org/small", "--summary", pipe}).exit_code == 0);
  std::string text(65536, '\0');
  const ssize_t count = read(reader, text.data(), text.size());
  close(reader);
  REQUIRE(count > 0);
  CHECK(nlohmann::json::parse(text.substr(0, static_cast<std::size_t>(count)))["success"] == true);
  CHECK(std::filesystem::is_fifo(pipe));
}

TEST_CASE("a cached file keeps its sha256 in the summary") {
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  const auto first = machine.run({"org/small"}).model("org/small")["files"];
  const auto second = machine.run({"org/small"}).model("org/small")["files"];
  REQUIRE(first.size() == 6);
  for (std::size_t i = 0; i < first.size(); ++i) {
    CHECK(second[i]["sha256"] == first[i]["sha256"]);
    CHECK(second[i]["status"] == "cached");
  }
}

TEST_CASE("--log-format json writes one object per line") {
  FakeHub hub;
  hub.add(small_repo());
  hub.add(Fault{.on = Fault::On::payload, .what = Reset{.after = 10}});
  const TestHost machine(hub);
  const Run run =
      machine.run({"org/small", "org/missing", "--log-format", "json", "--log-level", "debug"});
  const auto lines = lines_of(run.err);
  REQUIRE(lines.size() > 5);
  for (const std::string& line : lines) {
    const auto object = nlohmann::json::parse(line);
    CHECK(object.contains("time"));
    CHECK(object.contains("level"));
    CHECK(object.contains("message"));
  }
}

TEST_CASE(
    "a command line or variable that is refused is logged as JSON too, if that is asked for") {
  FakeHub hub;
  const TestHost machine(hub);
  const auto [arguments, variables] = GENERATE(table<std::vector<std::string>, ProgramEnvironment>({
      {{"--log-format=json", "--jobs", "x"}, {}},
      {{"--no-such-flag", "--log-format", "json"}, {}},
      {{"--jobs"}, {{"MODEL_PREP_LOG_FORMAT", "json"}}},
      {{}, {{"MODEL_PREP_LOG_FORMAT", "json"}, {"HF_HUB_OFFLINE", "maybe"}}},
  }));
  const Run run = machine.run(arguments, variables);
  CHECK(run.exit_code == 1);
  const auto lines = lines_of(run.err);
  REQUIRE_FALSE(lines.empty());
  for (const std::string& line : lines) CHECK(nlohmann::json::parse(line)["level"] == "error");

  CHECK(machine.run({"--jobs", "x", "--log-format", "xml"}).err.starts_with("model-prep: "));
}

TEST_CASE("--log-level is respected") {
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  CHECK(machine.run({"org/small", "--log-level", "off"}).err.empty());
  const std::string err = machine.run({"org/missing", "--log-level", "error"}).err;
  const auto lines = lines_of(err);
  CHECK_FALSE(lines.empty());
  CHECK(std::all_of(lines.begin(), lines.end(),
                    [](const auto& line) { return contains(line, " error "); }));
}

TEST_CASE("if stderr is not a terminal, the log has no control codes") {
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  const std::string progress = GENERATE("auto", "bar", "log");
  const Run run = machine.run({"org/small", "--progress", progress}, {{"TERM", "xterm"}});
  CHECK_FALSE(has_control_codes(run.err));
}

TEST_CASE("a hub cannot put control codes into the log") {
  FakeHub hub;
  hub.add(Fault{.on = Fault::On::repo_info,
                .times = -1,
                .what = Status{403, {{"X-Error-Message", "\x1b[31mred\x1b]0;title\x07"}}}});
  const TestHost machine(hub);
  const Run run = machine.run({"org/small"});
  CHECK(contains(run.err, "red"));
  CHECK_FALSE(has_control_codes(run.err));
}

TEST_CASE("a terminal shows live lines, which are erased at the end") {
  if (run_program({"/bin/sh", "-c", "command -v script"}).exit_code != 0) {
    skip_test("THERE IS NO script(1) FOR A PSEUDO-TERMINAL");
    return;
  }
  FakeHub hub;
  hub.add(large_repo(3'000'000));
  hub.add(Fault{.on = Fault::On::payload, .what = Drip{.bytes_per_second = 4'000'000}});
  const TestHost machine(hub);
  const Run run =
      machine.shell("exec script -qefc '$PROGRAM org/large' /dev/null", {{"TERM", "xterm"}});
  CHECK(run.exit_code == 0);
  CHECK(contains(run.out, "MB/s"));
  CHECK(contains(run.out, "of 2 files"));
  const std::size_t last_erase = run.out.rfind("\r\x1b[999M");
  REQUIRE(last_erase != std::string::npos);
  CHECK(run.out.find("of 2 files") < last_erase);
  CHECK_FALSE(contains(run.out.substr(last_erase), "of 2 files"));
}

TEST_CASE("HF_HUB_DISABLE_PROGRESS_BARS turns off the progress bar on a terminal") {
  if (run_program({"/bin/sh", "-c", "command -v script"}).exit_code != 0) {
    skip_test("THERE IS NO script(1) FOR A PSEUDO-TERMINAL");
    return;
  }
  FakeHub hub;
  hub.add(large_repo(2'000'000));
  hub.add(Fault{.on = Fault::On::payload, .what = Drip{.bytes_per_second = 4'000'000}});
  const TestHost machine(hub);
  const Run run = machine.shell("exec script -qefc '$PROGRAM org/large' /dev/null",
                                {{"TERM", "xterm"}, {"HF_HUB_DISABLE_PROGRESS_BARS", "1"}});
  CHECK(run.exit_code == 0);
  CHECK_FALSE(contains(run.out, "\x1b"));
}

TEST_CASE("--help lists the environment variables, and prints to stdout like --version") {
  FakeHub hub;
  const TestHost machine(hub);
  const Run help = machine.run({"--help"});
  CHECK(help.exit_code == 0);
  CHECK(help.err.empty());
  for (const char* variable : {"MODELS_TO_DOWNLOAD",
                               "MODEL_PREP_MANIFEST",
                               "HF_HUB_CACHE",
                               "MODEL_VARIANT",
                               "HF_HUB_OFFLINE",
                               "TRANSFORMERS_OFFLINE",
                               "HF_ENDPOINT",
                               "MODEL_PREP_SUMMARY",
                               "MODEL_PREP_JOBS",
                               "MODEL_PREP_RETRIES",
                               "MODEL_PREP_PATIENCE",
                               "HF_HUB_DOWNLOAD_TIMEOUT",
                               "DOWNLOAD_TIMEOUT",
                               "MODEL_PREP_DEADLINE",
                               "MODEL_PREP_LOG_LEVEL",
                               "MODEL_PREP_LOG_FORMAT",
                               "HF_HUB_DISABLE_PROGRESS_BARS",
                               "HF_TOKEN",
                               "HF_HOME",
                               "TRANSFORMERS_CACHE",
                               "HTTPS_PROXY",
                               "GITHUB_STEP_SUMMARY",
                               "GITHUB_ACTIONS"}) {
    CHECK(contains(help.out, variable));
  }
  CHECK(machine.run({"--version"}).out.starts_with("model-prep 0.1.0\n"));
}

TEST_CASE("--version names the libraries and their versions, one on each line") {
  FakeHub hub;
  const TestHost machine(hub);
  const std::regex lines(
      "model-prep [0-9.]+\nOpenSSL 3\\.[0-9.]+\nlibcurl [0-9.]+\nnghttp2 [0-9.]+\n");
  CHECK(std::regex_match(machine.run({"--version"}).out, lines));
}

TEST_CASE("the dry run's table shows sizes and which files are cached") {
  FakeHub hub;
  const HubRepo repo = small_repo();
  hub.add(repo);
  const TestHost machine(hub);
  write_text(blob_of(machine, repo, "vocab.txt"), "some words");
  const Run run = machine.run({"org/small", "--dry-run"});
  const auto lines = lines_of(run.out);
  REQUIRE(lines.size() == 8);  // head, model, five blobs, sum
  CHECK(contains(lines[1], "org/small"));
  CHECK(contains(run.out, "(in the cache, to be verified)"));
  CHECK(contains(lines[7], "to download into " + machine.cache().string() + ", which leaves "));
}

TEST_CASE("a dry run of several models has one row per model, with its files below") {
  FakeHub hub;
  const HubRepo repo = small_repo();
  hub.add(repo);
  hub.add(make_repo("org/other", {{"config.json", "{}"},
                                  {"model.safetensors", MadeUpBytes{5'000'000, 1}, true}}));
  const TestHost machine(hub);
  REQUIRE(machine.run({"org/small"}).exit_code == 0);
  const Run run = machine.run({"org/small", "org/other", "--dry-run"});
  const auto lines = lines_of(run.out);
  REQUIRE(lines.size() == 7);  // head, two models, one with two files below its name, sum
  CHECK(contains(lines[0], "TO DOWNLOAD  CACHED"));
  CHECK(contains(lines[1], "0.0 kB  "));
  CHECK(contains(lines[2], "5.0 MB       5.0 MB  0.0 kB"));
  CHECK(lines[3] == "org/other");
  CHECK(lines[4] == "      5.0 MB  model.safetensors");
  CHECK(lines[6].starts_with("5.0 MB to download into "));
}

TEST_CASE("a download ends by logging the environment that services need") {
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  const Run run = machine.run({"org/small"});
  const std::string home = machine.cache().parent_path().string();
  CHECK(contains(run.err, "services need: HF_HOME=" + home + " HF_HUB_OFFLINE=1"));
  CHECK(contains(run.err, "summary: " + home + "/model-prep-summary.json"));
  CHECK(lines_of(run.err).back().ends_with(" s"));
}

TEST_CASE("the timestamp of the summary is that of its end") {
  const FakeHub hub;
  const TestHost machine(hub);
  const std::string manifest = machine.folder() / "m.json";
  write_text(manifest, R"({"version": 1, "models": {"small": {"repo": "org/small"}}})");

  // The run waits for its manifest.
  const Run run = machine.shell("date -u +%FT%TZ; { sleep 1.1; cat " + manifest +
                                "; } | $PROGRAM cleanup --manifest -");
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  const std::string begun = run.out.substr(0, run.out.find('\n'));
  CHECK(run.summary["timestamp"].get<std::string>() > begun);
}

}  // namespace model_prep::testing
