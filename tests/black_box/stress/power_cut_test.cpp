// SPDX-License-Identifier: Apache-2.0
// What a power cut would leave, as far as the program decides it: the order of its writes, syncs
// and renames, read from a trace of its system calls.
#include <algorithm>
#include <sstream>

#include "black_box/test_host.h"
#include "support/catch.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;

/// A system call of any thread. `begin` and `end` are lines of the trace: a call is after another
/// if it began when the other had ended.
struct Call {
  std::string text;
  std::size_t begin = 0;
  std::size_t end = 0;

  bool is(const std::string& name) const { return text.starts_with(name + "("); }
  bool has(const std::string& part) const { return contains(text, part); }
};

bool behind(const Call& later, const Call& earlier) { return earlier.end < later.begin; }

/// `renameat(7</a>, "b", 8</c>, "d")` as `rename("/a/b", "/c/d")`: by which of the two it is called
/// makes no difference.
std::string with_whole_paths(std::string text) {
  for (const std::string name : {"renameat2", "renameat", "symlinkat", "unlinkat"})
    if (text.starts_with(name + "(")) text.replace(0, name.size(), name.substr(0, name.find("at")));
  if (!text.starts_with("rename(") && !text.starts_with("symlink(") && !text.starts_with("unlink("))
    return text;
  for (std::size_t at; (at = text.find(">, \"")) != std::string::npos;) {
    text.replace(at, 4, "/");
    const std::size_t angle = text.rfind('<', at);
    const std::size_t number = text.find_last_not_of("0123456789", angle - 1) + 1;
    text.replace(number, angle + 1 - number, "\"");
  }
  return text;
}

/// `4711 fsync(7</a/b>) = 0`, or in two lines with `<unfinished ...>` and `<... fsync resumed>`.
std::vector<Call> calls_of(const std::string& trace) {
  std::vector<Call> calls;
  std::map<std::string, std::size_t> unfinished;  // by thread
  std::istringstream lines(trace);
  std::size_t number = 0;
  for (std::string line; std::getline(lines, line); ++number) {
    const std::size_t blank = line.find(' ');
    const std::string thread = line.substr(0, blank);
    const std::string text = line.substr(std::min(line.find_first_not_of(' ', blank), line.size()));
    if (text.starts_with("<... ")) {
      if (const auto begun = unfinished.find(thread); begun != unfinished.end())
        calls[begun->second].end = number;
      continue;
    }
    if (contains(text, "<unfinished ...>")) unfinished[thread] = calls.size();
    calls.push_back({with_whole_paths(text), number, number});
  }
  return calls;
}

/// Those calls of a name whose text has all the parts.
std::vector<Call> find(const std::vector<Call>& calls, const std::string& name,
                       const std::vector<std::string>& parts) {
  std::vector<Call> found;
  for (const Call& call : calls)
    if (call.is(name) &&
        std::all_of(parts.begin(), parts.end(), [&](const auto& part) { return call.has(part); }))
      found.push_back(call);
  return found;
}

/// Whether one of these calls began after `first` had ended and ended before `last` began.
bool one_between(const std::vector<Call>& calls, const Call& first, const Call& last) {
  return std::any_of(calls.begin(), calls.end(),
                     [&](const Call& call) { return behind(call, first) && behind(last, call); });
}

std::string quoted(const fs::path& path) { return "\"" + path.string() + "\""; }
std::string open_at(const fs::path& path) { return "<" + path.string() + ">"; }

HubRepo cut_repo() {
  return make_repo("org/cut", {{"config.json", "{}"},
                               {"1_Pooling/config.json", "{ }"},
                               {"onnx/arm64/q8/config.json", "{  }"},
                               {"empty.txt", ""},
                               {"model.safetensors", MadeUpBytes{9 * kMiB, 3}, true}});
}

/// A machine on which runs are traced.
struct Traced {
  FakeHub hub;
  HubRepo repo = cut_repo();
  TestHost machine{hub};
  fs::path folder = machine.cache() / "models--org--cut";
  std::vector<Call> calls;

  Traced() { hub.add(repo); }

  /// `before` is put in front of the program.
  int trace(const std::string& arguments, const std::string& before = "") {
    const fs::path file = machine.folder() / "trace";
    const Run run = machine.shell(
        "exec strace -f -y -s 0 -e trace=write,pwrite64,fdatasync,fsync,rename,renameat,renameat2,symlink,symlinkat,"
        "link,linkat,unlink,unlinkat -o " +
            file.string() + " " + before + " $PROGRAM " + arguments,
        {{"ASAN_OPTIONS", "detect_leaks=0"}});
    folder = fs::canonical(machine.cache() / "models--org--cut");
    calls = calls_of(read_text(file));
    return run.exit_code;
  }
  fs::path snapshot() const { return folder / "snapshots" / main_of(repo); }

  /// The one rename to this path.
  Call rename_to(const fs::path& path) const {
    const auto found = find(calls, "rename", {", " + quoted(path)});
    INFO(path);
    REQUIRE(found.size() == 1);
    return found[0];
  }
  std::vector<Call> syncs_of(const fs::path& path) const {
    return find(calls, "fsync", {open_at(path)});
  }
  std::vector<Call> links() const { return find(calls, "symlink", {"/snapshots/"}); }
  std::vector<Call> refs() const { return find(calls, "rename", {"/refs/"}); }
};

/// A first run.
struct Trace : Traced {
  Trace() { REQUIRE(trace("--jobs 3 --variant all org/cut") == 0); }
};

}  // namespace

TEST_CASE(
    "a blob is written, synced and renamed, and its directory synced, before any link to it") {
  if (!may_trace()) return;
  const Trace trace;
  const auto links = trace.links();
  REQUIRE(links.size() == trace.repo.commits.at(main_of(trace.repo)).size());
  for (const HubFile& file : trace.repo.commits.at(main_of(trace.repo))) {
    INFO(file.path);
    const fs::path blob = trace.folder / "blobs" / digests_of(file).blob_name();
    const Call rename = trace.rename_to(blob);
    CHECK(rename.has(".model-prep.incomplete\""));
    const auto writes =
        find(trace.calls, "pwrite64", {"<" + blob.string(), ".model-prep.incomplete>"});
    const auto syncs =
        find(trace.calls, "fdatasync", {"<" + blob.string(), ".model-prep.incomplete>"});
    REQUIRE(syncs.size() == 1);
    CHECK(writes.empty() == (size_of(file.content) == 0));
    CHECK(std::all_of(writes.begin(), writes.end(),
                      [&](const Call& write) { return behind(syncs[0], write); }));
    CHECK(behind(rename, syncs[0]));
    for (const Call& link : links)
      CHECK(one_between(trace.syncs_of(trace.folder / "blobs"), rename, link));
  }
}

TEST_CASE("links are created and their directories synced before the refs") {
  if (!may_trace()) return;
  const Trace trace;
  const fs::path snapshot = trace.folder / "snapshots" / main_of(trace.repo);
  const auto refs = trace.refs();
  REQUIRE(refs.size() == 2);
  for (const Call& link : trace.links())
    for (const Call& ref : refs) {
      CHECK(one_between(trace.syncs_of(snapshot), link, ref));
      CHECK(one_between(trace.syncs_of(snapshot / "1_Pooling"), link, ref));
      CHECK(one_between(trace.syncs_of(trace.folder / "snapshots"), link, ref));
    }
}

TEST_CASE(
    "every directory on the way to a link is synced once before the refs, the deepest first") {
  if (!may_trace()) return;
  const Trace trace;
  const auto refs = trace.refs();
  REQUIRE(refs.size() == 2);
  fs::path at = trace.snapshot() / "onnx/arm64/q8";
  std::vector<Call> below;
  for (; at != trace.folder.parent_path().parent_path(); at = at.parent_path()) {
    INFO(at);
    auto syncs = trace.syncs_of(at);
    std::erase_if(syncs, [&](const Call& sync) {
      return !behind(sync, trace.links().back()) || !behind(refs.front(), sync);
    });
    REQUIRE(syncs.size() == 1);
    if (!below.empty()) CHECK(behind(syncs[0], below.back()));
    below.push_back(syncs[0]);
  }
}

TEST_CASE("refs are written last, in one piece and synced") {
  if (!may_trace()) return;
  const Trace trace;
  const std::string commit = main_of(trace.repo);
  const auto refs = trace.refs();
  REQUIRE(refs.size() == 2);
  for (const std::string& name : {std::string("main"), commit}) {
    const Call ref = trace.rename_to(trace.folder / "refs" / name);
    const std::string temporary = ref.text.substr(8, ref.text.find("\",") - 8);
    const auto writes = find(trace.calls, "pwrite64", {open_at(temporary)});
    const auto syncs = find(trace.calls, "fdatasync", {open_at(temporary)});
    REQUIRE(writes.size() == 1);
    REQUIRE(syncs.size() == 1);
    CHECK(behind(syncs[0], writes[0]));
    CHECK(behind(ref, syncs[0]));
    const auto folder_syncs = trace.syncs_of(trace.folder / "refs");
    CHECK(std::any_of(folder_syncs.begin(), folder_syncs.end(),
                      [&](const Call& sync) { return behind(sync, ref); }));
    for (const Call& other : find(trace.calls, "rename",
                                  {quoted(trace.folder).substr(0, trace.folder.string().size())}))
      if (!other.has("/refs/")) CHECK(behind(ref, other));
  }
  for (const fs::path& document : {fs::path(".model-prep"), fs::path("trees")}) {
    const Call rename = trace.rename_to(trace.folder / document / (commit + ".json"));
    const std::string temporary = rename.text.substr(8, rename.text.find("\",") - 8);
    const auto syncs = find(trace.calls, "fdatasync", {open_at(temporary)});
    REQUIRE(syncs.size() == 1);
    CHECK(behind(rename, syncs[0]));
  }
}

TEST_CASE("what another program has put into the cache is synced before a ref names it") {
  if (!may_trace()) return;
  Traced traced;
  REQUIRE(traced.machine.run({"--variant", "all", "org/cut"}).exit_code == 0);
  traced.folder = fs::canonical(traced.machine.cache() / "models--org--cut");
  fs::remove_all(traced.folder / ".model-prep");
  fs::remove_all(traced.folder / "refs");
  REQUIRE(traced.trace("--variant all org/cut") == 0);
  const auto refs = traced.refs();
  REQUIRE(refs.size() == 2);
  for (const Call& ref : refs) {
    for (const HubFile& file : traced.repo.commits.at(main_of(traced.repo))) {
      INFO(file.path);
      const fs::path blob = traced.folder / "blobs" / digests_of(file).blob_name();
      const auto syncs = find(traced.calls, "fdatasync", {open_at(blob)});
      REQUIRE(syncs.size() == 1);
      CHECK(behind(ref, syncs[0]));
    }
    for (const fs::path& folder : {traced.folder / "blobs", traced.folder / "snapshots",
                                   traced.snapshot(), traced.snapshot() / "1_Pooling"}) {
      INFO(folder);
      const auto syncs = traced.syncs_of(folder);
      CHECK(std::any_of(syncs.begin(), syncs.end(),
                        [&](const Call& sync) { return behind(ref, sync); }));
    }
  }
}

TEST_CASE("after a sync that failed, nothing of the file is kept for the next run") {
  FakeHub hub;
  hub.add(make_repo("org/one", {{"model.safetensors", MadeUpBytes{9 * kMiB, 3}, true}}));
  TestHost machine(hub);
  machine.take_away({"fdatasync=EIO"});
  const Run failed = machine.run({"org/one"});
  CAPTURE(failed.err);
  CHECK(failed.exit_code == 1);
  const std::string operation = "cannot sync a verified file: ";
  CHECK((contains(failed.err, operation + "Input/output error") ||
         contains(failed.err, operation + "I/O error")));  // as musl calls EIO
  CHECK(leftovers_in(machine.cache()).empty());
  machine.take_away({});
  hub.clear_requests();
  CHECK(machine.run({"org/one"}).exit_code == 0);
  CHECK(sent_of(hub, "model.safetensors") == 9 * kMiB);
}

TEST_CASE("an existing file that cannot be synced is not used, and is fetched again") {
  FakeHub hub;
  const HubRepo repo = cut_repo();
  hub.add(repo);
  TestHost machine(hub);
  REQUIRE(machine.run({"org/cut"}).exit_code == 0);
  fs::remove_all(machine.cache() / "models--org--cut/.model-prep");
  machine.take_away({"fdatasync=EIO"});
  CHECK(machine.run({"org/cut"}).exit_code == 1);
  machine.take_away({});
  CHECK(machine.run({"org/cut"}).exit_code == 0);
}

TEST_CASE(
    "without symlinks, each file is synced before its move and its directory before the refs") {
  if (!may_trace()) return;
  Traced traced;
  REQUIRE(traced.trace("--variant all org/cut",
                       std::string(MODEL_PREP_WITHOUT) + " symlink=EPERM --") == 0);
  const auto refs = traced.refs();
  REQUIRE(refs.size() == 2);
  for (const HubFile& file : traced.repo.commits.at(main_of(traced.repo))) {
    INFO(file.path);
    const fs::path blob = traced.folder / "blobs" / digests_of(file).blob_name();
    const fs::path link = traced.snapshot() / file.path;
    const auto syncs = find(traced.calls, "fdatasync", {"<" + blob.string()});
    REQUIRE(syncs.size() == 1);
    const Call moved = traced.rename_to(link);
    CHECK(behind(moved, syncs[0]));
    for (const Call& ref : refs)
      CHECK(one_between(traced.syncs_of(link.parent_path()), moved, ref));
  }
}

TEST_CASE("cleanup syncs the removal of refs, then of the snapshot, and only then removes blobs") {
  if (!may_trace()) return;
  Traced traced;
  REQUIRE(traced.machine.run({"--variant", "all", "org/cut"}).exit_code == 0);
  traced.folder = fs::canonical(traced.machine.cache() / "models--org--cut");
  const std::string kept(40, 'c');
  fs::create_directories(traced.folder / "snapshots" / kept);
  write_text(traced.folder / "refs/main", kept);
  traced.machine.use_manifest(R"({"version":1,"models":{"cut":{"repo":"org/cut","revision":")" +
                              kept + "\"}}}");
  REQUIRE(traced.trace("cleanup") == 0);
  const auto refs = find(traced.calls, "unlink", {"/refs/"});
  const auto blobs = find(traced.calls, "unlink", {"/blobs/"});
  const auto moved = find(traced.calls, "rename", {quoted(traced.snapshot()) + ","});
  REQUIRE(moved.size() == 1);
  REQUIRE(refs.size() == 1);
  REQUIRE(blobs.size() == traced.repo.commits.at(main_of(traced.repo)).size());
  for (const Call& ref : refs)
    CHECK(one_between(traced.syncs_of(traced.folder / "refs"), ref, moved[0]));
  for (const Call& blob : blobs)
    CHECK(one_between(traced.syncs_of(traced.folder / "snapshots"), moved[0], blob));
  CHECK_FALSE(fs::exists(traced.snapshot()));
}

}  // namespace model_prep::testing
