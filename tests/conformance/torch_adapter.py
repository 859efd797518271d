"""PyTorch's modules as clearhead specs and arrays.

The arrays are views of the module's own parameters, so gradients of a clearhead trace arrive in those parameters.
PyTorch keeps ``x @ W.T`` and one weight for all heads; here it is ``x @ W`` and (head, model, depth).
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from clearhead.spec import Attention, Block, Mlp, Norm
from clearhead.spec.attention import PROJECTIONS

Mask = Tensor | None
MaskKind = Literal["boolean", "additive"] | None


def attention_spec(module: nn.MultiheadAttention, **options: Any) -> Attention:
    """The attention that a module computes, with these further options of the spec."""
    return Attention(module.num_heads, bias=PROJECTIONS if module.in_proj_bias is not None else (), **options)


def attention_arrays(module: nn.MultiheadAttention) -> dict[str, Tensor]:
    """Weights and biases of a module, under the names and in the layout of the spec."""
    packed = module.in_proj_weight
    split = (module.q_proj_weight, module.k_proj_weight, module.v_proj_weight)
    weights = split if packed is None else packed.chunk(3)
    arrays = {"output.weight": module.out_proj.weight.mT}
    for name, weight in zip(PROJECTIONS, weights, strict=False):
        arrays[f"{name}.weight"] = weight.unflatten(0, (module.num_heads, -1)).mT
    if module.in_proj_bias is not None:
        arrays["output.bias"] = module.out_proj.bias
        for name, bias in zip(PROJECTIONS, module.in_proj_bias.chunk(3), strict=False):
            arrays[f"{name}.bias"] = bias.unflatten(0, (module.num_heads, -1))
    return arrays


def layer_spec(module: nn.TransformerEncoderLayer, **options: Any) -> Block:
    """The block that an encoder layer computes, with these further options of its attention."""
    bias = module.linear1.bias is not None
    return Block(
        attention_spec(module.self_attn, **options),
        norm=Norm("layer", eps=module.norm1.eps, bias=bias),
        placement="pre" if module.norm_first else "post",
        mlp=Mlp("relu" if module.activation is nn.functional.relu else "gelu", bias=bias),
    )


def layer_arrays(module: nn.TransformerEncoderLayer) -> dict[str, Tensor]:
    """Weights, biases and gains of an encoder layer, under the names and in the layout of the spec."""
    linears = {"mlp.up": module.linear1, "mlp.output": module.linear2}
    norms = {"attention.norm": module.norm1, "mlp.norm": module.norm2}
    arrays = {f"attention.{name}": array for name, array in attention_arrays(module.self_attn).items()}
    arrays |= {f"{name}.weight": part.weight.mT for name, part in linears.items()}
    arrays |= {f"{name}.gain": part.weight for name, part in norms.items()}
    biases = {f"{name}.bias": part.bias for name, part in (linears | norms).items()}
    return arrays | {name: bias for name, bias in biases.items() if bias is not None}


def mask_kind(mask: Mask) -> MaskKind:
    """What a mask is called in a spec."""
    if mask is None:
        return None
    return "boolean" if mask.dtype == torch.bool else "additive"


def masks(mask: Mask, padding: Mask) -> dict[str, Tensor]:
    """A module's masks as ours: in its booleans True means "not allowed" and "ignore", in ours "may attend"."""
    arrays = {}
    if mask is not None:
        arrays["mask"] = ~mask if mask.dtype == torch.bool else mask
    if padding is not None:
        arrays["padding"] = ~padding
    return arrays
