"""Checkpoints: weights, names and tokenizers of real models, turned into specs and arrays."""

from __future__ import annotations

from clearhead.models.families import FAMILIES
from clearhead.models.family import Family
from clearhead.models.key import At, Choice, Key, Layers, choice, key, required
from clearhead.models.loading import load
from clearhead.models.model import Guess, Model
from clearhead.models.rope import GgufRope, Rope
from clearhead.models.tensors import Kind, Tensor
from clearhead.models.texts import Inputs
from clearhead.models.tokenizer import Encoded, Tokenizer

__all__ = [
    "FAMILIES", "At", "Choice", "Encoded", "Family", "GgufRope", "Guess", "Inputs", "Key", "Kind", "Layers", "Model",
    "Rope", "Tensor", "Tokenizer", "choice", "key", "load", "required",
]  # fmt: skip
