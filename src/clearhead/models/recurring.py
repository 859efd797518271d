"""What the heads of a gated delta net read, chunk by chunk: in memory linear in tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from msgspec import Struct

from clearhead.line import Line
from clearhead.ops.numpy import numpy_namespace as xp
from clearhead.ops.textbook import recurrent
from clearhead.working import Working

Numbers = np.ndarray[Any, Any]

CHUNK = 64
"""The tokens whose products are computed at once; those before are in the memory."""


class Recurrence(Struct, frozen=True):
    """The lines of a gated delta net by their names: those that it starts from, and ``head``, what heads read."""

    query: str
    key: str
    value: str
    share: str
    decay: str
    head: str

    @property
    def entry(self) -> tuple[str, ...]:
        """The names of the lines that it starts from."""
        return self.query, self.key, self.value, self.share, self.decay

    def read(self, arrays: Mapping[str, Numbers]) -> Numbers:
        """What the heads read (head, token, depth), as the line ``head`` to rounding.

        The memory S of a head holds what tokens before the chunk wrote, as it is left at the chunk's first token. A
        token's value is corrected by what S and the tokens of its chunk have for its key, and its query reads both:
        see `clearhead.ops.textbook.recurrent`.

        Args:
            arrays: the lines that it starts from: query, key and value (head, token, depth), share and decay, a
                logarithm (head, token).
        """
        query, key, value, share, decay = (arrays[name] for name in self.entry)
        query = query / query.shape[-1] ** 0.5
        out, memory = np.empty_like(value), np.zeros((*value.shape[:-2], key.shape[-1], value.shape[-1]), value.dtype)
        for start in range(0, value.shape[-2], CHUNK):
            part = slice(start, start + CHUNK)
            q, k, v = (each[..., part, :] for each in (query, key, value))
            # Written by tokens before the chunk, so the chunk's first token lets it decay too.
            left = np.exp(np.cumsum(decay[..., part], axis=-1))[..., None]
            since = recurrent.decay_since.code(xp, decay[..., part])
            keys = k.swapaxes(-1, -2)
            corrections = v - left * (k @ memory)
            written = recurrent.corrected.code(xp, corrections, k @ keys * since, share[..., part])
            out[..., part, :] = left * (q @ memory) + (q @ keys * since) @ written
            kept = since[..., -1, :, None]
            memory = left[..., -1:, :] * memory + (k * kept).swapaxes(-1, -2) @ written
        return out


def recurrence_of(working: Working, path: str) -> Recurrence:
    """The gated delta net among the lines of a working whose names begin with ``path``."""

    def line(name: str) -> Line:
        found = working.line(name)
        assert isinstance(found, Line)  # noqa: S101 - lines of `clearhead.spec.Delta`, in its order
        return found

    head = line(f"{path}head")
    read, written = map(line, head.operands)
    scaled, since = map(line, read.operands)
    query, key = line(scaled.operands[0]).operands
    value, _, share = written.operands
    return Recurrence(query, key, value, share, since.operands[0], head.name)
