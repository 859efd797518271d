"""Every option of attention, blocks and whole models, each in a spec of its own, and numbers for its arrays."""

from __future__ import annotations

import numpy as np

from clearhead.line import Given
from clearhead.spec import (
    Attention,
    Block,
    Delta,
    Disentangled,
    Embedding,
    Experts,
    Extra,
    Growth,
    Head,
    Latent,
    Loss,
    Mlp,
    Norm,
    Positions,
    Relative,
    Rotary,
    Transformer,
)  # fmt: skip
from clearhead.working import Working

SIZES = {
    "token": 3, "query": 3, "key": 3, "model": 4, "depth": 2, "hidden": 5, "head*depth": 4, "past": 2, "tap": 2,
    "latent": 3, "extra": 3, "bucket": 8, "distance": 9, "expert": 4, "vocabulary": 5,
}  # fmt: skip


def arrays_for(working: Working, seed: int = 0) -> dict[str, np.ndarray]:
    """Numbers without a pattern for all given arrays."""
    rng = np.random.default_rng(seed)
    keys = SIZES | ({"key": 5} if "past.key" in working.names else {})
    latent = "key.shared.weight" in working.names

    def drawn(given: Given) -> np.ndarray:
        sizes = keys | ({"depth": 4} if latent and given.name == "query.weight" else {})
        shape = [dict(given.sizes).get(word) or sizes[word] for word in given.axes]
        if given.holds == "integers":
            return rng.integers(0, SIZES["vocabulary"], shape)
        return rng.random(shape) < 0.7 if given.holds == "booleans" else rng.normal(size=shape)

    return {given.name: drawn(given) for given in working.givens}


ATTENTIONS = {
    "plain": Attention(heads=2),
    "grouped": Attention(heads=2, kv_heads=1, bias=True),
    "rotary": Attention(heads=2, rotary=Rotary(), causal=True),
    "rotary in pairs": Attention(heads=2, rotary=Rotary("interleaved")),
    "alibi": Attention(heads=2, alibi=True, causal=True),
    "window": Attention(heads=2, window=2, softcap=3.0),
    "sink": Attention(heads=2, sink=True, scale=0.3),
    "masks": Attention(heads=2, mask="boolean", padding=True),
    "additive": Attention(heads=2, mask="additive"),
    "normed": Attention(heads=2, qk_norm=Norm(kind="rms")),
    "normed by head": Attention(heads=2, qk_norm=Norm(kind="rms"), qk_norm_over="heads"),
    "normed, gains of each head": Attention(heads=2, qk_norm=Norm(), qk_norm_over="depth-own"),
    "normed last": Attention(heads=2, rotary=Rotary(), qk_norm=Norm("rms"), qk_norm_last=True),
    "normed values": Attention(heads=2, value_norm=Norm("rms", gain=False)),
    "normed output": Attention(heads=2, output_norm=Norm("rms")),
    "clipped": Attention(heads=2, clip=0.7, output=False),
    "cached": Attention(heads=2, cache=True, causal=True),
    "memory": Attention(heads=2, memory=True),
    "delta": Attention(heads=2, causal=True, delta=Delta(heads=2, key_heads=1)),
    "latent": Attention(heads=2, latent=Latent()),
    "latent of keys alone": Attention(heads=2, latent=Latent(query=False)),
    "not projected": Attention(heads=2, projected=False),
    "exponentials": Attention(heads=2, exponentials=True, causal=True),
    "dropout": Attention(heads=2, dropout=0.25),
    "learned distances": Attention(heads=2, relative=Relative(8, 16)),
    "content and distance": Attention(heads=2, disentangled=Disentangled(4, 9)),
    "growing queries": Attention(heads=2, growth=Growth(0.7, 2)),
    "values from keys": Attention(heads=2, value_from_key=True, qk_norm=Norm("rms")),
    "gated heads": Attention(heads=2, gated=True),
}
"""Options of attention by name."""

ACTIVATIONS = ("gelu", "gelu-tanh", "gelu-sigmoid", "silu", "relu", "relu-squared", "tanh")

BLOCKS = {
    **{
        f"{activation}, {placement}": Block(
            Attention(heads=2), Norm("rms" if placement == "sandwich" else "layer"), placement,
            Mlp(activation, gated=activation == "silu", bias=True), Positions("sinusoidal"),
        )
        for activation in ACTIVATIONS
        for placement in ("pre", "post", "sandwich")
    },
    "after": Block(Attention(2), Norm("rms"), "after", Mlp()),
    "parallel": Block(Attention(2), Norm(), "parallel", Mlp()),
    "the norm's result": Block(Attention(2), Norm(), "normed", Mlp(), stream_scale=0.4),
    "factors and limits": Block(
        Attention(2), Norm(), "pre", Mlp("silu", gated=True, limit=0.3), residual_scale=0.4, output_gain=True
    ),
    "no first norm": Block(Attention(2), Norm(), "pre", Mlp(), attention_norm=False),
    "cross-attention": Block(Attention(2), Norm(), "pre", Mlp(), cross=Attention(2, memory=True)),
    "dropout of halves": Block(Attention(2), Norm(), "pre", Mlp(), dropout=0.25),
    "three parts": Block(Attention(2), Norm("rms"), "sandwich", Mlp(), extra=Extra(), gain=True),
    "experts": Block(Attention(2), Norm("rms"), "pre", Mlp("silu", experts=Experts(4, 2))),
    "experts in groups": Block(Attention(2), mlp=Mlp("silu", experts=Experts(
        4, 2, "sigmoid", renormalise=False, correction=True, groups=2, chosen_groups=1, scale=1.7, shared=True,
        shared_gate=True,
    ))),
}  # fmt: skip
"""Options of blocks by name."""

WHOLE = {
    "embeddings and loss": Transformer(
        Embedding(scale=3.0), (Block(Attention(2)),), head=Head(), loss=Loss(smoothing=0.1, reads="logits", ignored=0)
    ),
    "keys of another layer": Transformer(
        Embedding(), (Block(Attention(2, causal=True)), Block(Attention(2, causal=True, keys_of=1))), head=Head()
    ),
    "the same block twice": Transformer(Embedding(), (Block(Attention(2), repeat=2),)),
}
"""Options that a stack alone has."""

OPTIONS = ATTENTIONS | BLOCKS | WHOLE
