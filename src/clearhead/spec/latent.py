"""Latent attention as a spec: keys and values from a low-rank latent of each token."""

from __future__ import annotations

from collections.abc import Mapping

from clearhead.ops.textbook import linear
from clearhead.spec.draft import Draft
from clearhead.spec.fields import Spec
from clearhead.spec.norm import Norm

LATENT = "token latent"


class Latent(Spec, frozen=True):
    """Queries, keys and values of multi-head latent attention (DeepSeek-AI 2024, "DeepSeek-V2", section 2.1).

    Given arrays: ``latent.weight`` (model, latent) and the gain of its norm; ``key.weight`` and ``value.weight``
    (head, latent, depth); ``key.shared.weight`` (model, depth), a part of the key that all heads share, placed in
    front of each head's own; ``query.weight`` (head, model, depth), or, with a latent, (head, latent, depth).

    Attributes:
        norm: of latents.
        query: queries come from their own latent, ``query.latent.weight`` (model, latent).
    """

    norm: Norm = Norm("rms", 1e-6)
    query: bool = True

    def write(self, draft: Draft, source: str, sizes: Mapping[str, int]) -> tuple[str, str, str]:
        """Writes the lines onto ``draft``, for tokens ``source`` and ``sizes`` of heads; returns query, key, value."""
        asked = self._latent(draft, "query.latent", source) if self.query else source
        query = self._heads(draft, "query", asked, "latent" if self.query else "model", sizes)
        latent = self._latent(draft, "latent", source)
        weight = draft.give("key.shared.weight", "model depth")
        shared = draft.write("key.shared", linear.matmul, f"{source} {weight}", "token depth")
        own = self._heads(draft, "key", latent, "latent", sizes, line="key.own")
        key = draft.write("key", linear.beside_shared, f"{shared} {own}", "head token depth")
        return query, key, self._heads(draft, "value", latent, "latent", sizes)

    def _latent(self, draft: Draft, name: str, source: str) -> str:
        weight = draft.give(f"{name}.weight", "model latent")
        product = draft.write(f"{name}.product", linear.matmul, f"{source} {weight}", LATENT)
        return self.norm.write(draft, product, LATENT, name)

    def _heads(self, draft: Draft, name: str, source: str, row: str, sizes: Mapping[str, int], line: str = "") -> str:
        weight = draft.give(f"{name}.weight", f"head {row} depth", sizes=sizes)
        return draft.write(line or name, linear.project, f"{source} {weight}", "head token depth")
