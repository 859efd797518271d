"""What the experts of Transformers' models give: the shares of tokens, what each expert activates, and their sum."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from msgspec import Struct

from clearhead.working import Working

Numbers = np.ndarray[Any, Any]

_EXPERTS = re.compile(r"(?:^|\.)layers\.(\d+)\.\w+\.experts$|(?:^|\.)layers\.(\d+)\.experts$")
"""How the modules are called that hold all experts of a layer."""


class Experts(Struct, eq=False):
    """The experts of one layer, while Transformers runs.

    Attributes:
        path: what the names of the layer's lines begin with.
        count: how many experts there are.
        working: the model's lines.
        keep: is called with a line and Transformers' numbers of it.
        chosen: (token, chosen): which experts each token has.
        seen: what went into the activation of each expert that has tokens, and what came out, in the order of experts.
    """

    path: str
    count: int
    working: Working
    keep: Callable[[str, Numbers], None]
    chosen: Numbers | None = None
    seen: list[tuple[Numbers, Numbers]] = []

    def hooks(self, module: Any) -> Iterator[Any]:
        """The hooks of the module, and of its activation where it has one."""
        yield module.register_forward_pre_hook(self.begin)
        yield module.register_forward_hook(self.end)
        if hasattr(module, "act_fn"):
            yield module.act_fn.register_forward_hook(self.activated)

    def begin(self, _module: Any, given: Any) -> None:
        """Keeps the shares of tokens, where the module is given tokens, the chosen experts and their weights."""
        self.chosen, self.seen = None, []
        if len(given) != 3:
            return
        chosen, weights = (_numbers(each) for each in given[1:])
        if chosen.ndim == 2 and chosen.shape == weights.shape:
            self.chosen = chosen.astype(np.int64)
            shares = np.zeros((len(chosen), self.count), np.float32)
            np.put_along_axis(shares, self.chosen, weights, axis=1)
            self.keep(f"{self.path}router.shares", shares)

    def activated(self, _module: Any, given: Any, result: Any) -> None:
        """Keeps what one expert activates."""
        self.seen.append((_numbers(given[0]), _numbers(result)))

    def end(self, _module: Any, _given: Any, result: Any) -> None:
        """Keeps the sum, and what each expert activates, if each was called once with its own tokens."""
        each = f"{self.path}output.each"
        for line in self.working.lines:
            if each in line.operands:
                self.keep(line.name, _numbers(result[0] if isinstance(result, tuple) else result))
        if self.chosen is None:
            return
        rows = [np.argwhere(np.equal(self.chosen.T, expert))[:, 1] for expert in range(self.count)]
        used = [expert for expert in range(self.count) if len(rows[expert])]
        if [len(rows[expert]) for expert in used] != [len(before) for before, _ in self.seen]:
            return
        for name, part in (("gate", 0), ("active", 1)):
            shape = self.count, len(self.chosen), self.seen[0][part].shape[-1]
            whole: Any = np.ma.array(np.zeros(shape, np.float32), mask=True)
            for expert, numbers in zip(used, self.seen, strict=True):
                whole[expert, rows[expert]] = numbers[part]
            self.keep(f"{self.path}{name}", whole)


def experts_in(modules: dict[str, Any], working: Working, keep: Callable[[str, Numbers], None]) -> Iterator[Any]:
    """Hooks for the experts of all layers."""
    for name, module in modules.items():
        found = _EXPERTS.search(name)
        path = f"layers.{found[1] or found[2]}.mlp." if found else ""
        if found and f"{path}output.each" in working.names:
            count = int(module.num_experts) if hasattr(module, "num_experts") else len(module)
            yield from Experts(path, count, working, keep).hooks(module)


def _numbers(tensor: Any) -> Numbers:
    return np.array(tensor.detach().float().numpy())
