// SPDX-License-Identifier: Apache-2.0
#include "model_prep/cli/options.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include "model_prep/io/http.h"
#include "model_prep/io/libcurl_info.h"
#include "support/catch.h"
#include "support/hub_tls.h"
#include "support/temporary_folder.h"

namespace model_prep {
namespace {

using testing::TemporaryFolder;
using Arguments = std::vector<std::string>;

/// Options that are known to parse; HOME is set, so that there is a place for the cache.
Options options(const Arguments& arguments, Environment environment = {}) {
  environment.try_emplace("HOME", "/home/of/nobody");
  return *parse_options(arguments, environment);
}

/// The error's message, or nothing.
std::string refusal(const Arguments& arguments, Environment environment = {}) {
  environment.try_emplace("HOME", "/home/of/nobody");
  const auto parsed = parse_options(arguments, environment);
  return parsed ? "" : parsed.error().message;
}

Arguments names_of(const Options& options) {
  Arguments names;
  for (const HubEndpoint& endpoint : options.endpoints) names.push_back(endpoint.name());
  return names;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// With one blank wherever there are blanks or line ends.
std::string on_one_line(const std::string& text) {
  std::istringstream words(text);
  std::string line;
  for (std::string word; words >> word;) line += (line.empty() ? "" : " ") + word;
  return line;
}

struct Numeric {
  std::string flag;
  std::string variable;
  std::string bad;
};

}  // namespace

TEST_CASE("without flags and variables the defaults are those of the reference") {
  const Options found = options({});
  CHECK(found.models.empty());
  CHECK_FALSE(found.manifest.has_value());
  CHECK(found.variant == Build::fp32);
  CHECK(names_of(found) == Arguments{"https://huggingface.co"});
  CHECK(found.jobs == 8);
  CHECK(found.retries == 5);
  CHECK_FALSE(found.retries_given);
  CHECK(found.patience == 300);
  CHECK(found.timeout == 60);
  CHECK_FALSE(found.deadline.has_value());
  CHECK_FALSE(found.rate.has_value());
  CHECK_FALSE(found.offline);
  CHECK_FALSE(found.dry_run);
  CHECK(found.dependencies == DependencyMode::report);
  CHECK(found.log_level == LogLevel::info);
  CHECK(found.log_format == LogFormat::text);
  CHECK(found.progress == ProgressMode::automatic);
  CHECK_FALSE(found.token.has_value());
  CHECK(found.cache_dir == "/home/of/nobody/.cache/huggingface/hub");
  CHECK(found.legacy_dirs.empty());
}

TEST_CASE("every flag takes effect") {
  const Options found = options({"download",  "a",           "org/b@main", "--manifest",
                                 "m.json",    "--variant",   "all",        "--dry-run",
                                 "--offline", "--endpoint",  "http://h",   "--summary",
                                 "-",         "--jobs",      "3",          "--retries",
                                 "0",         "--timeout",   "7",          "--deadline",
                                 "9",         "--log-level", "warn",       "--log-format",
                                 "json",      "--progress",  "none",       "--limit-rate",
                                 "10M",       "--patience",  "0",          "--dependencies",
                                 "fetch"});
  CHECK(found.dependencies == DependencyMode::fetch);
  CHECK(found.models == Arguments{"a", "org/b@main"});
  CHECK(found.manifest == "m.json");
  CHECK(found.variant == Build::all);
  CHECK(found.dry_run);
  CHECK(found.offline);
  CHECK(names_of(found) == Arguments{"http://h"});
  CHECK(found.summary == "-");
  CHECK(found.jobs == 3);
  CHECK(found.retries == 0);
  CHECK(found.retries_given);
  CHECK(found.patience == 0);
  CHECK(found.timeout == 7);
  CHECK(found.deadline == 9);
  CHECK(found.rate == 10'485'760);
  CHECK(found.log_level == LogLevel::warning);
  CHECK(found.log_format == LogFormat::json);
  CHECK(found.progress == ProgressMode::none);
}

TEST_CASE("each --include or --exclude takes one pattern, and a comma is part of it") {
  const Options found =
      options({"--include", "*.json", "a", "--exclude", "x y", "--include", "a,b"});
  CHECK(found.models == Arguments{"a"});
  CHECK(found.patterns.include == Arguments{"*.json", "a,b"});
  CHECK(found.patterns.exclude == Arguments{"x y"});
}

TEST_CASE("every variable takes effect") {
  const Options found = options({}, {{"MODELS_TO_DOWNLOAD", " a , org/b ,, "},
                                     {"MODEL_PREP_MANIFEST", "m.json"},
                                     {"MODEL_VARIANT", "onnx"},
                                     {"HF_ENDPOINT", "http://h"},
                                     {"MODEL_PREP_SUMMARY", "s.json"},
                                     {"MODEL_PREP_JOBS", "3"},
                                     {"MODEL_PREP_LIMIT_RATE", "500k"},
                                     {"MODEL_PREP_RETRIES", "4"},
                                     {"MODEL_PREP_PATIENCE", "20"},
                                     {"HF_HUB_DOWNLOAD_TIMEOUT", "7"},
                                     {"MODEL_PREP_DEADLINE", "9"},
                                     {"MODEL_PREP_DEPENDENCIES", "require"},
                                     {"MODEL_PREP_LOG_LEVEL", "debug"},
                                     {"MODEL_PREP_LOG_FORMAT", "json"},
                                     {"HF_HUB_DISABLE_PROGRESS_BARS", "1"}});
  CHECK(found.models == Arguments{"a", "org/b"});
  CHECK(found.manifest == "m.json");
  CHECK(found.dependencies == DependencyMode::require);
  CHECK(found.variant == Build::onnx);
  CHECK(names_of(found) == Arguments{"http://h"});
  CHECK(found.summary == "s.json");
  CHECK(found.jobs == 3);
  CHECK(found.retries == 4);
  CHECK(found.retries_given);
  CHECK(found.patience == 20);
  CHECK(found.timeout == 7);
  CHECK(found.deadline == 9);
  CHECK(found.rate == 512'000);
  CHECK(found.log_level == LogLevel::debug);
  CHECK(found.log_format == LogFormat::json);
  CHECK(found.progress == ProgressMode::none);
}

TEST_CASE("a flag overrides its variable") {
  const Options found =
      options({"--jobs", "2", "--progress", "bar", "named"}, {{"MODEL_PREP_JOBS", "rubbish"},
                                                              {"HF_HUB_DISABLE_PROGRESS_BARS", "1"},
                                                              {"MODELS_TO_DOWNLOAD", "other"}});
  CHECK(found.jobs == 2);
  CHECK(found.progress == ProgressMode::bar);
  CHECK(found.models == Arguments{"named"});
}

TEST_CASE("an empty variable is unset") {
  const Options found = options({}, {{"MODEL_PREP_JOBS", ""},
                                     {"HF_ENDPOINT", ""},
                                     {"HF_HOME", ""},
                                     {"HF_HUB_CACHE", ""},
                                     {"MODELS_TO_DOWNLOAD", ""},
                                     {"HF_TOKEN", ""},
                                     {"MODEL_VARIANT", ""}});
  CHECK(found.jobs == 8);
  CHECK(names_of(found) == Arguments{"https://huggingface.co"});
  CHECK(found.cache_dir == "/home/of/nobody/.cache/huggingface/hub");
  CHECK(found.models.empty());
}

TEST_CASE("a bad value is reported with its flag or variable, the value, and what it must be") {
  const Numeric number = GENERATE(Numeric{"--jobs", "MODEL_PREP_JOBS", "0"},
                                  Numeric{"--jobs", "MODEL_PREP_JOBS", "1x"},
                                  Numeric{"--jobs", "MODEL_PREP_JOBS", "99999999999"},
                                  Numeric{"--retries", "MODEL_PREP_RETRIES", "-1"},
                                  Numeric{"--patience", "MODEL_PREP_PATIENCE", "5m"},
                                  Numeric{"--timeout", "HF_HUB_DOWNLOAD_TIMEOUT", "1.5"},
                                  Numeric{"--timeout", "DOWNLOAD_TIMEOUT", "soon"},
                                  Numeric{"--limit-rate", "MODEL_PREP_LIMIT_RATE", "0"},
                                  Numeric{"--limit-rate", "MODEL_PREP_LIMIT_RATE", "1 MB"},
                                  Numeric{"--limit-rate", "MODEL_PREP_LIMIT_RATE", "4095"},
                                  Numeric{"--deadline", "MODEL_PREP_DEADLINE", " 5"},
                                  Numeric{"--log-level", "MODEL_PREP_LOG_LEVEL", "loud"},
                                  Numeric{"--log-format", "MODEL_PREP_LOG_FORMAT", "xml"},
                                  Numeric{"--dependencies", "MODEL_PREP_DEPENDENCIES", "all"},
                                  Numeric{"--variant", "MODEL_VARIANT", "fp15"});
  const std::string of_flag = refusal({number.flag + "=" + number.bad});
  CHECK(contains(of_flag, number.flag + " is '" + number.bad + "', but must be "));
  const std::string of_variable = refusal({}, {{number.variable, number.bad}});
  CHECK(contains(of_variable, number.variable + " is '" + number.bad + "', but must be "));
}

TEST_CASE("an unknown flag, a missing value and a flag given twice are usage errors") {
  const auto [arguments, message] = GENERATE(table<Arguments, std::string>({
      {{"--nonsense"}, "unknown flag --nonsense"},
      {{"verify", "-x"}, "unknown flag -x"},
      {{"--job=3"}, "unknown flag --job"},
      {{"--jobs"}, "--jobs needs a value"},
      {{"verify", "--include"}, "--include needs a value"},
      {{"--jobs", "3", "cleanup", "--jobs", "3"}, "cleanup does not take --jobs"},
      {{"--jobs", "3", "verify", "--jobs", "3"}, "--jobs is given 2 times"},
  }));
  const auto parsed = parse_options(arguments, {{"HOME", "/h"}});
  REQUIRE_FALSE(parsed.has_value());
  CHECK(parsed.error().kind == ErrorKind::usage);
  CHECK(parsed.error().message == message);
}

TEST_CASE("a switch with a value is a usage error, rather than on whatever the value says") {
  const auto [arguments, flag] = GENERATE(table<Arguments, std::string>({
      {{"--cleanup=false"}, "--cleanup"},
      {{"--cleanup=true", "a"}, "--cleanup"},
      {{"cleanup", "--dry-run="}, "--dry-run"},
      {{"--forbid-pickles=0"}, "--forbid-pickles"},
      {{"verify", "--help=no"}, "--help"},
  }));
  const auto parsed = parse_options(arguments, {{"HOME", "/h"}});
  REQUIRE_FALSE(parsed.has_value());
  CHECK(parsed.error().kind == ErrorKind::usage);
  CHECK(parsed.error().message == flag + " takes no value");
  CHECK(options({"--", "--cleanup=false"}).models == Arguments{"--cleanup=false"});
}

TEST_CASE("a flag whose value is empty, or another flag, is a usage error") {
  const auto [arguments, flag] = GENERATE(table<Arguments, std::string>({
      {{"--cache-dir=", "a"}, "--cache-dir"},
      {{"--cache-dir", "", "a"}, "--cache-dir"},
      {{"kserve-init", "--cache-dir=", "hf://a/b", "/b"}, "--cache-dir"},
      {{"a", "--include="}, "--include"},
      {{"--summary", ""}, "--summary"},
      {{"cleanup", "--summary", "--dry-run"}, "--summary"},
      {{"cleanup", "--summary", "--log-level=debug"}, "--summary"},
      {{"--summary", "--help"}, "--summary"},
  }));
  const auto parsed = parse_options(arguments, {{"HOME", "/h"}});
  REQUIRE_FALSE(parsed.has_value());
  CHECK(parsed.error().kind == ErrorKind::usage);
  CHECK(parsed.error().message == flag + " needs a value");
}

TEST_CASE("a value may begin with dashes, and be a flag behind an equals sign") {
  CHECK(options({"--summary", "-"}).summary == "-");
  CHECK(options({"--summary=--dry-run"}).summary == "--dry-run");
  CHECK(options({"--include=-a=b", "--include", "--x"}).patterns.include ==
        Arguments{"-a=b", "--x"});
  CHECK(parse_options({"--summary", "--dry-run"}, {{"HOME", "/h"}}).error().hint ==
        "if --dry-run is the value, write --summary=--dry-run");
}

TEST_CASE("a mistyped flag gets a suggestion and a pointer to --help") {
  const auto parsed = parse_options({"--jbos", "3"}, {{"HOME", "/h"}});
  REQUIRE_FALSE(parsed.has_value());
  CHECK(parsed.error().hint == "did you mean '--jobs'? model-prep --help lists the flags");
}

TEST_CASE("every word after the command is a model") {
  CHECK(options({"download", "download"}).models == Arguments{"download"});
  CHECK(options({"--jobs", "3", "download", "a", "--retries", "1", "download"}).models ==
        Arguments{"a", "download"});
}

TEST_CASE("a list in brackets is no model, and not several either") {
  const std::string list = GENERATE("[a,b]", "[a]", "[]", "{}");
  CHECK(refusal({list}) == "unknown model '" + list + "'");
  CHECK(refusal({"verify", "a", list}) == "unknown model '" + list + "'");
  CHECK(refusal({"--", list}) == "unknown model '" + list + "'");
  CHECK(options({"--include", list, "a"}).patterns.include == Arguments{list});
}

TEST_CASE("a command after a model is refused") {
  CHECK(contains(refusal({"a", "download"}), "must come before the models"));
}

TEST_CASE("each command takes its own flags and refuses those of others") {
  const Options found = options({"verify", "a", "--repair", "--summary", "-"});
  CHECK(found.command == Command::verify);
  CHECK(found.repair);
  CHECK(found.models == Arguments{"a"});
  CHECK(options({"list", "--json"}).json);
  CHECK(refusal({"cleanup", "--jobs", "3"}) == "cleanup does not take --jobs");
  CHECK(options({"list"}, {{"MODEL_PREP_JOBS", "rubbish"}}).command == Command::list);
  CHECK(refusal({"verify", "--dry-run"}) == "verify does not take --dry-run");
  CHECK(refusal({"--offline", "verify"}) == "verify does not take --offline");
  CHECK(refusal({"--repair"}) == "download does not take --repair");
  CHECK(refusal({"--check"}) == "download does not take --check");
  CHECK(options({"verify", "--for", "peft", "--for", "gguf"}).consumers ==
        Arguments{"peft", "gguf"});
  CHECK(contains(refusal({"verify", "--for", "keras"}), "one of transformers, "));
  CHECK(refusal({"cleanup", "--cleanup"}) == "cleanup does not take --cleanup");
  CHECK(refusal({"cleanup", "--variant", "all"}) == "cleanup does not take --variant");
  CHECK(refusal({"lock", "--summary", "-"}) == "lock does not take --summary");
}

TEST_CASE("kserve-init has KServe's arguments, all files, and a cache beside the destination") {
  const Environment of_image = {{"HF_HOME", "/app/models"},
                                {"TRANSFORMERS_CACHE", "/app/models"},
                                {"MODELS_TO_DOWNLOAD", "other"}};
  const Options found = options({"kserve-init", "hf://org/name:v1", "/srv/x/../served"}, of_image);
  CHECK(found.models == Strings{"org/name@v1"});
  CHECK(found.destinations == Strings{"/srv/served"});
  CHECK(found.variant == Variant(Build::all));
  CHECK(found.cache_dir == "/srv/.served.cache");
  CHECK(found.cache_is_temporary);
  CHECK(found.legacy_dirs.empty());
  CHECK(found.summary.empty());

  // /proc is a mount point.
  CHECK(options({"kserve-init", "hf://a/b", "/proc"}).cache_dir == "/proc/.model-prep.cache");
}

TEST_CASE("kserve-init takes a build, a cache that stays, and a place for the summary") {
  const Options found = options({"kserve-init", "hf://a/b", "/srv/b", "--variant", "openvino"},
                                {{"HF_HUB_CACHE", "/c"}, {"MODEL_PREP_SUMMARY", "/s.json"}});
  CHECK(found.variant == Variant(Build::openvino));
  CHECK(found.cache_dir == "/c");
  CHECK_FALSE(found.cache_is_temporary);
  CHECK(found.summary == "/s.json");
  CHECK(contains(refusal({"kserve-init", "/srv/b"}), "an address and a destination"));
  CHECK(contains(refusal({"kserve-init", "hf://a/b", "/b", "--dry-run"}),
                 "kserve-init does not take --dry-run"));
}

TEST_CASE("export needs a target, whose folder is absolute and outside the cache") {
  const Options found = options({"export", "a", "--to", "oci:/srv/x/../images:v1"});
  CHECK(found.command == Command::export_models);
  REQUIRE(found.to);
  CHECK(found.to->text() == "oci:/srv/images:v1");
  CHECK(found.prefix == "hub");
  CHECK(options({"export", "--to", "oci:/x", "--prefix", "/app/hub/"}).prefix == "app/hub");
  CHECK(refusal({"export"}) == "export needs --to, which says what to write and where");
  CHECK(contains(refusal({"export", "--to", "oci:/x:a b"}),
                 "must be oci:FOLDER[:TAG], dir:FOLDER or "));
  CHECK(contains(refusal({"export", "--to", "oci:/c/x"}, {{"HF_HUB_CACHE", "/c"}}),
                 "must be a folder outside the cache /c"));
  CHECK(contains(refusal({"export", "--to", "oci:/x", "--prefix", ".."}), "a directory in the"));
  CHECK(options({"export", "--to", "dir:/x:y"}).to->folder == "/x:y");
  CHECK(contains(refusal({"export", "--to", "dir:/x", "--prefix", "a"}), "--prefix is for images"));
  CHECK(options({"--to", "oci:/x"}).to->folder == "/x");
  CHECK(refusal({"--prefix", "a"}) == "--prefix needs --to");
  CHECK(refusal({"verify", "--to", "oci:/x"}) == "verify does not take --to");
  CHECK(refusal({"export", "--to", "oci:/x"}, {{"HF_ENDPOINT", "ftp://none"}}).empty());
}

TEST_CASE("a model may be called like a command") {
  const Options found = options({"download", "verify"});
  CHECK(found.command == Command::download);
  CHECK(found.models == Arguments{"verify"});
  CHECK(options({"verify", "verify"}).models == Arguments{"verify"});
  CHECK(options({}, {{"MODELS_TO_DOWNLOAD", "verify"}}).command == Command::download);
}

TEST_CASE("a command that sends no request ignores every variable of the network") {
  const std::string variable =
      GENERATE("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_IMPLICIT_TOKEN",
               "HF_ENDPOINT", "MODEL_PREP_JOBS", "MODEL_PREP_RETRIES", "MODEL_PREP_PATIENCE",
               "HF_HUB_DOWNLOAD_TIMEOUT", "MODEL_PREP_LIMIT_RATE", "SSL_CERT_FILE");
  const Environment stale = {{variable, "maybe"}};
  for (const char* command : {"verify", "list", "cleanup"})
    CHECK(refusal({command}, stale).empty());
  CHECK_FALSE(refusal({"verify", "--repair"}, stale).empty());
  CHECK_FALSE(refusal({"verify", "--jobs", "many"}).empty());
}

TEST_CASE("MODEL_PREP_DEADLINE is read by verify, which hashes, and by list only for --builds") {
  const Environment stale = {{"MODEL_PREP_DEADLINE", "abc"}};
  CHECK(refusal({"list"}, stale).empty());
  CHECK(contains(refusal({"list", "--builds"}, stale), "MODEL_PREP_DEADLINE is 'abc'"));
  CHECK(contains(refusal({"verify"}, stale), "MODEL_PREP_DEADLINE is 'abc'"));
  CHECK(contains(refusal({"list", "--deadline", "abc"}), "--deadline is 'abc'"));
}

TEST_CASE("a run without requests ignores a bad token and bad CA files") {
  const Environment stale = {{"SSL_CERT_FILE", "/no/such/file"}, {"HF_TOKEN", "hf_a b"}};
  CHECK(refusal({"verify"}, stale).empty());
  CHECK(refusal({"cleanup"}, stale).empty());
  CHECK_FALSE(refusal({"lock"}, stale).empty());
  CHECK_FALSE(refusal({"verify", "--repair"}, stale).empty());
  CHECK(refusal({"verify", "--repair"}, {{"HF_HUB_OFFLINE", "1"}, {"HF_TOKEN", "hf_a b"}}).empty());
}

TEST_CASE("the help of a command has its flags and no others") {
  const std::string verify = parse_options({"verify", "--help"}, {})->print.value();
  CHECK(contains(verify, "Usage: model-prep verify"));
  CHECK(contains(verify, "\n  --repair"));
  CHECK_FALSE(contains(verify, "--dry-run"));
  const std::string all = parse_options({"--help"}, {})->print.value();
  CHECK(contains(all, "\n  --dry-run"));
  CHECK_FALSE(contains(all, "\n  --repair"));
  CHECK(contains(all, "  verify  "));
}

TEST_CASE("the help of kserve-init states its own defaults") {
  const std::string help = on_one_line(parse_options({"kserve-init", "--help"}, {})->print.value());
  CHECK(contains(help, "of kserve-init all)"));
  CHECK(contains(help, "of kserve-init a temporary one)"));
  CHECK(contains(help, "of kserve-init none)"));
  CHECK(contains(help, "MODEL:BUILD chooses for one model, but not for kserve-init"));
}

TEST_CASE("a CA file in several variables is read once, and the system's own is not read") {
  const TemporaryFolder folder;
  const testing::TestAuthority authority("Test Root");
  const std::string file = folder / "ca.pem";
  std::ofstream(file) << authority.pem();
  std::filesystem::create_symlink("ca.pem", folder / "again.pem");
  const std::string again = folder / "again.pem";
  CHECK(options({},
                {{"SSL_CERT_FILE", file}, {"CURL_CA_BUNDLE", file}, {"REQUESTS_CA_BUNDLE", again}})
            .authorities.pem == authority.pem() + "\n");
  REQUIRE(std::filesystem::exists(system_authorities()));
  CHECK(options({}, {{"SSL_CERT_FILE", system_authorities()}}).authorities.pem.empty());
}

TEST_CASE("help and version print and do not run") {
  CHECK(parse_options({"--help"}, {})->print.has_value());
  CHECK(parse_options({"--version"}, {})->print == version_text());
}

TEST_CASE("the CI system is detected without a command line") {
  CHECK_FALSE(detect_ci({}).annotations);
  CHECK_FALSE(detect_ci({{"GITHUB_ACTIONS", ""}}).annotations);
  CHECK_FALSE(detect_ci({{"GITHUB_ACTIONS", "false"}}).annotations);
  CHECK(detect_ci({{"GITHUB_ACTIONS", "true"}}).annotations);
  CHECK(detect_ci({{"GITHUB_STEP_SUMMARY", "/x"}}).step_summary == "/x");
  CHECK(detect_ci({{"GITHUB_STEP_SUMMARY", ""}}).step_summary.empty());
}

TEST_CASE("TERM allows live lines, and a non-empty NO_COLOR forbids colours") {
  CHECK_FALSE(detect_terminal({}).live);
  CHECK_FALSE(detect_terminal({{"TERM", ""}}).live);
  CHECK_FALSE(detect_terminal({{"TERM", "dumb"}}).live);
  CHECK(detect_terminal({{"TERM", "xterm"}}).live);
  CHECK(detect_terminal({}).colour);
  CHECK(detect_terminal({{"NO_COLOR", ""}}).colour);
  CHECK_FALSE(detect_terminal({{"NO_COLOR", "1"}}).colour);
}

TEST_CASE("several endpoints keep their order, each once") {
  CHECK(names_of(options({"--endpoint", "https://a/", "--endpoint", "http://b:80/hf//",
                          "--endpoint", "https://A"})) == Arguments{"https://a", "http://b/hf"});
  CHECK(names_of(options({}, {{"HF_ENDPOINT", " https://a , ,https://b/hf/,"}})) ==
        Arguments{"https://a", "https://b/hf"});
  CHECK(names_of(options({"--endpoint", "https://c"}, {{"HF_ENDPOINT", "https://a,https://b"}})) ==
        Arguments{"https://c"});
}

TEST_CASE("folders of --from keep their order, each once; those that are none are warned of") {
  CHECK(options({"--from", "/usr/../usr/bin", "--from", "/tmp", "--from", "/usr/bin/"}).from ==
        Arguments{"/usr/bin", "/tmp"});
  CHECK(options({}, {{"MODEL_PREP_FROM", " /usr , /tmp,\n/usr/bin,"}}).from ==
        Arguments{"/usr", "/tmp", "/usr/bin"});
  CHECK(options({"--from", "/usr"}, {{"MODEL_PREP_FROM", "/tmp"}}).from == Arguments{"/usr"});
  CHECK(options({"verify"}, {{"MODEL_PREP_FROM", "/tmp"}}).from.empty());

  const Options absent = options({"--from", "/no/such/folder"});
  CHECK(absent.from.empty());
  CHECK(contains(absent.warnings.back(), "--from names /no/such/folder, which is not a folder"));
}

TEST_CASE("a folder of --from is not the cache, nor in it") {
  for (const std::string folder : {"/srv/hub", "/srv/hub/models--a"})
    CHECK(contains(refusal({"--cache-dir", "/srv/hub", "--from", folder}),
                   "a folder outside the cache /srv/hub"));
  CHECK(contains(refusal({"--cache-dir", "/srv/hub"}, {{"MODEL_PREP_FROM", "/tmp,/srv/hub"}}),
                 "MODEL_PREP_FROM"));
  CHECK(options({"--cache-dir", "/tmp/hub", "--from", "/tmp"}).from == Arguments{"/tmp"});
  CHECK(contains(refusal({"verify", "--from", "/tmp"}), "--from"));
}

TEST_CASE("an invalid endpoint is reported by flag or variable, without its password") {
  CHECK(contains(refusal({"--endpoint", "ftp://a"}), "--endpoint: "));
  CHECK(contains(refusal({"--endpoint", "https://a,https://b"}),
                 "--endpoint: "));  // the list is the variable's
  CHECK(contains(refusal({}, {{"HF_ENDPOINT", "https://a,https://b?c"}}), "HF_ENDPOINT: "));
  const std::string message = refusal({}, {{"HF_ENDPOINT", "https://user:pa,ss@a b,https://b"}});
  CHECK(contains(message, "HF_ENDPOINT: "));
  CHECK_FALSE(contains(message, "pa,"));
  CHECK(refusal({"verify"}, {{"HF_ENDPOINT", "ftp://a"}}).empty());  // sends no request
}

TEST_CASE("a wrong flag is refused by a command that sends no request, a wrong variable is not") {
  const std::string command = GENERATE("verify", "list");
  CHECK(contains(refusal({command, "--endpoint", "ftp://a"}), "--endpoint: "));
  CHECK(contains(refusal({command, "--ca-file", "/no/such/file"}), "--ca-file is "));
  CHECK(contains(refusal({"--offline", "--ca-file", "/no/such/file"}), "--ca-file is "));
  CHECK(
      refusal({command}, {{"HF_ENDPOINT", "ftp://a"}, {"SSL_CERT_FILE", "/no/such/file"}}).empty());
}

TEST_CASE(
    "a command without --endpoint knows the endpoints too, for the addresses of their pages") {
  const Arguments arguments =
      GENERATE(Arguments{"cleanup"}, Arguments{"export", "--to", "dir:/x"}, Arguments{"verify"});
  CHECK(names_of(options(arguments, {{"HF_ENDPOINT", "https://a/hf,https://b"}})) ==
        Arguments{"https://a/hf", "https://b"});
  CHECK(names_of(options(arguments, {{"HF_ENDPOINT", "ftp://a"}})) ==
        Arguments{"https://huggingface.co"});
}

TEST_CASE("a mistyped list of endpoints is refused, and not taken for one endpoint") {
  CHECK(contains(refusal({}, {{"HF_ENDPOINT", "https://a/hf,huggingface.co"}}),
                 "HF_ENDPOINT: a URL contains a comma"));
  CHECK(contains(refusal({}, {{"HF_ENDPOINT", "https://a,hf_x@b"}}),
                 "HF_ENDPOINT: a URL contains a comma"));
  CHECK_FALSE(contains(refusal({}, {{"HF_ENDPOINT", "https://a,hf_x@b"}}), "hf_x"));
  CHECK(contains(refusal({"--endpoint", "https://a,https://b"}),
                 "--endpoint: a URL contains a comma"));
  CHECK(names_of(options({}, {{"HF_ENDPOINT", "https://a,HTTPS://b,Http://c"}})).size() == 3);
}

TEST_CASE("an endpoint that is listed twice keeps its login") {
  const auto found =
      options({}, {{"HF_ENDPOINT", "https://m,https://user:pass@m,https://hf_a@n,https://n"}})
          .endpoints;
  REQUIRE(found.size() == 2);
  CHECK(found[0].hub.endpoint().text == "https://user:pass@m");
  CHECK(found[1].token->reveal() == "hf_a");
}

TEST_CASE("in HF_ENDPOINT, but not in --endpoint, a user name without a password is a token") {
  const auto found =
      options({}, {{"HF_ENDPOINT", "https://hf_%61bc@a/hf,https://u:p@b,https://c"}}).endpoints;
  REQUIRE(found.size() == 3);
  CHECK(found[0].token->reveal() == "hf_abc");
  CHECK(found[0].hub.endpoint().text == "https://a/hf");
  CHECK_FALSE(found[1].token.has_value());
  CHECK(found[1].hub.endpoint().text == "https://u:p@b");
  CHECK_FALSE(found[2].token.has_value());
  CHECK(contains(refusal({"--endpoint", "https://hf_abc@a"}),
                 "--endpoint contains a user name without a password, which is taken as a token"));
  CHECK_FALSE(contains(refusal({"--endpoint", "https://hf_abc@a"}), "hf_abc"));
  CHECK(contains(refusal({}, {{"HF_ENDPOINT", "https://hf_a%0Ab@a"}}),
                 "the token in HF_ENDPOINT contains an invalid character"));
}

TEST_CASE("the run's token is for the Hub, or for the only endpoint") {
  const auto uses = [](const std::string& list) {
    auto endpoints = options({}, {{"HF_ENDPOINT", list}}).endpoints;
    give_token(endpoints, Token("hf_run"));
    std::string text;
    for (const HubEndpoint& endpoint : endpoints)
      text += (endpoint.use == TokenUse::withheld ? "-" : endpoint.token->reveal()) + " ";
    return text;
  };
  CHECK(uses("https://mirror") == "hf_run ");
  CHECK(uses("https://mirror,https://mirror/") == "hf_run ");
  CHECK(uses("https://mirror,https://HuggingFace.co") == "- hf_run ");
  CHECK(uses("https://hf_own@mirror,https://huggingface.co,https://huggingface.co.example") ==
        "hf_own hf_run - ");
  CHECK(uses("https://mirror,http://huggingface.co") ==
        "- - ");  // not the Hub, so it may be any server
}

}  // namespace model_prep
