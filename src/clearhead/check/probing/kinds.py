"""The known kinds of modules: what each computes, the names of its parameters, how it is called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from msgspec import Struct

from clearhead.check.probing.layouts import Parameter
from clearhead.spec import Attention, Block, Mlp, Norm, Rotary
from clearhead.spec.attention import PROJECTIONS

Spec = Attention | Block


class Kind(Struct, frozen=True):
    """One kind of module.

    Attributes:
        name: what it is called.
        spec: what a module of this kind should compute.
        sizes: the sizes by which joined axes are split.
        parameters: the table of its parameters.
        call: calls it with tokens, and with padding where it takes any, and gives the line that is returned.
        returns: the lines that are returned.
        takes: what it is called with.
        refuses: why a module cannot be adapted; "" if it can.
        parts: how many arrays are stored as one.
    """

    name: str
    spec: Callable[[Any], Spec]
    sizes: Callable[[Any], dict[str, int]]
    parameters: tuple[Parameter, ...]
    call: Callable[..., Any]
    returns: Callable[[Any], tuple[str, ...]]
    takes: tuple[str, ...] = ("input",)
    refuses: Callable[[Any], str] = lambda _: ""
    parts: int = 3


# PyTorch


def _inside(path: str, rows: tuple[Parameter, ...], prefix: str) -> tuple[Parameter, ...]:
    """The rows of a part, with its path in front of names."""
    return tuple(Parameter(prefix + row.array, path + row.path, row.stored, row.part) for row in rows)


MULTIHEAD = (
    Parameter("query.weight", "in_proj_weight", "part*head*depth model", 0),
    Parameter("key.weight", "in_proj_weight", "part*head*depth model", 1),
    Parameter("value.weight", "in_proj_weight", "part*head*depth model", 2),
    Parameter("query.bias", "in_proj_bias", "part*head*depth", 0),
    Parameter("key.bias", "in_proj_bias", "part*head*depth", 1),
    Parameter("value.bias", "in_proj_bias", "part*head*depth", 2),
    Parameter("output.weight", "out_proj.weight", "model head*depth"),
    Parameter("output.bias", "out_proj.bias", "model"),
)

ENCODER_LAYER = (
    *_inside("self_attn.", MULTIHEAD, "attention."),
    Parameter("attention.norm.gain", "norm1.weight", "model"),
    Parameter("attention.norm.bias", "norm1.bias", "model"),
    Parameter("mlp.up.weight", "linear1.weight", "hidden model"),
    Parameter("mlp.up.bias", "linear1.bias", "hidden"),
    Parameter("mlp.output.weight", "linear2.weight", "model hidden"),
    Parameter("mlp.output.bias", "linear2.bias", "model"),
    Parameter("mlp.norm.gain", "norm2.weight", "model"),
    Parameter("mlp.norm.bias", "norm2.bias", "model"),
)


def _multihead_spec(module: Any) -> Attention:
    bias = PROJECTIONS if module.in_proj_bias is not None else ()
    return Attention(module.num_heads, bias=bias, padding=True)


def _multihead_sizes(module: Any) -> dict[str, int]:
    return {"head": module.num_heads, "depth": module.head_dim, "model": module.embed_dim}


def _multihead_refuses(module: Any) -> str:
    if module.in_proj_weight is None:
        return "has keys and values of another width (kdim, vdim)"
    if module.bias_k is not None or module.add_zero_attn:
        return "adds another key (add_bias_kv, add_zero_attn)"
    return ""


def _batch_first(x: Any, *, needed: bool) -> Any:
    return x.transpose(0, 1) if needed and x.ndim == 3 else x


def _call_multihead(module: Any, x: Any, padding: Any) -> Any:
    x = _batch_first(x, needed=not module.batch_first)
    output, weights = module(x, x, x, key_padding_mask=~padding, average_attn_weights=False)
    return _batch_first(output, needed=not module.batch_first), weights


def _layer_spec(module: Any) -> Block:
    bias = module.linear1.bias is not None
    return Block(
        _multihead_spec(module.self_attn),
        norm=Norm("layer", eps=module.norm1.eps, bias=bias),
        placement="pre" if module.norm_first else "post",
        mlp=Mlp(_activation(module.activation), bias=bias),
    )


def _activation(activation: Any) -> Literal["gelu", "gelu-tanh", "relu"]:
    """The activation that a function or module is, by its name."""
    name = getattr(activation, "__name__", type(activation).__name__).lower()
    if "gelu" in name:
        tanh = getattr(activation, "approximate", "none") == "tanh"
        return "gelu-tanh" if tanh else "gelu"
    return "relu"


def _layer_sizes(module: Any) -> dict[str, int]:
    return {**_multihead_sizes(module.self_attn), "hidden": module.linear1.out_features}


def _layer_refuses(module: Any) -> str:
    name = getattr(module.activation, "__name__", type(module.activation).__name__).lower()
    if "relu" not in name and "gelu" not in name:
        return f"has the activation {name}, where relu and gelu are known"
    return _multihead_refuses(module.self_attn)


def _call_layer(module: Any, x: Any, padding: Any) -> Any:
    first = module.self_attn.batch_first
    x = _batch_first(x, needed=not first)
    return _batch_first(module(x, src_key_padding_mask=~padding), needed=not first)


def _last_line(spec: Any) -> tuple[str, ...]:
    return (spec.working().lines[-1].name,)


# Hugging Face


def _linears(names: dict[str, str], grouped: bool = False) -> tuple[Parameter, ...]:  # noqa: FBT001, FBT002
    """The rows of projections that are linear layers of these names."""
    rows = []
    for ours, theirs in names.items():
        heads = "group*depth" if grouped and ours in ("key", "value") else "head*depth"
        weight, bias = ("model head*depth", "model") if ours == "output" else (f"{heads} model", heads)
        rows += [
            Parameter(f"{ours}.weight", f"{theirs}.weight", weight),
            Parameter(f"{ours}.bias", f"{theirs}.bias", bias),
        ]
    return tuple(rows)


BERT_SELF = _linears({"query": "query", "key": "key", "value": "value"})

BERT = (
    *_inside("self.", BERT_SELF, ""),
    Parameter("output.weight", "output.dense.weight", "model head*depth"),
    Parameter("output.bias", "output.dense.bias", "model"),
    Parameter("norm.gain", "output.LayerNorm.weight", "model"),
    Parameter("norm.bias", "output.LayerNorm.bias", "model"),
)

GPT2 = (
    Parameter("query.weight", "c_attn.weight", "model part*head*depth", 0),
    Parameter("key.weight", "c_attn.weight", "model part*head*depth", 1),
    Parameter("value.weight", "c_attn.weight", "model part*head*depth", 2),
    Parameter("query.bias", "c_attn.bias", "part*head*depth", 0),
    Parameter("key.bias", "c_attn.bias", "part*head*depth", 1),
    Parameter("value.bias", "c_attn.bias", "part*head*depth", 2),
    Parameter("output.weight", "c_proj.weight", "head*depth model"),
    Parameter("output.bias", "c_proj.bias", "model"),
)
"""GPT-2's Conv1D stores (in, out), the transpose of a linear layer."""

LLAMA_NAMES = {"query": "q_proj", "key": "k_proj", "value": "v_proj", "output": "o_proj"}
LLAMA = _linears(LLAMA_NAMES, grouped=True)


def _additive(allowed: Any, x: Any) -> Any:
    """Booleans as the mask that Hugging Face adds: the lowest finite number where a key is masked."""
    import torch

    return torch.zeros(allowed.shape, dtype=x.dtype).masked_fill(~allowed, torch.finfo(x.dtype).min)


def _padding_mask(padding: Any, x: Any) -> Any:
    return _additive(padding.reshape(x.shape[0], 1, 1, -1), x)


def _causal_mask(x: Any) -> Any:
    import torch

    tokens = torch.arange(x.shape[1])
    seen = tokens[None, :] <= tokens[:, None]
    return _additive(seen[None, None].expand(x.shape[0], 1, -1, -1), x)


def _bert_spec(module: Any) -> Attention:
    return Attention(module.num_attention_heads, bias=("query", "key", "value"), padding=True, output=False)


def _bert_block(module: Any) -> Block:
    attention = Attention(module.self.num_attention_heads, bias=PROJECTIONS, padding=True)
    return Block(attention, norm=Norm("layer", eps=module.output.LayerNorm.eps))


def _bert_sizes(module: Any) -> dict[str, int]:
    inner = getattr(module, "self", module)
    return {"head": inner.num_attention_heads, "depth": inner.attention_head_size}


def _bert_refuses(module: Any) -> str:
    inner = getattr(module, "self", module)
    return "" if type(inner).__name__ != "BertCrossAttention" else "attends to another sequence"


def _gpt2_spec(module: Any) -> Attention:
    own = module.scale_attn_by_inverse_layer_idx or not module.scale_attn_weights
    depth_scale = module.head_dim**-0.5 if module.scale_attn_weights else 1.0
    layer = module.layer_idx + 1 if module.scale_attn_by_inverse_layer_idx else 1
    return Attention(module.num_heads, causal=True, bias=PROJECTIONS, scale=depth_scale / layer if own else None)


def _gpt2_sizes(module: Any) -> dict[str, int]:
    return {"head": module.num_heads, "depth": module.head_dim}


def _rope(module: Any) -> dict[str, Any]:
    config = module.config
    return dict(getattr(config, "rope_parameters", None) or {"rope_theta": getattr(config, "rope_theta", 10000.0)})


def _llama_spec(module: Any) -> Attention:
    heads = module.q_proj.out_features // module.head_dim
    groups = module.k_proj.out_features // module.head_dim
    bias = tuple(ours for ours, theirs in LLAMA_NAMES.items() if getattr(module, theirs).bias is not None)
    return Attention(
        heads,
        kv_heads=groups,
        causal=True,
        scale=getattr(module.config, "attention_multiplier", None),
        rotary=Rotary("half", base=float(_rope(module)["rope_theta"])),
        bias=bias,  # type: ignore[arg-type]  # the keys of LLAMA_NAMES are projections
    )


def _llama_sizes(module: Any) -> dict[str, int]:
    return {
        "head": module.q_proj.out_features // module.head_dim,
        "group": module.k_proj.out_features // module.head_dim,
        "depth": module.head_dim,
    }


def _llama_refuses(module: Any) -> str:
    kind = _rope(module).get("rope_type", "default")
    return "" if kind == "default" else f"has rotary positions of type {kind}, where default is known"


def _call_llama(module: Any, x: Any) -> Any:
    """The module with rotary positions in the precision of its tokens."""
    import torch

    pairs = torch.arange(0, module.head_dim, 2, dtype=torch.float64) / module.head_dim
    angle = torch.arange(x.shape[1], dtype=torch.float64)[:, None] * float(_rope(module)["rope_theta"]) ** -pairs
    table = torch.cat([angle, angle], dim=-1).expand(x.shape[0], -1, -1)
    turns = (table.cos().to(x.dtype), table.sin().to(x.dtype))
    return module(x, position_embeddings=turns, attention_mask=_causal_mask(x))[0]


_LLAMA = Kind(
    "transformers attention of Llama and those that share its code",
    _llama_spec, _llama_sizes, LLAMA, _call_llama, _last_line, refuses=_llama_refuses,
)  # fmt: skip

LIKE_LLAMA = {
    "llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2", "arcee": "Arcee", "gemma": "Gemma", "granite": "Granite",
    "granitemoe": "GraniteMoe", "phimoe": "Phimoe", "qwen2_moe": "Qwen2Moe", "jais2": "Jais2",
}  # fmt: skip
"""The families whose attention equals Llama's, line by line, and the prefixes of their classes."""

KINDS: dict[str, Kind] = {
    "torch.nn.modules.activation.MultiheadAttention": Kind(
        "torch.nn.MultiheadAttention",
        _multihead_spec, _multihead_sizes, MULTIHEAD, _call_multihead, lambda _: ("output", "weights"),
        ("input", "padding"), _multihead_refuses,
    ),
    "torch.nn.modules.transformer.TransformerEncoderLayer": Kind(
        "torch.nn.TransformerEncoderLayer",
        _layer_spec, _layer_sizes, ENCODER_LAYER, _call_layer, _last_line, ("input", "padding"), _layer_refuses,
    ),
    "transformers.models.bert.modeling_bert.BertSelfAttention": Kind(
        "transformers BertSelfAttention",
        _bert_spec, _bert_sizes, BERT_SELF,
        lambda module, x, padding: module(x, attention_mask=_padding_mask(padding, x))[0],
        _last_line, ("input", "padding"), _bert_refuses,
    ),
    "transformers.models.bert.modeling_bert.BertAttention": Kind(
        "transformers BertAttention",
        _bert_block, _bert_sizes, BERT,
        lambda module, x, padding: module(x, attention_mask=_padding_mask(padding, x))[0],
        _last_line, ("input", "padding"), _bert_refuses,
    ),
    "transformers.models.gpt2.modeling_gpt2.GPT2Attention": Kind(
        "transformers GPT2Attention",
        _gpt2_spec, _gpt2_sizes, GPT2, lambda module, x: module(x, attention_mask=_causal_mask(x))[0], _last_line,
        refuses=lambda module: "attends to another sequence" if module.is_cross_attention else "",
    ),
    **{
        f"transformers.models.{family}.modeling_{family}.{name}Attention": _LLAMA for family, name in LIKE_LLAMA.items()
    },
}  # fmt: skip
"""Every kind by the full name of its class."""
