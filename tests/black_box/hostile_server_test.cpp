// SPDX-License-Identifier: Apache-2.0
// Malformed and malicious responses of a hub, a mirror or a middlebox. The model fails with the
// right kind and writes nothing, requests and memory stay bounded, and other models are not
// affected.
#include <algorithm>
#include <chrono>

#include "support/catch.h"
#include "test_host.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;

const std::string kOid(40, 'a');
constexpr std::size_t kLongestLine = 1'000;

/// An entry of the tree; `path` and `size` are raw JSON.
std::string entry(const std::string& path, const std::string& size = "1",
                  const std::string& oid = kOid) {
  return R"({"type":"file","oid":")" + oid + R"(","size":)" + size + R"(,"path":")" + path + "\"}";
}

std::string lfs_entry(const std::string& lfs) {
  return R"([{"type":"file","oid":")" + kOid + R"(","size":1,"path":"a","lfs":)" + lfs + "}]";
}

std::string one(const std::string& path, const std::string& size = "1",
                const std::string& oid = kOid) {
  return "[" + entry(path, size, oid) + "]";
}

std::string listing(std::size_t first, std::size_t last, const std::string& more = {}) {
  std::string body = "[" + more;
  for (std::size_t i = first; i < last; ++i) {
    if (body.size() > 1) body += ',';
    body += entry("onnx/" + std::to_string(i) + "/model.onnx_data", "4096");
  }
  return body + "]";
}

Fault at_hostile(Fault::On on, Fault::What what, int times = -1) {
  return {.on = on, .path = "org/hostile", .times = times, .what = std::move(what)};
}

Fault::What page(const std::string& body, const std::string& next = {}) {
  Status answer{.code = 200, .headers = {{"Content-Type", "application/json"}}, .body = body};
  if (!next.empty()) answer.headers.emplace_back("Link", "<?cursor=" + next + ">; rel=\"next\"");
  return answer;
}

/// A hub with a hostile repository and a good one, and a machine that downloads both.
struct Scene {
  explicit Scene(const std::vector<Fault>& faults) {
    hub.add(small_repo());
    hub.add(small_repo("org/hostile"));
    for (const Fault& fault : faults) hub.add(fault);
  }
  Run run(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {"org/hostile", "org/small"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return machine.run(arguments);
  }
  std::size_t requests(std::string_view kind) const {
    const auto log = hub.requests(kind);
    return static_cast<std::size_t>(std::count_if(log.begin(), log.end(), [](const auto& request) {
      return contains(request.path, "org/hostile");
    }));
  }

  FakeHub hub;
  TestHost machine{hub};
};

bool has_control(const std::string& text) {
  return std::any_of(text.begin(), text.end(),
                     [](unsigned char c) { return (c < 0x20 && c != '\n') || c == 0x7f; }) ||
         contains(text, "\xc2\x9b");
}

std::size_t longest_line(const std::string& text) {
  std::size_t longest = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    longest = std::max(longest, end - begin);
    begin = end + 1;
  }
  return longest;
}

/// The hostile model failed with this kind, and the cache has the other model and nothing else.
void check_refused(const Scene& scene, const Run& run, const std::string& kind) {
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("org/hostile") == kind);
  CHECK(run.model("org/small")["status"] == "downloaded");
  CHECK(tree_of(scene.machine.cache()) == published(small_repo()));
  CHECK_FALSE(has_control(run.err));
  CHECK(longest_line(run.err) < kLongestLine);
}

/// A listing that always has a next page.
struct Endless {
  const char* name;
  std::size_t pages;
  Fault::What (*make)(std::size_t);
  std::size_t most_requests;
  std::string said;
};

struct Hostile {
  const char* name;
  std::string body;
  std::string said;  ///< a part of the message
};

}  // namespace

TEST_CASE("a listing with an invalid path is refused before any file is requested") {
  const std::string long_path = "p" + std::string(5'000, 'x');
  const Hostile hostile = GENERATE_COPY(
      Hostile{"up", one("../evil"), "'..'"}, Hostile{"up inside", one("a/../../../evil"), "'..'"},
      Hostile{"dot", one("./evil"), "'.'"}, Hostile{"absolute", one("/tmp/evil"), "absolute"},
      Hostile{"empty", one(""), "empty"}, Hostile{"empty part", one("a//b"), "empty part"},
      Hostile{"folder", one("a/"), "empty part"},
      Hostile{"NUL", one("a\\u0000b"), "control character"},
      Hostile{"raw NUL", one(std::string("a\0b", 3)), "invalid JSON"},
      Hostile{"newline", one("a\\nb"), "control character"},
      Hostile{"escape", one("\\u001b[2J"), "control character"},
      Hostile{"backslash", one("a\\\\b"), "backslash"},
      Hostile{"not UTF-8", one("a\xff"), "invalid JSON"},
      Hostile{"lone surrogate", one("a\\ud800"), "invalid JSON"},
      Hostile{"a long part", one("a/" + std::string(256, 'n')), "255 bytes"},
      Hostile{"a long path", one(long_path), "1024 bytes"},
      Hostile{"twice", "[" + entry("a") + "," + entry("a") + "]", "twice"},
      Hostile{"folder and file", "[" + entry("a") + "," + entry("a/b") + "]", "file and"},
      Hostile{"file and folder", "[" + entry("a/b/c") + "," + entry("a/b") + "]",
              "both as a file and as a directory"});
  INFO(hostile.name);
  const std::string info = R"({"sha":")" + main_of(small_repo("org/hostile")) + "\"}";
  const Scene scene({at_hostile(Fault::On::repo_info, BodyOverride{info}),
                     at_hostile(Fault::On::tree, BodyOverride{hostile.body})});
  const Run run = scene.run();
  check_refused(scene, run, "protocol");
  CHECK(contains(run.model("org/hostile")["error"]["message"], hostile.said));
  CHECK(scene.requests("tree") == 1);
  CHECK(scene.requests("resolve") == 0);
}

TEST_CASE(
    "a listing with an invalid digest, size or structure is refused before any file is requested") {
  const Hostile hostile = GENERATE(
      Hostile{"no hex", one("a", "1", std::string(40, 'g')), "digest"},
      Hostile{"upper case", one("a", "1", std::string(40, 'A')), "digest"},
      Hostile{"too short", one("a", "1", std::string(39, 'a')), "digest"},
      Hostile{"a path", one("a", "1", "../../../../../../../../../../../etc/passwd"), "digest"},
      Hostile{"sha256 of a plain file", one("a", "1", std::string(64, 'a')), "digest"},
      Hostile{"negative size", one("a", "-1"), "size"},
      Hostile{"fraction", one("a", "1.5"), "size"},
      Hostile{"huge", one("a", "18446744073709551615"), "size"},
      Hostile{"larger than disks", one("a", "17592186044417"), "size"},
      Hostile{"exponent", one("a", "1e300"), "size"}, Hostile{"text", one("a", "\"1\""), "size"},
      Hostile{"null", one("a", "null"), "size"}, Hostile{"lfs a text", lfs_entry("\"x\""), "size"},
      Hostile{"lfs a list", lfs_entry("[]"), "size"}, Hostile{"lfs empty", lfs_entry("{}"), "size"},
      Hostile{"lfs with a sha1", lfs_entry(R"({"size":1,"oid":")" + kOid + "\"}"), "digest"},
      Hostile{"size twice", one("a", "1,\"size\":2"), "duplicate"},
      Hostile{"an object", R"({"error":"no"})", "array"}, Hostile{"numbers", "[1,2]", "entry"},
      Hostile{"null instead", "null", "array"},
      Hostile{"deep", "{\"a\":" + std::string(1'000'000, '['), "deeper"},
      Hostile{"deep inside", one("a", "1,\"x\":" + std::string(100'000, '[')), "deeper"},
      Hostile{"cut", "[" + entry("a"), "invalid JSON"},
      Hostile{"two documents", one("a") + one("b"), "invalid JSON"});
  INFO(hostile.name);
  const Scene scene({at_hostile(Fault::On::tree, BodyOverride{hostile.body})});
  const Run run = scene.run();
  check_refused(scene, run, "protocol");
  CHECK(contains(run.model("org/hostile")["error"]["message"], hostile.said));
  CHECK(scene.requests("tree") == 1);
  CHECK(scene.requests("resolve") == 0);
}

TEST_CASE("an invalid commit id is refused before the listing is requested") {
  const std::string sha =
      GENERATE(R"("main")", R"("../../../../../../../../../../../../../tmp/")", "7", "null", "[]",
               R"("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")",
               R"("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")");
  INFO(sha);
  const Scene scene({at_hostile(Fault::On::repo_info, BodyOverride{"{\"sha\":" + sha + "}"})});
  check_refused(scene, scene.run(), "protocol");
  CHECK(scene.requests("tree") == 0);
}

TEST_CASE("names that differ only in case or Unicode normalization are separate files") {
  FakeHub hub;
  const HubRepo repo = make_repo("org/twins", {{"README.txt", "one"},
                                               {"readme.txt", "two"},
                                               {"caf\xc3\xa9.txt", "composed"},
                                               {"cafe\xcc\x81.txt", "decomposed"},
                                               {"Dir/a.txt", "three"},
                                               {"dir/a.txt", "four"}});
  hub.add(repo);
  const TestHost machine(hub);
  CHECK(machine.run({"org/twins"}).exit_code == 0);
  CHECK(tree_of(machine.cache()) == published(repo));
}

TEST_CASE(
    "a listing of 100,000 files, in one page or in many, needs less than 128 MiB and 20 seconds") {
  const std::size_t files = is_sanitized() ? 10'000 : 100'000;  // a sanitizer is ten times slower
  const std::size_t in_page = GENERATE(true, false) ? files : 1'000;
  const HubRepo repo = small_repo("org/hostile");
  const FileDigests config = digests_of(file_of(repo, "config.json"));
  const std::string wanted =
      entry("model.safetensors", std::to_string(size_of(file_of(repo, "config.json").content)),
            config.blob_name());
  std::vector<Fault> faults;
  for (std::size_t at = 0; at < files; at += in_page) {
    const std::string next = at + in_page < files ? std::to_string(at) : "";
    faults.push_back(at_hostile(Fault::On::tree,
                                page(listing(at, at + in_page, at == 0 ? wanted : ""), next), 1));
  }
  faults.push_back(at_hostile(Fault::On::resolve, Stall{}));
  const Scene scene(faults);
  const auto begun = std::chrono::steady_clock::now();
  const auto program = scene.machine.start({"org/hostile"});
  REQUIRE(scene.hub.wait_until(
      [](const auto& log) {
        return std::any_of(log.begin(), log.end(),
                           [](const auto& request) { return request.kind == "resolve"; });
      },
      std::chrono::seconds(50)));
  const std::int64_t peak = peak_memory_kib(program->pid());
  CHECK(scene.requests("tree") == files / in_page);
  if (is_sanitized()) return;
  CHECK(std::chrono::steady_clock::now() - begun < std::chrono::seconds(20));
  CHECK(peak > 0);
  CHECK(peak < 128 * 1024);
}

TEST_CASE("the listings of many models are not all in memory at once") {
  // A sanitizer takes a minute for as many, and does not tell the memory.
  const int models = is_sanitized() ? 3 : 12;
  FakeHub hub;
  std::vector<std::string> arguments;
  for (int i = 0; i < models; ++i) {
    arguments.push_back("org/m" + std::to_string(i));
    hub.add(make_repo(arguments.back(), {{"config.json", "{}"}}));
  }
  std::string body = "[" + entry("config.json", "2", digests_of({"config.json", "{}"}).git_sha1);
  for (int i = 0; i < 150; ++i)
    body += R"(,{"type":"other","path":"x","more":")" + std::string(100'000, 'x') + "\"}";
  hub.add(Fault{.on = Fault::On::tree, .times = -1, .what = page(body + "]")});
  hub.add(Fault{.on = Fault::On::resolve, .times = -1, .what = Stall{}});
  const TestHost machine(hub);
  const auto program = machine.start(arguments);
  REQUIRE(hub.wait_until(
      [](const auto& log) {
        return std::any_of(log.begin(), log.end(),
                           [](const auto& request) { return request.kind == "resolve"; });
      },
      std::chrono::seconds(50)));
  const std::int64_t peak = peak_memory_kib(program->pid());
  CHECK(peak > 0);

  // A listing of 15 MB is read while the next one arrives; all twelve would be 180 MB.
  if (!is_sanitized()) CHECK(peak < 64 * 1024);
}

TEST_CASE("an endless listing is aborted after few requests, in bounded memory") {
  const Endless endless = GENERATE(
      Endless{"a body of 5 GB", 1, [](std::size_t) { return Fault::What(LongBody{5'000'000'000}); },
              1, "16 MiB"},
      Endless{"a page that leads to itself", 3, [](std::size_t) { return page("[]", "same"); }, 2,
              "form a loop"},
      Endless{"pages", 1'100, [](std::size_t i) { return page("[]", std::to_string(i)); }, 1'000,
              "1,000 pages"},
      Endless{"files", 6,
              [](std::size_t i) {
                return page(listing(i * 80'000, (i + 1) * 80'000), std::to_string(i));
              },
              3, "200,000 files"},
      Endless{"text", 6,
              [](std::size_t i) {
                return page("[" + std::string(15'000'000, ' ') + "]", std::to_string(i));
              },
              5, "64 MiB"});
  INFO(endless.name);
  std::vector<Fault> faults;
  for (std::size_t i = 0; i < endless.pages; ++i)
    faults.push_back(at_hostile(Fault::On::tree, endless.make(i), 1));
  const Scene scene(faults);
  const Run run = scene.machine.shell((is_sanitized() ? "" : "ulimit -v 700000; ") +
                                      std::string("exec $PROGRAM org/hostile org/small"));
  check_refused(scene, run, "protocol");
  CHECK(contains(run.model("org/hostile")["error"]["message"], endless.said));
  CHECK(scene.requests("tree") <= endless.most_requests);
  CHECK(scene.requests("resolve") == 0);
}

TEST_CASE("text from a server cannot forge log lines, control a terminal or flood the log") {
  const std::string words =
      GENERATE("\x1b[2J\x1b]0;owned\x07 2026-01-01T00:00:00Z info  all is well", "\xc2\x9b\x32J",
               "\xff\xfe not UTF-8", "\xe2\x80\xae turned");
  const std::string format = GENERATE("text", "json");
  const Scene scene({at_hostile(
      Fault::On::repo_info,
      Status{.code = 403, .headers = {{"X-Error-Message", words + std::string(50'000, 'x')}}})});
  const Run run = scene.run({"--log-format", format});
  check_refused(scene, run, "unauthorized");
  CHECK(run.model("org/hostile")["error"]["message"].get<std::string>().size() < kLongestLine);
  CHECK_FALSE(has_control(read_text(scene.machine.summary())));
  CHECK_FALSE(contains(run.err, "\xe2\x80\xae"));
  if (format != "json") return;
  for (std::size_t begin = 0; begin < run.err.size(); begin = run.err.find('\n', begin) + 1)
    CHECK_NOTHROW(nlohmann::json::parse(run.err.substr(begin, run.err.find('\n', begin) - begin))
                      .at("message"));
}

TEST_CASE("a huge error body is not read, and endless headers are refused") {
  const Scene scene({at_hostile(Fault::On::repo_info,
                                Status{.code = 404, .body = std::string(50'000'000, 'x')})});
  check_refused(scene, scene.run(), "not_found");
  CHECK(scene.requests("repo_info") == 1);
  CHECK(scene.hub.requests("repo_info").front().body_bytes_sent < 20'000'000);
  const Scene other({at_hostile(Fault::On::repo_info,
                                ChangeHeaders{.set = {{"X-Long", std::string(2'000'000, 'x')}}})});
  const Run run = other.run({"--retries", "0"});
  CHECK(run.exit_code == 1);
  CHECK(run.model("org/hostile")["status"] == "failed");
  CHECK(run.model("org/small")["status"] == "downloaded");
  CHECK(other.requests("repo_info") == 1);
}

}  // namespace model_prep::testing
