"""What the tables of several families share: names of activations, sizes, and rows that come in pairs."""

from __future__ import annotations

from clearhead.models.family import required

ACTIVATIONS = {
    "gelu": "gelu", "gelu_python": "gelu", "gelu_new": "gelu-tanh", "gelu_pytorch_tanh": "gelu-tanh",
    "gelu_fast": "gelu-tanh", "silu": "silu", "swish": "silu", "relu": "relu",
}  # fmt: skip
"""Hugging Face's names of activations."""

SIZES = {
    "layers": required("num_hidden_layers"),
    "width": required("hidden_size"),
    "heads": required("num_attention_heads"),
}

ROPE_SHARE = "partial_rotary_factor", "rope_parameters.partial_rotary_factor"


def affine(ours: str, theirs: str, words: str = "linear", bias: str = "") -> dict[str, str]:
    """A product and its bias, of one name but for the ending; biases are not transposed."""
    rest = words.replace("linear", bias).split()
    return {f"{ours}.weight": f"{theirs}.weight: {words}", f"{ours}.bias": f"{theirs}.bias: {' '.join(rest)}"}


def norm(ours: str, theirs: str, words: str = "") -> dict[str, str]:
    """The gain and the bias of a norm; the words are for the gain."""
    return {f"{ours}.gain": f"{theirs}.weight: {words}", f"{ours}.bias": f"{theirs}.bias"}
