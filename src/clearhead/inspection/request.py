"""What is asked of a kernel: arrays that fit each other, and the spec that says how they attend."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from array_api_compat import array_namespace, is_jax_array
from msgspec import Struct

from clearhead.errors import ShapeError, SpecError
from clearhead.ops import Namespace
from clearhead.spec import Attention

Array = Any

MAX_TOP = 1 << 20
"""The largest weights of a query that are listed: a list of each query is stored."""

MAX_EDGE = 2**31 - 1

Progress = Callable[[int, int], object]
"""Is told how much of how much is done."""


class Wanted(Struct, frozen=True):
    """What is to be told beside the output: the options of `clearhead.inspect` of the same names."""

    top: int = 8
    received: bool = False
    bands: Sequence[int] | None = None
    progress: Progress | None = None


class Request(Struct, frozen=True, eq=False):
    """Arrays of one library with all their axes: (batch, head, token, depth), and what to work out.

    ``mask`` is None or (batch or 1, head or 1, query or 1, key or 1); ``padding`` is None or (batch, key). Key and
    value have a head for each group of query heads. ``batch`` is the batch as it was given, of any number of axes.
    """

    xp: Namespace
    query: Array
    key: Array
    value: Array
    mask: Array | None
    padding: Array | None
    spec: Attention
    batch: tuple[int, ...]
    top: int
    received: bool
    edges: tuple[int, ...] | None
    progress: Progress | None

    @property
    def scale(self) -> float:
        """What scores are multiplied with."""
        return 1 / math.sqrt(self.query.shape[-1]) if self.spec.scale is None else self.spec.scale

    @property
    def bands(self) -> int:
        """How many bands of distance were asked for."""
        return 0 if self.edges is None else len(self.edges) + 1

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
    """Whether JAX follows what is done to an array, which has no numbers yet."""
    return is_jax_array(array) and isinstance(array, sys.modules["jax"].core.Tracer)


def request_of(
    arrays: tuple[Array, Array, Array],
    masks: tuple[Array | None, Array | None],
    spec: Attention | None,
    options: dict[str, Any],
    wanted: Wanted,
) -> Request:
    """A request, checked: query, key, value; mask and padding; the spec, or the single options that make one.

    Raises:
        ShapeError: arrays do not fit each other.
        SpecError: options contradict each other or the spec.
    """
    xp = array_namespace(*(array for array in (*arrays, *masks) if array is not None))
    batch, (query, key, value) = arrays_of(xp, *arrays)
    (heads, queries), (groups, keys) = query.shape[1:3], key.shape[1:3]
    mask, padding = masks
    if mask is not None:
        mask = mask_of(xp, mask, batch, (heads, queries, keys), query.dtype)
    if padding is not None:
        padding = padding_of(xp, padding, batch, keys)
    boolean = mask is not None and xp.isdtype(mask.dtype, "bool")
    kind: Literal["boolean", "additive"] | None = None if mask is None else "boolean" if boolean else "additive"
    if spec is None:
        spec = Attention(heads, groups, mask=kind, padding=padding is not None, **options)
    else:
        must_suit(spec, options, (heads, groups), kind, padding is not None)
    if not is_whole(wanted.top) or not 0 <= wanted.top <= MAX_TOP:
        raise SpecError(f"top expects a whole number of weights, 0 to {MAX_TOP}, got {wanted.top!r}.")
    return Request(
        xp, query, key, value, mask, padding, spec, batch, int(wanted.top), wanted.received, edges_of(wanted.bands),
        wanted.progress,
    )  # fmt: skip


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
        told = ", ".join(f"{name} {tuple(array.shape[:-3])}" for name, array in arrays.items())
        raise ShapeError(
            f"The batch axes do not fit each other: {told}. Give each the same, or leave them out."
        ) from None
    rows, wide = math.prod(batch), _wide(xp, query.dtype)
    arrays = {name: xp.astype(array, wide, copy=False) for name, array in arrays.items()}
    return batch, [
        xp.reshape(xp.broadcast_to(a, (*batch, *a.shape[-3:])), (rows, *a.shape[-3:])) for a in arrays.values()
    ]


def _must_fit(arrays: dict[str, Array]) -> None:
    query, key, value = arrays.values()
    if len({str(each.dtype) for each in arrays.values()}) > 1:
        told = ", ".join(f"{name} {array.dtype}" for name, array in arrays.items())
        raise ShapeError(f"query, key and value expect one dtype, got {told}. Convert two of them.")
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


def mask_of(xp: Namespace, mask: Array, batch: tuple[int, ...], sizes: tuple[int, int, int], dtype: Any) -> Array:
    """A mask with all its axes, booleans or of this dtype; ``sizes`` are (head, query, key).

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
    mask = xp.reshape(mask if xp.isdtype(mask.dtype, "bool") else xp.astype(mask, dtype), shape)
    if any(size != 1 for size in shape[:-3]):
        mask = xp.broadcast_to(mask, (*batch, *shape[-3:]))
    return xp.reshape(mask, (math.prod(mask.shape[:-3]), *shape[-3:]))


def padding_of(xp: Namespace, padding: Array, batch: tuple[int, ...], keys: int) -> Array:
    """Which keys are real, as (batch, key).

    Raises:
        ShapeError: it does not fit.
    """
    if not xp.isdtype(padding.dtype, "bool"):
        raise ShapeError(
            f"padding expects booleans, True for real keys, got {padding.dtype}. Convert it: padding != 0."
        )
    try:
        return xp.reshape(xp.broadcast_to(padding, (*batch, keys)), (math.prod(batch), keys))
    except (ValueError, RuntimeError):
        raise ShapeError(f"padding expects (*batch, key) = {(*batch, keys)}, got {tuple(padding.shape)}.") from None


def must_suit(
    spec: Attention,
    options: dict[str, Any],
    heads: tuple[int, int],
    mask: str | None,
    padding: bool,  # noqa: FBT001
) -> None:
    """Holds a spec against what was given beside it.

    Raises:
        SpecError: it is of other heads or masks than the arrays, or single options say how to attend, too.
    """
    single = [name for name, value in options.items() if value not in (None, False)]
    if single:
        raise SpecError(f"spec says how to attend, and so does {', '.join(single)}. Give one of the two.")
    if (spec.heads, spec.groups) != heads:
        raise SpecError(
            f"spec expects heads={spec.heads} and kv_heads={spec.groups}, got arrays of {heads[0]} and {heads[1]}."
        )
    if spec.mask != mask:
        raise SpecError(f"spec expects mask={spec.mask}, got {mask or 'no'} mask.")
    if spec.padding != padding:
        raise SpecError(f"spec expects padding={spec.padding}, got {'padding' if padding else 'none'}.")


def edges_of(bands: Sequence[int] | None) -> tuple[int, ...] | None:
    """The edges of bands of distance, checked.

    Raises:
        SpecError: they are not whole numbers above 0 that rise.
    """
    if bands is None:
        return None
    edges = tuple(bands)
    whole = all(map(is_whole, edges))
    if not whole or any(b <= a for a, b in zip((0, *edges), edges, strict=False)) or max(edges, default=0) > MAX_EDGE:
        raise SpecError(
            f"bands expects whole numbers above 0 that rise, such as (1, 8, 64), up to {MAX_EDGE}, got {edges!r:.100}."
        )
    return tuple(map(int, edges))
