"""Inspection of attention whose weights are too many to store, in memory linear in tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from clearhead.errors import SpecError
from clearhead.inspection.result import Inspection, Received
from clearhead.inspection.survey import LayerStatistics, Summary, Survey

if TYPE_CHECKING:
    from clearhead.inspection.core import Core
    from clearhead.inspection.request import Wanted
    from clearhead.spec import Attention
    from clearhead.working import Working

Array = Any

__all__ = ["Inspection", "LayerStatistics", "Received", "Summary", "Survey", "inspect"]


def inspect(
    query: Array,
    key: Array,
    value: Array,
    *,
    spec: Attention | Working | None = None,
    causal: bool = False,
    mask: Array | None = None,
    padding: Array | None = None,
    given: Mapping[str, Array] | None = None,
    window: int | None = None,
    softcap: float | None = None,
    scale: float | None = None,
    top: int = 8,
    received: bool = False,
    bands: Sequence[int] | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Inspection:
    """Computes attention and statistics of its weights, without storing all weights.

    The arrays are of one library (NumPy, PyTorch, JAX ...) and type; half precisions are computed in float32. On
    float32 arrays in main memory a compiled kernel runs (``pip install 'clearhead[kernels]'``), on CUDA tensors one in
    Triton (``clearhead[gpu]``), elsewhere plain array code; the inspection says which, and why. An interruption
    (Ctrl-C) stops all threads, then is raised.

    Args:
        query: (*batch, head, query, depth), as used in the product with keys: after any norm and rotary positions.
        key: (*batch, group, key, depth); each group serves head / group neighbouring query heads.
        value: (*batch, group, key, features).
        spec: how to attend: a spec, or a working. Its lines from ``scores`` to ``head`` are computed. A spec that
            changes queries or keys before (rotary, qk_norm) is refused. Instead of a spec:
        causal: no query sees a later key; with more keys than queries the last query sees all keys.
        mask: (*batch, head, query, key), or 1 for any of them: booleans (True = may attend), or numbers to be added.
        padding: (*batch, key), booleans: True for real keys.
        given: other arrays that the lines read, by name, such as ``{"sink": sinks}``.
        window: a query attends to keys less than ``window`` tokens away.
        softcap: limits scores to -softcap .. softcap, with tanh, before masks.
        scale: the factor of scores; None for 1 / sqrt(depth).
        top: how many of the largest weights of each query to report.
        received: whether to report the weights that each key receives; a second pass over the scores.
        bands: the edges of bands of distance, in tokens, such as (1, 8, 64).
        progress: is called with the finished and the whole amount of work, about ten times a second.

    Raises:
        ShapeError: the arrays do not fit each other.
        SpecError: the options contradict each other or the spec, or a line mixes queries in an unknown way.

    NaN and infinities of keys and values reach only the queries that see them.
    """
    from clearhead.inspection.request import Wanted

    options = {"causal": causal, "window": window, "softcap": softcap, "scale": scale}
    named = {"mask": mask, "padding": padding}
    arrays = {**{name: array for name, array in named.items() if array is not None}, **(given or {})}
    return inspect_lines((query, key, value), arrays, spec, options, Wanted(top, received, bands, progress))


def inspect_lines(
    arrays: tuple[Array, Array, Array],
    given: Mapping[str, Array],
    lines: Attention | Working | Core | None,
    options: dict[str, Any],
    wanted: Wanted,
    *,
    compiled: bool = True,
) -> Inspection:
    """Inspects lines from scores to heads; the arguments are those of `clearhead.inspection.request.request_of`.

    Without ``compiled``, array code computes them.
    """
    from clearhead.inspection.choice import choose
    from clearhead.inspection.request import request_of

    request = request_of(arrays, given, lines, options, wanted)
    choice = choose(request, compiled=compiled)
    return replace(choice.inspect(request), kernel=choice.kernel, reason=choice.reason)


def inspect_texts(
    arrays: tuple[Array, Array, Array], given: Mapping[str, Array], core: Core, wanted: Wanted, ends: Sequence[int]
) -> Inspection:
    """Inspects several texts whose tokens are rows of the same arrays; each text attends only to itself.

    Rows behind the last text have zeros. The numbers of a text do not depend on the others, nor on where it begins.

    Args:
        arrays: query, key and value (head or group, token, depth).
        given: other arrays that the lines read, the same for all texts.
        core: the lines.
        wanted: what to report.
        ends: where each text ends, in rows.

    Raises:
        SpecError: only the compiled kernel does it, and it cannot compute these arrays.
    """
    from clearhead.inspection.choice import choose
    from clearhead.inspection.request import request_of

    request = request_of(arrays, given, core, {}, wanted)
    choice = choose(request)
    if choice.kernel != "numba" or request.mask is not None or request.padding is not None:
        raise SpecError(f"several texts at once expect the compiled kernel, and no masks. {choice.reason}")
    return replace(choice.inspect(replace(request, ends=tuple(ends))), kernel=choice.kernel, reason=choice.reason)
