"""One traced block of the notebook's size against PyTorch's attention with its weights, and layer norm.

The aim: at most half of PyTorch's time, better a third. Both work out the notebook's block: an output projection, no
biases, a norm without gain. PyTorch is timed both as it comes, with gradients, and in its fastest way, without. Then
forward and backward: every line of both passes, against the gradients of the input and of all weights by autograd.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from bench.timing import compare
from clearhead import Attention, Block, Norm
from clearhead.working import Working

TOKENS, WIDTH, HEADS = 3, 2, 2


def ours() -> tuple[Working, dict[str, Any]]:
    """The block, and arrays for it."""
    rng = np.random.default_rng(0)
    working = Block(Attention(HEADS), norm=Norm(gain=False)).working()
    depth = WIDTH // HEADS
    sizes = {"token": TOKENS, "model": WIDTH, "head": HEADS, "depth": depth, "head*depth": HEADS * depth}
    return working, {given.name: rng.normal(size=[sizes[word] for word in given.axes]) for given in working.givens}


def pytorch(x: torch.Tensor, attention: torch.nn.Module) -> torch.Tensor:
    """PyTorch's attention with its weights, and its norm."""
    out, _ = attention(x, x, x, need_weights=True, average_attn_weights=False)
    return torch.nn.functional.layer_norm(x + out, (WIDTH,))


def without_gradients() -> tuple[Callable[[], object], Callable[[], object]]:
    """Ours, and PyTorch in its fastest way."""
    working, arrays = ours()
    x, attention = _theirs()

    def theirs() -> object:
        with torch.inference_mode():
            return pytorch(x, attention)

    return partial(working.run, arrays), theirs


def _theirs() -> tuple[torch.Tensor, torch.nn.Module]:
    attention = torch.nn.MultiheadAttention(WIDTH, HEADS, bias=False, batch_first=True).eval()
    return torch.randn(1, TOKENS, WIDTH), attention


def run() -> None:
    """Prints the ratio."""
    torch.set_num_threads(1)
    working, arrays = ours()
    x, attention = _theirs()
    theirs = partial(pytorch, x, attention)
    for name, mode in (("no gradients", torch.inference_mode), ("with gradients", torch.enable_grad)):
        with mode():
            ratio = compare(lambda: working.run(arrays), theirs, pairs=60, repeat=100)
        print(ratio.row("clearhead, every line kept", f"torch MultiheadAttention + LayerNorm, {name}"))

    backward = working.backward()
    given = {**arrays, f"{working.lines[-1].name}.grad": np.ones((TOKENS, WIDTH))}
    leaves, pull = [x.requires_grad_(), *attention.parameters()], torch.ones(1, TOKENS, WIDTH)
    ratio = compare(
        lambda: backward.run(given), lambda: torch.autograd.grad(theirs(), leaves, pull), pairs=60, repeat=50
    )
    print(ratio.row("forward and backward, every line", "the same, and torch.autograd.grad of all"))
