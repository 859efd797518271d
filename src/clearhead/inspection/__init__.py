"""Attention that is too long to store: its output, and exact statistics of its weights, in memory linear in tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from clearhead.inspection.result import Inspection, Received
from clearhead.inspection.survey import LayerStatistics, Summary, Survey

if TYPE_CHECKING:
    from clearhead.spec import Attention

Array = Any

__all__ = ["Inspection", "LayerStatistics", "Received", "Summary", "Survey", "inspect"]


def inspect(
    query: Array,
    key: Array,
    value: Array,
    *,
    spec: Attention | None = None,
    causal: bool = False,
    mask: Array | None = None,
    padding: Array | None = None,
    window: int | None = None,
    softcap: float | None = None,
    scale: float | None = None,
    top: int = 8,
    received: bool = False,
    bands: Sequence[int] | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Inspection:
    """Works out attention, and what its weights are like, without ever holding all of the weights.

    The arrays are of one library (NumPy, PyTorch, JAX ...) and type; half precisions are worked out in float32. On
    float32 arrays in main memory a compiled kernel runs (``pip install 'clearhead[kernels]'``), on CUDA tensors one in
    Triton (``clearhead[gpu]``), elsewhere plain array code; the inspection says which, and why. An interruption
    (Ctrl-C) stops all threads, then is raised.

    Args:
        query: (*batch, head, query, depth), as it meets the keys: after any norm and rotary positions.
        key: (*batch, group, key, depth); each group serves head / group neighbouring query heads.
        value: (*batch, group, key, features).
        spec: how to attend; of it count scale, softcap, causal, window, mask, padding and alibi. Instead of it:
        causal: no query sees a later key; with more keys than queries the last query sees all keys.
        mask: (*batch, head, query, key), or 1 for any of them: booleans (True = may attend), or numbers to be added.
        padding: (*batch, key), booleans: True for real keys.
        window: a query sees keys less than so many tokens away.
        softcap: bends scores into -softcap .. softcap with tanh, before masks.
        scale: what scores are multiplied with; None for 1 / sqrt(depth).
        top: how many of the largest weights of each query to tell.
        received: whether to tell what each key gets; a second pass over the scores.
        bands: where bands of distance part, in tokens, such as (1, 8, 64).
        progress: is called with how much of how much is done, about ten times a second.

    Raises:
        ShapeError: the arrays do not fit each other.
        SpecError: the options contradict each other or the spec.
    """
    from clearhead.inspection.choice import choose
    from clearhead.inspection.request import Wanted, request_of

    options = {"causal": causal, "window": window, "softcap": softcap, "scale": scale}
    wanted = Wanted(top, received, bands, progress)
    request = request_of((query, key, value), (mask, padding), spec, options, wanted)
    choice = choose(request)
    return replace(choice.inspect(request), kernel=choice.kernel, reason=choice.reason)
