# SPDX-License-Identifier: Apache-2.0
"""Tiny models in the layouts of real repositories, made on the spot: path -> bytes of each file.

Every function returns a whole repository. The weights are random, but of the right names and shapes, so that a library
that reads a wrong file, or only half of one, fails.
"""

import base64
import functools
import json
import pathlib
import pickle
import subprocess
import tempfile

import numpy

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "turn", "on", "the", "kitchen", "lights"]
WIDTH = 8
HALVES = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]


def as_json(value):
    return json.dumps(value, indent=1).encode()


@functools.cache
def numbers(*shape):
    return numpy.random.default_rng(len(shape)).standard_normal(shape, dtype=numpy.float32) / 10


def saved(save):
    """The files that `save` writes into a folder."""
    with tempfile.TemporaryDirectory() as folder:
        save(pathlib.Path(folder))
        return {path.name: path.read_bytes() for path in pathlib.Path(folder).iterdir()}


def safetensors(tensors):
    from safetensors.numpy import save

    return save(tensors, metadata={"format": "pt"})


# ---- tokenizers ------------------------------------------------------------------------------------------------------


def tokenizer():
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    made = Tokenizer(models.WordPiece({word: id for id, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    special = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    return {
        "tokenizer.json": made.to_str().encode(),
        "tokenizer_config.json": as_json({"tokenizer_class": "BertTokenizer", "model_max_length": 16, **special}),
        "special_tokens_map.json": as_json(special),
        "vocab.txt": "\n".join(WORDS).encode(),
    }


def tekken():
    """A tokenizer of Mistral's own: a token for each byte."""
    special = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]",
               "[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]",
               "[SUFFIX]"]
    config = {"pattern": r"\S+|\s+", "num_vocab_tokens": 256, "default_vocab_size": 256 + len(special),
              "default_num_special_tokens": len(special), "version": "v3"}
    vocab = [{"rank": byte, "token_bytes": base64.b64encode(bytes([byte])).decode(), "token_str": None}
             for byte in range(256)]
    return as_json({"config": config, "vocab": vocab, "special_tokens": [
        {"rank": rank, "token_str": text, "is_control": True} for rank, text in enumerate(special)]})


# ---- weights ---------------------------------------------------------------------------------------------------------


def bert_config():
    return {
        "model_type": "bert", "architectures": ["BertModel"], "vocab_size": len(WORDS), "hidden_size": WIDTH,
        "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 16,
        "type_vocab_size": 2, "pad_token_id": 0,
    }


def bert_weights():
    layer = "encoder.layer.0."
    shapes = {
        "embeddings.word_embeddings.weight": (len(WORDS), WIDTH),
        "embeddings.position_embeddings.weight": (16, WIDTH),
        "embeddings.token_type_embeddings.weight": (2, WIDTH),
    }
    dense = {layer + f"attention.self.{name}": (WIDTH, WIDTH) for name in ("query", "key", "value")}
    dense |= {layer + "attention.output.dense": (WIDTH, WIDTH), layer + "intermediate.dense": (16, WIDTH),
              layer + "output.dense": (WIDTH, 16), "pooler.dense": (WIDTH, WIDTH)}
    dense |= {name: (WIDTH,) for name in (
        "embeddings.LayerNorm", layer + "attention.output.LayerNorm", layer + "output.LayerNorm")}
    for name, shape in dense.items():
        shapes |= {name + ".weight": shape, name + ".bias": shape[:1]}
    return {name: numbers(*shape) for name, shape in shapes.items()}


def onnx_model(data=None, scale=1):
    """An encoder that looks up each token; with `data`, the table is in a file of that name."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    table = numpy_helper.from_array(numbers(len(WORDS), WIDTH) * scale, "table")
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"])
              for name in ("input_ids", "attention_mask", "token_type_ids")]
    output = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "length", WIDTH])
    look_up = helper.make_node("Gather", ["table", "input_ids"], ["last_hidden_state"])
    graph = helper.make_graph([look_up], "encoder", inputs, [output], [table])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if data is None:
        return {"model.onnx": model.SerializeToString()}
    return saved(lambda folder: onnx.save(model, str(folder / "model.onnx"), save_as_external_data=True,
                                          location=data, size_threshold=0))


def openvino_model(stem):
    import openvino
    from openvino import opset13

    ids = opset13.parameter([-1, -1], numpy.int64, name="input_ids")
    mask = opset13.parameter([-1, -1], numpy.int64, name="attention_mask")
    rows = opset13.gather(opset13.constant(numbers(len(WORDS), WIDTH)), ids, opset13.constant(0))
    rows.output(0).set_names({"last_hidden_state"})
    for input, name in ((ids, "input_ids"), (mask, "attention_mask")):
        input.output(0).set_names({name})
    model = openvino.Model([rows], [ids, mask], "encoder")
    return saved(lambda folder: openvino.save_model(model, folder / f"{stem}.xml", compress_to_fp16=False))


def gguf_model(architecture="llama"):
    import gguf

    def write(folder):
        writer = gguf.GGUFWriter(folder / "model.gguf", architecture)
        writer.add_context_length(16)
        writer.add_tensor("token_embd.weight", numbers(32, 32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()

    return saved(write)["model.gguf"]


def ctranslate2_whisper():
    """config.json, model.bin and vocabulary.json, as ct2-transformers-converter writes them."""
    from ctranslate2.specs import WhisperSpec

    words = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>", "on", "off",
             "<|0.00|>"]
    spec = WhisperSpec(1, 2, 1, 2)

    def dense(part, rows, columns):
        part.weight, part.bias = numbers(rows, columns), numbers(rows)

    def norm(part):
        part.gamma, part.beta = numbers(WIDTH), numbers(WIDTH)

    def attention(part, sizes):
        norm(part.layer_norm)
        for linear, rows in zip(part.linear, sizes, strict=True):
            dense(linear, rows * WIDTH, WIDTH)

    for stack, length in ((spec.encoder, 1500), (spec.decoder, 448)):
        stack.position_encodings.encodings = numbers(length, WIDTH)
        norm(stack.layer_norm)
        attention(stack.layer[0].self_attention, (3, 1))
        norm(stack.layer[0].ffn.layer_norm)
        dense(stack.layer[0].ffn.linear_0, 4 * WIDTH, WIDTH)
        dense(stack.layer[0].ffn.linear_1, WIDTH, 4 * WIDTH)
    attention(spec.decoder.layer[0].attention, (1, 2, 1))
    for part, columns in ((spec.encoder.conv1, 80), (spec.encoder.conv2, WIDTH)):
        part.weight, part.bias = numbers(WIDTH, columns, 3), numbers(WIDTH)
    spec.decoder.embeddings.weight = spec.decoder.projection.weight = numbers(len(words), WIDTH)
    spec.register_vocabulary(words)
    spec.config.lang_ids, spec.config.suppress_ids = [2], []
    spec.config.suppress_ids_begin, spec.config.alignment_heads = [], [(0, 0)]
    spec.validate()
    return saved(lambda folder: spec.save(str(folder)))


# ---- repositories ----------------------------------------------------------------------------------------------------


def common(files):
    return {".gitattributes": b"*.bin filter=lfs diff=lfs merge=lfs -text\n", "README.md": b"# A tiny model\n", **files}


def below(folder, files, stem=None):
    """The files in a folder, `model.onnx` as `<stem>.onnx`."""
    return {f"{folder}/{name.replace('model.onnx', stem + '.onnx') if stem else name}": data
            for name, data in files.items()}


def encoder():
    """As sentence-transformers/all-MiniLM-L6-v2: one model in every build that there is for it."""
    weights = bert_weights()
    module = "sentence_transformers.models."
    return common({
        "config.json": as_json(bert_config()), **tokenizer(),
        "model.safetensors": safetensors(weights),
        "model.fp16.safetensors": safetensors({name: array.astype("float16") for name, array in weights.items()}),
        "pytorch_model.bin": pickle.dumps("a second choice", 4), "tf_model.h5": b"\x89HDF a second choice",
        "modules.json": as_json([
            {"idx": 0, "name": "0", "path": "", "type": module + "Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": module + "Pooling"}]),
        "1_Pooling/config.json": as_json({"word_embedding_dimension": WIDTH, "pooling_mode_mean_tokens": True}),
        "sentence_bert_config.json": as_json({"max_seq_length": 16, "do_lower_case": False}),
        "config_sentence_transformers.json": as_json({"prompts": {}, "similarity_fn_name": "cosine"}),
        **below("onnx", onnx_model()), **below("onnx", onnx_model(scale=2), "model_quantized"),
        **below("openvino", openvino_model("openvino_model")),
        **below("openvino", openvino_model("openvino_model_qint8_quantized")),
    })


def mistral():
    """A model in the format of transformers, in two halves, and in Mistral's own."""
    halves = {half: {f"layer.{number}": numbers(4, 4)} for number, half in enumerate(HALVES)}
    index = {"metadata": {}, "weight_map": {name: half for half, tensors in halves.items() for name in tensors}}
    return common({
        "config.json": as_json({"model_type": "mistral", "architectures": ["MistralForCausalLM"], "hidden_size": WIDTH,
                                "num_attention_heads": 2, "num_hidden_layers": 1, "vocab_size": 273}), **tokenizer(),
        **{half: safetensors(tensors) for half, tensors in halves.items()},
        "model.safetensors.index.json": as_json(index),
        "consolidated.safetensors": safetensors({"output.weight": numbers(4, 4)}),
        "params.json": as_json({"dim": WIDTH, "n_layers": 1, "vocab_size": 273}), "tekken.json": tekken(),
    })


def whisper():
    """A model of faster-whisper that has weights for transformers as well."""
    ours = ctranslate2_whisper()
    config = json.loads(ours.pop("config.json")) | {"model_type": "whisper", "d_model": WIDTH}
    features = {"feature_extractor_type": "WhisperFeatureExtractor", "feature_size": 80, "sampling_rate": 16000,
                "hop_length": 160, "n_fft": 400, "chunk_length": 30}
    return common({"config.json": as_json(config), "preprocessor_config.json": as_json(features), **tokenizer(), **ours,
                   "model.safetensors": safetensors({"proj_out.weight": numbers(8, WIDTH)})})


def external_data():
    """An ONNX model with its weights in a file of a name of its own."""
    return common({"config.json": as_json(bert_config()), **tokenizer(), **below("onnx", onnx_model("weights.pb"))})


def seq2seq():
    """An export in two files that only work together."""
    halves = below("onnx", onnx_model(), "encoder_model") | below("onnx", onnx_model(), "decoder_model_merged")
    return common({"config.json": as_json({"model_type": "t5"}), **tokenizer(), **halves})


def openvino_only():
    """As a repository of the organisation OpenVINO: the model in the root."""
    return common({"config.json": as_json(bert_config()), **tokenizer(), **openvino_model("openvino_model")})


def gguf_quantisations():
    """Two quantisations, one of them in two files, and the projector for images."""
    model = gguf_model()
    return common({
        "tiny-Q4_K_M.gguf": model, "tiny-Q8_0-00001-of-00002.gguf": model, "tiny-Q8_0-00002-of-00002.gguf": model,
        "mmproj-tiny-f16.gguf": gguf_model("clip"),
    })


def static_embeddings():
    """As minishlab/potion-base-8M, of model2vec."""
    return common({
        "config.json": as_json({"model_type": "model2vec", "architectures": ["StaticModel"], "normalize": True,
                                "hidden_dim": WIDTH, "seq_length": 16}),
        "model.safetensors": safetensors({"embeddings": numbers(len(WORDS), WIDTH)}),
        "tokenizer.json": tokenizer()["tokenizer.json"],
        "modules.json": as_json([
            {"idx": 0, "name": "0", "path": ".", "type": "sentence_transformers.models.StaticEmbedding"}]),
    })


# ---- repositories that their own libraries make, with PyTorch --------------------------------------------------------


def saved_by(python, code):
    """The files that the code writes into the directory in which it runs."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([python, "-B", "-c", code], cwd=folder, check=True)
        return common({str(path.relative_to(folder)): path.read_bytes()
                       for path in pathlib.Path(folder).rglob("*") if path.is_file()})


def pipeline(python):
    """A pipeline of diffusers, also in half precision."""
    return saved_by(python, """
from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel
unet = UNet2DModel(sample_size=8, block_out_channels=(32,), layers_per_block=1, down_block_types=["DownBlock2D"],
                   up_block_types=["UpBlock2D"])
made = DDPMPipeline(unet, DDPMScheduler())
made.save_pretrained(".")
made.save_pretrained(".", variant="fp16")
""")


def adapter(python):
    """An adapter for the model of `encoder`."""
    return saved_by(python, f"""
from peft import LoraConfig, get_peft_model
from transformers import BertConfig, BertModel
config = LoraConfig(r=2, target_modules=["query"], base_model_name_or_path="fp32-branch/encoder")
made = get_peft_model(BertModel(BertConfig(**{bert_config()})), config)
made.peft_config["default"].base_model_name_or_path = "fp32-branch/encoder"
made.save_pretrained(".")
""")
