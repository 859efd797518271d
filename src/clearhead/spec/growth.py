"""Queries that grow with their position, as a spec."""

from __future__ import annotations

from clearhead.errors import SpecError
from clearhead.ops.textbook import positions
from clearhead.spec.draft import Draft
from clearhead.spec.fields import Spec


class Growth(Spec, frozen=True):
    """Queries are multiplied by 1 + rate * log(1 + floor(position / context)) (Llama 4, Ministral 3).

    So the weights of long texts stay as sharp as those of texts of ``context`` tokens. Lines: ``query.position``
    (token), ``query.growth`` (token) and ``query.grown``.

    Attributes:
        rate: how fast they grow.
        context: the tokens up to which they do not.
    """

    rate: float = 0.1
    context: int = 8192

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.context < 1:
            raise SpecError(f"growth context expects 1 or more tokens, got {self.context}.")

    def write(self, draft: Draft, query: str, past: str | None) -> str:
        """Writes the lines onto ``draft``, for ``query``, behind the cache ``past`` if any; returns the last name."""
        count, operands = (positions.count, query) if past is None else (positions.count_on, f"{query} {past}")
        position = draft.write("query.position", count, operands, "token", offset=0.0)
        growth = draft.write(
            "query.growth", positions.log_growth, position, "token", rate=self.rate, context=self.context
        )
        return draft.write("query.grown", positions.grow, f"{query} {growth}", "head token depth")
