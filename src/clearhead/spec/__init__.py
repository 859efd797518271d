"""Specs: frozen descriptions of what is computed, and the lines each stands for."""

from clearhead.spec.attention import Attention
from clearhead.spec.backward import Backward
from clearhead.spec.block import Block, Positions
from clearhead.spec.draft import Draft
from clearhead.spec.experts import Experts
from clearhead.spec.latent import Latent
from clearhead.spec.loss import Loss
from clearhead.spec.mlp import Mlp
from clearhead.spec.norm import Norm
from clearhead.spec.rotary import Dynamic, Factors, Linear, Llama3Scaling, LongRope, Rotary, Yarn
from clearhead.spec.transformer import Embedding, Encoder, Head, Patches, Transformer

__all__ = [
    "Attention",
    "Backward",
    "Block",
    "Draft",
    "Dynamic",
    "Embedding",
    "Encoder",
    "Experts",
    "Factors",
    "Head",
    "Latent",
    "Linear",
    "Llama3Scaling",
    "LongRope",
    "Loss",
    "Mlp",
    "Norm",
    "Patches",
    "Positions",
    "Rotary",
    "Transformer",
    "Yarn",
]  # fmt: skip
