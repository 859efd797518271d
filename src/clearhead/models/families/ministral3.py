"""Ministral 3: Mistral with YaRN, and queries that grow with their position."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from clearhead.errors import CheckpointError
from clearhead.models.families.heads import with_heads
from clearhead.models.families.llama import MISTRAL
from clearhead.models.families.parts import BASE, norms
from clearhead.models.key import At, key, shown
from clearhead.models.rope import OBJECTS, Rope
from clearhead.spec import Growth

_BETA, _CONTEXT = "llama_4_scaling_beta", "original_max_position_embeddings"
_ABSENT = {
    "rope_type": "yarn", "rope_theta": 1e6, "factor": 16.0, _CONTEXT: 16384, "beta_fast": 32.0, "beta_slow": 1.0,
    "mscale_all_dim": 1.0, "mscale": 1.0, _BETA: 0.1,
}  # fmt: skip


class _Growth(Struct, frozen=True):
    """How queries grow, as the object of rotary positions states it."""

    names: tuple[str, ...] = OBJECTS

    def read(self, at: At) -> Growth:
        """The growth.

        Raises:
            CheckpointError: the object lacks it.
        """
        said: Mapping[str, Any] = next((at.config[name] for name in OBJECTS if at.config.get(name)), _ABSENT)
        beta, context = said.get(_BETA), said.get(_CONTEXT)
        if not isinstance(beta, (int, float)) or not isinstance(context, int) or context < 1:
            raise CheckpointError(
                f"the config's rotary positions have {_BETA} = {shown(beta)} and {_CONTEXT} = {shown(context)}; "
                f"expects two numbers."
            )
        return Growth(float(beta), context)


MINISTRAL3 = with_heads(replace(
    MISTRAL,
    name="ministral3",
    architectures=("Ministral3ForCausalLM", "Ministral3Model"),
    spec={
        **MISTRAL.spec,
        **norms("rms", key("rms_norm_eps", default=1e-5)),
        "depth": key("head_dim", default=128),
        "attention.rotary": Rope(
            theta=1e6, context=262144, absent=_ABSENT, ignored=frozenset((_BETA, "max_position_embeddings"))
        ),
        "attention.window": key("sliding_window"),
        "attention.growth": _Growth(),
    },
    by_architecture={"Ministral3Model": BASE},
), "Ministral3", pad=11)  # fmt: skip
"""As Mistral, with queries that grow with the logarithm of their position (Mistral AI 2025)."""
