"""Checkpoints: weights, names and tokenizers of real models, turned into specs and arrays."""

from __future__ import annotations

from clearhead.models.families import FAMILIES
from clearhead.models.family import Family
from clearhead.models.key import Choice, Key, Layers, choice, key, required
from clearhead.models.loading import load
from clearhead.models.model import Model
from clearhead.models.rope import GgufRope, Rope

__all__ = [
    "FAMILIES", "Choice", "Family", "GgufRope", "Key", "Layers", "Model", "Rope", "choice", "key", "load", "required",
]  # fmt: skip
