// SPDX-License-Identifier: Apache-2.0
#include "model_prep/cli/flags.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

namespace model_prep {
namespace {

constexpr CommandText kCommands[] = {
    {Command::download, "download", "Fetch the selected models (the default)",
     "every model is complete"},
    {Command::verify, "verify",
     "Hash what is cached against record and lock, and say which services will find it",
     "all of it is right"},
    {Command::list, "list", "Show what the manifest names and what the cache holds of it",
     "it is shown"},
    {Command::cleanup, "cleanup",
     "Remove revisions that are no longer pinned, and leftovers of interrupted downloads",
     "what could go is gone"},
    {Command::lock, "lock",
     "Print a manifest with the commits, sizes and digests that the Hub has now",
     "it is printed; with --check: no branch has moved"},
};

constexpr Commands kDownload = of(Command::download);
constexpr Commands kVerify = of(Command::verify);
constexpr Commands kLock = of(Command::lock);
constexpr Commands kOnline = kDownload | kVerify | kLock;  // verify for --repair
constexpr Commands kList = of(Command::list);
constexpr Commands kCleanup = of(Command::cleanup);
constexpr Commands kAll = kOnline | kList | kCleanup;

constexpr const char* kModels = "Which models";
constexpr const char* kWork = "What is done";
constexpr const char* kPlaces = "Where";
constexpr const char* kNetwork = "Network";
constexpr const char* kTelling = "What is told";

constexpr Variable kVariables[] = {
    {"MODELS_TO_DOWNLOAD", "models, comma-separated, where no MODEL is given"},
    {"HF_HOME, XDG_CACHE_HOME",
     "where the cache is if nothing names it: $HF_HOME/hub, else $XDG_CACHE_HOME/huggingface/hub, else "
     "~/.cache/huggingface/hub"},
    {"TRANSFORMERS_CACHE", "gets links to the models too, for older services; as HF_HOME does"},
    {"HF_TOKEN",
     "the token; else HUGGING_FACE_HUB_TOKEN, the file HF_TOKEN_PATH, $HF_HOME/token. For the Hub, or the only "
     "endpoint; "
     "another's stands in HF_ENDPOINT: https://TOKEN@host"},
    {"HF_HUB_DISABLE_IMPLICIT_TOKEN", "send no token"},
    {"HF_HUB_DISABLE_PROGRESS_BARS", "as --progress none, where that is not given"},
    {"HF_HUB_OFFLINE, TRANSFORMERS_OFFLINE",
     "no request at all: lock and verify --repair cannot work then"},
    {"HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY", "in either case, the lower one first"},
    {"NO_COLOR, TERM", "no colours; TERM=dumb: nothing that moves either"},
    {"GITHUB_STEP_SUMMARY, GITHUB_ACTIONS",
     "gets a table of the models; errors are annotations too"},
};

constexpr Example kExamples[] = {
    {"model-prep --dry-run", "What would be fetched, and whether it fits", kDownload},
    {"HF_HOME=/app/models model-prep", "All of the manifest, for services with the same HF_HOME",
     kDownload},
    {"model-prep flan-t5-small BAAI/bge-m3@main", "A model of the manifest, and any of the Hub",
     kDownload},
    {"model-prep org/name --include '*.safetensors'", "Some files of a model", kDownload},
    {"model-prep verify --repair", "Look at every byte, and fetch what is bad", kVerify},
    {"model-prep list --json", "What is there, for a program", kList},
    {"model-prep cleanup --dry-run", "What would go, and how many bytes", kCleanup},
    {"model-prep lock > models.lock.json", "Pin all of the manifest as it is on the Hub now",
     kLock},
    {"model-prep lock --check --manifest models.lock.json", "Has a branch moved on since?", kLock},
};

}  // namespace

std::span<const CommandText> commands() { return kCommands; }

const CommandText& text_of(Command command) {
  return *std::find_if(std::begin(kCommands), std::end(kCommands),
                       [&](const CommandText& text) { return text.command == command; });
}

const std::vector<Flag>& flags() {
  using enum ValueKind;
  static const std::vector<Flag> all = {
      {kModels,
       "--manifest",
       {"MODEL_PREP_MANIFEST"},
       file,
       "FILE",
       "Which models exist; built in: three",
       kAll},
      {kModels,
       "--variant",
       {"MODEL_VARIANT"},
       choice,
       "NAME",
       "fp32, openvino-int8, onnx or all (default fp32); a model without it gives fp32 and says so",
       kOnline | kList,
       {"fp32", "openvino-int8", "onnx", "all"}},
      {kModels,
       "--include",
       {},
       text,
       "PATTERN",
       "Files to take in place of the variant's, such as '*.json'; * also matches /",
       kOnline | kList,
       {},
       true},
      {kModels,
       "--exclude",
       {},
       text,
       "PATTERN",
       "Files to leave out of those, or without --include of all",
       kOnline | kList,
       {},
       true},
      {kWork,
       "--dry-run",
       {},
       none,
       "",
       "Print what would be fetched, or removed; change nothing in the cache",
       kDownload | kCleanup},
      {kWork,
       "--cleanup",
       {},
       none,
       "",
       "After a successful download, do what the command cleanup does",
       kDownload},
      {kWork,
       "--repair",
       {},
       none,
       "",
       "Fetch what is bad, move away what does not belong there, and look again; all about connections is for this",
       kVerify},
      {kWork,
       "--check",
       {},
       none,
       "",
       "Print nothing but what has moved since the pinned commits; exit 1 if something has",
       kLock},
      {kWork,
       "--offline",
       {"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"},
       none,
       "",
       "No request at all",
       kDownload},
      {kPlaces,
       "--cache-dir",
       {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"},
       folder,
       "DIR",
       "The hub cache: the folder that holds models--... (default $HF_HOME/hub)",
       kAll},
      {kPlaces,
       "--summary",
       {"MODEL_PREP_SUMMARY"},
       file,
       "PATH",
       "Where the JSON summary goes; - is stdout (default $HF_HOME/model-prep-summary.json)",
       kDownload | kVerify | kCleanup},
      {kNetwork,
       "--endpoint",
       {"HF_ENDPOINT"},
       text,
       "URL",
       "The Hub or a mirror (default https://huggingface.co); the next one is tried when one is down or lacks a file. "
       "HF_ENDPOINT may be a list, with commas",
       kOnline,
       {},
       true},
      {kNetwork,
       "--jobs",
       {"MODEL_PREP_JOBS"},
       text,
       "N",
       "Connections at once (default 8)",
       kOnline},
      {kNetwork,
       "--retries",
       {"MODEL_PREP_RETRIES"},
       text,
       "N",
       "Failures in a row without progress before a file is given up (default 5)",
       kOnline},
      {kNetwork,
       "--timeout",
       {"HF_HUB_DOWNLOAD_TIMEOUT", "DOWNLOAD_TIMEOUT"},
       text,
       "S",
       "Seconds a transfer may stand still (default 60)",
       kOnline},
      {kNetwork,
       "--deadline",
       {"MODEL_PREP_DEADLINE"},
       text,
       "S",
       "Seconds for the whole run (default none)",
       kOnline},
      {kNetwork,
       "--limit-rate",
       {"MODEL_PREP_LIMIT_RATE"},
       text,
       "RATE",
       "Bytes per second over all connections; with K, M or G, which are 1024 (default none)",
       kDownload | kVerify},
      {kNetwork,
       "--ca-file",
       {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"},
       file,
       "FILE",
       "Authorities in PEM form to trust beside the system's; all the variables that are set count",
       kOnline},
      {kTelling,
       "--json",
       {},
       none,
       "",
       "JSON; else a table, which fits a terminal and is whole elsewhere",
       kList},
      {kTelling,
       "--progress",
       {},
       choice,
       "MODE",
       "auto, bar, log or none: a live display on a terminal, a line every 10 s elsewhere (default auto)",
       kOnline,
       {"auto", "bar", "log", "none"}},
      {kTelling,
       "--log-level",
       {"MODEL_PREP_LOG_LEVEL"},
       choice,
       "LEVEL",
       "debug, info, warn, error or off (default info)",
       kAll,
       {"debug", "info", "warn", "error", "off"}},
      {kTelling,
       "--log-format",
       {"MODEL_PREP_LOG_FORMAT"},
       choice,
       "FORMAT",
       "text, or json: one object per line (default text)",
       kAll,
       {"text", "json"}},
  };
  return all;
}

const std::vector<InfoFlag>& info_flags() {
  static const std::vector<InfoFlag> all = {
      {"--help", ValueKind::none, "", "Print this and exit; behind a command, that command's"},
      {"--version", ValueKind::none, "", "Print the version and exit"},
  };
  return all;
}

std::span<const Variable> variables() { return kVariables; }

std::span<const Example> examples() { return kExamples; }

std::string exit_code_text(Command command) {
  return fmt::format("0 {}; 1 anything else; 128 + n ended by signal n", text_of(command).success);
}

}  // namespace model_prep
