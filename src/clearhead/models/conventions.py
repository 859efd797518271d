"""The conventions of a model, laid flat: what a family's table reads from a config, and the spec it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

from clearhead.errors import CheckpointError
from clearhead.spec import (
    Attention,
    Block,
    Embedding,
    Head,
    Linear,
    Llama3Scaling,
    Mlp,
    Norm,
    Patches,
    Rotary,
    Transformer,
)  # fmt: skip
from clearhead.spec.attention import Projection
from clearhead.spec.block import Placement
from clearhead.spec.mlp import Activation

MAX_LAYERS = 1024
MAX_WIDTH = 1 << 20
MAX_HEADS = 1 << 12


class Conventions(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything in which the models of a family differ, one name each. A `Family` says where each comes from.

    Attributes:
        layers, width, heads: how many blocks, features of a token, query heads.
        kv_heads, depth: key/value heads, and features of a head; None for as many as heads, and width / heads.
        causal: no token sees a later one.
        scale: what scores are multiplied with; None for 1 / sqrt(depth).
        inverse_scale: instead: scores are divided by the root of this (Gemma's ``query_pre_attn_scalar``).
        softcap, logit_softcap: caps of scores and of logits by tanh; None for none.
        window: a token sees so many tokens back, itself among them; None for all.
        windowed: for each layer whether the window holds in it, or Hugging Face's ``layer_types``; None for all layers.
        windows: whether any layer looks through the window.
        window_from: without ``windowed``: the first layer, from 0, that does.
        full_every: without ``windowed``: each layer whose number, from 1, this divides has no window; 0 for none.
        bias: the projections of the attention that add a bias.
        output_bias: whether the output projection does, where a config says so apart.
        qk_norm: queries and keys pass a norm over their depth.
        rotary: the layout of rotary positions; None for none.
        rotary_base, local_base: the base of their angles; another one for layers with a window (Gemma 3).
        rotary_share: the share of a head's features that is turned.
        rotary_scaling: Hugging Face's ``rope_scaling``, of type linear or llama3; None for none.
        local_scaling: the same for layers with a window.
        norm, eps, placement: the kind of norm, what it adds to the variance, where it stands.
        parallel: whether both halves of a block read the block's input; then that is the placement.
        final_norm: whether a norm stands behind the last block.
        activation, gated, mlp_bias: of the MLP.
        positions, types, embedding_norm, embedding_scale: of the embedding; the scale None for none, True for the root
            of the width.
        patches: the tokens are patches of an image.
        head: what gives logits; None for a model without.
        tied, head_bias, transform: of that head.
        pooler: whether there is one.
    """

    layers: int
    width: int
    heads: int
    kv_heads: int | None = None
    depth: int | None = None
    causal: bool = True
    scale: float | None = None
    inverse_scale: float | None = None
    softcap: float | None = None
    logit_softcap: float | None = None
    window: int | None = None
    windowed: tuple[bool | str, ...] | None = None
    windows: bool = True
    window_from: int = 0
    full_every: int = 0
    bias: tuple[Projection, ...] | bool = ()
    output_bias: bool | None = None
    qk_norm: bool = False
    rotary: Literal["half", "interleaved"] | None = None
    rotary_base: float = 10000.0
    local_base: float | None = None
    rotary_share: float = 1.0
    rotary_scaling: Mapping[str, Any] | None = None
    local_scaling: Mapping[str, Any] | None = None
    norm: Literal["layer", "rms"] = "layer"
    eps: float = 1e-5
    placement: Placement = "pre"
    parallel: bool = False
    final_norm: bool = True
    activation: Activation = "gelu"
    gated: bool = False
    mlp_bias: bool = False
    positions: bool = False
    types: bool = False
    embedding_norm: bool = False
    embedding_scale: bool = False
    patches: bool = False
    head: Literal["tokens", "first", "pooled"] | None = "tokens"
    tied: bool = False
    head_bias: bool = False
    transform: Activation | None = None
    pooler: bool = False

    def __post_init__(self) -> None:
        bounds = {"layers": MAX_LAYERS, "width": MAX_WIDTH, "heads": MAX_HEADS, "depth": MAX_WIDTH}
        for name, most in bounds.items():
            value = getattr(self, name)
            if value is not None and not 1 <= value <= most:
                raise CheckpointError(f"the config gives {name} = {value}; expects 1 to {most}.")
        if self.kv_heads is not None and (self.kv_heads < 1 or self.heads % self.kv_heads):
            raise CheckpointError(
                f"the config gives {self.heads} heads and {self.kv_heads} key/value heads; expects a divisor."
            )
        if self.depth is None and self.width % self.heads:
            raise CheckpointError(f"the config gives width = {self.width}, which {self.heads} heads do not divide.")

    @property
    def head_depth(self) -> int:
        """Features of a head."""
        return self.depth or self.width // self.heads

    @property
    def groups(self) -> int:
        """Key/value heads."""
        return self.kv_heads or self.heads

    def has_window(self, layer: int) -> bool:
        """Whether a layer, counted from 0, looks through the window."""
        if self.window is None or not self.windows:
            return False
        if self.windowed is not None:
            kind = self.windowed[layer] if layer < len(self.windowed) else False
            return kind is True or kind == "sliding_attention"
        return layer >= self.window_from and not (self.full_every and (layer + 1) % self.full_every == 0)

    def spec(self, *, padding: bool = False, cache: bool = False) -> Transformer:
        """The model as a spec; with padding for batches, or with a cache to go on from."""
        if self.patches:
            embedding: Embedding | Patches = Patches()
        else:
            scale = self.width**0.5 if self.embedding_scale else None
            norm = self._norm() if self.embedding_norm else None
            embedding = Embedding(scale, self.types, self.positions, norm)
        return Transformer(
            embedding,
            tuple(self._block(layer, padding=padding, cache=cache) for layer in range(self.layers)),
            self._norm() if self.final_norm else None,
            self.pooler,
            self._head(),
        )

    def _norm(self) -> Norm:
        return Norm(self.norm, self.eps)

    def _head(self) -> Head | None:
        if self.head is None:
            return None
        return Head(self.head, self.tied, self.head_bias, self.logit_softcap, self.transform, self.eps)

    def _block(self, layer: int, *, padding: bool, cache: bool) -> Block:
        scale = self.scale if self.inverse_scale is None else self.inverse_scale**-0.5
        windowed = self.has_window(layer)
        attention = Attention(
            heads=self.heads,
            kv_heads=self.kv_heads if self.groups != self.heads else None,
            scale=scale,
            softcap=self.softcap,
            causal=self.causal,
            window=self.window if windowed else None,
            padding=padding,
            rotary=self._rotary(windowed=windowed),
            qk_norm=self._norm() if self.qk_norm else None,
            bias=self._biases(),
            cache=cache,
        )
        mlp = Mlp(self.activation, self.gated, self.mlp_bias)
        return Block(attention, self._norm(), "parallel" if self.parallel else self.placement, mlp)

    def _biases(self) -> tuple[Projection, ...]:
        everywhere: tuple[Projection, ...] = ("query", "key", "value", "output")
        named = (everywhere if self.bias else ()) if isinstance(self.bias, bool) else self.bias
        if self.output_bias is None:
            return named
        return (*(each for each in named if each != "output"), *(("output",) if self.output_bias else ()))

    def _rotary(self, *, windowed: bool) -> Rotary | None:
        if self.rotary is None:
            return None
        local = windowed and self.local_base is not None
        base = self.local_base if local and self.local_base is not None else self.rotary_base
        turned = int(self.head_depth * self.rotary_share)
        width = None if turned == self.head_depth else turned
        scaling = _scaling(self.local_scaling if local else self.rotary_scaling)
        return Rotary(self.rotary, base, width, scaling=scaling)


def _scaling(said: Mapping[str, Any] | None) -> Linear | Llama3Scaling | None:
    """What a config's scaling of rotary positions comes to."""
    kind = (said or {}).get("rope_type", (said or {}).get("type", "default"))
    if said is None or kind == "default":
        return None
    try:
        if kind == "linear":
            return Linear(float(said["factor"]))
        if kind == "llama3":
            fast, slow = float(said["high_freq_factor"]), float(said["low_freq_factor"])
            return Llama3Scaling(float(said["factor"]), fast, slow, int(said["original_max_position_embeddings"]))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"the config scales rotary positions by {kind}, but lacks or garbles {error}.") from None
    raise CheckpointError(
        f"the config scales rotary positions by {str(kind)[:40]!r}; known are default, linear and llama3. Longer "
        f"contexts of this kind are not worked out."
    )
