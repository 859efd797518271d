"""What the tables of several families share: names of activations, sizes, and rows that come in pairs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from clearhead.models.key import Choice, Key, Layers, choice, key, required

ACTIVATIONS = {
    "gelu": "gelu", "gelu_python": "gelu", "gelu_new": "gelu-tanh", "gelu_pytorch_tanh": "gelu-tanh",
    "gelu_python_tanh": "gelu-tanh", "gelu_fast": "gelu-tanh", "gelu_accurate": "gelu-tanh", "silu": "silu",
    "swish": "silu", "relu": "relu", "relu2": "relu-squared", "quick_gelu": "gelu-sigmoid", "tanh": "tanh",
}  # fmt: skip
"""Hugging Face's names of activations."""

EVERYWHERE = ("query", "key", "value", "output")
QKV = ("query", "key", "value")

LISTED = {
    f"layers.{{n}}.attention.rotary.{length}": key(
        *(f"{each}.{length}_factor" for each in ("rope_scaling", "rope_parameters", "rope_parameters.full_attention"))
    )
    for length in ("short", "long")
}
"""The numbers of LongRoPE, which configs list."""

BASE = {"head": None}
"""A model without logits."""

SLIDING, FULL = "sliding_attention", "full_attention"


def sizes(
    layers: tuple[str, ...] = ("num_hidden_layers",),
    width: tuple[str, ...] = ("hidden_size",),
    heads: tuple[str, ...] = ("num_attention_heads",),
) -> dict[str, Any]:
    """The sizes that every config states, under these names."""
    return {"layers": required(*layers), "width": required(*width), "attention.heads": required(*heads)}


def norms(kind: str, eps: Any, **more: Any) -> dict[str, Any]:
    """The norm of a block's halves and the last one, which are of one kind in most families."""
    stated = {"kind": kind, "eps": eps, **more}
    return {f"{place}.{name}": value for place in ("norm", "final_norm") for name, value in stated.items()}


def activation(*names: str, default: str) -> Key:
    """The activation of an MLP, by Hugging Face's names; the default as in our spec."""
    return key(*names, default=default, words=ACTIVATIONS)


def biased(*names: str, default: bool, projections: tuple[str, ...] = EVERYWHERE) -> Key:
    """The projections that add a bias, if the config says so."""
    return key(*names, default=projections if default else (), words={True: projections, False: (), None: ()})


def windows(width: Any, kinds: Layers | Choice) -> Any:
    """A window in the layers of one kind."""
    return choice(kinds, {SLIDING: width, FULL: None})


def every(layer: int, pattern: int) -> str:
    """A full layer after each pattern - 1 with a window."""
    return SLIDING if (layer + 1) % pattern else FULL


def inverse_root(number: float) -> float:
    """1 / sqrt(number)."""
    return 1 / math.sqrt(number)


def inverse(number: float) -> float:
    """1 / number."""
    return 1 / number


def affine(ours: str, theirs: str, words: str = "linear", bias: str = "") -> dict[str, str]:
    """A product and its bias, of one name but for the ending; biases are not transposed."""
    rest = words.replace("linear", bias).split()
    return {f"{ours}.weight": f"{theirs}.weight: {words}", f"{ours}.bias": f"{theirs}.bias: {' '.join(rest)}"}


def norm(ours: str, theirs: str, words: str = "") -> dict[str, str]:
    """The gain and the bias of a norm; the words are for the gain."""
    return {f"{ours}.gain": f"{theirs}.weight: {words}", f"{ours}.bias": f"{theirs}.bias"}


def heads(prefix: str, places: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """For each architecture, by the end of its name, where the product and the bias of its head stand."""
    rows = {end: affine("logits", place) for end, place in places.items()}
    return {prefix + end: row for end, row in rows.items()}


def without(table: Mapping[str, Any], *paths: str) -> dict[str, Any]:
    """A table without some of its rows."""
    return {path: value for path, value in table.items() if path not in paths}
