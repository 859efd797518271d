"""Specs: frozen descriptions of what is computed, and the lines each stands for."""

from clearhead.spec.attention import Attention, Rotary
from clearhead.spec.block import Block, Positions
from clearhead.spec.mlp import Mlp
from clearhead.spec.norm import Norm

__all__ = ["Attention", "Block", "Mlp", "Norm", "Positions", "Rotary"]
