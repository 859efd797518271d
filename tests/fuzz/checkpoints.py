"""The readers of checkpoints: weights, configs and tokenizers."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from safetensors.numpy import save
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from clearhead.models import load
from clearhead.models.gguf import read_gguf
from clearhead.models.safetensors import read_safetensors
from clearhead.models.tokenizer import read_tokenizer, tokenizer_of
from fuzz import mutations
from fuzz.reader import JSON, Reader

SMALL = 1 << 16
"""Arrays of a checkpoint up to this many bytes are widened."""

CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"], "num_hidden_layers": 2, "hidden_size": 12, "num_attention_heads": 6,
    "num_key_value_heads": 3, "intermediate_size": 10, "vocab_size": 17, "rope_theta": 100.0, "rms_norm_eps": 1e-5,
    "sliding_window": 2, "hidden_act": "silu", "attention_bias": False, "tie_word_embeddings": False, "head_dim": 2,
    "rope_scaling": {
        "rope_type": "llama3", "factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
        "original_max_position_embeddings": 8,
    },
}  # fmt: skip
GEMMA = {
    **CONFIG, "architectures": ["Gemma2ForCausalLM"], "query_pre_attn_scalar": 4, "attn_logit_softcapping": 50.0,
    "final_logit_softcapping": 30.0, "layer_types": ["sliding_attention", "full_attention"], "rope_scaling": None,
    "tie_word_embeddings": True,
}  # fmt: skip
PHI = {
    **CONFIG,
    "architectures": ["Phi3ForCausalLM"],
    "partial_rotary_factor": 1.0,
    "rope_scaling": {"type": "linear", "factor": 2.0},
}
QWEN = {**CONFIG, "architectures": ["Qwen3ForCausalLM"], "use_sliding_window": True, "max_window_layers": 1}


ROWS = {"q_proj": 12, "k_proj": 6, "v_proj": 6, "o_proj": 12}
OWN: dict[str, tuple[dict[str, tuple[int, ...]], tuple[str, ...]]] = {
    "Llama": ({"mlp.gate_proj": (10, 12), "mlp.up_proj": (10, 12)}, ()),
    "Gemma2": (
        {"mlp.gate_proj": (10, 12), "mlp.up_proj": (10, 12)},
        ("pre_feedforward_layernorm", "post_feedforward_layernorm"),
    ),
    "Phi3": ({"self_attn.qkv_proj": (24, 12), "mlp.gate_up_proj": (20, 12)}, ()),
    "Qwen3": (
        {"mlp.gate_proj": (10, 12), "mlp.up_proj": (10, 12), "self_attn.q_norm": (2,), "self_attn.k_norm": (2,)},
        (),
    ),
}
"""What the layers of a family have beside an output and two norms: shapes by name, and further norms."""


def _weights(family: str) -> bytes:
    """Random weights of a small model of a family, as a safetensors file."""
    rng = np.random.default_rng(0)
    own, norms = OWN[family]
    shapes: dict[str, tuple[int, ...]] = {"embed_tokens": (17, 12), "norm": (12,)}
    for layer in ("layers.0.", "layers.1."):
        rows = {"o_proj": 12} if "self_attn.qkv_proj" in own else ROWS
        shapes |= {f"{layer}self_attn.{name}": (size, 12) for name, size in rows.items()}
        shapes |= {f"{layer}{name}": shape for name, shape in own.items()} | {f"{layer}mlp.down_proj": (12, 10)}
        for name in ("input_layernorm", "post_attention_layernorm", *norms):
            shapes[f"{layer}{name}"] = (12,)
    drawn = {f"model.{name}.weight": rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    if family != "Gemma2":  # whose logits are tied to its embedding
        drawn["lm_head.weight"] = rng.normal(size=(17, 12)).astype(np.float32)
    return save(drawn)


WEIGHTS = {family: _weights(family) for family in OWN}


def use_config(data: bytes, folder: Path) -> None:
    """Loads a small model of the family that the config names with this config.json, and works three tokens out."""
    family = next((each for each in OWN if each.encode() in data), "Llama")
    own = folder / family
    own.mkdir(exist_ok=True)
    (own / "config.json").write_bytes(data)
    if not (own / "model.safetensors").exists():
        (own / "model.safetensors").write_bytes(WEIGHTS[family])
    list(map(str, load(own).trace([1, 2, 3]).notes))


def use_safetensors(data: bytes, folder: Path) -> None:
    """Reads a safetensors file and its smaller arrays."""
    path = folder / "x.safetensors"
    path.write_bytes(data)
    for tensor in read_safetensors(path).values():
        if tensor.stored.size <= SMALL:
            tensor.array()


def _safetensors(draw: Random, data: bytes, others: tuple[bytes, ...]) -> bytes:
    """Another header with its own length, or other bytes."""
    size = int.from_bytes(data[:8], "little")
    if size > len(data) - 8 or draw.random() < 0.2:
        return mutations.some_bytes(draw, data, others)
    header = JSON(draw, data[8 : 8 + size], ())
    return len(header).to_bytes(8, "little") + header + data[8 + size :]


def use_gguf(data: bytes, folder: Path) -> None:
    """Reads a GGUF file, its smaller arrays, and its tokenizer."""
    path = folder / "x.gguf"
    path.write_bytes(data)
    file = read_gguf(path)
    for tensor in file.tensors.values():
        if tensor.stored.size <= SMALL:
            tensor.array()
    if "tokenizer.ggml.model" in file.metadata:
        use_words(file.metadata)
    load(path)


TEXT = "Hello wörld, 12 + 3 = 15\n\t😀 </s>"


def use_words(metadata: dict[str, Any]) -> None:
    """Builds the tokenizer that metadata describe, and takes a text apart with it."""
    tokenizer = tokenizer_of(metadata)
    tokenizer.decode(tokenizer.encode(TEXT, "Again").ids)


def use_metadata(data: bytes, folder: Path) -> None:
    """Metadata as JSON, so that they are changed as a tree."""
    try:
        metadata = json.loads(data)
    except (ValueError, RecursionError):
        return
    if isinstance(metadata, dict):
        use_words(metadata)


LETTERS = [chr(code) for code in range(33, 127)] + ["Ġ", "Ċ", "▁"]
GPT2 = {
    "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "smollm",
    "tokenizer.ggml.tokens": [*LETTERS, "He", "ll", "llo", "<|end|>"],
    "tokenizer.ggml.merges": ["H e", "l l", "ll o"], "tokenizer.ggml.token_type": [1] * (len(LETTERS) + 3) + [3],
    "tokenizer.ggml.bos_token_id": 5, "tokenizer.ggml.add_bos_token": True, "tokenizer.ggml.eos_token_id": 6,
    "tokenizer.ggml.add_eos_token": True,
}  # fmt: skip
LLAMA = {
    "tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": ["<unk>", *LETTERS, "He", "ll", "llo", "<0x0A>"],
    "tokenizer.ggml.scores": [0.0] * (len(LETTERS) + 1) + [-1.0, -2.0, -3.0, 0.0], "tokenizer.ggml.unknown_token_id": 0,
    "tokenizer.ggml.token_type": [2] + [1] * (len(LETTERS) + 3) + [6], "tokenizer.ggml.bos_token_id": 1,
    "tokenizer.ggml.add_space_prefix": True,
}  # fmt: skip


def gguf_bytes(metadata: dict[str, Any], arrays: list[tuple[str, tuple[int, ...], int, bytes]]) -> bytes:
    """A GGUF file; types of metadata follow from the Python types."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value.encode())) + value.encode()

    def value(each: Any) -> bytes:
        match each:
            case bool():
                return struct.pack("<I?", 7, each)
            case int():
                return struct.pack("<II", 4, each)
            case float():
                return struct.pack("<If", 6, each)
            case str():
                return struct.pack("<I", 8) + text(each)
        inner = value(each[0])[:4]
        return struct.pack("<I", 9) + inner + struct.pack("<Q", len(each)) + b"".join(value(item)[4:] for item in each)

    head = b"GGUF" + struct.pack("<IQQ", 3, len(arrays), len(metadata))
    head += b"".join(text(key) + value(each) for key, each in metadata.items())
    offset = 0
    for name, shape, kind, stored in arrays:
        head += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape[::-1], kind, offset)
        offset += -(-len(stored) // 32) * 32
    body = b"".join(stored.ljust(-(-len(stored) // 32) * 32, b"\0") for *_, stored in arrays)
    return head.ljust(-(-len(head) // 32) * 32, b"\0") + body


def _gguf_seeds() -> tuple[bytes, ...]:
    sizes = {
        "general.architecture": "llama",
        "llama.block_count": 1,
        "llama.embedding_length": 32,
        "llama.attention.head_count": 2,
    }
    blocks = {0: 4, 1: 2, 30: 2, 24: 1}
    quantised = {2: 18, 3: 20, 6: 22, 7: 24, 8: 34}
    supers = {12: 144, 13: 176, 14: 210}
    arrays = [(f"a{kind}", (2, 32), kind, bytes(range(64)) * size) for kind, size in blocks.items()]
    arrays += [(f"q{kind}", (2, 32), kind, bytes(range(size)) * 2) for kind, size in quantised.items()]
    arrays += [(f"k{kind}", (1, 256), kind, bytes(range(size))) for kind, size in supers.items()]
    return gguf_bytes(sizes | GPT2, arrays), gguf_bytes(sizes | LLAMA, arrays[:2]), gguf_bytes(sizes, [])


def use_tokenizer(data: bytes, folder: Path) -> None:
    """Reads a tokenizer.json, takes a text apart and puts it together."""
    path = folder / "tokenizer.json"
    path.write_bytes(data)
    tokenizer = read_tokenizer(path)
    tokenizer.decode(tokenizer.encode(TEXT, "Again").ids)


def _tokenizer_seeds() -> tuple[bytes, ...]:
    pieces = Tokenizer(
        models.WordPiece({"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "hello": 3, "##o": 4, "w": 5}, unk_token="[UNK]")
    )
    pieces.normalizer, pieces.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    pieces.decoder = decoders.WordPiece()
    pieces.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    pieces.add_special_tokens(["[CLS]", "[SEP]"])
    pairs = Tokenizer(
        models.BPE({letter: n for n, letter in enumerate([*LETTERS, "He", "ll"])}, [("H", "e"), ("l", "l")])
    )
    pairs.pre_tokenizer, pairs.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    pairs.post_processor = processors.ByteLevel()
    words = Tokenizer(models.WordLevel({"[UNK]": 0, "Hello": 1}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    unigram = Tokenizer(models.Unigram([("<unk>", 0.0), ("▁Hello", -1.0), ("l", -2.0)], unk_id=0, byte_fallback=False))
    unigram.pre_tokenizer = pre_tokenizers.Metaspace()
    return tuple(each.to_str().encode() for each in (pieces, pairs, words, unigram))


def checkpoints() -> tuple[Reader, ...]:
    """All of them."""
    sound = save({"a": np.ones((2, 3), np.float16), "b": np.ones(4, np.int8)})
    return (
        Reader("config.json", use_config, tuple(map(mutations.as_json, (CONFIG, GEMMA, PHI, QWEN))), JSON),
        Reader("safetensors", use_safetensors, (WEIGHTS["Llama"], sound), _safetensors),
        Reader("gguf", use_gguf, _gguf_seeds()),
        Reader("gguf words", use_metadata, (mutations.as_json(GPT2), mutations.as_json(LLAMA)), JSON),
        Reader("tokenizer.json", use_tokenizer, _tokenizer_seeds(), JSON),
    )
