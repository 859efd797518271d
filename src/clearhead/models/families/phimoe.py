"""PhiMoE: a mixture whose experts are chosen one by one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from clearhead.errors import CheckpointError
from clearhead.models.families.experts import IN_BLOCK, WITHOUT_EFFECT, local_experts
from clearhead.models.families.heads import with_heads
from clearhead.models.families.llama import LLAMA
from clearhead.models.families.parts import BASE, biased, norm, norms, without
from clearhead.models.key import At, key, shown
from clearhead.models.rope import OBJECTS, Rope
from clearhead.spec import Factors, Rotary


class _Rope(Struct, frozen=True):
    """Rotary positions: Transformers takes LongRoPE's short factors for texts of any length, and states an amplitude.

    Attributes:
        plain: what is read where nothing is scaled.
        ignored: entries of the object that change no number.
    """

    plain: Rope = Rope(theta=1e6, context=4096 * 32)
    ignored: tuple[str, ...] = ("long_factor", "factor", "attention_factor", "partial_rotary_factor")

    @property
    def names(self) -> tuple[str, ...]:
        """All entries of a config that are read."""
        return self.plain.names

    def read(self, at: At) -> Rotary:
        """The rotary positions of a layer.

        Raises:
            CheckpointError: another kind of scaling, or amplitudes that differ between short and long texts.
        """
        said: Mapping[str, Any] = next((at.config[name] for name in OBJECTS if at.config.get(name)), {})
        kind = said.get("rope_type", said.get("type", "default")) if isinstance(said, Mapping) else "default"
        if kind == "default":
            return self.plain.read(at)
        known = {*self.ignored, "rope_type", "type", "rope_theta", "short_factor", "short_mscale", "long_mscale",
                 "original_max_position_embeddings"}  # fmt: skip
        amplitude = said.get("short_mscale")
        if kind not in ("longrope", "su") or not isinstance(amplitude, (int, float)) or set(said) - known:
            raise CheckpointError(
                f"the config has rotary scaling of type {shown(kind)} with {', '.join(map(shown, said))}; of this "
                f"family longrope with short_mscale and long_mscale is read."
            )
        if said.get("long_mscale") != amplitude:
            raise CheckpointError(
                f"the config has rotary scaling with short_mscale = {shown(amplitude)} and long_mscale = "
                f"{shown(said.get('long_mscale'))}; expects the same, since an amplitude by length is not read."
            )
        base = said.get("rope_theta", at.config.get("rope_theta", self.plain.theta))
        return Rotary("half", base, scaling=Factors(), amplitude=float(amplitude))


PHIMOE = with_heads(replace(
    LLAMA,
    name="phimoe",
    architectures=("PhimoeForCausalLM", "PhiMoEForCausalLM", "PhimoeModel"),
    spec={
        **without(LLAMA.spec, "mlp.bias"),
        **norms("layer", key("rms_norm_eps", default=1e-5)),
        "attention.kv_heads": key("num_key_value_heads", default=8),
        "attention.bias": biased("attention_bias", default=False),
        "attention.rotary": _Rope(),
        "attention.window": key("sliding_window"),
        **local_experts(16, 2, scores="one-by-one", renormalise=False),
        "mlp.experts.chosen": 2,
        "mlp.experts.tolerance": key("router_jitter_noise", default=0.02, by=lambda noise: 2 * noise),
        "head.bias": key("lm_head_bias", default=False),
    },
    arrays={
        **LLAMA.arrays,
        **IN_BLOCK,
        **norm("layers.{n}.attention.norm", "layers.{n}.input_layernorm"),
        **norm("layers.{n}.mlp.norm", "layers.{n}.post_attention_layernorm"),
        **norm("norm", "norm"),
        "layers.{n}.attention.rotary.factors": key(*(f"{each}.short_factor" for each in OBJECTS)),
        "logits.bias": "lm_head.bias",
    },
    by_architecture={"PhimoeModel": BASE},
    without_effect={
        **without(WITHOUT_EFFECT, "router_jitter_noise"),
        "input_jitter_noise": "matters in training only",
        "num_experts_per_tok": "Transformers takes two, whatever it says",
        "original_max_position_embeddings": "matters where amplitudes differ by length, which is refused",
    },
), "Phimoe", "ForSequenceClassification")  # fmt: skip
"""As Mixtral, with layer norms and two experts of which each is chosen alone (SparseMixer, Liu et al. 2023, 2024)."""
