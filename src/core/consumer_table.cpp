// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/consumer_table.h"

#include <algorithm>
#include <functional>
#include <optional>

#include "model_prep/core/build_table.h"
#include "model_prep/core/json_reader.h"
#include "model_prep/core/weight_names.h"

namespace model_prep {
namespace {

using Found = std::optional<std::string>;

bool has(const SnapshotFacts& facts, std::string_view path) {
  return std::ranges::binary_search(facts.files, path);
}

template <class Predicate>
Found first_file(const SnapshotFacts& facts, Predicate is_it) {
  const auto found = std::ranges::find_if(facts.files, [&](const std::string& path) {
    return role_of(path) != FileRole::foreign && is_it(path);
  });
  return found == facts.files.end() ? Found() : *found;
}

Found file(const SnapshotFacts& facts, std::string_view path) {
  return has(facts, path) ? Found(path) : std::nullopt;
}

bool is_in_root(std::string_view path) { return folder_of(path).empty(); }

/// What config.json says about who loads the model.
JsonFields config_fields(const SnapshotFacts& facts) {
  static constexpr std::string_view kFields[] = {"model_type", "auto_map", "pretrained_cfg",
                                                 "unk_token"};
  const auto read = read_python_json(facts.config, {.fields = kFields}, {});
  return read ? read->fields : JsonFields();
}

std::string model_type(const SnapshotFacts& facts) {
  return config_fields(facts).text("model_type").value_or("");
}

/// Whether AutoConfig has a class for the model: by its type, in code of the repository, or the one
/// for what timm wrote. PyTorchModelHubMixin writes a config.json that has none of them.
bool has_config(const SnapshotFacts& facts) {
  if (!has(facts, "config.json")) return false;
  const JsonFields config = config_fields(facts);
  const std::string type = config.text("model_type").value_or("");
  return type != "model2vec" &&
         (!type.empty() || config.has("auto_map") || config.has("pretrained_cfg"));
}

// ---- what a row needs: the file that its line names, or nothing ---------------------------------

/// CTranslate2's `model.bin` is told from a pickle by the vocabulary next to it. Whisper has a
/// single one; models of text have two, or one that is shared, and name the token for unknown words
/// in config.json. Without tokenizer.json, faster-whisper downloads that of another repository.
Found whisper(const SnapshotFacts& facts) {
  const auto vocabulary = first_file(facts, [](const std::string& path) {
    return path.starts_with("vocabulary.") && is_ctranslate2_vocabulary(path);
  });
  const bool is_text = config_fields(facts).has("unk_token");
  return vocabulary && !is_text && has(facts, "tokenizer.json") ? file(facts, "model.bin")
                                                                : std::nullopt;
}

/// Whether transformers finds weights under this name: `model.safetensors`, `pytorch_model.bin` and
/// their shards. An index is nothing without them.
bool are_weights(std::string_view path, std::string_view set) {
  const std::string_view name = name_of(path);
  const auto weights = parse_weights(name);
  if (!weights || weights->set != set || weights->part == Part::index) return false;
  const bool is_pickle = name.starts_with("pytorch_") && extension_of(name) == ".bin";
  return weights->safetensors ? !name.starts_with("pytorch_") : is_pickle;
}

Found torch(const SnapshotFacts& facts) {
  return first_file(facts, [](const std::string& path) {
    return is_in_root(path) && are_weights(path, "model");
  });
}

/// The weights of the first module of a sentence-transformers model; without them a later one
/// (`2_Dense/`) is of no use.
Found first_module(const SnapshotFacts& facts) {
  return first_file(facts, [](const std::string& path) {
    const std::string_view folder = folder_of(path);
    return (folder.empty() || folder.find("0_") != std::string_view::npos) &&
           are_weights(path, "model");
  });
}

Found torch_with_config(const SnapshotFacts& facts) {
  return has_config(facts) ? torch(facts) : std::nullopt;
}

Found half_precision(const SnapshotFacts& facts) {
  if (!has_config(facts)) return std::nullopt;
  return first_file(facts, [](const std::string& path) {
    return is_in_root(path) && are_weights(path, "model.fp16");
  });
}

Found sentence_transformer(const SnapshotFacts& facts) {
  return has(facts, "modules.json") ? first_module(facts) : std::nullopt;
}

Found onnx(const SnapshotFacts& facts) {
  for (const std::string_view usual : {"onnx/model.onnx", "model.onnx"})
    if (has(facts, usual)) return Found(usual);
  return first_file(facts, [](const std::string& path) { return extension_of(path) == ".onnx"; });
}

Found onnx_with_modules(const SnapshotFacts& facts) {
  return has(facts, "modules.json") ? onnx(facts) : std::nullopt;
}

Found onnx_with_config(const SnapshotFacts& facts) {
  return has(facts, "config.json") ? onnx(facts) : std::nullopt;
}

/// fastembed reads the tokenizer from the root.
Found onnx_with_tokenizer(const SnapshotFacts& facts) {
  return has(facts, "tokenizer.json") && has(facts, "tokenizer_config.json") ? onnx(facts)
                                                                             : std::nullopt;
}

/// An `.xml` that has its `.bin`.
Found openvino(const SnapshotFacts& facts) {
  for (const std::string_view usual : {"openvino/openvino_model.xml", "openvino_model.xml"})
    if (has(facts, usual)) return Found(usual);
  return first_file(facts, [&](const std::string& path) {
    return extension_of(path) == ".xml" && has(facts, std::string(stem_of(path)) + ".bin");
  });
}

Found openvino_with_modules(const SnapshotFacts& facts) {
  return has(facts, "modules.json") ? openvino(facts) : std::nullopt;
}

Found openvino_with_config(const SnapshotFacts& facts) {
  return has(facts, "config.json") ? openvino(facts) : std::nullopt;
}

bool is_of_diffusers(std::string_view path, const std::string& suffix) {
  const auto weights = parse_weights(name_of(path));
  return weights && weights->set == "diffusion_pytorch_model" + suffix &&
         weights->part != Part::index && (weights->safetensors || extension_of(path) == ".bin");
}

/// Weights in half precision that are not there in full precision.
bool is_only_half(const SnapshotFacts& facts, const std::string& path) {
  const std::size_t at = path.find(".fp16.");
  return at != std::string::npos && !has(facts, path.substr(0, at) + path.substr(at + 5));
}

/// Whether a folder of a pipeline has weights, those of diffusers or of transformers.
bool has_component(const SnapshotFacts& facts, const std::string& suffix) {
  return std::ranges::any_of(facts.files, [&](const std::string& path) {
    if (is_in_root(path)) return false;
    return are_weights(path, "model" + suffix) || is_of_diffusers(path, suffix);
  });
}

Found pipeline(const SnapshotFacts& facts) {
  const auto half =
      first_file(facts, [&](const std::string& path) { return is_only_half(facts, path); });
  return half || !has_component(facts, "") ? std::nullopt : file(facts, "model_index.json");
}

Found half_pipeline(const SnapshotFacts& facts) {
  return has_component(facts, ".fp16") ? file(facts, "model_index.json") : std::nullopt;
}

Found adapter(const SnapshotFacts& facts) {
  const bool has_weights =
      has(facts, "adapter_model.safetensors") || has(facts, "adapter_model.bin");
  return has_weights ? file(facts, "adapter_config.json") : std::nullopt;
}

Found static_embeddings(const SnapshotFacts& facts) {
  const bool is_one = model_type(facts) == "model2vec" && has(facts, "tokenizer.json");
  return is_one ? file(facts, "model.safetensors") : std::nullopt;
}

Found gguf(const SnapshotFacts& facts) {
  return first_file(facts, [](const std::string& path) {
    return extension_of(path) == ".gguf" && !name_of(path).starts_with("mmproj");
  });
}

Found tekken(const SnapshotFacts& facts) { return file(facts, "tekken.json"); }
Found tokenizer(const SnapshotFacts& facts) { return file(facts, "tokenizer.json"); }

Found any_safetensors(const SnapshotFacts& facts) {
  if (has(facts, "model.safetensors")) return Found("model.safetensors");
  return first_file(facts,
                    [](const std::string& path) { return extension_of(path) == kSafetensors; });
}

// ---- the table ----------------------------------------------------------------------------------

/// When a library is listed although nobody asked for it.
enum class Listed : std::uint8_t {
  if_it_loads,
  if_asked,  ///< it loads a part of many models that others load as a whole
};

struct Library {
  std::string_view name;
  std::string_view versions;  ///< as tests/consumers/requirements has them
  std::string_view
      made_for;            ///< a file that says that the model is made for this library, or empty
  std::string_view needs;  ///< completes "it needs …"
  Listed listed{Listed::if_it_loads};
  bool loads_dependencies{false};  ///< what the files of a model name in other repositories
};

constexpr Library kLibraries[] = {
    {"transformers", "4.57.6, 5.24.0", "",
     "config.json with a model_type, which transformers 4 may guess from the name, and weights of PyTorch in the root",
     Listed::if_it_loads, true},
    {"sentence-transformers", "5.7.0, 6.2.0", "modules.json",
     "modules.json and the weights of a build", Listed::if_it_loads, true},
    {"diffusers", "0.42.1", "model_index.json",
     "model_index.json and weights of PyTorch in folders of the pipeline"},
    {"peft", "0.21.2", "adapter_config.json", "adapter_config.json and adapter_model.safetensors",
     Listed::if_it_loads, true},
    {"optimum-onnx", "0.1.0", "", "config.json and an .onnx file"},
    {"optimum-intel", "1.27.0", "", "config.json and an OpenVINO model"},
    {"onnxruntime", "1.32.0", "", "an .onnx file"},
    {"fastembed", "0.9.1", "",
     "an .onnx file, tokenizer.json and tokenizer_config.json, under refs/main"},
    {"openvino", "2026.4.1", "", "an OpenVINO model"},
    {"faster-whisper", "1.2.1", "",
     "CTranslate2's model.bin of a Whisper model, its vocabulary and tokenizer.json"},
    {"model2vec", "0.10.0", "", "config.json with the model_type model2vec"},
    {"mistral-common", "1.13.1", "", "tekken.json"},
    {"gguf", "0.19.0", "", "a .gguf file"},
    {"tokenizers", "0.23.3", "", "tokenizer.json in the root", Listed::if_asked},
    {"safetensors", "0.8.0", "", "a .safetensors file", Listed::if_asked},
};

/// `loads_revision`: it can be asked for another ref than `main`.
struct Row {
  std::string_view library;
  Found (*needs)(const SnapshotFacts&);
  Loads loads;
  std::string_view write;  ///< `{repo}`, `{rev}` (`, revision="…"`), `{file}`, `{folder}`, `{name}`
  bool loads_revision{true};
};

/// Of a library's rows the first whose file is there counts.
constexpr Row kRows[] = {
    {"transformers", torch_with_config, Loads::by_name,
     R"(AutoModel.from_pretrained("{repo}"{rev}{code}))"},
    {"transformers", half_precision, Loads::by_name,
     R"(AutoModel.from_pretrained("{repo}"{rev}, variant="fp16"{code}))"},

    {"sentence-transformers", sentence_transformer, Loads::by_name,
     R"(SentenceTransformer("{repo}"{rev}{code}))"},
    // Without modules.json it makes modules of its own around a model of transformers.
    {"sentence-transformers", torch_with_config, Loads::by_name,
     R"(CrossEncoder("{repo}"{rev}{code}))"},
    // With another back-end it lists the repository even offline, so no cache is enough by name.
    {"sentence-transformers", openvino_with_modules, Loads::by_path,
     R"(SentenceTransformer(snapshot_download("{repo}"{rev}), backend="openvino", )"
     R"(model_kwargs={"file_name": "{file}"}))"},
    {"sentence-transformers", onnx_with_modules, Loads::by_path,
     R"(SentenceTransformer(snapshot_download("{repo}"{rev}), backend="onnx", )"
     R"(model_kwargs={"file_name": "{file}"}))"},

    {"diffusers", pipeline, Loads::by_name, R"(DiffusionPipeline.from_pretrained("{repo}"{rev}))"},
    {"diffusers", half_pipeline, Loads::by_name,
     R"(DiffusionPipeline.from_pretrained("{repo}"{rev}, variant="fp16"))"},

    {"peft", adapter, Loads::by_name, R"(PeftModel.from_pretrained(base, "{repo}"{rev}))"},

    {"optimum-onnx", onnx_with_config, Loads::by_name,
     R"(ORTModelFor….from_pretrained("{repo}"{rev}, subfolder="{folder}", file_name="{name}"))"},
    {"optimum-intel", openvino_with_config, Loads::by_name,
     R"(OVModelFor….from_pretrained("{repo}"{rev}, subfolder="{folder}", file_name="{name}"))"},

    {"onnxruntime", onnx, Loads::by_path,
     R"(InferenceSession(hf_hub_download("{repo}", "{file}"{rev})))"},
    // Its cache is not that of the Hub's libraries, unless it is told so. Its list changes with its
    // versions, and tells neither the pooling nor the size of other models.
    {"fastembed", onnx_with_tokenizer, Loads::by_name,
     R"(TextEmbedding("{repo}")  # with FASTEMBED_CACHE_PATH=$HF_HOME/hub; before it, )"
     R"(TextEmbedding.add_custom_model("{repo}", …, model_file="{file}"), )"
     R"(unless fastembed's list has the model)",
     false},
    {"openvino", openvino, Loads::by_path,
     R"(Core().compile_model(hf_hub_download("{repo}", "{file}"{rev}), "CPU"))"},

    {"faster-whisper", whisper, Loads::by_name, R"(WhisperModel("{repo}"{rev}))"},
    {"model2vec", static_embeddings, Loads::by_name, R"(StaticModel.from_pretrained("{repo}"))",
     false},
    {"model2vec", static_embeddings, Loads::by_path,
     R"(StaticModel.from_pretrained(snapshot_download("{repo}"{rev})))"},
    {"mistral-common", tekken, Loads::by_name, R"(MistralTokenizer.from_hf_hub("{repo}"{rev}))"},
    {"gguf", gguf, Loads::by_path, R"(GGUFReader(hf_hub_download("{repo}", "{file}"{rev})))"},
    {"tokenizers", tokenizer, Loads::by_name, R"(Tokenizer.from_pretrained("{repo}"{rev}))"},
    {"safetensors", any_safetensors, Loads::by_path,
     R"(load_file(hf_hub_download("{repo}", "{file}"{rev})))"},
};

void replace(std::string& text, std::string_view word, std::string_view by) {
  for (std::size_t at = 0; (at = text.find(word, at)) != std::string::npos; at += by.size())
    text.replace(at, word.size(), by);
}

std::string line_of(const Row& row, const SnapshotFacts& facts, const std::string& file) {
  constexpr std::string_view kFields[] = {"auto_map"};
  const auto config = read_python_json(facts.config, {.fields = kFields}, {});
  const bool has_code = config && config->fields.has("auto_map");
  std::string folder(folder_of(file));
  if (!folder.empty()) folder.pop_back();

  std::string line(row.write);
  // The code is copied to $HF_HOME/modules, which a read-only volume does not allow.
  const bool runs_code = has_code && line.find("{code}") != std::string::npos;
  if (runs_code) line += "  # with HF_MODULES_CACHE=(a writable directory)";
  replace(line, "{code}", runs_code ? ", trust_remote_code=True" : "");
  if (folder.empty()) replace(line, R"(, subfolder="{folder}")", "");
  replace(line, "{rev}", facts.revision.empty() ? "" : ", revision=\"" + facts.revision + "\"");
  replace(line, "{folder}", folder);
  replace(line, "{name}", name_of(file));
  replace(line, "{file}", file);
  replace(line, "{repo}", facts.repo);
  return line;
}

ConsumerVerdict judge(const Library& library, const SnapshotFacts& facts) {
  ConsumerVerdict verdict{.library = std::string(library.name),
                          .versions = std::string(library.versions)};
  if (library.loads_dependencies && !facts.missing.empty()) {
    verdict.write = "it needs " + facts.missing.front() + ", which is not in the cache";
    verdict.hint = "model-prep --dependencies fetch downloads it";
    return verdict;
  }

  for (const Row& row : kRows) {
    if (row.library != library.name || (!facts.revision.empty() && !row.loads_revision)) continue;

    if (const Found file = row.needs(facts)) {
      verdict.loads = row.loads;
      verdict.write = line_of(row, facts, *file);
      return verdict;
    }
  }
  verdict.write = "it needs " + std::string(library.needs);
  verdict.hint = "choose another build with --variant, or another library";
  return verdict;
}

bool is_listed(const Library& library, const SnapshotFacts& facts, Loads loads) {
  if (!library.made_for.empty()) return has(facts, library.made_for);
  return loads != Loads::no && library.listed == Listed::if_it_loads;
}

}  // namespace

Strings consumer_libraries() {
  Strings names;
  for (const Library& library : kLibraries) names.emplace_back(library.name);
  return names;
}

std::vector<ConsumerVerdict> judge_consumers(const SnapshotFacts& facts, const Strings& asked) {
  std::vector<ConsumerVerdict> verdicts;
  for (const Library& library : kLibraries) {
    const bool is_asked = std::ranges::find(asked, library.name) != asked.end();
    if (!asked.empty() && !is_asked) continue;

    ConsumerVerdict verdict = judge(library, facts);
    if (is_asked || is_listed(library, facts, verdict.loads))
      verdicts.push_back(std::move(verdict));
  }
  return verdicts;
}

}  // namespace model_prep
