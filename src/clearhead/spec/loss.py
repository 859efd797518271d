"""What a model is trained on, as a spec."""

from __future__ import annotations

from typing import Literal

from clearhead.errors import SpecError
from clearhead.ops.textbook import losses, scores
from clearhead.spec.draft import Draft
from clearhead.spec.fields import Spec


class Loss(Spec, frozen=True):
    """How far the result is from the given ``target``: the line ``loss``, a number, and what it is the mean of.

    Cross-entropy: ``target`` (token), whole numbers, the right row of the vocabulary for each token, from 0; lines
    ``probabilities`` (token, vocabulary) and ``loss.token`` (token). Squared error: ``target`` (token, model), or
    (token, vocabulary) where there are logits; line ``loss.cell``.

    Attributes:
        kind: ``"cross-entropy"`` or ``"squared-error"``.
        smoothing: the share of the target that is spread over the whole vocabulary (label smoothing).
        ignored: the target of tokens that do not count, such as -100; None for none.
        reduction: the ``"mean"`` or the ``"sum"`` of the losses of all tokens.
        reads: the cross-entropy is minus the logarithm of the ``"probabilities"``, as by hand, or computed from the
            ``"logits"`` at once, as libraries do, so that nothing overflows.
    """

    kind: Literal["cross-entropy", "squared-error"] = "cross-entropy"
    smoothing: float = 0.0
    ignored: int | None = None
    reduction: Literal["mean", "sum"] = "mean"
    reads: Literal["probabilities", "logits"] = "probabilities"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.smoothing <= 1:
            raise SpecError(f"Loss smoothing expects a share from 0 to 1, got {self.smoothing}.")
        if self.kind == "squared-error" and (self.smoothing or self.ignored is not None or self.reduction == "sum"):
            raise SpecError("a squared error goes without smoothing, ignored targets and sums: it is a mean of cells.")

    def write(self, draft: Draft, source: str, axes: str) -> str:
        """Writes the lines onto a draft, for a line with these axes; returns the name of the last, ``loss``."""
        if self.kind == "squared-error":
            operands = f"{source} {draft.give('target', axes)}"
            return draft.write(
                "loss", losses.mean_of_cells, draft.write("loss.cell", losses.squared_error, operands, axes), ""
            )
        probabilities = draft.write("probabilities", scores.softmax, source, axes)
        fused = self.reads == "logits"
        target = draft.give("target", axes.split()[0], "integers")
        each = draft.write(
            "loss.token",
            losses.cross_entropy if fused else losses.negative_log_likelihood,
            f"{source if fused else probabilities} {target}",
            axes.split()[0],
            smoothing=self.smoothing,
            ignored=self.ignored,
        )
        if self.reduction == "sum":
            return draft.write("loss", losses.sum_of_tokens, each, "")
        if self.ignored is None:
            return draft.write("loss", losses.mean_of_tokens, each, "")
        return draft.write("loss", losses.mean_of_counted, f"{each} {target}", "", ignored=self.ignored)
