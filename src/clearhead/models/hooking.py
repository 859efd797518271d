"""What Transformers' modules give: the results of projections, norms and routers, by clearhead's names of lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from clearhead.models.hooking_experts import experts_in
from clearhead.models.model import Model
from clearhead.models.tensors import Stacked
from clearhead.working import Working

Numbers = np.ndarray[Any, Any]
Keep = Callable[[str, Numbers], None]

WHOLE = frozenset({"linear", "heads", "groups", "plus-one"})
"""The layout words of an array of which nothing is cut off: its module gives the line as a whole."""

ROTARY = "rotary_emb"
"""How the modules of Transformers are called that give cosines and sines, for all layers at once."""

ACTIVATION = "act_fn"
"""How most of them call the activation of an MLP."""

ENDS, EMBEDDINGS = (".weight", ".gain", ".bias"), ("embedding.", "encoder.embedding.")
"""Of the names of given arrays: those of modules, and those of tables."""


@contextmanager
def results_of(model: Model, loaded: Any) -> Iterator[dict[str, Numbers]]:
    """The results of Transformers' modules, by line: filled while ``loaded`` runs within the context.

    A module is found by the name of its weight in the checkpoint, so none is found where a family's table cuts the
    weight into parts, where Transformers has it under another name, or where a module runs more than once.
    """
    modules, found, ran = dict(loaded.named_modules()), dict[str, Numbers](), dict[str, int]()
    kinds = getattr(loaded.config.get_text_config(), "layer_types", None) or ()

    def keep(line: str, numbers: Numbers) -> None:
        ran[line] = ran.get(line, 0) + 1
        found[line] = numbers

    with ExitStack() as hooks:
        for line, path in lines_of(model).items():
            base = getattr(loaded, "base_model_prefix", "")
            names = (path, path.removeprefix(f"{base}."), f"{base}.{path}")
            name = next((name for name in names if name in modules), None)
            if name is not None:
                hooks.callback(modules[name].register_forward_hook(_hook(line, keep)).remove)
                beside = modules.get(f"{name.rpartition('.')[0]}.{ACTIVATION}")
                if beside is not None:
                    for active in _activated(model.working(), line):
                        hooks.callback(beside.register_forward_hook(_hook(active, keep)).remove)
        for name, module in modules.items():
            if name.rpartition(".")[2] == ROTARY and not any(part.isdigit() for part in name.split(".")):
                hook = _rotary_hook(model, keep, kinds)
                hooks.callback(module.register_forward_hook(hook, with_kwargs=True).remove)
        for each in experts_in(modules, model.working(), keep):
            hooks.callback(each.remove)
        yield found
    for line, times in ran.items():
        if times > 1:
            del found[line]


def _activated(working: Working, line: str) -> list[str]:
    """The line that an activation makes of another."""
    return [each.name for each in working.lines if each.operands == (line,) and each.name.endswith(".active")]


def _hook(line: str, keep: Keep) -> Any:
    def ended(_module: Any, _given: Any, result: Any) -> None:
        first = result[0] if isinstance(result, tuple) else result
        keep(line, np.array(first.detach().float().numpy()))

    return ended


def _rotary_hook(model: Model, keep: Keep, kinds: Sequence[str]) -> Any:
    """Keeps cosines and sines for every layer, or for those of the kind that the module is run for.

    Args:
        model: whose lines are kept.
        keep: is called with each line and its numbers.
        kinds: the kind of each layer, where layers differ.
    """
    names = model.working().names
    lines = [[name for name in names if name.endswith(f".rotary.{part}")] for part in ("cos", "sin")]

    def ended(_module: Any, given: Any, named: dict[str, Any], result: Any) -> None:
        asked = next((each for each in (*given, *named.values()) if isinstance(each, str)), None)
        if isinstance(result, tuple) and len(result) == len(lines):
            both = [np.array(each.detach().float().numpy()) for each in result]
            turned = not both[0].reshape(-1, both[0].shape[-1])[0].any()  # GPT-J has sines first
            for several, numbers in zip(lines, reversed(both) if turned else both, strict=True):
                for line in several:
                    if asked is None or kinds[int(line.split(".")[1])] == asked:
                        keep(line, numbers)

    return ended


def lines_of(model: Model) -> dict[str, str]:
    """For each line that a module of Transformers gives as a whole, the module's name by the checkpoint's."""
    working, stored = model.working(), model.stored
    found: dict[str, str] = {}
    for each in working.lines:
        for operand in each.operands:
            tensor, words = stored.get(operand, (None, ()))
            if tensor is None or isinstance(tensor, Stacked) or not WHOLE.issuperset(words):
                continue
            owner = tensor.name.rpartition(".")[0]
            if operand.endswith(ENDS) and not operand.startswith(EMBEDDINGS):
                found = {line: path for line, path in found.items() if path != owner}  # the last that reads of it
                found[each.name] = owner
    return found


def fitted(working: Working, name: str, theirs: Numbers, ours: Numbers) -> Numbers | None:
    """A module's result in the layout of a line; None where its layout is not certain.

    Transformers has tokens as rows, with the heads of a token side by side or on an axis of their own. Of experts it
    computes the tokens that they are chosen for; the rest, which are masked, are ours.
    """
    if isinstance(theirs, np.ma.MaskedArray):
        return np.where(theirs.mask, ours, theirs.data) if theirs.shape == ours.shape else None
    axes = working.axes[name]
    theirs = theirs[0] if theirs.ndim > 1 and theirs.shape[0] == 1 else theirs
    if len(axes) == 2 and axes[1] == "token":
        return theirs.T if theirs.ndim == 2 and theirs.T.shape == ours.shape else None
    if len(axes) == 2:
        if axes[-1] == "pair" and theirs.ndim == 2 and theirs.shape != ours.shape:
            theirs = _of_pairs(theirs)
        return theirs if theirs.shape == ours.shape else None
    if len(axes) != 3 or axes[1] not in ("token", "key"):
        return None
    heads, tokens, depth = ours.shape
    if theirs.shape == (tokens, heads * depth):
        return theirs.reshape(tokens, heads, depth).swapaxes(0, 1)
    if heads == tokens:
        return None
    if theirs.shape == (tokens, heads, depth):
        return theirs.swapaxes(0, 1)
    return theirs if theirs.shape == ours.shape else None


def _of_pairs(theirs: Numbers) -> Numbers:
    """One number for each pair of features, of an array with the same number for both: in halves, or side by side."""
    half = theirs.shape[1] // 2
    if np.array_equal(theirs[:, :half], theirs[:, half:]):
        return theirs[:, :half]
    return theirs[:, ::2] if np.array_equal(theirs[:, ::2], theirs[:, 1::2]) else theirs
