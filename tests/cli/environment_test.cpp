// SPDX-License-Identifier: Apache-2.0
// What the environment sets: directories, switches, models, the token.
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "model_prep/cli/options.h"
#include "support/catch.h"
#include "support/temporary_folder.h"

namespace model_prep {
namespace {

using testing::TemporaryFolder;
using Words = std::vector<std::string>;

/// Options that are known to parse; HOME is set, so that there is a place for the cache.
Options options_in(const Words& arguments, Environment environment = {}) {
  environment.try_emplace("HOME", "/home/of/nobody");
  return *parse_options(arguments, environment);
}

/// The error's message, or nothing.
std::string refusal_in(const Words& arguments, Environment environment = {}) {
  environment.try_emplace("HOME", "/home/of/nobody");
  const auto parsed = parse_options(arguments, environment);
  return parsed ? "" : parsed.error().message;
}

std::string token_in(const Environment& environment) {
  const Options found = options_in({}, environment);
  return found.token ? found.token->reveal() : "";
}

bool has_part(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

// docs/developing/hub-protocol.md, section 2.1
TEST_CASE("the libraries' directories follow the environment") {
  // huggingface_hub, transformers 4, transformers 5, sentence-transformers, hf-hub of Rust
  using Folders = std::vector<std::string>;
  const auto folders = [](const Environment& environment) {
    Folders found;
    for (const Consumer& service : options_in({"verify"}, environment).services)
      found.push_back(service.folder);
    return found;
  };
  CHECK(folders({{"HF_HOME", "/m"}}) == Folders{"/m/hub", "/m/hub", "/m/hub", "/m/hub", "/m/hub"});
  CHECK(folders({{"HF_HOME", "/m"}, {"HF_HUB_CACHE", "/c"}}) ==
        Folders{"/c", "/c", "/c", "/c", "/m/hub"});
  CHECK(folders({{"HF_HOME", "/m"}, {"HUGGINGFACE_HUB_CACHE", "/c"}}) ==
        Folders{"/c", "/c", "/c", "/c", "/m/hub"});
  CHECK(folders({{"HF_HOME", "/m"}, {"TRANSFORMERS_CACHE", "/t"}}) ==
        Folders{"/m/hub", "/t", "/m/hub", "/m/hub", "/m/hub"});
  CHECK(folders({{"HF_HOME", "/m"}, {"PYTORCH_PRETRAINED_BERT_CACHE", "/t"}})[1] == "/t");
  CHECK(folders({{"HF_HOME", "/m"}, {"SENTENCE_TRANSFORMERS_HOME", "~/s"}}) ==
        Folders{"/m/hub", "/m/hub", "/m/hub", "/home/of/nobody/s", "/m/hub"});
  CHECK(folders({{"XDG_CACHE_HOME", "/x"}}) == Folders{"/x/huggingface/hub", "/x/huggingface/hub",
                                                       "/x/huggingface/hub", "/x/huggingface/hub",
                                                       "/home/of/nobody/.cache/huggingface/hub"});
  CHECK(parse_options({"verify", "--cache-dir", "/c"}, {})->services[0].folder.empty());
}

TEST_CASE("HF_HUB_OFFLINE overrides TRANSFORMERS_OFFLINE, with huggingface_hub's words") {
  const auto [hub, transformers, offline] =
      GENERATE(table<std::string, std::string, bool>({{"1", "", true},
                                                      {"yes", "", true},
                                                      {"On", "", true},
                                                      {"TRUE", "", true},
                                                      {"", "1", true},
                                                      {" 1", "", true},
                                                      {"1 \r\n", "", true},
                                                      {" \n", "1", true},
                                                      {"0", "1", false},
                                                      {"Off", "1", false},
                                                      {"no ", "", false},
                                                      {"FALSE", "", false},
                                                      {"", "", false}}));
  CHECK(options_in({}, {{"HF_HUB_OFFLINE", hub}, {"TRANSFORMERS_OFFLINE", transformers}}).offline ==
        offline);
}

TEST_CASE("a boolean variable that holds any other word is refused by its name") {
  const std::string name =
      GENERATE("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_IMPLICIT_TOKEN",
               "HF_HUB_DISABLE_PROGRESS_BARS");
  const std::string word = GENERATE("\"1\"", "y", "2", "offline", "tru", "''");
  CHECK(refusal_in({}, {{name, word}}) ==
        name + " is '" + word + "', but must be 1, yes, on, true, 0, no, off or false");
  CHECK(refusal_in({"list"}, {{name, word}}).empty());
}

TEST_CASE("a flag overrides a boolean variable, whatever it holds") {
  CHECK(options_in({"--offline"}, {{"HF_HUB_OFFLINE", "rubbish"}}).offline);
  CHECK(options_in({"--progress", "log"}, {{"HF_HUB_DISABLE_PROGRESS_BARS", "rubbish"}}).progress ==
        ProgressMode::log);
}

TEST_CASE("HF_HUB_DOWNLOAD_TIMEOUT overrides DOWNLOAD_TIMEOUT") {
  CHECK(options_in({}, {{"HF_HUB_DOWNLOAD_TIMEOUT", "7"}, {"DOWNLOAD_TIMEOUT", "8"}}).timeout == 7);
  CHECK(options_in({}, {{"DOWNLOAD_TIMEOUT", "8"}}).timeout == 8);
}

TEST_CASE("a tilde and variables in directories are expanded") {
  const auto [home, cache] =
      GENERATE(table<std::string, std::string>({{"~/m", "/home/of/nobody/m/hub"},
                                                {"~", "/home/of/nobody/hub"},
                                                {"$ROOT/m", "/srv/m/hub"},
                                                {"/a/${ROOT}x", "/a/srvx/hub"},
                                                {"/a/$NONE", "/a/$NONE/hub"},
                                                {"/a/$EMPTY/b", "/a/b/hub"},
                                                {"/a/${ROOT", "/a/${ROOT/hub"},
                                                {"/a/${ROOT-x}", "/a/${ROOT-x}/hub"},
                                                {"/a/$", "/a/$/hub"},
                                                {"/a/${}", "/a/${}/hub"},
                                                {"/a$NESTED", "/a/$ROOT/hub"},
                                                {"/x$HF_HOME", "/x/x$HF_HOME/hub"},
                                                {"$ROOT/m \r\n", "/srv/m/hub"},
                                                {"/a/~", "/a/~/hub"}}));
  const Environment environment = {
      {"HF_HOME", home}, {"ROOT", "/srv"}, {"EMPTY", ""}, {"NESTED", "/$ROOT"}, {"", "never"}};
  CHECK(options_in({}, environment).cache_dir == cache);
}

TEST_CASE("a path with quotes, blanks or line ends around it is refused by the variable's name") {
  const std::string name = GENERATE("HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME",
                                    "TRANSFORMERS_CACHE", "MODEL_PREP_SUMMARY", "HF_TOKEN_PATH");
  const std::string path = GENERATE("\"/m\"", "'/m'", "/m'", " /m", "/m\n/n", "$QUOTED/m", "\x01");
  const auto parsed = parse_options({}, {{name, path}, {"HOME", "/h"}, {"QUOTED", "'/m'"}});
  REQUIRE_FALSE(parsed.has_value());
  CHECK(parsed.error().kind == ErrorKind::usage);
  CHECK(has_part(parsed.error().message, name + " is '"));
}

TEST_CASE("a library's directory is refused for its quotes only where it is looked at") {
  const Environment quoted = {{"SENTENCE_TRANSFORMERS_HOME", "'/m'"}};
  CHECK(has_part(refusal_in({"verify"}, quoted), "SENTENCE_TRANSFORMERS_HOME is ''/m''"));
  CHECK(refusal_in({}, quoted).empty());
  CHECK(has_part(refusal_in({"--cache-dir", "'/m'"}), "--cache-dir is ''/m''"));
}

TEST_CASE("the line end of a file is no part of a variable's value") {
  const Options found = options_in({}, {{"HF_HOME", "/m\n"},
                                        {"MODEL_PREP_JOBS", "3\r\n"},
                                        {"MODEL_VARIANT", "onnx \t"},
                                        {"MODEL_PREP_LOG_LEVEL", " \n"}});
  CHECK(found.cache_dir == "/m/hub");
  CHECK(found.jobs == 3);
  CHECK(found.variant == Build::onnx);
  CHECK(found.log_level == LogLevel::info);
}

TEST_CASE("MODELS_TO_DOWNLOAD is separated by commas and by line ends") {
  CHECK(options_in({}, {{"MODELS_TO_DOWNLOAD", "\n  a\r\n\n  org/b@main,c\n"}}).models ==
        Words{"a", "org/b@main", "c"});
}

TEST_CASE("a variable that lists nothing is refused, rather than taken for unset") {
  const auto [name, expected] = GENERATE(table<std::string, std::string>({
      {"MODELS_TO_DOWNLOAD",
       "models separated by commas or line ends, without quotes and brackets"},
      {"MODEL_PREP_FROM", "folders separated by commas or line ends"},
      {"HF_ENDPOINT", "the URL of the Hub or of mirrors"},
  }));
  const std::string list = GENERATE(",", " , ,");
  CHECK(refusal_in({}, {{name, list}}) == name + " is '" + list + "', but must be " + expected);
  CHECK(refusal_in({"verify", "a"}, {{name, list}}).empty());
}

TEST_CASE("MODELS_TO_DOWNLOAD with quotes or brackets is refused by its name") {
  const std::string list = GENERATE("\"a,b\"", "'a'", "[\"a\", \"b\"]", "[a, b]", "{a}");
  CHECK(refusal_in({}, {{"MODELS_TO_DOWNLOAD", list}}) ==
        "MODELS_TO_DOWNLOAD is '" + list +
            "', but must be models separated by commas or line ends, without quotes and brackets");
  CHECK(refusal_in({"named"}, {{"MODELS_TO_DOWNLOAD", list}}).empty());
}

TEST_CASE("the legacy directories come from the environment, without the cache itself") {
  using Views = std::vector<std::string>;
  CHECK(options_in({}, {{"HF_HOME", "/m"}}).legacy_dirs == Views{"/m"});
  CHECK(options_in({}, {{"HF_HOME", "/m"}, {"TRANSFORMERS_CACHE", "/m"}}).legacy_dirs ==
        Views{"/m"});
  CHECK(options_in({}, {{"HF_HOME", "/m"}, {"TRANSFORMERS_CACHE", "/t"}}).legacy_dirs ==
        Views{"/m", "/t"});
  CHECK(options_in({}, {{"HF_HOME", "/m"}, {"HF_HUB_CACHE", "/c"}}).legacy_dirs ==
        Views{"/m", "/m/hub"});
  CHECK(options_in({}, {{"HF_HUB_CACHE", "/c"}, {"TRANSFORMERS_CACHE", "/c"}}).legacy_dirs.empty());
  CHECK(options_in({"--cache-dir", "/m"}, {{"HF_HOME", "/m"}}).legacy_dirs == Views{"/m/hub"});
}

TEST_CASE("an empty --cache-dir is refused, rather than taken for the working directory") {
  CHECK_FALSE(refusal_in({"--cache-dir", ""}).empty());
}

TEST_CASE("without HOME and HF_HOME the cache directory is unknown, which is a usage error") {
  const auto parsed = parse_options({}, {});
  REQUIRE_FALSE(parsed.has_value());
  CHECK(parsed.error().kind == ErrorKind::usage);
  CHECK(has_part(parsed.error().hint, "HF_HOME"));
}

TEST_CASE("the summary goes where the flag says, else the variable, else next to the models") {
  CHECK(options_in({"--summary", "x.json"}, {{"MODEL_PREP_SUMMARY", "y.json"}}).summary ==
        "x.json");
  CHECK(options_in({}, {{"HF_HOME", "/m"}, {"HF_HUB_CACHE", "/c"}}).summary ==
        "/m/model-prep-summary.json");
  CHECK(options_in({}, {{"HF_HUB_CACHE", "/c"}}).summary == "/c/model-prep-summary.json");
  CHECK(options_in({}).summary == "/home/of/nobody/.cache/huggingface/model-prep-summary.json");
}

TEST_CASE("a tilde and variables in the place of the summary are expanded") {
  const Environment environment = {{"HF_HOME", "/m"}, {"MODEL_PREP_SUMMARY", "$HF_HOME/s.json"}};
  CHECK(options_in({}, environment).summary == "/m/s.json");
  CHECK(options_in({"--summary", "~/s.json"}, environment).summary == "/home/of/nobody/s.json");
  CHECK(options_in({"kserve-init", "hf://a/b", "/b"}, environment).summary == "/m/s.json");
}

TEST_CASE("the first token source that is set provides the token") {
  const TemporaryFolder folder;
  std::ofstream(folder / "token") << "  hf_ofHome\r\n";
  std::ofstream(folder / "other") << "hf_ofPath";
  const std::string home = folder.path();
  CHECK(token_in({{"HF_HOME", home}}) == "hf_ofHome");
  CHECK(token_in({{"HF_HOME", home}, {"HF_TOKEN_PATH", home + "/other"}}) == "hf_ofPath");
  CHECK(token_in({{"HF_HOME", home}, {"HUGGING_FACE_HUB_TOKEN", "hf_older"}}) == "hf_older");
  CHECK(token_in(
            {{"HF_HOME", home}, {"HF_TOKEN", "hf_new"}, {"HUGGING_FACE_HUB_TOKEN", "hf_older"}}) ==
        "hf_new");
  CHECK(token_in({{"HF_HOME", home}, {"HF_TOKEN", " \n"}}) == "hf_ofHome");
  CHECK(
      token_in({{"HF_HOME", home}, {"HF_HUB_DISABLE_IMPLICIT_TOKEN", "1"}, {"HF_TOKEN", "hf_new"}})
          .empty());
}

TEST_CASE("a token file that is named may be absent, but not unreadable") {
  const TemporaryFolder folder;
  const std::string home = folder.path();
  CHECK(token_in({{"HF_HOME", home}, {"HF_TOKEN_PATH", home + "/nowhere"}}).empty());
  CHECK(token_in({{"HF_HOME", home}, {"HF_TOKEN_PATH", "/dev/null"}}).empty());
  // Root can read every file, so a directory takes the part of an unreadable one. Docker creates
  // one where the file of a mount is missing.
  CHECK(has_part(refusal_in({}, {{"HF_HOME", home}, {"HF_TOKEN_PATH", home}}),
                 "HF_TOKEN_PATH is '" + home + "'"));
  std::ofstream(folder / "large") << std::string(1'000'000, 'x');
  CHECK(has_part(refusal_in({}, {{"HF_HOME", home}, {"HF_TOKEN_PATH", home + "/large"}}),
                 "HF_TOKEN_PATH"));
  CHECK(options_in({"--offline"}, {{"HF_TOKEN_PATH", home}}).offline);
}

TEST_CASE("a token that could write headers of its own is refused without showing it") {
  const std::string bad = GENERATE("hf_a\nX-Evil: 1", "hf_a b", "hf_\x01", "hf_\xc3\xa9");
  const std::string message = refusal_in({}, {{"HF_TOKEN", bad}});
  CHECK(has_part(message, "HF_TOKEN"));
  CHECK_FALSE(has_part(message, bad));
}

TEST_CASE("a token in quotes is refused by the name of its place, without showing it") {
  const TemporaryFolder folder;
  const std::string bad = GENERATE("\"hf_a\"", "'hf_a'", "hf_a'");
  std::ofstream(folder / "token") << bad << "\n";
  for (const auto& [place, environment] :
       {std::pair<std::string, Environment>{"HF_TOKEN", {{"HF_TOKEN", bad}}},
        {folder / "token", {{"HF_TOKEN_PATH", folder / "token"}}},
        {folder / "token", {{"HF_HOME", folder.path()}}}})
    CHECK(refusal_in({}, environment) == "the token in " + place + " contains quotes");
}

TEST_CASE("in the standard place, a token file that is a link is not used, and that is said") {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "home");
  std::ofstream(folder / "secret") << "hf_secret";
  const bool is_symlink = GENERATE(true, false);
  if (is_symlink)
    std::filesystem::create_symlink("../secret", folder / "home/token");
  else
    std::filesystem::create_hard_link(folder / "secret", folder / "home/token");
  const Options found = options_in({}, {{"HF_HOME", folder / "home"}});
  CHECK_FALSE(found.token.has_value());
  REQUIRE(found.warnings.size() == 1);
  CHECK(
      has_part(found.warnings[0], (folder / "home/token").string() + " is not used as the token"));
  CHECK(token_in({{"HF_TOKEN_PATH", folder / "home/token"}}) == "hf_secret");
}

TEST_CASE(
    "in the standard place, another user's token file is not used, except the folder's owner's") {
  if (::geteuid() != 0) {
    skip_test("ONLY ROOT CAN GIVE A FILE TO ANOTHER USER");
    return;
  }
  const TemporaryFolder folder;
  std::ofstream(folder / "token") << "hf_theirs";
  REQUIRE(::chown((folder / "token").c_str(), 4242, 4242) == 0);
  const Environment environment = {{"HF_HOME", folder.path()}};
  const Options found = options_in({}, environment);
  CHECK_FALSE(found.token.has_value());
  REQUIRE(found.warnings.size() == 1);
  CHECK(has_part(found.warnings[0], "it belongs to another user"));
  REQUIRE(::chown(folder.path().c_str(), 4242, 4242) == 0);
  CHECK(token_in(environment) == "hf_theirs");
}

}  // namespace model_prep
