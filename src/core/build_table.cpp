// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/build_table.h"

#include <algorithm>

#include "model_prep/core/weight_names.h"

namespace model_prep {
namespace {

/// Many files are compared with many rows, so this knows less than base/glob.h, and is taken apart
/// by the compiler.
class Pattern {
 public:
  constexpr Pattern(const char* written)
      : text_(written),
        star_(text_.find('*')),
        before_(text_.substr(0, star_)),
        after_(star_ == kNone ? "" : text_.substr(star_ + 1)),
        is_anywhere_(after_.ends_with('*')),
        is_for_path_(text_.find('/') != kNone) {
    if (is_anywhere_) after_.remove_suffix(1);
  }

  bool is_for_path() const { return is_for_path_; }

  bool matches(std::string_view text) const {
    if (star_ == kNone) return text == text_;
    if (text.size() < before_.size() + after_.size() || !text.starts_with(before_)) return false;
    return is_anywhere_ ? text.find(after_, before_.size()) != kNone : text.ends_with(after_);
  }

 private:
  static constexpr std::size_t kNone = std::string_view::npos;
  std::string_view text_;
  std::size_t star_;
  std::string_view before_;
  std::string_view after_;
  bool is_anywhere_;
  bool is_for_path_;
};

// A pattern has one `*`, or one at each end. Without a slash it is for the name of a file; with
// one, for its path, to which a slash is added in front.
struct RoleRow {
  Pattern pattern;
  FileRole role;
};

constexpr RoleRow kRoles[] = {
    // AppleDouble: attributes of the file that is called so without the `._`.
    {"._*", FileRole::foreign},
    {"*/__MACOSX/*", FileRole::foreign},

    // Only needed to continue a training.
    {"training_args.bin", FileRole::unused},
    {"optimizer*.pt", FileRole::unused},
    {"optimizer*.pth", FileRole::unused},
    {"optimizer*.bin", FileRole::unused},
    {"scheduler.pt", FileRole::unused},
    {"scheduler.bin", FileRole::unused},
    {"scaler.pt", FileRole::unused},
    {"rng_state*.pth", FileRole::unused},
    {"random_states_*.pkl", FileRole::unused},
    {"*_optim_states.pt", FileRole::unused},
    {"*_model_states.pt", FileRole::unused},

    // ONNX Runtime, fastembed, optimum. Data that is named otherwise is found in the model itself.
    {"*.onnx", FileRole::onnx},
    {"*.onnx_data*", FileRole::onnx},
    {"*.onnx.data*", FileRole::onnx},

    // OpenVINO. Halves that are named otherwise are known by each other (`a.xml`, `a.bin`).
    {"openvino_*.xml", FileRole::openvino},
    {"openvino_*.bin", FileRole::openvino},

    // llama.cpp and ollama. An importance matrix serves to quantize, not to run.
    // A part of a file that was cut without llama.cpp has to be put together by hand.
    {"imatrix*", FileRole::unused},
    {"*imatrix.gguf", FileRole::unused},
    {"*.imatrix", FileRole::unused},
    {"*.gguf-split-*", FileRole::unused},
    {"*.gguf.part*", FileRole::unused},
    {"*.gguf", FileRole::gguf},

    // TensorFlow, Keras, Flax, Rust, TensorFlow Lite, Core ML, ExecuTorch, ggml.
    {"*.h5", FileRole::unused},
    {"*.keras", FileRole::unused},
    {"*.pb", FileRole::unused},
    {"*.data-0000*", FileRole::unused},
    {"*.msgpack", FileRole::unused},
    {"*.ot", FileRole::unused},
    {"*.tflite", FileRole::unused},
    {"*.mlmodel", FileRole::unused},
    {"*.mlpackage/*", FileRole::unused},
    {"*.mlmodelc/*", FileRole::unused},
    {"*.pte", FileRole::unused},
    {"ggml-*.bin", FileRole::unused},

    // transformers, sentence-transformers, diffusers, peft, timm; faster-whisper (`model.bin`).
    // Every file that `parse_weights` knows and that is in no row above.
};

constexpr Pattern kFoldersOfForms[] = {"*/onnx/*", "*/openvino/*", "*/coreml/*"};

// Meta's checkpoints (Llama, gpt-oss), and gpt-oss for Apple's GPUs.
constexpr Pattern kFoldersOfVendors[] = {"/original/*", "/metal/*"};

// SetFit's classifier, pyctcdecode's language model, the vocabulary of a spaCy pipeline, the voices
// of speech models (Kokoro, Voxtral, SpeechT5).
constexpr Pattern kEveryBuild[] = {
    "*/voices/*",       "*/voice_embedding/*", "*/speaker_embeddings/*",
    "*/model_head.pkl", "*/language_model/*",  "*/vocab.bin"};

constexpr std::string_view kSecondChoices[] = {
    "fp16", "bf16", "fp32", "float16", "float32", "bfloat16", "fp8",  "fp8_e4m3fn", "int8", "int4",
    "nf4",  "4bit", "8bit", "ema",     "no_ema",  "non_ema",  "q4_0", "q8_0",       "gptq", "awq"};

constexpr Pattern kCTranslate2Vocabularies[] = {"vocabulary.*", "shared_vocabulary.*",
                                                "source_vocabulary.*"};

// Whisper, T5 and BART; CLIP; vision and speech models of transformers.js and optimum; SAM; Janus;
// Supertonic; transducers of NeMo and sherpa-onnx. The last two are how many others begin.
constexpr std::string_view kOnnxParts[] = {"encoder_model",
                                           "decoder_model_merged",
                                           "decoder_with_past_model",
                                           "decoder_model",
                                           "text_model",
                                           "vision_model",
                                           "audio_model",
                                           "text_encoder",
                                           "vision_encoder",
                                           "audio_encoder",
                                           "speech_encoder",
                                           "embed_tokens",
                                           "embed_images",
                                           "prompt_encoder_mask_decoder",
                                           "encoder-model",
                                           "decoder-model",
                                           "decoder_joint-model",
                                           "decoder_postnet_and_vocoder",
                                           "build_delay_pattern_mask",
                                           "encodec_decode",
                                           "prepare_inputs_embeds",
                                           "language_model",
                                           "lm_head",
                                           "gen_head",
                                           "gen_img_embeds",
                                           "image_decode",
                                           "conditional_decoder",
                                           "duration_predictor",
                                           "vector_estimator",
                                           "vocoder",
                                           "joiner",
                                           "decoder_joint",
                                           "encoder",
                                           "decoder"};

// What the file is called that holds a model, without the extension and `pytorch_`. Beside exports,
// a `.bin` of another name is data rather than a model for PyTorch.
constexpr Pattern kModelSets[] = {"model*",         "diffusion_pytorch_model*",
                                  "adapter_model*", "consolidated*",
                                  "open_clip*",     "CTranslate2"};

template <class Patterns>
bool matches_one_of(const Patterns& patterns, std::string_view text) {
  return std::ranges::any_of(patterns,
                             [&](const Pattern& pattern) { return pattern.matches(text); });
}

struct BuildRow {
  Build build;
  std::span<const Build> fallbacks;
  bool runs_python_code;
};

constexpr Build kFp32[] = {Build::fp32};
constexpr Build kOpenVinoOrFp32[] = {Build::openvino, Build::fp32};

constexpr BuildRow kBuilds[] = {
    // transformers, sentence-transformers, diffusers, peft, timm, open_clip, setfit, gliner,
    // model2vec, faster-whisper, vLLM
    {Build::fp32, {}, true},

    // transformers and diffusers with variant="fp16"
    {Build::fp16, {}, true},

    // optimum-intel, sentence-transformers with backend="openvino", openvino
    {Build::openvino, kFp32, false},
    {Build::openvino_int8, kOpenVinoOrFp32, false},

    // onnxruntime, fastembed, optimum-onnx, sentence-transformers with backend="onnx"
    {Build::onnx, kFp32, false},

    // vLLM with load_format="mistral", mistral-inference
    {Build::mistral, {}, true},

    // llama.cpp, ollama
    {Build::gguf, {}, false},
    {Build::all, {}, true},
};

const BuildRow& row_of(Build build) { return kBuilds[static_cast<std::size_t>(build)]; }

}  // namespace

FileRole role_of(std::string_view path) {
  const std::string from_root = "/" + std::string(path);
  const std::string_view name = name_of(path);
  const auto row = std::ranges::find_if(kRoles, [&](const RoleRow& role) {
    return role.pattern.matches(role.pattern.is_for_path() ? std::string_view(from_root) : name);
  });
  if (row != std::end(kRoles)) return row->role;
  return parse_weights(name) ? FileRole::torch : FileRole::small;
}

bool is_in_folder_of_form(std::string_view path) {
  return matches_one_of(kFoldersOfForms, "/" + std::string(path));
}

bool is_in_folder_of_vendor(std::string_view path) {
  return matches_one_of(kFoldersOfVendors, "/" + std::string(path));
}

bool is_needed_by_every_build(std::string_view path) {
  return is_pickle_name(path) && matches_one_of(kEveryBuild, "/" + std::string(path));
}

bool is_second_choice_word(std::string_view word) {
  return std::ranges::find(kSecondChoices, word) != std::end(kSecondChoices);
}

bool is_ctranslate2_vocabulary(std::string_view name) {
  return matches_one_of(kCTranslate2Vocabularies, name);
}

bool is_model_set(std::string_view set) { return matches_one_of(kModelSets, set); }

std::span<const std::string_view> onnx_parts() { return kOnnxParts; }

bool is_form_of(std::string_view stem, std::string_view name) {
  return stem.starts_with(name) &&
         (stem.size() == name.size() ||
          kFormSeparators.find(stem[name.size()]) != kFormSeparators.npos);
}

std::string_view onnx_part_of(std::string_view stem) {
  // `encoder_model_q4`, `encoder-model.int8`, `encoder-epoch-99`
  const auto* const found = std::ranges::find_if(
      kOnnxParts, [&](std::string_view part) { return is_form_of(stem, part); });
  return found == std::end(kOnnxParts) ? std::string_view() : *found;
}

std::span<const Build> fallbacks_of(Build build) { return row_of(build).fallbacks; }

bool runs_python_code(Build build) { return row_of(build).runs_python_code; }

}  // namespace model_prep
