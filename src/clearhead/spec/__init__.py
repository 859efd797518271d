"""Specs: frozen descriptions of what is computed, each of which writes its lines."""

from clearhead.spec.attention import Attention
from clearhead.spec.backward import Backward
from clearhead.spec.block import Block, Positions
from clearhead.spec.delta import Delta
from clearhead.spec.disentangled import Disentangled
from clearhead.spec.draft import Draft
from clearhead.spec.experts import Experts
from clearhead.spec.extra import Extra, Extras
from clearhead.spec.frames import Frames
from clearhead.spec.growth import Growth
from clearhead.spec.latent import Latent
from clearhead.spec.loss import Loss
from clearhead.spec.mlp import Mlp
from clearhead.spec.norm import Norm
from clearhead.spec.optimizer import Optimizer
from clearhead.spec.patches import Patches
from clearhead.spec.relative import Relative
from clearhead.spec.rotary import (
    Dynamic,
    Factors,
    Frequencies,
    Linear,
    Llama3Scaling,
    LongRope,
    Proportional,
    Rotary,
    Yarn,
)
from clearhead.spec.transformer import Embedding, Encoder, Head, Transformer

__all__ = [
    "Attention",
    "Backward",
    "Block",
    "Delta",
    "Disentangled",
    "Draft",
    "Dynamic",
    "Embedding",
    "Encoder",
    "Experts",
    "Extra",
    "Extras",
    "Factors",
    "Frames",
    "Frequencies",
    "Growth",
    "Head",
    "Latent",
    "Linear",
    "Llama3Scaling",
    "LongRope",
    "Loss",
    "Mlp",
    "Norm",
    "Optimizer",
    "Patches",
    "Positions",
    "Proportional",
    "Relative",
    "Rotary",
    "Transformer",
    "Yarn",
]  # fmt: skip
