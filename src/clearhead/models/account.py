"""The account of a checkpoint: everything in it that may change a number must be read."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from clearhead.errors import CheckpointError
from clearhead.models.checkpoint import Checkpoint
from clearhead.models.families.common import COMMON, FIXED, QUANTISED
from clearhead.models.family import Family, layer_in
from clearhead.models.key import shown
from clearhead.models.reading import TIED
from clearhead.models.tensors import Tensor

MAX_CONSTANT = 64
"""The most numbers of an array that has to hold one number."""

REMEDY = "If it does not, load(..., ignore=[{name!r}]) ignores it; if it does, the family's table needs it."


def check_quantised(checkpoint: Checkpoint, ignore: Collection[str]) -> None:
    """Refuses weights whose numbers have a meaning only together with other arrays.

    Raises:
        CheckpointError: the config or the name of an array says that the checkpoint is quantised.
    """
    stated = checkpoint.config.get("quantization_config")
    if stated is not None and not _matches("quantization_config", ignore):
        method = stated.get("quant_method", "unknown") if isinstance(stated, Mapping) else stated
        raise CheckpointError(
            f"the checkpoint is quantised (quantization_config: {shown(method)}), and such weights are not read. "
            f"Load it with the library that wrote it, save it dequantised, and read that."
        )
    for name in checkpoint.tensors:
        last = name.rpartition(".")[2]
        if (last in QUANTISED or last.endswith(("_blocks", "_scales"))) and not _matches(name, ignore):
            raise CheckpointError(
                f"the checkpoint is quantised: {name[:120]} changes the numbers of the weight beside it, and such "
                f"weights are not read. Save the checkpoint dequantised, and read that."
            )


def check_config(
    family: Family, checkpoint: Checkpoint, elsewhere: Collection[str], ignore: Collection[str]
) -> tuple[str, ...]:
    """Checks every entry of a config against the family's table.

    Args:
        family: the table.
        checkpoint: whose config.
        elsewhere: entries that other families read and Transformers does not read in this one.
        ignore: entries that the user knows to be without effect.

    Returns:
        Notes on entries that were ignored, for a reader.

    Raises:
        CheckpointError: an entry may change numbers and is not read, or has a value that is not known.
    """
    known, without = family.entries(), COMMON | dict(family.without_effect)
    fixed = {name: each for name, each in {**FIXED, **family.fixed}.items() if name not in family.without_effect}
    read = known - family.fixed.keys()
    notes = []
    for name, value in _entries(checkpoint.config, known):
        # Entries without effect, or with one allowed value, are so within an object too.
        own = name if name in checkpoint.config or name in fixed else name.rpartition(".")[2]
        if name in read or _matches(name, ignore):
            continue
        if own in fixed:
            _check_fixed(name, value, fixed[own], family)
        elif name in elsewhere:
            notes.append(f"The config's {name} is left aside, as Transformers does: {family.name} has no such thing.")
        elif not _matches(name, without) and own not in COMMON:
            raise CheckpointError(
                f"the config has {name[:80]} = {shown(value)}, which the table of {family.name} does not read: whether "
                f"it changes numbers is not known. {REMEDY.format(name=name[:80])}"
            )
    return tuple(notes)


def check_outside(family: Family, checkpoint: Checkpoint, ignore: Collection[str]) -> None:
    """Checks the entries of a config beside that of the text model, where a checkpoint reads images too.

    Raises:
        CheckpointError: an entry may change numbers and is not read.
    """
    if family.inside not in checkpoint.config:
        return
    for name, value in checkpoint.config.items():
        known = (
            name in (family.inside, TIED) or name in family.outside or name in COMMON or value in FIXED.get(name, ())
        )
        if not known and not _matches(name, ignore):
            raise CheckpointError(
                f"the config has {name[:80]} = {shown(value)} beside {family.inside}, which the table of {family.name} "
                f"does not read: whether it changes numbers is not known. {REMEDY.format(name=name[:80])}"
            )


def _entries(config: Mapping[str, Any], known: Collection[str]) -> Iterable[tuple[str, Any]]:
    """The entries of a config; for an object that is read in parts, its entries."""
    for name, value in config.items():
        inner = isinstance(value, Mapping) and any(each.startswith(f"{name}.") for each in known)
        if inner and name not in known:
            yield from ((f"{name}.{each}", v) for each, v in value.items())
        else:
            yield name, value


def _check_fixed(name: str, value: Any, allowed: tuple[Any, ...], family: Family) -> None:
    if any(value == each and type(value) is type(each) for each in allowed):
        return
    raise CheckpointError(
        f"the config has {name} = {shown(value)}; the table of {family.name} has no other than "
        f"{' or '.join(map(repr, allowed))}."
    )


def check_arrays(
    family: Family, checkpoint: Checkpoint, used: Collection[str], layers: int, ignore: Collection[str]
) -> tuple[str, ...]:
    """Checks every array of a checkpoint against those that the working uses.

    Args:
        family: the table.
        checkpoint: whose arrays.
        used: the names of those that are used.
        layers: how many layers there are.
        ignore: names, or patterns with ``*``, that the user knows to be without effect.

    Returns:
        Notes on arrays that were ignored, for a reader.

    Raises:
        CheckpointError: an array is neither used nor known to be without effect.
    """
    spare = {name for given in family.arrays if layer_in(given)[1] == given for name in family.stored(given)}
    known = [*ignore, *(each.replace("{layers}", str(layers)) for each in family.spare)]
    notes = []
    for name in checkpoint.tensors:
        if name in used or _matches(name, known):
            continue
        if stated := [value for pattern, value in family.constant.items() if _matches(name, [pattern])]:
            _check_constant(checkpoint.tensors[name], stated[0], family)
            continue
        if name in spare:
            notes.append(f"{name} is left aside: {checkpoint.architecture} does not use it.")
            continue
        raise CheckpointError(
            f"the checkpoint has {name[:120]}, which the table of {family.name} does not read with {layers} layers: "
            f"whether it changes numbers is not known. {REMEDY.format(name=name[:120])}"
        )
    return tuple(notes)


def _check_constant(tensor: Tensor, value: float, family: Family) -> None:
    """Whether an array holds the one number that the family's lines compute with, as the shortest type rounds it."""
    count = math.prod(tensor.shape)
    numbers = tensor.array() if count <= MAX_CONSTANT else np.empty(0)
    if numbers.size == 0 or not np.allclose(numbers, value, rtol=2**-8, atol=0):
        found = f"= {shown(numbers.tolist())}" if numbers.size else f"of shape {tensor.shape}"
        raise CheckpointError(
            f"the checkpoint has {tensor.name[:120]} {found}; the table of {family.name} computes with {value:g} only."
        )


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(name == each or ("*" in each and fnmatchcase(name, each)) for each in patterns)
