// SPDX-License-Identifier: Apache-2.0
#include "model_prep/cli/flags.h"

namespace model_prep {
namespace {

// In the order of the enumeration.
constexpr CommandText kCommands[] = {
    {Command::download, "download", "Download the selected models (the default)",
     "every selected model is complete"},
    {Command::verify, "verify",
     "Hash the cached files and report which libraries will find the models",
     "everything is correct"},
    {Command::list, "list", "List the manifest's models and what the cache holds of each",
     "the list is printed"},
    {Command::cleanup, "cleanup",
     "Remove revisions that are no longer pinned, and leftovers of interrupted downloads",
     "everything that could be removed was removed"},
    {Command::lock, "lock",
     "Print a lockfile: a manifest with the commit, and the size and digest of each file",
     "the manifest is printed; with --check, no branch has moved"},
    {Command::export_models, "export",
     "Write cached models as a container image or as plain files, without a request; every byte is hashed on the way",
     "everything is exported"},
    {Command::kserve_init, "kserve-init",
     "Fill the folders that KServe names with plain files of whole models: KServe's storage initializer for hf://",
     "every destination holds its model", "URI DESTINATION [URI DESTINATION...]"},
};

constexpr Commands kDownload = of(Command::download);
constexpr Commands kVerify = of(Command::verify);
constexpr Commands kLock = of(Command::lock);
constexpr Commands kList = of(Command::list);
constexpr Commands kKserve = of(Command::kserve_init);
constexpr Commands kFetching = kDownload | kKserve;
constexpr Commands kChecking = kFetching | kLock;

// verify for --repair, list for --builds
constexpr Commands kOnline = kDownload | kVerify | kList | kLock | kKserve;
constexpr Commands kCleanup = of(Command::cleanup);
constexpr Commands kExport = of(Command::export_models);
constexpr Commands kSelecting = kOnline | kExport;
constexpr Commands kAll = kSelecting | kCleanup;
constexpr Commands kOfCache = kAll & ~kKserve;  // which has neither names nor a cache of its own

constexpr HelpLine kVariables[] = {
    {"MODELS_TO_DOWNLOAD", "Models, separated by commas or one a line, used if no MODEL is given",
     kOfCache},
    {"HF_HOME, XDG_CACHE_HOME",
     "Where the cache is by default: $HF_HOME/hub, else $XDG_CACHE_HOME/huggingface/hub, else ~/.cache/huggingface/hub",
     kOfCache},
    {"TRANSFORMERS_CACHE",
     "A directory that older services read: model-prep creates links to the models in it, as in HF_HOME",
     kOfCache},
    {"HF_TOKEN",
     "The token; else HUGGING_FACE_HUB_TOKEN, else the file named by HF_TOKEN_PATH, else $HF_HOME/token. It is sent to the Hub, or to the only endpoint; write the token of any other endpoint into HF_ENDPOINT: https://TOKEN@host",
     kOnline},
    {"HF_HUB_DISABLE_IMPLICIT_TOKEN", "Send no token", kOnline},
    {"HF_HUB_OFFLINE, TRANSFORMERS_OFFLINE",
     "Send no request: lock and verify --repair use only what is in the cache; lock --check and list --builds fail",
     kOnline},
    {"HF_HUB_DISABLE_PROGRESS_BARS", "Same as --progress none, unless that flag is given",
     kSelecting},
    {"HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY",
     "Proxies, and hosts to reach without one; lower-case names take precedence", kOnline},
    {"NO_COLOR, TERM", "No colours; TERM=dumb also turns off the live lines", kAll},
    {"GITHUB_STEP_SUMMARY, GITHUB_ACTIONS",
     "On GitHub Actions: a table of the models, and errors as annotations", kAll},
};

constexpr HelpLine kExamples[] = {
    {"model-prep --dry-run", "Show what would be downloaded, and whether it fits", kDownload},
    {"HF_HOME=/app/models model-prep",
     "Download the whole manifest, for services with the same HF_HOME", kDownload},
    {"model-prep flan-t5-small BAAI/bge-m3@main", "A model from the manifest, and one from the Hub",
     kDownload},
    {"model-prep org/name:Q4_K_M", "One quantisation of a model in GGUF", kDownload},
    {"model-prep --from /mnt/usb --offline", "Import the models from a disk, without a request",
     kDownload},
    {"model-prep org/name --include '*.safetensors'", "Some files of a model", kDownload},
    {"model-prep verify --repair", "Check every byte, and download damaged files again", kVerify},
    {"model-prep list --json", "Print what the cache holds, as JSON", kList},
    {"model-prep list --builds org/name", "Print which builds a model has on the Hub", kList},
    {"model-prep cleanup --dry-run", "Show what would be removed, and how many bytes that frees",
     kCleanup},
    {"model-prep lock > models.lock.json", "Pin every file of the manifest's models", kLock},
    {"model-prep lock --check --manifest models.lock.json",
     "Check whether a branch has moved since", kLock},
    {"model-prep export --to oci:images:2026-11", "Write an image with the manifest's models",
     kExport},
    {"model-prep export flan-t5-small --to dir:/srv/plain",
     "Write the model's files into /srv/plain/flan-t5-small", kExport},
    {"model-prep kserve-init hf://org/name:v1.0 /mnt/models",
     "What KServe runs: the revision is behind a colon here", kKserve},
};

}  // namespace

std::span<const CommandText> commands() { return kCommands; }

const CommandText& text_of(Command command) { return kCommands[static_cast<std::size_t>(command)]; }

const std::vector<Flag>& flags() {
  // A flag is a line of facts and a line of text.
  // clang-format off
  static const std::vector<Flag> all = {
      {"Models", "--manifest", "FILE", kAll, {"MODEL_PREP_MANIFEST"},
       "The manifest, which lists models and their pinned commits; - is stdin (default: built in, three models)"},
      {"Models", "--manifest-key", "FILE", kAll, {"MODEL_PREP_MANIFEST_KEY"},
       "A public key (PEM, ECDSA or RSA). The manifest must have a signature of that key beside it, MANIFEST.sig, and only its models are accepted"},
      {"Models", "--signature-key", "FILE", kChecking, {"MODEL_PREP_SIGNATURE_KEY"},
       "A public key (PEM, ECDSA) with which each model must have been signed, in its file model.sig (OpenSSF model signing)"},
      {"Models", "--variant", "BUILD", kSelecting, {"MODEL_VARIANT"},
       "fp32, fp16, openvino, openvino-int8, onnx, mistral, gguf or all (default fp32; of kserve-init all); with a name, onnx:model_O3, openvino:NAME or gguf:Q4_K_M. A model without onnx or openvino gets fp32, with a warning; one without another build, or without that name, fails. MODEL:BUILD chooses for one model, but not for kserve-init"},
      {"Models", "--include", "PATTERN", kSelecting, {},
       "Files to select instead of the variant's, such as '*.json'; * also matches /. May be repeated",
       true},
      {"Models", "--exclude", "PATTERN", kSelecting, {},
       "Files to leave out of these, or of all files if there is no --include. May be repeated",
       true},
      {"Models", "--dependencies", "MODE", kDownload | kLock, {"MODEL_PREP_DEPENDENCIES"},
       "What to do about other repositories that a model needs: report, fetch (code included, so trust them) or require (default report)"},

      {"Policy", "--allow-license", "IDS", kChecking, {"MODEL_PREP_ALLOW_LICENSE"},
       "The only licenses that a model may have: ids of the Hub, separated by commas, such as apache-2.0,mit. May be repeated",
       true},
      {"Policy", "--scan", "MODE", kChecking, {"MODEL_PREP_SCAN"},
       "What the Hub's scanners must have said: off, refuse-unsafe (no selected file is flagged) or required (and they are done) (default off)"},
      {"Policy", "--forbid-pickle-code", "", kFetching, {"MODEL_PREP_FORBID_PICKLE_CODE"},
       "Refuse a pickle that imports more than PyTorch's weights_only loading allows"},
      {"Policy", "--forbid-pickles", "", kFetching, {"MODEL_PREP_FORBID_PICKLES"},
       "Refuse every pickle"},
      {"Policy", "--require-signatures", "", kFetching, {"MODEL_PREP_REQUIRE_SIGNATURES"},
       "Refuse a model for which no key or certificate is named that must have signed it"},

      {"Actions", "--dry-run", "", kDownload | kCleanup, {},
       "Print what would be downloaded or removed, and change nothing in the cache"},
      {"Actions", "--cleanup", "", kDownload, {},
       "After a successful download, do what the cleanup command does"},
      {"Actions", "--repair", "", kVerify, {},
       "Download damaged files again, quarantine files that do not belong there, and verify again; only this sends requests"},
      {"Actions", "--for", "LIBRARY", kVerify, {},
       "Exit with 1 if this library will not load the models; docs/consumers.md lists the libraries. May be repeated",
       true},
      {"Actions", "--check", "", kLock, {},
       "Print only what has changed since the pinned commits; exit with 1 if anything has"},
      {"Actions", "--builds", "", kList, {},
       "Ask the Hub which builds the models have, and list them with their sizes; only this sends requests"},
      {"Actions", "--offline", "", kDownload, {"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"},
       "Send no request; succeed if everything is in the cache"},

      {"Paths", "--cache-dir", "DIR", kAll, {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"},
       "The hub cache, the directory that holds models--... (default $HF_HOME/hub; of kserve-init a temporary one)"},
      {"Paths", "--from", "DIR", kDownload, {"MODEL_PREP_FROM"},
       "A folder that may have the files: another cache, an old volume, a disk. Files whose digest is right are copied from there before the Hub is asked; with --offline, only from there. May be repeated; the variable is a list, separated by commas",
       true},
      {"Paths", "--summary", "PATH", kDownload | kVerify | kCleanup | kExport | kKserve, {"MODEL_PREP_SUMMARY"},
       "Where to write the JSON summary; - is stdout (default $HF_HOME/model-prep-summary.json; of kserve-init none). With this flag, or to stdout, a failure to write it fails the run"},

      {"Paths", "--to", "TARGET", kDownload | kExport, {},
       "What to export, after a successful download too. oci:FOLDER[:TAG]: a container image in an OCI image layout (default tag latest), which holds the cache of the models. dir:FOLDER: plain files, in a folder for each model. dir-flat:FOLDER: those of one model, in FOLDER itself"},
      {"Paths", "--prefix", "DIR", kDownload | kExport, {},
       "Where the cache is in the image; / is its root (default hub: mounted at /app/models, the image serves HF_HOME=/app/models)"},

      {"Network", "--endpoint", "URL", kOnline, {"HF_ENDPOINT"},
       "The Hub or a mirror (default https://huggingface.co). May be repeated: the next one is tried when one is down or lacks a file. HF_ENDPOINT may be a list, separated by commas",
       true},
      {"Network", "--jobs", "N", kOnline, {"MODEL_PREP_JOBS"},
       "Concurrent connections (default 8)"},
      {"Network", "--retries", "N", kOnline, {"MODEL_PREP_RETRIES"},
       "Failed attempts in a row, without progress, after which a file fails; 1 means no retry (default 5)"},
      {"Network", "--patience", "S", kOnline, {"MODEL_PREP_PATIENCE"},
       "Seconds to wait for a host that is down: no connection, no answer or 5xx (default 300). 0: do not wait; such failures count towards --retries. --retries, if set, limits these attempts too"},
      {"Network", "--timeout", "S", kOnline, {"HF_HUB_DOWNLOAD_TIMEOUT", "DOWNLOAD_TIMEOUT"},
       "Seconds that a transfer may stall (default 60)"},
      {"Network", "--deadline", "S", kOnline, {"MODEL_PREP_DEADLINE"},
       "Seconds for the whole run (default: no limit)"},
      {"Network", "--limit-rate", "RATE", kDownload | kVerify | kKserve, {"MODEL_PREP_LIMIT_RATE"},
       "Bytes per second over all connections: 500K, 10M, 1G (K is 1024) or a plain number (default: no limit)"},
      {"Network", "--ca-file", "FILE", kOnline,
       {"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"},
       "CA certificates to trust in addition to the system's: a PEM file, or a directory of them; every variable that is set is used. SSL_CERT_DIR is a list of directories, as for OpenSSL"},

      {"Output", "--format", "FORMAT", kLock, {},
       "What to print: lock, a lockfile, or cyclonedx, a bill of materials in CycloneDX 1.6 (default lock)"},
      {"Output", "--json", "", kList, {},
       "Print JSON instead of a table"},
      {"Output", "--progress", "MODE", kSelecting, {},
       "auto, bar, log or none: live lines on a terminal, one line every 10 s elsewhere (default auto)"},
      {"Output", "--log-level", "LEVEL", kAll, {"MODEL_PREP_LOG_LEVEL"},
       "debug, info, warn, error or off (default info)"},
      {"Output", "--log-format", "FORMAT", kAll, {"MODEL_PREP_LOG_FORMAT"},
       "text, or json: one object per line (default text)"},
  };
  // clang-format on
  return all;
}

std::span<const HelpLine> variables() { return kVariables; }

std::span<const HelpLine> examples() { return kExamples; }

}  // namespace model_prep
