"""Gemma 4, its text model: heads that differ by layer, shared keys, and embeddings for each layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from clearhead.errors import CheckpointError
from clearhead.models.families.experts import experts
from clearhead.models.families.gemma import GEMMA3
from clearhead.models.families.llama import LAYER, LLAMA
from clearhead.models.families.parts import BASE, FULL, SLIDING, activation, biased, every, without
from clearhead.models.key import At, Key, choice, key, shown
from clearhead.models.rope import Rope


def _kind(at: At, layer: int) -> str:
    """The kind of a layer; Transformers makes the last a full one, whatever is listed."""
    layers, listed = at.config.get("num_hidden_layers", 30), at.config.get("layer_types")
    if not isinstance(layers, int):
        raise CheckpointError(f"the config has num_hidden_layers = {shown(layers)}; expects a whole number.")
    if listed is None:
        return FULL if layer == layers - 1 else every(layer, 6)
    if not isinstance(listed, list) or layer >= len(listed) or listed[layer] not in (FULL, SLIDING):
        raise CheckpointError(f"the config has layer_types = {shown(listed)}; expects {FULL} or {SLIDING} of each.")
    return FULL if layer == layers - 1 else str(listed[layer])


def _by_number(stated: Mapping[Any, Any]) -> dict[int, Any] | None:
    """What is stated of layers, by their numbers, which may have zeros in front; None where a key is no number."""
    names = [str(name) for name in stated]
    return {int(name): stated[name] for name in stated} if all(map(str.isdecimal, names)) else None


class _Kind(Struct, frozen=True):
    """The kind of a layer."""

    names: tuple[str, ...] = ("layer_types", "num_hidden_layers")

    def read(self, at: At) -> str:
        """``full_attention`` or ``sliding_attention``."""
        return _kind(at, at.layer)


class _ByLayer(Struct, frozen=True):
    """A size of heads that differs by layer.

    Attributes:
        entry: what the config calls it.
        of_all: its value where layers do not differ.
        of_full: the entry of full layers, where nothing is stated by layer.
        only: an entry that must be true for that.
    """

    entry: str
    of_all: Key
    of_full: Key
    only: Key | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all entries that are read."""
        more = () if self.only is None else self.only.names
        return ("per_layer_config", *_Kind().names, *self.of_all.names, *self.of_full.names, *more)

    def read(self, at: At) -> Any:
        """The size in a layer.

        Raises:
            CheckpointError: something else is stated by layer.
        """
        stated = at.config.get("per_layer_config")
        if stated:
            by_layer = _by_number(stated) if isinstance(stated, Mapping) else None
            own = None if by_layer is None else by_layer.get(at.layer, {})
            if not isinstance(own, Mapping) or set(own) - {"head_dim", "num_key_value_heads"}:
                raise CheckpointError(
                    f"the config has per_layer_config = {shown(stated)}; expects head_dim and num_key_value_heads "
                    f"by the number of a layer."
                )
            return own.get(self.entry, self.of_all.read(at))
        found = self.of_full.read(at) if _kind(at, at.layer) == FULL and self._allowed(at) else None
        return self.of_all.read(at) if found is None else found

    def _allowed(self, at: At) -> bool:
        return self.only is None or bool(self.only.read(at))


class _KeysOf(Struct, frozen=True):
    """The layer whose keys a layer reads: the last of its kind among those with keys of their own."""

    names: tuple[str, ...] = ("num_kv_shared_layers", *_Kind().names)

    def read(self, at: At) -> int | None:
        """Its number; None for own keys.

        Raises:
            CheckpointError: there is no such layer.
        """
        shared, layers = at.config.get("num_kv_shared_layers", 0), at.config.get("num_hidden_layers", 30)
        if not isinstance(shared, int) or not isinstance(layers, int) or not 0 <= shared < layers:
            raise CheckpointError(f"the config has num_kv_shared_layers = {shown(shared)}; expects 0 to {layers} - 1.")
        first = layers - shared
        if at.layer < first:
            return None
        own = [layer for layer in range(first) if _kind(at, layer) == _kind(at, at.layer)]
        if not own:
            raise CheckpointError(
                f"the config has num_kv_shared_layers = {shared}, and no layer of the kind of layer {at.layer} before."
            )
        return own[-1]


class _Number(Struct, frozen=True):
    """The number of the layer."""

    def read(self, at: At) -> int:
        """From 0."""
        return at.layer


_EPS = key("rms_norm_eps", default=1e-6)
_SHARED = key("attention_k_eq_v", default=False)
_THERE = key("hidden_size_per_layer_input", default=True, by=lambda width: width > 0)
_BOTH_WAYS = key("use_bidirectional_attention", default="vision", words={"all": "all", "vision": "vision", None: None})


def _window(width: int) -> Any:
    """A window in layers that are not full. Masks of both ways include the distance of half its width and one more."""
    own = key("sliding_window", default=width)
    both = key("sliding_window", default=width // 2 + 2, by=lambda stated: stated // 2 + 2)
    return choice(_Kind(), {FULL: None, SLIDING: choice(_BOTH_WAYS, {"all": both, "vision": own, None: own})})


_EXPERTS = {
    "mlp.experts": choice(key("enable_moe_block", default=False), {True: {}, False: None}),
    **experts(
        key("num_experts"), key("top_k_experts"), shared=True, apart={"kind": "rms"}, gain=True,
        input_scale=key("hidden_size", default=2304**-0.5, by=lambda width: width**-0.5),
    ),
    "mlp.experts.apart.eps": _EPS,
}  # fmt: skip
"""The paths of experts beside the MLP of each block."""

_ROUTER = {
    "layers.{n}.mlp.router.weight": LAYER + "router.proj.weight: linear",
    "layers.{n}.mlp.router.norm.gain": LAYER + "router.scale",
    "layers.{n}.mlp.router.gain": LAYER + "router.per_expert_scale",
    "layers.{n}.mlp.experts.norm.gain": LAYER + "pre_feedforward_layernorm_2.weight",
    "layers.{n}.mlp.experts.outer.norm.gain": LAYER + "post_feedforward_layernorm_2.weight",
    "layers.{n}.mlp.shared.outer.norm.gain": LAYER + "post_feedforward_layernorm_1.weight",
}
_MLP = {
    f"layers.{{n}}.mlp.{path}{ours}.weight": f"{LAYER}mlp.{theirs}_proj.weight: linear"
    for path in ("", "shared.")
    for ours, theirs in (("gate", "gate"), ("up", "up"), ("output", "down"))
}
_FUSED = LAYER + "experts.gate_up_proj: linear "
_IN_EXPERTS = {
    "layers.{n}.mlp.gate.weight": _FUSED + "first-half",
    "layers.{n}.mlp.up.weight": _FUSED + "second-half",
    "layers.{n}.mlp.output.weight": LAYER + "experts.down_proj: linear",
}
_ARRAYS = {**_MLP, **{name: (place, _MLP[name]) for name, place in _IN_EXPERTS.items()}, **_ROUTER}
"""The MLP of a block, which is the shared one where there are experts: then theirs are those of the same names."""

GEMMA4 = replace(
    LLAMA,
    name="gemma4",
    architectures=("Gemma4ForCausalLM", "Gemma4TextModel"),
    spec={
        **without(GEMMA3.spec, "mlp.bias"),
        "layers": key("num_hidden_layers", default=30),
        "width": key("hidden_size", default=2304),
        "attention.heads": key("num_attention_heads", default=8),
        "depth": _ByLayer("head_dim", key("head_dim", default=256), key("global_head_dim", default=512)),
        "attention.kv_heads": _ByLayer(
            "num_key_value_heads", key("num_key_value_heads", default=4), key("num_global_key_value_heads"), _SHARED
        ),
        "attention.scale": 1.0,
        "attention.bias": biased("attention_bias", default=False),
        "attention.qk_norm.eps": _EPS,
        "attention.value_norm": {"kind": "rms", "gain": False},
        "attention.value_norm.eps": _EPS,
        "attention.value_from_key": choice(_Kind(), {FULL: _SHARED, SLIDING: False}),
        "attention.keys_of": _KeysOf(),
        "attention.rotary": choice(
            _Kind(),
            {
                FULL: Rope(
                    kind=FULL, old=False, context=131_072, theta=1e6, theta_names=(), share_names=(),
                    absent={"rope_type": "proportional", "rope_theta": 1e6, "partial_rotary_factor": 0.25},
                ),
                SLIDING: Rope(
                    kind=SLIDING, old=False, context=131_072, theta_names=(), share_names=(),
                    absent={"rope_type": "default", "rope_theta": 1e4},
                ),
            },
        ),
        "attention.causal": choice(_BOTH_WAYS, {"all": False, "vision": True, None: True}),
        "attention.window": _window(512),
        "mlp.activation": activation("hidden_activation", default="gelu-tanh"),
        **_EXPERTS,
        "extra": choice(_THERE, {True: {}, False: None}),
        "extra.layer": _Number(),
        "extra.activation": activation("hidden_activation", default="gelu-tanh"),
        "gain": True,
        "embedding.scale": key("hidden_size", default=2304**0.5, by=lambda width: width**0.5),
        "embedding.extras": choice(_THERE, {True: {}, False: None}),
        "embedding.extras.layers": key("num_hidden_layers", default=30),
        "embedding.extras.scale": key("hidden_size_per_layer_input", default=16.0, by=lambda width: width**0.5),
        "embedding.extras.project_scale": key("hidden_size", default=2304**-0.5, by=lambda width: width**-0.5),
        "embedding.extras.norm": {"kind": "rms"},
        "embedding.extras.norm.eps": _EPS,
        "head.softcap": key("final_logit_softcapping"),
    },
    arrays={
        **LLAMA.arrays,
        **_ARRAYS,
        "layers.{n}.attention.outer.norm.gain": LAYER + "post_attention_layernorm.weight",
        "layers.{n}.mlp.norm.gain": LAYER + "pre_feedforward_layernorm.weight",
        "layers.{n}.mlp.outer.norm.gain": LAYER + "post_feedforward_layernorm.weight",
        "layers.{n}.gain": LAYER + "layer_scalar: spread",
        "layers.{n}.extra.gate.weight": LAYER + "per_layer_input_gate.weight: linear",
        "layers.{n}.extra.output.weight": LAYER + "per_layer_projection.weight: linear",
        "layers.{n}.extra.norm.gain": LAYER + "post_per_layer_input_norm.weight",
        "embedding.extra.weight": "embed_tokens_per_layer.weight",
        "embedding.extra.project.weight": "per_layer_model_projection.weight: linear",
        "embedding.extra.norm.gain": "per_layer_projection_norm.weight",
    },
    by_architecture={"Gemma4TextModel": BASE},
    without_effect={
        "is_causal": "follows from use_bidirectional_attention",
        "use_double_wide_mlp": "is a size that the arrays have",
        "vocab_size_per_layer_input": "is a size that the arrays have",
        "moe_intermediate_size": "is a size that the arrays have",
    },
    spare={
        **LLAMA.spare,
        **dict.fromkeys(
            (f"*layers.*.self_attn.{name}.{end}" for name in ("k_proj", "v_proj", "k_norm", "v_norm")
             for end in ("weight", "bias")),
            "of a layer that reads the keys of another, or its keys as values",
        ),
    },
)  # fmt: skip
"""As Gemma 3, with wider heads in full layers, values with a norm, keys that layers share or read as values, a third
part of each block, which reads a row of each token, and optionally experts beside the MLP of each block."""

_EXTRA = tuple(path for path in GEMMA4.spec if path.startswith(("extra", "embedding.extras", "mlp.experts")))

GEMMA4_UNIFIED = replace(
    GEMMA4,
    name="gemma4_unified",
    architectures=("Gemma4UnifiedForCausalLM", "Gemma4UnifiedTextModel"),
    spec={
        **without(GEMMA4.spec, *_EXTRA),
        "attention.window": _window(1024),
    },
    by_architecture={"Gemma4UnifiedTextModel": BASE},
    fixed={},
    without_effect={name: GEMMA4.without_effect[name] for name in ("is_causal", "use_double_wide_mlp")},
)
"""As Gemma 4 without the third part and without experts."""
