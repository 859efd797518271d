"""A request to a kernel: arrays that fit each other, and the spec of the attention."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_jax_array
from msgspec import Struct
from msgspec.structs import replace

from clearhead.errors import ShapeError, SpecError
from clearhead.inspection.core import Core, core_of, core_of_spec
from clearhead.inspection.known import Known, known_of
from clearhead.inspection.statistics import SINKS, STATISTICS
from clearhead.line import Given, find
from clearhead.ops import Namespace
from clearhead.spec import Attention
from clearhead.working import Working

Array = Any

Progress = Callable[[int, int], object]
"""Called with the finished and the whole amount of work."""


class Wanted(Struct, frozen=True):
    """What is reported besides the output: the options of `clearhead.inspect` of the same names."""

    top: int = 8
    received: bool = False
    bands: Sequence[int] | None = None
    progress: Progress | None = None

    @property
    def edges(self) -> tuple[int, ...]:
        """The edges of bands of distance; none if no bands are requested."""
        return tuple(self.bands or ())


class Request(Struct, frozen=True, eq=False):
    """Arrays of one library with all their axes: (batch, head, token, depth), and what to compute.

    ``given`` has the other arrays that lines read, by name: a mask as (batch or 1, head or 1, query or 1, key or 1),
    padding as (batch, key). Key and value have a head for each group of query heads. ``known`` is what the lines are
    in the terms of the compiled kernels, or why they are not known to them. ``batch`` is the batch as it was given, of
    any number of axes. ``ends`` are the ends of the texts of which the rows are, each of which attends only to itself;
    None for rows of one text.
    """

    xp: Namespace
    query: Array
    key: Array
    value: Array
    core: Core
    given: Mapping[str, Array]
    known: Known | str
    batch: tuple[int, ...]
    wanted: Wanted
    ends: tuple[int, ...] | None = None

    @property
    def form(self) -> Known:
        """The lines in the terms of the compiled kernels."""
        if isinstance(self.known, str):
            raise SpecError(self.known)
        return self.known

    @property
    def scale(self) -> float:
        """What the compiled kernels multiply scores with."""
        return 1 / math.sqrt(self.query.shape[-1]) if self.form.scale is None else self.form.scale

    @property
    def mask(self) -> Array | None:
        """The mask, where the compiled kernels know one."""
        return None if self.form.mask is None else self.given[self.form.mask]

    @property
    def padding(self) -> Array | None:
        """Which keys are real, where the compiled kernels know it."""
        return None if self.form.padding is None else self.given[self.form.padding]

    @property
    def bands(self) -> int:
        """How many bands of distance were requested."""
        return 0 if self.wanted.bands is None else len(self.wanted.bands) + 1

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each requested statistic, after (batch, head)."""
        sizes = {
            "query": self.query.shape[2], "key": self.key.shape[2], "feature": self.value.shape[3],
            "top": self.wanted.top, "first": SINKS, "band": self.bands,
        }  # fmt: skip
        asked = {"": True, "received": self.wanted.received, "bands": self.wanted.bands is not None}
        return {row.name: tuple(sizes[axis] for axis in row.axes) for row in STATISTICS.values() if asked[row.option]}

    def all_finite(self, array: Array) -> bool:
        """Whether an array holds neither NaN nor infinities."""
        return bool(self.xp.all(self.xp.isfinite(array)))

    def unflatten(self, array: Array) -> Array:
        """An array whose first axis is the batch, with the axes of the batch as they were given."""
        return self.xp.reshape(array, (*self.batch, *array.shape[1:]))


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number, of Python or NumPy."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def is_traced(array: Array) -> bool:
    """Whether JAX traces an array, which then has no numbers."""
    return is_jax_array(array) and isinstance(array, sys.modules["jax"].core.Tracer)


def request_of(
    arrays: tuple[Array, Array, Array],
    given: Mapping[str, Array],
    lines: Attention | Working | Core | None,
    options: dict[str, Any],
    wanted: Wanted,
) -> Request:
    """A request, checked.

    Args:
        arrays: query, key and value.
        given: other arrays that the lines read, by name or an ending of it.
        lines: what to compute, as a spec or as lines; None for the single options.
        options: scale, softcap, causal and window of a spec.
        wanted: what to report.

    Raises:
        ShapeError: arrays do not fit each other.
        SpecError: options contradict each other or the lines.
    """
    xp = array_namespace(*arrays, *given.values())
    batch, (query, key, value) = arrays_of(xp, *arrays)
    sizes = {
        "head": query.shape[1], "group": key.shape[1], "query": query.shape[2], "key": key.shape[2],
        "depth": query.shape[3],
    }  # fmt: skip
    core = _core(xp, lines, options, given, sizes)
    names = [each.name for each in core.others]
    full = {_named(name, names): array for name, array in given.items()}
    if missing := [name for name in names if name not in full]:
        raise SpecError(f"the lines read {', '.join(missing)}, which was not given. Give mask=, padding= or given=.")
    fitted = {each.name: _fitted(xp, each, full[each.name], batch, sizes) for each in core.others}
    _check_shapes(core, fitted, sizes, value.shape[-1])
    known = known_of(core)
    return Request(xp, query, key, value, core, _of_dtype(xp, fitted, query.dtype), known, batch, checked(wanted))


def _core(
    xp: Namespace,
    lines: Attention | Working | Core | None,
    options: dict[str, Any],
    given: Mapping[str, Array],
    sizes: Mapping[str, int],
) -> Core:
    """The lines, and whether they are of as many heads as the arrays."""
    if lines is None:
        kinds = {name: "boolean" if xp.isdtype(array.dtype, "bool") else "additive" for name, array in given.items()}
        kind: Any = kinds.get("mask")
        lines = Attention(sizes["head"], sizes["group"], mask=kind, padding="padding" in given, **options)
    elif single := [name for name, value in options.items() if value not in (None, False)]:
        raise SpecError(f"spec describes the attention, and so does {', '.join(single)}. Give one of the two.")
    if isinstance(lines, Attention):
        if (lines.heads, lines.groups) != (sizes["head"], sizes["group"]):
            raise SpecError(
                f"spec expects heads={lines.heads} and kv_heads={lines.groups}, "
                f"got arrays of {sizes['head']} and {sizes['group']}."
            )
        return core_of_spec(lines)
    return core_of(lines) if isinstance(lines, Working) else lines


def _check_shapes(core: Core, given: Mapping[str, Array], sizes: Mapping[str, int], features: int) -> None:
    """Checks that the lines take arrays of these sizes, and the given ones.

    Raises:
        ShapeError: they do not.
    """
    shapes = {each.name: _sizes(each, given[each.name], sizes) for each in core.others}
    shapes[core.query] = tuple(sizes[word] for word in ("head", "query", "depth"))
    shapes[core.key] = tuple(sizes[word] for word in ("group", "key", "depth"))
    shapes[core.value] = sizes["group"], sizes["key"], features
    core.working.shapes(shapes)


def _named(name: str, names: Sequence[str]) -> str:
    if not names:
        raise SpecError(f"the lines read no array besides query, key and value, and {name} was given. Leave it out.")
    return find(name, names, what="array that the lines read called")


def _fitted(xp: Namespace, each: Given, array: Array, batch: tuple[int, ...], sizes: Mapping[str, int]) -> Array:
    """An array that the lines read, as the kernels take it.

    Raises:
        ShapeError: it does not fit.
    """
    if each.holds == "booleans" and not xp.isdtype(array.dtype, "bool"):
        raise ShapeError(f"{each.name} expects booleans, got {array.dtype}. Convert it: {each.name} != 0.")
    if each.holds == "numbers" and not xp.isdtype(array.dtype, "real floating"):
        raise ShapeError(f"{each.name} expects floating-point numbers, got {array.dtype}. Convert it first.")
    if each.axes == ("query", "key"):
        return mask_of(xp, array, batch, (sizes["head"], sizes["query"], sizes["key"]))
    wanted = _sizes(each, array, sizes)
    try:
        return xp.reshape(xp.broadcast_to(array, (*batch, *wanted)), (math.prod(batch), *wanted))
    except (ValueError, RuntimeError):
        words = ", ".join(each.axes)
        raise ShapeError(
            f"{each.name} expects (*batch, {words}) = {(*batch, *wanted)}, got {tuple(array.shape)}."
        ) from None


def _sizes(each: Given, array: Array, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """The sizes of an array's axes: of heads, queries and keys as in the others, of further ones as they are."""
    own = (0,) * len(each.axes) + tuple(array.shape)
    return tuple(sizes.get(word, size) for word, size in zip(each.axes, own[-len(each.axes) :], strict=True))


def _of_dtype(xp: Namespace, given: Mapping[str, Array], dtype: Any) -> dict[str, Array]:
    return {
        name: array if xp.isdtype(array.dtype, "bool") else xp.astype(array, dtype, copy=False)
        for name, array in given.items()
    }


def arrays_of(xp: Namespace, query: Array, key: Array, value: Array) -> tuple[tuple[int, ...], list[Array]]:
    """The axes of the batch, and query, key and value with one axis in their place.

    Raises:
        ShapeError: they do not fit each other.
    """
    arrays = {"query": query, "key": key, "value": value}
    for name, array in arrays.items():
        if array.ndim < 3:
            words = (
                f"(*batch, {'head' if name == 'query' else 'group'}, {'query' if name == 'query' else 'key'}, depth)"
            )
            raise ShapeError(f"{name} expects {words}, got {tuple(array.shape)}. Give one row per token of each head.")
        if 0 in array.shape:
            raise ShapeError(f"{name} expects at least one of everything, got {tuple(array.shape)}.")
        if not xp.isdtype(array.dtype, "real floating"):
            raise ShapeError(f"{name} expects floating-point numbers, got {array.dtype}. Convert it first.")
    _must_fit(arrays)
    try:
        batch = tuple(_broadcast(*(array.shape[:-3] for array in arrays.values())))
    except ValueError:
        given = ", ".join(f"{name} {tuple(array.shape[:-3])}" for name, array in arrays.items())
        raise ShapeError(
            f"The batch axes do not fit each other: {given}. Give each the same, or leave them out."
        ) from None
    rows, wide = math.prod(batch), _wide(xp, query.dtype)
    arrays = {name: xp.astype(array, wide, copy=False) for name, array in arrays.items()}
    return batch, [
        xp.reshape(xp.broadcast_to(a, (*batch, *a.shape[-3:])), (rows, *a.shape[-3:])) for a in arrays.values()
    ]


def _must_fit(arrays: dict[str, Array]) -> None:
    query, key, value = arrays.values()
    if len({str(each.dtype) for each in arrays.values()}) > 1:
        given = ", ".join(f"{name} {array.dtype}" for name, array in arrays.items())
        raise ShapeError(f"query, key and value expect one dtype, got {given}. Convert two of them.")
    if query.shape[-1] != key.shape[-1]:
        raise ShapeError(f"key expects the query's depth={query.shape[-1]}, got depth={key.shape[-1]}.")
    if key.shape[-3:-1] != value.shape[-3:-1]:
        groups, keys = key.shape[-3:-1]
        raise ShapeError(
            f"value expects the key's (group={groups}, key={keys}), "
            f"got (group={value.shape[-3]}, key={value.shape[-2]})."
        )


def _wide(xp: Namespace, dtype: Any) -> Any:
    """The type to work in: float32 for half precisions."""
    return xp.float32 if xp.finfo(dtype).bits == 16 else dtype


def _broadcast(*shapes: Sequence[int]) -> list[int]:
    rank = max(len(shape) for shape in shapes)
    sizes = []
    for axis in range(-rank, 0):
        found = {shape[axis] for shape in shapes if -axis <= len(shape)} - {1}
        if len(found) > 1:
            raise ValueError
        sizes.append(found.pop() if found else 1)
    return sizes


def mask_of(xp: Namespace, mask: Array, batch: tuple[int, ...], sizes: tuple[int, int, int]) -> Array:
    """A mask with all its axes; ``sizes`` are (head, query, key).

    Raises:
        ShapeError: it does not fit.
    """
    wanted = (*batch, *sizes)
    shape = (1,) * (len(wanted) - mask.ndim) + tuple(mask.shape)
    fits = len(shape) == len(wanted) and all(size in (1, whole) for size, whole in zip(shape, wanted, strict=True))
    if not fits:
        raise ShapeError(
            f"mask expects (*batch, head, query, key) = {wanted}, or 1 for any of them, got {tuple(mask.shape)}."
        )
    mask = xp.reshape(mask, shape)
    if any(size != 1 for size in shape[:-3]):
        mask = xp.broadcast_to(mask, (*batch, *shape[-3:]))
    return xp.reshape(mask, (math.prod(mask.shape[:-3]), *shape[-3:]))


MAX_TOP = 1 << 20
"""The most weights per query that are listed: a list for each query is stored."""

MAX_EDGE = 2**31 - 1
"""No edge of a band of distance lies farther."""


def checked(wanted: Wanted) -> Wanted:
    """What is to be reported, checked.

    Raises:
        SpecError: ``top`` or ``bands`` are no numbers of their kind.
    """
    if not is_whole(wanted.top) or not 0 <= wanted.top <= MAX_TOP:
        raise SpecError(f"top expects a whole number of weights, 0 to {MAX_TOP}, got {wanted.top!r}.")
    return replace(wanted, top=int(wanted.top), bands=edges_of(wanted.bands))


def edges_of(bands: Sequence[int] | None) -> tuple[int, ...] | None:
    """The edges of bands of distance, checked.

    Raises:
        SpecError: they are not increasing whole numbers from 1 to `MAX_EDGE`.
    """
    if bands is None:
        return None
    edges = tuple(bands)
    whole = all(map(is_whole, edges))
    if not whole or any(b <= a for a, b in pairwise((0, *edges))) or max(edges, default=0) > MAX_EDGE:
        raise SpecError(
            f"bands expects increasing whole numbers above 0, such as (1, 8, 64), up to {MAX_EDGE}, got {edges!r:.100}."
        )
    return tuple(map(int, edges))
