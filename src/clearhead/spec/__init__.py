"""Specs: frozen descriptions of what is computed, and the lines each stands for."""

from clearhead.spec.attention import Attention, Llama3Scaling, Rotary
from clearhead.spec.block import Block, Positions
from clearhead.spec.mlp import Mlp
from clearhead.spec.norm import Norm
from clearhead.spec.transformer import Embedding, Head, Patches, Transformer

__all__ = [
    "Attention",
    "Block",
    "Embedding",
    "Head",
    "Llama3Scaling",
    "Mlp",
    "Norm",
    "Patches",
    "Positions",
    "Rotary",
    "Transformer",
]  # fmt: skip
