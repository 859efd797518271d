"""Answers to the samples of PyTorch's own tests (OpInfo and ModuleInfo): for each a working, its arrays and the line.

An answer is None where a sample asks for what no working has; `LEFT_OUT` says what that is, and the test how many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

import torch
from msgspec import Struct
from msgspec.structs import replace
from torch import Tensor, nn
from torch.nn import functional
from torch.testing._internal.common_methods_invocations import op_db
from torch.testing._internal.common_modules import module_db

from clearhead.line import Given, line
from clearhead.ops.table import operation_named
from clearhead.spec import Attention, Backward, Block, Encoder, Loss, Norm, Transformer
from clearhead.working import Working

from .torch_adapter import attention_arrays, attention_spec, layer_arrays, layer_spec, mask_kind

LEFT_OUT = {
    "dropout": "the samples of scaled_dot_product_attention with dropout, which draw random numbers",
    "soft targets": "cross-entropy with probabilities as targets",
    "weights and smoothing": "cross-entropy with weights of classes and label smoothing at once",
    "several outputs": "a linear layer whose classes have further axes",
    "counted": "an embedding whose gradient is divided by how often a token occurs, or which norms its rows",
    "no numbers": "arrays of size 0",
}
"""What samples ask for that is not answered."""


class Answer(Struct, frozen=True):
    """A sample in both languages: the line ``of`` of a working on arrays made of leaves, and PyTorch's result."""

    working: Working
    arrays: Mapping[str, Tensor]
    of: str
    expected: Tensor
    leaves: tuple[Tensor, ...]


Result = Answer | str
"""An answer, or the key of `LEFT_OUT` that says why there is none."""


def rows(x: Tensor) -> Tensor:
    """An array as a matrix of tokens, the last axis behind all others."""
    return x.reshape(-1, x.shape[-1]) if x.ndim else x.reshape(1, 1)


def _floats(*tensors: Any) -> tuple[Tensor, ...]:
    return tuple(each for each in tensors if isinstance(each, Tensor) and each.requires_grad)


def _scaled_dot_product(function: Callable[..., Tensor], q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Result:
    if options.get("dropout_p"):
        return "dropout"
    allowed = options.get("attn_mask")
    if options.get("is_causal"):
        allowed = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool).tril()
    heads = k.shape[-3] if k.ndim == 4 else 1
    spec = Attention(heads, mask=mask_kind(allowed), output=False)
    split = (each if each.ndim == 4 or k.ndim == 4 else each.unsqueeze(-3) for each in (q, k, v))
    arrays = dict(zip(("query", "key", "value"), split, strict=True))
    expected = function(q, k, v, **options)
    expected = expected if expected.ndim == 4 else expected.unsqueeze(-3)
    given = {} if allowed is None else {"mask": allowed}
    return Answer(spec.working().starting_at(*arrays), {**arrays, **given}, "head", expected, (q, k, v))


def _cellwise(name: str) -> Callable[..., Result]:
    def answer(function: Callable[..., Tensor], x: Tensor, **options: Any) -> Result:
        operation = operation_named("gelu_tanh" if options.get("approximate") == "tanh" else name)
        return _one_line(operation, x, rows(x), rows(function(x, **options)))

    return answer


def _one_line(operation: Any, x: Tensor, given: Tensor, expected: Tensor) -> Result:
    if not x.numel():
        return "no numbers"
    working = Working((Given("x", ("token", "model")),), (line("y", operation, "x", "token model"),))
    return Answer(working, {"x": given}, "y", expected, (x,))


def _softmax(function: Callable[..., Tensor], x: Tensor, *args: Any, **options: Any) -> Result:
    if not x.numel():
        return "no numbers"
    axis = getattr(function, "dim", None)
    axis = options.get("dim", args[0] if args else axis)
    turned = rows(x.moveaxis(axis, -1) if x.ndim else x)
    found = function(x, *args, **options)
    return _one_line(operation_named("softmax"), x, turned, rows(found.moveaxis(axis, -1) if x.ndim else found))


def _norm(kind: str) -> Callable[..., Result]:
    def answer(function: Callable[..., Tensor], x: Tensor, *args: Any, **options: Any) -> Result:
        if isinstance(function, nn.Module):
            shape, gain, bias, eps = (getattr(function, n, None) for n in ("normalized_shape", "weight", "bias", "eps"))
        else:
            shape, gain, bias = (*args, *[None] * 3)[:3]
            gain, bias = options.get("weight", gain), options.get("bias", bias)
            eps = options.get("eps", 1e-5 if kind == "layer" else None)
        found = function(x, *args, **options)
        if not x.numel():
            return "no numbers"
        eps = torch.finfo(x.dtype).eps if eps is None else eps
        width = int(torch.Size(shape).numel())
        ones, zeros = torch.ones(width, dtype=x.dtype), torch.zeros(width, dtype=x.dtype)
        arrays = {"x": x.reshape(-1, width), "gain": ones if gain is None else gain.reshape(-1)}
        lines = [
            line("normalized", operation_named(f"{kind}_norm"), "x", "token model", eps=eps),
            line("scaled", operation_named("gain"), "normalized gain", "token model"),
            line("y", operation_named("bias"), "scaled bias", "token model"),
        ]
        givens = (Given("x", ("token", "model")), Given("gain", ("model",)), Given("bias", ("model",)))
        arrays["bias"] = zeros if bias is None else bias.reshape(-1)
        return Answer(Working(givens, tuple(lines)), arrays, "y", found.reshape(-1, width), _floats(x, gain, bias))

    return answer


def _linear(function: Callable[..., Tensor], *args: Any, **options: Any) -> Result:
    x, *args = *args, *options.values()
    weight, bias = (function.weight, function.bias) if isinstance(function, nn.Module) else (*args, None)[:2]
    found = function(x, *args)
    if not (found.numel() and x.numel()):
        return "no numbers"
    arrays = {"x": x.reshape(-1, x.shape[-1]), "w": weight.reshape(-1, weight.shape[-1]).mT}
    lines = [line("y", operation_named("matmul"), "x w", "token model")]
    givens = [Given("x", ("token", "model")), Given("w", ("model", "model"))]
    if bias is not None:
        arrays["b"], lines = bias.reshape(-1), [*lines, line("z", operation_named("bias"), "y b", "token model")]
        givens.append(Given("b", ("model",)))
    expected = found.reshape(len(arrays["x"]), -1)
    return Answer(Working(tuple(givens), tuple(lines)), arrays, lines[-1].name, expected, _floats(x, weight, bias))


def _embedding(function: Callable[..., Tensor], *args: Any, **options: Any) -> Result:
    """The function takes its weight first in the samples, and the module has it."""
    table, token = (function.weight, args[0]) if isinstance(function, nn.Module) else args[:2]
    if not token.numel():
        return "no numbers"
    if {*options} & {"scale_grad_by_freq", "max_norm", "padding_idx"}:
        return "counted"
    found = function(*args, **options)
    givens = (Given("table", ("vocabulary", "model")), Given("token", ("token",), holds="integers"))
    working = Working(givens, (line("y", operation_named("look_up"), "table token", "token model"),))
    return Answer(working, {"table": table, "token": token.reshape(-1)}, "y", rows(found), (table,))


def _options_of(function: Any, options: Mapping[str, Any], *names: str) -> Iterator[Any]:
    """Options of a loss: of the call, or of the module."""
    for name in names:
        yield options.get(name, getattr(function, name, None))


def _cross_entropy(function: Callable[..., Tensor], x: Tensor, target: Tensor, **options: Any) -> Result:
    names = ("weight", "ignore_index", "label_smoothing", "reduction")
    weight, ignored, smoothing, reduction = _options_of(function, options, *names)
    expected = function(x, target, **options)
    logits = (x.moveaxis(1, -1) if x.ndim > 1 else x).reshape(-1, x.shape[1 if x.ndim > 1 else 0])
    scored = Working((Given("x", ("token", "vocabulary")),), (line("logits", operation_named("scale"), "x",
                     "token vocabulary", factor=1.0),))  # fmt: skip
    parts = scored, {"x": logits}, (x,)
    return _loss(parts, (target, weight, ignored, smoothing, reduction or "mean"), expected)


def _loss(parts: tuple[Working, dict[str, Tensor], tuple[Tensor, ...]], options: Any, expected: Tensor) -> Result:
    """A cross-entropy behind a working that ends with logits."""
    (scored, arrays, leaves), (target, weight, ignored, smoothing, reduction) = parts, options
    if target.dtype.is_floating_point:
        return "soft targets"
    if weight is not None and smoothing:
        return "weights and smoothing"
    loss = Loss(
        reads="logits", ignored=-100 if ignored is None else ignored, smoothing=smoothing or 0.0,
        reduction="sum" if reduction == "sum" else "mean", weighted=weight is not None,
    )  # fmt: skip
    working = Backward(loss=loss).working(scored).backward_of.forward
    given = {} if weight is None else {"class.weight": weight.detach()}
    of = "loss.token" if reduction == "none" else "loss"
    found = expected.reshape(-1) if reduction == "none" else expected
    return Answer(working, {**arrays, **given, "target": target.reshape(-1)}, of, found, leaves)


def _linear_cross_entropy(function: Any, x: Tensor, target: Tensor) -> Result:
    if function.out_features:
        return "several outputs"
    linear = function.linear
    arrays = {"x": x.reshape(-1, x.shape[-1]), "w": linear.weight.mT}
    lines = [line("y", operation_named("matmul"), "x w", "token vocabulary")]
    givens = [Given("x", ("token", "model")), Given("w", ("model", "vocabulary"))]
    if linear.bias is not None:
        arrays["b"], lines = linear.bias, [*lines, line("z", operation_named("bias"), "y b", "token vocabulary")]
        givens.append(Given("b", ("vocabulary",)))
    parts = Working(tuple(givens), tuple(lines)), arrays, _floats(x, linear.weight, linear.bias)
    f = function
    return _loss(parts, (target, f.weight, f.ignore_index, f.label_smoothing, f.reduction), function(x, target))


def _squared_error(function: Callable[..., Tensor], x: Tensor, target: Tensor, **options: Any) -> Result:
    (reduction,) = _options_of(function, options, "reduction")
    found, leaves = function(x, target, **options), _floats(x, target)
    x, target = map(rows, torch.broadcast_tensors(x, target))
    forward = Working((Given("x", ("token", "model")), Given("target", ("token", "model"))), (
        line("cells", operation_named("squared_error"), "x target", "token model"),
        line("loss", operation_named("mean_of_cells"), "cells", ""),
    ))  # fmt: skip
    if not x.numel():
        return "no numbers"
    arrays = {"x": x, "target": target}
    if reduction == "none":
        return Answer(forward, arrays, "cells", rows(found), leaves)
    return Answer(forward, arrays, "loss", found / x.numel() if reduction == "sum" else found, leaves)


def _allowed(mask: Tensor | None) -> Tensor | None:
    """A module's boolean mask as ours: in its own True means "not allowed"."""
    return None if mask is None else ~mask


def _attention(module: nn.MultiheadAttention, *inputs: Tensor, **masks: Tensor | None) -> Result:
    """Queries, keys and values of three sources; a learned key and one of zeros stand in front of all others."""
    mask, padding = (_allowed(masks[name]) for name in ("attn_mask", "key_padding_mask"))
    spec = attention_spec(module, mask=mask_kind(mask), padding=padding is not None, memory=True)
    arrays = {**attention_arrays(module), **dict(zip(("input", "memory", "source"), inputs, strict=True))}
    more = _more_keys(module)
    arrays |= more
    count = more["past.key"].shape[1] if more else 0
    for name, array in (("mask", mask), ("padding", padding)):
        if array is not None:
            arrays[name] = functional.pad(array, (count, 0), value=True)
    working = _from_three(spec.working(), joined=bool(more))
    expected = module(*inputs, **masks)[0]
    return Answer(working, arrays, "output", expected, (*inputs, *module.parameters()))


def _more_keys(module: nn.MultiheadAttention) -> dict[str, Tensor]:
    """The keys and values that a module adds: learned ones, and zeros."""
    heads, depth = module.num_heads, module.head_dim
    found: dict[str, list[Tensor]] = {"past.key": [], "past.value": []}
    if module.bias_k is not None:
        found["past.key"].append(module.bias_k.reshape(heads, 1, depth))
        found["past.value"].append(module.bias_v.reshape(heads, 1, depth))
    if module.add_zero_attn:
        for parts in found.values():
            parts.append(torch.zeros(heads, 1, depth, dtype=torch.float64))
    return {name: torch.cat(parts, 1) for name, parts in found.items() if parts}


def _from_three(working: Working, *, joined: bool) -> Working:
    """The working whose values come from a source of their own, and whose keys stand behind others."""
    givens = (*working.givens, Given("source", ("key", "model")))
    value = next(each for each in working.lines if each.name.startswith("value") and "memory" in each.operands)
    lines = [replace(each, operands=("source", each.operands[1])) if each == value else each for each in working.lines]
    if joined:
        names = {"key": "key.joined", "value": "value.joined"}
        givens = (*givens, *(Given(f"past.{name}", ("head", "past", "depth")) for name in names))
        ends = [each.name for each in lines]
        lines = [
            replace(each, operands=tuple(names.get(name, name) for name in each.operands))
            if each.name in ("scores", "head")
            else each
            for each in lines
        ]
        for name, new in names.items():
            put = line(new, operation_named("append"), f"past.{name} {name}", "head key depth")
            lines.insert(next(at for at, each in enumerate(lines) if each.name == name) + 1, put)
        assert {*names} <= {*ends}
    return Working(givens, tuple(lines))


def _turned(module: nn.Module, x: Tensor) -> Tensor:
    """Tokens behind examples."""
    first = next(each.batch_first for each in module.modules() if isinstance(each, nn.MultiheadAttention))
    return x if first or x.ndim == 2 else x.transpose(0, 1)


def _layers(module: Any, source: Tensor, **masks: Tensor | None) -> Result:
    """An encoder layer, or an encoder of several."""
    layers = list(module.layers) if isinstance(module, nn.TransformerEncoder) else [module]
    mask = _allowed(masks.get("mask", masks.get("src_mask")))
    padding = _allowed(masks.get("src_key_padding_mask"))
    blocks = [layer_spec(each, mask=mask_kind(mask), padding=padding is not None) for each in layers]
    arrays = {"input": _turned(module, source)} | ({} if padding is None else {"padding": padding})
    for number, layer in enumerate(layers, start=1):
        own = layer_arrays(layer) | ({} if mask is None else {"attention.mask": mask})
        arrays |= {f"layers.{number}.{name}": array for name, array in own.items()}
    working = Transformer(layers=tuple(blocks)).working()
    expected = _turned(module, module(source, **masks))
    return Answer(working, arrays, working.lines[-1].name, expected, (source, *module.parameters()))


def _decoder_block(
    layer: nn.TransformerDecoderLayer, mask: Tensor | None, cross: Tensor | None, **padded: bool
) -> Block:
    block = layer_spec(layer, mask=mask_kind(mask), padding=padded["own"])
    other = attention_spec(layer.multihead_attn, mask=mask_kind(cross), padding=padded["memory"], memory=True)
    return replace(block, cross=other)


def _decoder_arrays(layer: nn.TransformerDecoderLayer) -> dict[str, Tensor]:
    arrays = layer_arrays(layer)
    norm, last = layer.norm2, layer.norm3
    cross = {f"cross.{name}": array for name, array in attention_arrays(layer.multihead_attn).items()}
    norms = {"cross.norm.gain": norm.weight, "mlp.norm.gain": last.weight}
    biases = {} if norm.bias is None else {"cross.norm.bias": norm.bias, "mlp.norm.bias": last.bias}
    return {**arrays, **cross, **norms, **biases}


def _decoder_layer(module: Any, target: Tensor, memory: Tensor, **masks: Tensor | None) -> Result:
    names = ("tgt_mask", "memory_mask", "tgt_key_padding_mask", "memory_key_padding_mask")
    mask, cross, padding, other = (_allowed(masks.get(name)) for name in names)
    block = _decoder_block(module, mask, cross, own=padding is not None, memory=other is not None)
    own = {"attention.mask": mask, "cross.mask": cross, "attention.padding": padding, "cross.padding": other}
    tokens = {"input": _turned(module, target), "cross.memory": _turned(module, memory)}
    arrays = {**_decoder_arrays(module), **tokens, **{name: each for name, each in own.items() if each is not None}}
    working = block.working()
    expected = _turned(module, module(target, memory, **masks))
    return Answer(working, arrays, working.lines[-1].name, expected, (target, memory, *module.parameters()))


def _transformer(module: nn.Transformer, source: Tensor, target: Tensor, **masks: Tensor | None) -> Result:
    names = ("src_mask", "tgt_mask", "src_key_padding_mask", "tgt_key_padding_mask")
    first, second, real, padding = (_allowed(masks.get(name)) for name in names)
    (encoder,), (decoder,) = module.encoder.layers, module.decoder.layers
    norm = Norm("layer", bias=module.encoder.norm.bias is not None)
    spec = Transformer(
        layers=(_decoder_block(decoder, second, None, own=padding is not None, memory=False),), norm=norm,
        encoder=Encoder((layer_spec(encoder, mask=mask_kind(first), padding=real is not None),), norm=norm),
    )  # fmt: skip
    arrays = {"encoder.input": _turned(module, source), "input": _turned(module, target)}
    arrays |= {f"encoder.layers.1.{name}": array for name, array in layer_arrays(encoder).items()}
    arrays |= {f"layers.1.{name}": array for name, array in _decoder_arrays(decoder).items()}
    for path, last in (("encoder.norm", module.encoder.norm), ("norm", module.decoder.norm)):
        arrays |= {f"{path}.gain": last.weight} | ({} if last.bias is None else {f"{path}.bias": last.bias})
    own = {
        "encoder.layers.1.attention.mask": first, "layers.1.attention.mask": second, "encoder.padding": real,
        "padding": padding,
    }  # fmt: skip
    arrays |= {name: each for name, each in own.items() if each is not None}
    expected = _turned(module, module(source, target, **masks))
    return Answer(spec.working(), arrays, "norm", expected, (source, target, *module.parameters()))


OPERATORS: Mapping[str, Callable[..., Result]] = {
    "nn.functional.scaled_dot_product_attention": _scaled_dot_product,
    "nn.functional.layer_norm": _norm("layer"), "nn.functional.rms_norm": _norm("rms"),
    "softmax": _softmax, "nn.functional.gelu": _cellwise("gelu"),
    "nn.functional.silu": _cellwise("silu"), "nn.functional.relu": _cellwise("relu"), "tanh": _cellwise("tanh"),
    "sigmoid": _cellwise("sigmoid"), "nn.functional.linear": _linear, "nn.functional.embedding": _embedding,
    "nn.functional.cross_entropy": _cross_entropy, "nn.functional.mse_loss": _squared_error,
}  # fmt: skip
MODULES: Mapping[str, Callable[..., Result]] = {
    "MultiheadAttention": _attention, "TransformerEncoderLayer": _layers, "TransformerEncoder": _layers,
    "TransformerDecoderLayer": _decoder_layer, "Transformer": _transformer, "LayerNorm": _norm("layer"),
    "RMSNorm": _norm("rms"), "GELU": _cellwise("gelu"), "SiLU": _cellwise("silu"), "ReLU": _cellwise("relu"),
    "Tanh": _cellwise("tanh"), "Sigmoid": _cellwise("sigmoid"), "Softmax": _softmax, "Linear": _linear,
    "Embedding": _embedding, "CrossEntropyLoss": _cross_entropy, "MSELoss": _squared_error,
    "LinearCrossEntropyLoss": _linear_cross_entropy,
}  # fmt: skip


def of_operator(name: str, every: int = 1) -> Iterator[Result]:
    """The answers to an operator's samples, or to one in so many."""
    (info,) = (each for each in op_db if each.name == name and not each.variant_test_name)
    for sample in islice(info.sample_inputs("cpu", torch.float64, requires_grad=True), 0, None, every):
        yield OPERATORS[name](info.op, sample.input, *sample.args, **sample.kwargs)


def of_module(name: str, every: int = 1) -> Iterator[Result]:
    """The answers to a module's samples, or to one in so many, with parameters away from 0 and 1."""
    (info,) = (each for each in module_db if each.module_cls.__name__ == name)
    samples = info.module_inputs_func(info, "cpu", torch.float64, requires_grad=True, training=True)
    for sample in islice(samples, 0, None, every):
        built = sample.constructor_input
        module = info.module_cls(*built.args, **built.kwargs).to(torch.float64)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.copy_(torch.randn_like(parameter) / 2)
        call = sample.forward_input
        yield MODULES[name](module, *call.args, **call.kwargs)
