// SPDX-License-Identifier: Apache-2.0
// The two built-in sets of repositories.
//
// The raw strings are files of sentence-transformers/all-MiniLM-L6-v2 and google/flan-t5-small,
// both Apache-2.0, byte for byte: a test compares their git blob ids with the Hub's.
#include <algorithm>
#include <array>
#include <span>
#include <string_view>

#include "support/hub_spec.h"

namespace model_prep::testing {
namespace {

struct TrueFile {
  std::string_view path;
  std::string_view text;
};

// clang-format off
constexpr std::array<TrueFile, 8> kMiniLmTexts = {{
    {".gitattributes", R"=(*.7z filter=lfs diff=lfs merge=lfs -text
*.arrow filter=lfs diff=lfs merge=lfs -text
*.bin filter=lfs diff=lfs merge=lfs -text
*.bin.* filter=lfs diff=lfs merge=lfs -text
*.bz2 filter=lfs diff=lfs merge=lfs -text
*.ftz filter=lfs diff=lfs merge=lfs -text
*.gz filter=lfs diff=lfs merge=lfs -text
*.h5 filter=lfs diff=lfs merge=lfs -text
*.joblib filter=lfs diff=lfs merge=lfs -text
*.lfs.* filter=lfs diff=lfs merge=lfs -text
*.model filter=lfs diff=lfs merge=lfs -text
*.msgpack filter=lfs diff=lfs merge=lfs -text
*.onnx filter=lfs diff=lfs merge=lfs -text
*.ot filter=lfs diff=lfs merge=lfs -text
*.parquet filter=lfs diff=lfs merge=lfs -text
*.pb filter=lfs diff=lfs merge=lfs -text
*.pt filter=lfs diff=lfs merge=lfs -text
*.pth filter=lfs diff=lfs merge=lfs -text
*.rar filter=lfs diff=lfs merge=lfs -text
saved_model/**/* filter=lfs diff=lfs merge=lfs -text 
*.tar.* filter=lfs diff=lfs merge=lfs -text
*.tflite filter=lfs diff=lfs merge=lfs -text
*.tgz filter=lfs diff=lfs merge=lfs -text
*.xz filter=lfs diff=lfs merge=lfs -text
*.zip filter=lfs diff=lfs merge=lfs -text
*.zstandard filter=lfs diff=lfs merge=lfs -text
*tfevents* filter=lfs diff=lfs merge=lfs -text
model.safetensors filter=lfs diff=lfs merge=lfs -text
)="},
    {"1_Pooling/config.json", R"=({
  "word_embedding_dimension": 384,
  "pooling_mode_cls_token": false,
  "pooling_mode_mean_tokens": true,
  "pooling_mode_max_tokens": false,
  "pooling_mode_mean_sqrt_len_tokens": false
})="},
    {"config.json", R"=({
  "_name_or_path": "nreimers/MiniLM-L6-H384-uncased",
  "architectures": [
    "BertModel"
  ],
  "attention_probs_dropout_prob": 0.1,
  "gradient_checkpointing": false,
  "hidden_act": "gelu",
  "hidden_dropout_prob": 0.1,
  "hidden_size": 384,
  "initializer_range": 0.02,
  "intermediate_size": 1536,
  "layer_norm_eps": 1e-12,
  "max_position_embeddings": 512,
  "model_type": "bert",
  "num_attention_heads": 12,
  "num_hidden_layers": 6,
  "pad_token_id": 0,
  "position_embedding_type": "absolute",
  "transformers_version": "4.8.2",
  "type_vocab_size": 2,
  "use_cache": true,
  "vocab_size": 30522
}
)="},
    {"config_sentence_transformers.json", R"=({
  "__version__": {
    "sentence_transformers": "2.0.0",
    "transformers": "4.6.1",
    "pytorch": "1.8.1"
  }
})="},
    {"modules.json", R"=([
  {
    "idx": 0,
    "name": "0",
    "path": "",
    "type": "sentence_transformers.models.Transformer"
  },
  {
    "idx": 1,
    "name": "1",
    "path": "1_Pooling",
    "type": "sentence_transformers.models.Pooling"
  },
  {
    "idx": 2,
    "name": "2",
    "path": "2_Normalize",
    "type": "sentence_transformers.models.Normalize"
  }
])="},
    {"sentence_bert_config.json", R"=({
  "max_seq_length": 256,
  "do_lower_case": false
})="},
    {"special_tokens_map.json", R"=({"unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]", "mask_token": "[MASK]"})="},
    {"tokenizer_config.json", R"=({"do_lower_case": true, "unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]", "mask_token": "[MASK]", "tokenize_chinese_chars": true, "strip_accents": null, "name_or_path": "nreimers/MiniLM-L6-H384-uncased", "do_basic_tokenize": true, "never_split": null, "tokenizer_class": "BertTokenizer", "model_max_length": 512})="},
}};
constexpr std::array<TrueFile, 2> kFlanTexts = {{
    {"config.json", R"=({
  "architectures": [
    "T5ForConditionalGeneration"
  ],
  "d_ff": 1024,
  "d_kv": 64,
  "d_model": 512,
  "decoder_start_token_id": 0,
  "dropout_rate": 0.1,
  "eos_token_id": 1,
  "feed_forward_proj": "gated-gelu",
  "initializer_factor": 1.0,
  "is_encoder_decoder": true,
  "layer_norm_epsilon": 1e-06,
  "model_type": "t5",
  "n_positions": 512,
  "num_decoder_layers": 8,
  "num_heads": 6,
  "num_layers": 8,
  "output_past": true,
  "pad_token_id": 0,
  "relative_attention_max_distance": 128,
  "relative_attention_num_buckets": 32,
  "task_specific_params": {
    "summarization": {
      "early_stopping": true,
      "length_penalty": 2.0,
      "max_length": 200,
      "min_length": 30,
      "no_repeat_ngram_size": 3,
      "num_beams": 4,
      "prefix": "summarize: "
    },
    "translation_en_to_de": {
      "early_stopping": true,
      "max_length": 300,
      "num_beams": 4,
      "prefix": "translate English to German: "
    },
    "translation_en_to_fr": {
      "early_stopping": true,
      "max_length": 300,
      "num_beams": 4,
      "prefix": "translate English to French: "
    },
    "translation_en_to_ro": {
      "early_stopping": true,
      "max_length": 300,
      "num_beams": 4,
      "prefix": "translate English to Romanian: "
    }
  },
  "tie_word_embeddings": false,
  "transformers_version": "4.23.1",
  "use_cache": true,
  "vocab_size": 32128
}
)="},
    {"generation_config.json", R"=({
  "_from_model_config": true,
  "decoder_start_token_id": 0,
  "eos_token_id": 1,
  "pad_token_id": 0,
  "transformers_version": "4.27.0.dev0"
}
)="},
}};
// clang-format on

enum class Kind { plain, lfs };

struct ListedFile {
  std::string_view path;
  std::int64_t size;
  Kind kind;
  std::uint64_t seed =
      0;  ///< 0: one made from the path; files with the same seed and size have the same bytes
};

constexpr std::uint64_t kSameBytes = 8;

constexpr std::array<ListedFile, 30> kMiniLmFiles = {{
    {".gitattributes", 1'229, Kind::plain},
    {"1_Pooling/config.json", 190, Kind::plain},
    {"README.md", 10'659, Kind::plain},
    {"config.json", 612, Kind::plain},
    {"config_sentence_transformers.json", 116, Kind::plain},
    {"data_config.json", 39'265, Kind::plain},
    {"model.safetensors", 90'868'376, Kind::lfs},
    {"modules.json", 349, Kind::plain},
    {"onnx/model.onnx", 90'405'214, Kind::lfs},
    {"onnx/model_O1.onnx", 90'360'328, Kind::lfs},
    {"onnx/model_O2.onnx", 90'326'566, Kind::lfs},
    {"onnx/model_O3.onnx", 90'326'497, Kind::lfs},
    {"onnx/model_O4.onnx", 45'212'349, Kind::lfs},
    {"onnx/model_qint8_arm64.onnx", 23'026'053, Kind::lfs, kSameBytes},
    {"onnx/model_qint8_avx512.onnx", 23'026'053, Kind::lfs, kSameBytes},
    {"onnx/model_qint8_avx512_vnni.onnx", 23'026'053, Kind::lfs, kSameBytes},
    {"onnx/model_quint8_avx2.onnx", 23'046'789, Kind::lfs},
    {"openvino/openvino_model.bin", 90'265'744, Kind::lfs},
    {"openvino/openvino_model.xml", 211'315, Kind::plain},
    {"openvino/openvino_model_qint8_quantized.bin", 22'933'664, Kind::lfs},
    {"openvino/openvino_model_qint8_quantized.xml", 368'006, Kind::plain},
    {"pytorch_model.bin", 90'888'945, Kind::lfs},
    {"rust_model.ot", 90'887'379, Kind::lfs},
    {"sentence_bert_config.json", 53, Kind::plain},
    {"special_tokens_map.json", 112, Kind::plain},
    {"tf_model.h5", 91'005'696, Kind::lfs},
    {"tokenizer.json", 466'247, Kind::plain},
    {"tokenizer_config.json", 350, Kind::plain},
    {"train_script.py", 13'156, Kind::plain},
    {"vocab.txt", 231'508, Kind::plain},
}};

// bge-reranker-base and flan-t5-small: true names and kinds, sizes for a quick demo.
constexpr std::array<ListedFile, 10> kRerankerFiles = {{
    {".gitattributes", 1'519, Kind::plain},
    {"README.md", 34'111, Kind::plain},
    {"config.json", 0, Kind::plain},
    {"model.safetensors", 12'000'000, Kind::lfs},
    {"onnx/model.onnx", 300'000, Kind::lfs},
    {"pytorch_model.bin", 300'000, Kind::lfs},
    {"sentencepiece.bpe.model", 506'905, Kind::lfs},
    {"special_tokens_map.json", 0, Kind::plain},
    {"tokenizer.json", 0, Kind::lfs},
    {"tokenizer_config.json", 0, Kind::plain},
}};
// What the libraries ask of it before they load the model.
constexpr std::array<TrueFile, 1> kRerankerTexts = {{{"config.json", R"=({
  "model_type": "xlm-roberta",
  "_comment": "of the demo"
}
)="}}};
constexpr std::array<ListedFile, 12> kFlanFiles = {{
    {".gitattributes", 1'430, Kind::plain},
    {"README.md", 10'820, Kind::plain},
    {"config.json", 0, Kind::plain},
    {"flax_model.msgpack", 300'000, Kind::lfs},
    {"generation_config.json", 0, Kind::plain},
    {"model.safetensors", 8'000'000, Kind::lfs},
    {"pytorch_model.bin", 300'000, Kind::lfs},
    {"special_tokens_map.json", 0, Kind::plain},
    {"spiece.model", 791'656, Kind::lfs},
    {"tf_model.h5", 300'000, Kind::lfs},
    {"tokenizer.json", 0, Kind::plain},
    {"tokenizer_config.json", 0, Kind::plain},
}};

constexpr std::int64_t kDemoWeights = 24'000'000;
constexpr std::int64_t kDemoLargest = 300'000;  // of the files that are not the point of the demo

std::uint64_t seed_of(std::string_view path) {
  std::uint64_t seed = 14695981039346656037U;  // FNV-1a
  for (const char c : path) seed = (seed ^ static_cast<unsigned char>(c)) * 1099511628211U;
  return seed;
}

// JSON files must be valid JSON, because services load the demo's snapshot.
std::string stand_in(std::string_view path) {
  return "{\n  \"_comment\": \"stand-in for " + std::string(path) + " from the test hub\"\n}\n";
}

HubFile make_file(const ListedFile& listed, std::span<const TrueFile> texts) {
  HubFile file{std::string(listed.path), FileContent(), listed.kind == Kind::lfs};
  for (const TrueFile& text : texts) {
    if (text.path == listed.path) {
      file.content = std::string(text.text);
      return file;
    }
  }
  if (listed.size == 0) {
    file.content = stand_in(listed.path);
  } else {
    file.content = content_for(
        listed.path,
        MadeUpBytes{listed.size, listed.seed == 0 ? seed_of(listed.path) : listed.seed});
  }
  return file;
}

std::vector<HubFile> make_files(std::span<const ListedFile> list, std::span<const TrueFile> texts) {
  std::vector<HubFile> files;
  for (const ListedFile& listed : list) files.push_back(make_file(listed, texts));
  return files;
}

ListedFile shrink(ListedFile listed) {
  if (listed.path == "model.safetensors") {
    listed.size = kDemoWeights;
  } else if (listed.path.ends_with(".json")) {
    listed.size = 0;
  } else {
    listed.size = std::min(listed.size, kDemoLargest);
  }
  return listed;
}

constexpr std::string_view kMiniLmId = "sentence-transformers/all-MiniLM-L6-v2";
constexpr std::string_view kMiniLmCommit = "fa97f6e7cb1a59073dff9e6b13e2715cf7475ac9";

}  // namespace

HubSpec demo_spec() {
  std::array<ListedFile, kMiniLmFiles.size()> small = kMiniLmFiles;
  std::transform(small.begin(), small.end(), small.begin(), shrink);
  HubSpec spec;
  spec.repos.push_back(make_repo(std::string(kMiniLmId), make_files(small, kMiniLmTexts),
                                 std::string(kMiniLmCommit)));
  spec.repos.push_back(make_repo("BAAI/bge-reranker-base",
                                 make_files(kRerankerFiles, kRerankerTexts),
                                 "2cfc18c9415c912f9d8155881c133215df768a70"));
  spec.repos.push_back(make_repo("google/flan-t5-small", make_files(kFlanFiles, kFlanTexts),
                                 "0fc9ddf78a1e988dac52e2dac162b0ede4fd74ab"));
  return spec;
}

HubSpec minilm_spec() {
  HubSpec spec;
  spec.repos.push_back(make_repo(std::string(kMiniLmId), make_files(kMiniLmFiles, kMiniLmTexts),
                                 std::string(kMiniLmCommit)));
  return spec;
}

}  // namespace model_prep::testing
