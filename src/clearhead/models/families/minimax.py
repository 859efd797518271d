"""MiniMax, as far as its layers weigh by a softmax."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from clearhead.errors import CheckpointError
from clearhead.models.families.experts import IN_BLOCK, WITHOUT_EFFECT, local_experts
from clearhead.models.families.heads import with_heads
from clearhead.models.families.llama import LLAMA
from clearhead.models.families.parts import BASE, FULL, norms, without
from clearhead.models.key import At, Layers, choice, key, shown
from clearhead.models.rope import Rope


class _Same(Struct, frozen=True):
    """A factor that both halves of a layer have.

    Attributes:
        names: the entries for the attention and for the MLP.
    """

    names: tuple[str, str]

    def read(self, at: At) -> Any:
        """The factor.

        Raises:
            CheckpointError: the halves have different ones.
        """
        one, other = (at.config.get(name, 1) for name in self.names)
        if one != other:
            raise CheckpointError(
                f"the config has {' and '.join(self.names)} = {shown([one, other])}; expects the same in both halves "
                f"of a layer."
            )
        return one


_KINDS = Layers(("layer_types",), lambda layer: "linear_attention" if layer % 2 else FULL)

MINIMAX = with_heads(replace(
    LLAMA,
    name="minimax",
    architectures=("MiniMaxForCausalLM", "MiniMaxModel"),
    spec={
        **without(LLAMA.spec, "attention.bias", "mlp.bias"),
        **norms("rms", key("rms_norm_eps", default=1e-5)),
        "placement": "normed",
        "stream_scale": _Same(("full_attn_alpha_factor", "mlp_alpha_factor")),
        "residual_scale": _Same(("full_attn_beta_factor", "mlp_beta_factor")),
        "attention.kv_heads": key("num_key_value_heads", default=8),
        "attention.causal": choice(_KINDS, {FULL: True}),
        "attention.rotary": Rope(theta=1e6, context=4096 * 32),
        "attention.window": key("sliding_window"),
        **local_experts(8, 2),
    },
    arrays={**LLAMA.arrays, **IN_BLOCK},
    by_architecture={"MiniMaxModel": BASE},
    without_effect={
        **WITHOUT_EFFECT,
        **dict.fromkeys(
            ("block_size", "linear_attn_alpha_factor", "linear_attn_beta_factor"),
            "belongs to layers of linear attention, which are refused",
        ),
    },
), "MiniMax")  # fmt: skip
"""As Mixtral, with halves that are added to what they read, and factors of both; layers of linear attention are refused
(MiniMax 2025)."""
