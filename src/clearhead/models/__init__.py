"""Checkpoints: weights, names and tokenizers of real models, turned into specs and arrays."""

from __future__ import annotations

from clearhead.models.families import FAMILIES
from clearhead.models.family import Family, Key, key, required
from clearhead.models.model import Model, load

__all__ = ["FAMILIES", "Family", "Key", "Model", "key", "load", "required"]
