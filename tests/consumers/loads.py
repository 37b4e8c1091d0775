# SPDX-License-Identifier: Apache-2.0
"""What each library loads: the table that the tests try out and docs/consumers.md shows.

`write` is the code of a service, with "org/name" for the model. `check` follows it and fails unless the model works.
The tests put a real model in place of "org/name": its id, its id with a revision, and its directory.
"""

import dataclasses
from enum import Enum

from models import bert_config


class How(Enum):
    BY_NAME = "by name"
    BY_PATH = "by path only"
    NO = "no"


@dataclasses.dataclass(frozen=True)
class Load:
    library: str  #: as `verify --for` knows it
    builds: tuple  #: as --variant knows them
    model: str  #: the function of models.py that makes it
    how: How
    write: str
    check: str = ""
    before: str = ""  #: code that a service needs only for a model that its library does not know
    revisions: tuple = ("branch", "commit")  #: what it can be asked for with `revision=`
    takes_path: bool = True
    needs: str = "consumers"  #: the virtual environments, by the beginning of their names
    shown: bool = True  #: on the page; two builds that are loaded alike are shown once
    verify: str = "line"  #: what `model-prep verify` says of it: `how`, `line` (and how), or nothing

    @property
    def is_long(self):
        return self.needs != "consumers"


#: Of a part of a commit, snapshot_download of huggingface_hub 1.26 to 2.1 finds nothing offline by its commit.
SNAPSHOT = ("branch",)
USE_ONNX = """
found = model.run(None, {name.name: numpy.ones((1, 3), "int64") for name in model.get_inputs()})
assert found[0].shape == (1, 3, 8)
"""
KNOWN_TO_FASTEMBED = """\
from fastembed import TextEmbedding
from fastembed.common.model_description import ModelSource, PoolingType
TextEmbedding.add_custom_model("org/name", PoolingType.MEAN, True, ModelSource(hf="org/name"), 8, "onnx/model.onnx")
"""
FASTEMBED = """\
from fastembed import TextEmbedding  # with FASTEMBED_CACHE_PATH=$HF_HOME/hub
model = TextEmbedding("org/name")
"""


def onnxruntime(builds, file, model="encoder", shown=True, verify="line"):
    return Load("onnxruntime", builds, model, How.BY_PATH, shown=shown, verify=verify, check=USE_ONNX, write=f"""\
from huggingface_hub import hf_hub_download
from onnxruntime import InferenceSession
model = InferenceSession(hf_hub_download("org/name", "{file}"))
""")


def openvino(builds, file, model="encoder", shown=True):
    return Load("openvino", builds, model, How.BY_PATH, shown=shown, write=f"""\
from huggingface_hub import hf_hub_download
from openvino import Core
model = Core().compile_model(
    hf_hub_download("org/name", "{file}"), "CPU")
""", check="assert model([numpy.ones((1, 3), 'int64')] * len(model.inputs))[0].shape == (1, 3, 8)")


def gguf(builds, file, shown=True):
    verify = "line" if shown else "how"
    return Load("gguf", builds, "gguf_quantisations", How.BY_PATH, shown=shown, verify=verify, write=f"""\
from gguf import GGUFReader
from huggingface_hub import hf_hub_download
model = GGUFReader(hf_hub_download("org/name", "{file}"))
""", check="assert model.tensors[0].data.shape == (32, 32)")


def safetensors(builds, model, file):
    return Load("safetensors", builds, model, How.BY_PATH, write=f"""\
from huggingface_hub import hf_hub_download
from safetensors.numpy import load_file
weights = load_file(hf_hub_download("org/name", "{file}"))
""", check="assert all(array.size for array in weights.values())")


LONG = "long-transformers"
IDS = "torch.ones((1, 3), dtype=torch.int64)"
USE_OPTIMUM = f"""
import torch
assert model({IDS}, attention_mask={IDS}).last_hidden_state.shape == (1, 3, 8)
"""


def sentence_transformers(builds, arguments="", how=How.BY_PATH, needs=LONG + "-4"):
    by_path = how is How.BY_PATH
    imports = "from huggingface_hub import snapshot_download\n" if by_path else ""
    model = 'snapshot_download("org/name")' if by_path else '"org/name"'
    return Load("sentence-transformers", builds, "encoder", how, needs=needs, revisions=SNAPSHOT, write=f"""\
{imports}from sentence_transformers import SentenceTransformer
model = SentenceTransformer({model}{arguments})
""", check="assert model.encode('turn on').shape == (8,)")


#: These need PyTorch: only with --long.
LONG_LOADS = [
    Load("transformers", ("fp32", "all"), "encoder", How.BY_NAME, """\
from transformers import AutoModel
model = AutoModel.from_pretrained("org/name")
""", f"import torch\nassert model({IDS}).last_hidden_state.shape == (1, 3, 8)", needs=LONG),
    Load("transformers", ("fp16",), "encoder", How.BY_NAME, """\
from transformers import AutoModel
model = AutoModel.from_pretrained("org/name", variant="fp16")
""", "assert model.config.hidden_size == 8", needs=LONG),
    sentence_transformers(("fp32", "all"), how=How.BY_NAME, needs=LONG),
    sentence_transformers(("onnx",), """, backend="onnx", model_kwargs={
    "file_name": "onnx/model.onnx"}"""),
    sentence_transformers(("openvino",), """, backend="openvino", model_kwargs={
    "file_name": "openvino/openvino_model.xml"}"""),
    sentence_transformers(("openvino-int8",), """, backend="openvino", model_kwargs={
    "file_name": "openvino/openvino_model_qint8_quantized.xml"}"""),
    Load("sentence-transformers", ("onnx",), "encoder", How.NO, """\
from sentence_transformers import SentenceTransformer
model = SentenceTransformer("org/name", backend="onnx")
""", needs=LONG + "-4", shown=False, verify=""),
    Load("optimum-onnx", ("onnx",), "encoder", How.BY_NAME, """\
from optimum.onnxruntime import ORTModelForFeatureExtraction
model = ORTModelForFeatureExtraction.from_pretrained(
    "org/name", subfolder="onnx", file_name="model.onnx")
""", USE_OPTIMUM, needs=LONG + "-4"),
    Load("optimum-intel", ("openvino",), "encoder", How.BY_NAME, """\
from optimum.intel import OVModelForFeatureExtraction
model = OVModelForFeatureExtraction.from_pretrained(
    "org/name", subfolder="openvino", file_name="openvino_model.xml")
""", USE_OPTIMUM, needs=LONG + "-4"),
    Load("optimum-intel", ("openvino-int8",), "encoder", How.BY_NAME, """\
from optimum.intel import OVModelForFeatureExtraction
model = OVModelForFeatureExtraction.from_pretrained(
    "org/name", subfolder="openvino", file_name="openvino_model_qint8_quantized.xml")
""", USE_OPTIMUM, needs=LONG + "-4"),
    Load("diffusers", ("fp32", "all"), "pipeline", How.BY_NAME, """\
from diffusers import DiffusionPipeline
pipeline = DiffusionPipeline.from_pretrained("org/name")
""", "assert pipeline.unet.config.sample_size == 8", needs=LONG + "-5"),
    Load("diffusers", ("fp16",), "pipeline", How.BY_NAME, """\
from diffusers import DiffusionPipeline
pipeline = DiffusionPipeline.from_pretrained("org/name", variant="fp16")
""", "assert pipeline.unet.config.sample_size == 8", needs=LONG + "-5"),
    Load("peft", ("fp32",), "adapter", How.BY_NAME, """\
from peft import PeftModel
model = PeftModel.from_pretrained(base, "org/name")  # base: the model that it adapts
""", "assert model.peft_config['default'].r == 2", needs=LONG + "-5", before=f"""\
from transformers import BertConfig, BertModel
base = BertModel(BertConfig(**{bert_config()}))
"""),
]

LOADS = [
    # ---- transformers and tokenizers ---------------------------------------------------------------------------------
    Load("transformers", ("fp32", "fp16", "all"), "encoder", How.BY_NAME, """\
from transformers import AutoConfig, AutoTokenizer
config = AutoConfig.from_pretrained("org/name")
tokenizer = AutoTokenizer.from_pretrained("org/name")
""", "assert config.hidden_size == 8 and tokenizer('turn on')['input_ids'] == [2, 5, 6, 3]", verify="how"),
    Load("transformers", ("fp32",), "whisper", How.BY_NAME, """\
from transformers import AutoFeatureExtractor
extractor = AutoFeatureExtractor.from_pretrained("org/name")
""", "assert extractor.feature_size == 80", verify="how"),
    Load("transformers", ("onnx", "openvino"), "encoder", How.BY_NAME, """\
from transformers import AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained("org/name")
""", "assert tokenizer('turn on')['input_ids'] == [2, 5, 6, 3]", shown=False, verify=""),
    Load("tokenizers", ("fp32", "onnx", "openvino"), "encoder", How.BY_NAME, """\
from tokenizers import Tokenizer
tokenizer = Tokenizer.from_pretrained("org/name")
""", "assert tokenizer.encode('turn on').ids == [2, 5, 6, 3]", takes_path=False),

    # ---- safetensors -------------------------------------------------------------------------------------------------
    safetensors(("fp32", "all"), "encoder", "model.safetensors"),
    safetensors(("fp16",), "encoder", "model.fp16.safetensors"),
    safetensors(("mistral",), "mistral", "consolidated.safetensors"),
    Load("safetensors", ("fp32",), "mistral", How.BY_PATH, """\
from huggingface_hub import snapshot_download
from safetensors.numpy import load_file
folder = snapshot_download("org/name")
""", """
index = json.load(open(folder + "/model.safetensors.index.json"))["weight_map"]
assert {name for file in index.values() for name in load_file(f"{folder}/{file}")} == set(index)
""", revisions=SNAPSHOT, shown=False, verify="how"),
    Load("mistral-common", ("mistral",), "mistral", How.BY_NAME, """\
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer
tokenizer = MistralTokenizer.from_hf_hub("org/name")
""", "assert len(tokenizer.instruct_tokenizer.tokenizer.encode('turn on', bos=True, eos=False)) == 8",
         takes_path=False),

    # ---- ONNX --------------------------------------------------------------------------------------------------------
    onnxruntime(("onnx", "all"), "onnx/model.onnx"),
    onnxruntime(("onnx:model_quantized",), "onnx/model_quantized.onnx"),
    onnxruntime(("onnx",), "onnx/encoder_model.onnx", "seq2seq", shown=False, verify="how"),
    onnxruntime(("onnx",), "onnx/decoder_model_merged.onnx", "seq2seq", shown=False, verify="how"),
    onnxruntime(("onnx",), "onnx/model.onnx", "external_data", shown=False),
    Load("fastembed", ("onnx",), "encoder", How.BY_NAME, FASTEMBED,
         "assert next(iter(model.embed(['turn on']))).shape == (8,)", before=KNOWN_TO_FASTEMBED, revisions=(),
         takes_path=False),

    # ---- OpenVINO ----------------------------------------------------------------------------------------------------
    openvino(("openvino", "all"), "openvino/openvino_model.xml"),
    openvino(("openvino-int8", "openvino:openvino_model_qint8_quantized"),
             "openvino/openvino_model_qint8_quantized.xml"),
    openvino(("openvino", "openvino-int8"), "openvino_model.xml", "openvino_only", shown=False),

    # ---- formats of their own ----------------------------------------------------------------------------------------
    Load("faster-whisper", ("fp32", "all"), "whisper", How.BY_NAME, """\
from faster_whisper import WhisperModel
model = WhisperModel("org/name")
""", "assert model.encode(numpy.zeros((80, 3000), 'float32')).shape == [1, 1500, 8]"),
    Load("model2vec", ("fp32", "all"), "static_embeddings", How.BY_NAME, """\
from model2vec import StaticModel
model = StaticModel.from_pretrained("org/name")
""", "assert model.encode('turn on').shape == (8,)", revisions=()),
    gguf(("gguf:Q4_K_M",), "tiny-Q4_K_M.gguf"),
    gguf(("gguf:Q4_K_M", "all"), "mmproj-tiny-f16.gguf", shown=False),
    gguf(("gguf:Q8_0",), "tiny-Q8_0-00002-of-00002.gguf", shown=False),
    *LONG_LOADS,
]
