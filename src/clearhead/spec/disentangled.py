"""Scores of content and distance together, as a spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from clearhead.errors import SpecError
from clearhead.ops.textbook import disentangled, linear
from clearhead.spec.draft import Draft
from clearhead.spec.fields import Spec
from clearhead.spec.norm import Norm

MAX_SPAN = 4096
"""More than any model has."""

Term = Literal["content-position", "position-content"]


class Disentangled(Spec, frozen=True):
    """Scores plus what content says of distances (He et al. 2021, "DeBERTa", section 3.1).

    Given array: ``relative.weight`` (bucket, model), a row for each bucket of distances, 2 * span in all. Row ``span``
    is that of the token itself, those above are of keys before their query. Keys and queries are made of these rows as
    of tokens. Lines: ``content.position`` (head, query, bucket), each query with the key of each distance, and
    ``position.content`` (head, key, bucket), each key with the query of each distance; ``relative`` is the sum of
    scores and both. All of it comes before the scale, for which the authors take 1 / sqrt(3 * depth).

    Attributes:
        span: how many buckets there are to each side.
        reach: half of a side's buckets have one distance each, the others grow wider, and beyond ``reach`` - 1 all
            share the last; None for one distance in each bucket.
        terms: which of the two lines there are.
        shared: keys and queries of distances are made with ``key.weight`` and ``query.weight``; if not, with
            ``relative.key.weight`` and ``relative.query.weight`` (head, model, depth). Biases likewise.
        norm: a norm of the table's rows, the same in all layers.
    """

    span: int = 256
    reach: int | None = 512
    terms: tuple[Term, ...] = ("content-position", "position-content")
    shared: bool = True
    norm: Norm | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 4 <= self.span <= MAX_SPAN:
            raise SpecError(f"disentangled span expects 4 to {MAX_SPAN}, got {self.span}.")
        if self.reach is not None and self.reach <= self.span // 2 + 1:
            raise SpecError(
                f"disentangled reach expects more than half of a side's buckets and one ({self.span // 2 + 1}), "
                f"got {self.reach}."
            )
        if not self.terms or len(set(self.terms)) < len(self.terms):
            raise SpecError(
                "disentangled terms expects content-position, position-content or both. Drop disentangled for none."
            )

    def write(
        self, draft: Draft, score: str, query: str, key: str, sizes: Mapping[str, int], biased: tuple[str, ...]
    ) -> str:
        """Writes the lines onto ``draft``; returns the name of the last.

        Args:
            draft: where the lines are written.
            score: the name of the products of queries and keys.
            query: the name of the queries.
            key: the name of the keys.
            sizes: those of heads.
            biased: the projections that add a bias.
        """
        rows = draft.give("relative.weight", "bucket model", sizes={"bucket": 2 * self.span})
        if self.norm is not None:
            rows = self.norm.write(draft, rows, "bucket model", "relative.norm")
        parts = {
            "content-position": ("key", query, "query", "content.position", disentangled.add_by_query),
            "position-content": ("query", key, "key", "position.content", disentangled.add_by_key),
        }
        for number, term in enumerate(self.terms, start=1):
            made, content, axis, name, operation = parts[term]
            projected = self._project(draft, made, rows, sizes, biased=made in biased)
            operands = f"{content} {projected}"
            found = draft.write(name, linear.matmul_transposed, operands, f"head {axis} bucket")
            line = "relative" if number == len(self.terms) else f"relative.{name}"
            score = draft.write(line, operation, f"{score} {found}", "head query key", span=self.span, reach=self.reach)
        return score

    def _project(self, draft: Draft, made: str, rows: str, sizes: Mapping[str, int], *, biased: bool) -> str:
        name, axes = f"relative.{made}", "head bucket depth"
        given = made if self.shared else name
        weight = draft.give(f"{given}.weight", "head model depth", sizes=sizes)
        out = draft.write(f"{name}.product" if biased else name, linear.project, f"{rows} {weight}", axes)
        if not biased:
            return out
        bias = draft.give(f"{given}.bias", "head depth", sizes=sizes)
        return draft.write(name, linear.head_bias, f"{out} {bias}", axes)
