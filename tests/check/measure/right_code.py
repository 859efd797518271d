"""Right code, drawn: as people write it and as libraries have it, in double, single and half precision.

``python -m tests.check.measure.right_code FIRST RUNS`` probes many and prints each that is not called right.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import ml_dtypes
import numpy as np
from msgspec import Struct

import clearhead
from clearhead import Attention, Block, Mlp, Norm, Rotary, Working

from .block_pieces import gelu, layer, rms, silu
from .pieces import causal, frequencies, joined, repeated, rows_and_columns, softmax, turned

QKV = ("query", "key", "value")
TYPES = {"float64": np.float64, "float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}


class Right(Struct, frozen=True):
    """A right function, or a module, with what it should compute."""

    name: str
    function: Any
    working: Working | None = None
    takes: tuple[str, ...] = QKV
    returns: str = "head"
    given: Mapping[str, Any] | None = None


Draw = Callable[[np.random.Generator], Right]
DRAWS: list[Draw] = []


def draw(function: Draw) -> Draw:
    """Keeps a way to draw right code."""
    DRAWS.append(function)
    return function


def drawn(seed: int) -> Right:
    """The right code of a seed: each way in turn."""
    return DRAWS[seed % len(DRAWS)](np.random.default_rng(seed))


# Attention by hand


@draw
def by_hand(rng):
    """NumPy, in any type, with any of the usual options."""
    name = rng.choice([*TYPES])
    heads, groups = ((2, 2), (4, 2), (3, 1), (4, 4))[rng.integers(4)]
    window = int(rng.integers(2, 7)) if rng.random() < 0.3 else None
    cap = float(rng.choice([20.0, 30.0, 50.0])) if rng.random() < 0.25 else None
    scale = float(rng.choice([0.125, 0.3, 1.0])) if rng.random() < 0.25 else None
    base = float(rng.choice([1e4, 5e5, 1e6]))
    layout = str(rng.choice(["half", "interleaved"]))
    turns, cached, masked = rng.random() < 0.5, rng.random() < 0.25, window is not None or rng.random() < 0.6
    options = {"kv_heads": groups} if groups != heads else {}
    spec = Attention(
        heads, causal=bool(masked), window=window, softcap=cap, scale=scale, cache=bool(cached),
        rotary=Rotary(layout=layout, base=base) if turns else None, **options,
    )  # fmt: skip

    def function(q, k, v, pk=None, pv=None):
        past = 0 if pk is None else pk.shape[-2]
        if turns:
            f = frequencies(q.shape[-1], base)
            q, k = (turned(x, past + np.arange(x.shape[-2]), f, layout=layout) for x in (q, k))
        k, v = (k, v) if pk is None else (joined(pk, k), joined(pv, v))
        q, k, v = (x.astype(TYPES[name]) for x in (q, repeated(k, heads), repeated(v, heads)))
        factor = np.asarray(q.shape[-1] ** -0.5 if scale is None else scale).astype(TYPES[name])
        s = (q * factor) @ np.swapaxes(k, -1, -2)
        s = s.astype(np.float64) if name in ("float64", "bfloat16") else s.astype(np.float32)
        s = cap * np.tanh(s / cap) if cap else s
        s = causal(s) if masked else s
        if window:
            i, j = rows_and_columns(s)
            s = np.where(j > i - window, s, -np.inf)
        return (softmax(s).astype(TYPES[name]) @ v).astype(np.float64)

    takes = (*QKV, "past.key", "past.value") if cached else QKV
    return Right(f"by hand in {name}: {spec}", function, spec.working(), takes)


@draw
def with_masks(rng):
    """Given masks and padding, filled with infinity or with the lowest number."""
    name = rng.choice(["float64", "float32", "float16"])
    kind = rng.choice(["boolean", "additive", "padding"])
    fill = float(rng.choice([-np.inf, -1e9 if name != "float16" else -6e4]))
    spec = Attention(2, padding=True) if kind == "padding" else Attention(2, mask=str(kind))

    def function(q, k, v, mask):
        q, k, v = (x.astype(TYPES[name]) for x in (q, k, v))
        s = (q * np.asarray(q.shape[-1] ** -0.5, TYPES[name])) @ np.swapaxes(k, -1, -2)
        mask = mask[:, None, None] if kind == "padding" else mask
        s = s + mask.astype(TYPES[name]) if kind == "additive" else np.where(mask, s, np.asarray(fill, TYPES[name]))
        return softmax(s) @ v

    takes = (*QKV, "padding" if kind == "padding" else "mask")
    return Right(f"{kind} masks in {name}, filled with {fill}", function, spec.working(), takes)


# Libraries


def in_torch(rng, names=("float64", "float32", "float16", "bfloat16")):
    import torch

    name = str(rng.choice(names))
    kind = getattr(torch, name)
    return name, kind, lambda *arrays: tuple(torch.from_numpy(np.asarray(x)).to(kind) for x in arrays)


@draw
def torch_sdpa(rng):
    """PyTorch's own attention."""
    import torch

    name, _, make = in_torch(rng)
    grouped, masked = bool(rng.random() < 0.5), bool(rng.random() < 0.5)
    spec = Attention(4, causal=masked, **({"kv_heads": 2} if grouped else {}))

    def function(q, k, v):
        out = torch.nn.functional.scaled_dot_product_attention(*make(q, k, v), is_causal=masked, enable_gqa=grouped)
        return out.double().numpy()

    def right(q, k, v):  # is_causal counts from the top left: as many keys as queries alone
        if masked and q.shape[-2] != k.shape[-2]:
            raise ValueError("as many keys as queries")
        return function(q, k, v)

    return Right(f"SDPA in {name}, causal {masked}, grouped {grouped}", right, spec.working())


@draw
def torch_flex(rng):
    """FlexAttention without a compiler."""
    from torch.nn.attention.flex_attention import flex_attention

    name, _, make = in_torch(rng, ("float64", "float32", "bfloat16"))
    cap = float(rng.choice([15.0, 30.0])) if rng.random() < 0.5 else None
    masked = bool(rng.random() < 0.5)
    spec = Attention(2, causal=masked, softcap=cap)

    def change(score, _b, _h, i, j):
        score = cap * (score / cap).tanh() if cap else score
        return score.where(i >= j, -float("inf")) if masked else score

    def function(q, k, v):
        if masked and q.shape[-2] != k.shape[-2]:
            raise ValueError("as many keys as queries")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return flex_attention(*make(q, k, v), score_mod=change).double().numpy()

    return Right(f"FlexAttention in {name}, causal {masked}, cap {cap}", function, spec.working())


@draw
def jax_attention(rng):
    """JAX's own attention."""
    import jax
    import jax.numpy as jnp

    name = str(rng.choice(["float32", "float16", "bfloat16"]))
    grouped, masked = bool(rng.random() < 0.5), bool(rng.random() < 0.5)
    spec = Attention(4, causal=masked, **({"kv_heads": 2} if grouped else {}))

    def function(q, k, v):
        if masked and q.shape[-2] != k.shape[-2]:
            raise ValueError("as many keys as queries")
        q, k, v = (jnp.asarray(np.swapaxes(x, 1, 2), dtype=name) for x in (q, k, v))
        return np.swapaxes(np.asarray(jax.nn.dot_product_attention(q, k, v, is_causal=masked)), 1, 2).astype(np.float64)

    return Right(f"JAX in {name}, causal {masked}, grouped {grouped}", function, spec.working())


@draw
def onnx_attention(rng):
    """The Attention operator of ONNX, run by onnxruntime."""
    import onnxruntime
    from onnx import TensorProto, helper

    name = str(rng.choice(["float32", "float16"]))
    kind = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16}[name]
    masked = int(rng.random() < 0.5)
    node = helper.make_node("Attention", ["q", "k", "v"], ["y"], is_causal=masked)
    inputs = [helper.make_tensor_value_info(each, kind, [None] * 4) for each in "qkv"]
    graph = helper.make_graph([node], "attention", inputs, [helper.make_tensor_value_info("y", kind, [None] * 4)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def function(q, k, v):
        if masked and q.shape[-2] != k.shape[-2]:
            raise ValueError("as many keys as queries")
        given = {each: x.astype(TYPES[name]) for each, x in zip("qkv", (q, k, v), strict=True)}
        return session.run(None, given)[0].astype(np.float64)

    return Right(f"onnxruntime in {name}, causal {masked}", function, Attention(2, causal=bool(masked)).working())


# Norms, MLPs, blocks


@draw
def norms(rng):
    """Norms in any type, with sums in single precision."""
    name, eps, kind = rng.choice([*TYPES]), float(rng.choice([1e-12, 1e-6, 1e-5, 1e-3])), rng.choice(["layer", "rms"])
    spec = Block(Attention(heads=2), norm=Norm(str(kind), eps=eps))
    wide = np.float64 if name == "float64" else np.float32

    def function(x, g, *b):
        x = x.astype(TYPES[name]).astype(wide)
        y = layer(x, g.astype(wide), b[0].astype(wide), wide(eps)) if b else rms(x, g.astype(wide), wide(eps))
        return y.astype(TYPES[name]).astype(np.float64)

    takes = ("residual", "norm.gain", *(("norm.bias",) if kind == "layer" else ()))
    return Right(f"{kind} norm in {name}, eps {eps}", function, spec.working(), takes, "norm")


@draw
def blocks(rng):
    """Blocks in double and single precision, in every placement."""
    kind = TYPES[rng.choice(["float64", "float32"])]
    placement = str(rng.choice(["pre", "post", "sandwich", "after", "parallel"]))
    act, acts = (("silu", silu), ("gelu", gelu))[rng.integers(2)]
    spec = Block(
        Attention(heads=2, causal=True), norm=Norm("rms", eps=1e-6), placement=placement, mlp=Mlp(act, gated=True)
    )
    working = spec.working()
    takes = tuple(each.name for each in working.givens)

    def function(*arrays):
        given = dict(zip(takes, (x.astype(kind) for x in arrays), strict=True))

        def normed(x, name):
            return rms(x, given[f"{name}.gain"], kind(1e-6))

        def attend(x):
            wq, wk, wv = (given[f"attention.{each}.weight"] for each in QKV)
            n = x[:, None]
            s = (n @ wq) @ np.swapaxes(n @ wk, -1, -2) / kind(np.sqrt(wq.shape[-1]))
            y = np.swapaxes(softmax(causal(s)) @ (n @ wv), 1, 2)
            return y.reshape(*x.shape[:-1], -1) @ given["attention.output.weight"]

        def hidden(x):
            gate = acts(x @ given["mlp.gate.weight"]).astype(kind)
            return (gate * (x @ given["mlp.up.weight"])) @ given["mlp.output.weight"]

        x = given["input"]
        if placement == "parallel":
            return x + attend(normed(x, "attention.norm")) + hidden(normed(x, "mlp.norm"))
        for name, part in (("attention", attend), ("mlp", hidden)):
            before = normed(x, f"{name}.norm") if placement in ("pre", "sandwich") else x
            y = part(before)
            y = normed(y, f"{name}.outer.norm") if placement == "sandwich" else y
            y = normed(y, f"{name}.norm") if placement == "after" else y
            x = normed(x + y, f"{name}.norm") if placement == "post" else x + y
        return x.astype(np.float64)

    return Right(f"block, {placement}, {act}, {kind.__name__}", function, working, takes, working.lines[-1].name)


# Modules, through `adapt`

FAMILIES = ("llama", "mistral", "qwen2", "arcee", "gemma", "granite", "granitemoe", "phimoe", "qwen2_moe", "jais2")


@draw
def modules(rng):
    """Modules of PyTorch and of Transformers, with weights of their own."""
    import torch

    torch.manual_seed(int(rng.integers(1 << 30)))
    place = int(rng.integers(len(FAMILIES) + 4))
    if place >= len(FAMILIES):
        name, module = OTHERS[place - len(FAMILIES)](rng)
    else:
        name = FAMILIES[place]
        module = like_llama(name, rng)
    module = module.eval().double()
    for weight in module.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    return Right(f"module {name}", clearhead.adapt(module))


def like_llama(family, rng):
    """The attention of a family that shares Llama's code."""
    from importlib import import_module

    from clearhead.check.probing.kinds import LIKE_LLAMA

    name = LIKE_LLAMA[family]
    configs = import_module(f"transformers.models.{family}.configuration_{family}")
    heads = int(rng.choice([2, 4]))
    config = getattr(configs, f"{name}Config")(
        hidden_size=heads * 4, num_attention_heads=heads, num_key_value_heads=heads // int(rng.choice([1, 2])),
        head_dim=4, num_hidden_layers=2, intermediate_size=16, vocab_size=32,
    )  # fmt: skip
    config._attn_implementation = str(rng.choice(["eager", "sdpa"]))
    module = import_module(f"transformers.models.{family}.modeling_{family}")
    return getattr(module, f"{name}Attention")(config, 0)


def _multihead(rng):
    import torch

    return "MultiheadAttention", torch.nn.MultiheadAttention(8, 2, batch_first=bool(rng.random() < 0.5))


def _layer(rng):
    import torch

    first = bool(rng.random() < 0.5)
    return "TransformerEncoderLayer", torch.nn.TransformerEncoderLayer(
        8, 2, 12, 0.0, batch_first=True, norm_first=first
    )


def _bert(_):
    from transformers.models.bert.configuration_bert import BertConfig
    from transformers.models.bert.modeling_bert import BertAttention

    config = BertConfig(hidden_size=8, num_attention_heads=2, attn_implementation="eager")
    return "bert", BertAttention(config)


def _gpt2(_):
    from transformers.models.gpt2.configuration_gpt2 import GPT2Config
    from transformers.models.gpt2.modeling_gpt2 import GPT2Attention

    return "gpt2", GPT2Attention(GPT2Config(n_embd=8, n_head=2, attn_implementation="eager"), layer_idx=0)


OTHERS = (_multihead, _layer, _bert, _gpt2)


def probed(right: Right) -> Any:
    """The report of right code."""
    if right.working is None:
        return clearhead.probe(right.function)
    return clearhead.probe(right.function, right.working, right.takes, right.returns, given=right.given)


def is_right(report: Any) -> bool:
    """Whether a report says that the code is right, and nothing else against it."""
    return report.verdict == "agrees" and not report.failing


def main(first: int, runs: int) -> int:
    """Probes right code of many seeds; returns how many are not called right."""
    wrong, counts, start = 0, Counter[str](), time.process_time()
    for seed in range(first, first + runs):
        right = drawn(seed)
        counts[DRAWS[seed % len(DRAWS)].__name__] += 1
        report = probed(right)
        if not is_right(report):
            wrong += 1
            sys.stdout.write(f"seed {seed}, {right.name}: {report.verdict}\n{report}\n\n")
            sys.stdout.flush()
    seconds = time.process_time() - start
    sys.stdout.write(f"{wrong} of {runs} not called right, in {seconds:.0f} s of the processor: {dict(counts)}\n")
    return wrong


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])) > 0)
