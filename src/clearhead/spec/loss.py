"""The loss of a model, as a spec."""

from __future__ import annotations

from typing import Literal

from clearhead.errors import SpecError
from clearhead.ops.textbook import losses, scores
from clearhead.spec.draft import Draft
from clearhead.spec.fields import Spec


class Loss(Spec, frozen=True):
    """How far the result is from the given ``target``: the line ``loss``, a number, and the losses that it averages.

    Cross-entropy: ``target`` (token), whole numbers, the right row of the vocabulary for each token, from 0; lines
    ``probabilities`` (token, vocabulary) and ``loss.token`` (token). Squared error: ``target`` (token, model), or
    (token, vocabulary) where there are logits; line ``loss.cell``.

    Attributes:
        kind: ``"cross-entropy"`` or ``"squared-error"``.
        smoothing: the part of the target probability that is spread over the whole vocabulary (label smoothing).
        ignored: the target of tokens that do not count, such as -100; None for none.
        reduction: the ``"mean"`` or the ``"sum"`` of the losses of all tokens.
        reads: the cross-entropy is minus the logarithm of the ``"probabilities"``, as by hand, or computed from the
            ``"logits"`` at once, as libraries do, so that nothing overflows.
        weighted: whether each class has a weight, given as ``class.weight`` (vocabulary), by which the losses of its
            tokens count; the mean is divided by the weights of the right classes.
    """

    kind: Literal["cross-entropy", "squared-error"] = "cross-entropy"
    smoothing: float = 0.0
    ignored: int | None = None
    reduction: Literal["mean", "sum"] = "mean"
    reads: Literal["probabilities", "logits"] = "probabilities"
    weighted: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.smoothing <= 1:
            raise SpecError(f"Loss smoothing expects a number from 0 to 1, got {self.smoothing}.")
        own = self.smoothing or self.ignored is not None or self.reduction == "sum" or self.weighted
        if self.kind == "squared-error" and own:
            raise SpecError(
                "a squared error goes without smoothing, ignored targets, weights and sums: it is a mean of cells. "
                'Half the sum is deviations = ["loss-summed", "loss-halved"].'
            )
        if self.weighted and self.smoothing:
            raise SpecError("Loss smoothing and weights of classes do not go together. Leave one out.")

    def write(self, draft: Draft, source: str, axes: str) -> str:
        """Writes the lines onto ``draft``, for the line ``source`` with these ``axes``; returns the loss's name."""
        if self.kind == "squared-error":
            operands = f"{source} {draft.give('target', axes)}"
            return draft.write(
                "loss", losses.mean_of_cells, draft.write("loss.cell", losses.squared_error, operands, axes), ""
            )
        probabilities = draft.write("probabilities", scores.softmax, source, axes)
        fused = self.reads == "logits"
        target = draft.give("target", axes.split()[0], "integers")
        each = draft.write(
            "loss.token.plain" if self.weighted else "loss.token",
            losses.cross_entropy if fused else losses.negative_log_likelihood,
            f"{source if fused else probabilities} {target}",
            axes.split()[0],
            smoothing=self.smoothing,
            ignored=self.ignored,
        )
        if self.weighted:
            return self._weighted(draft, each, target, axes)
        if self.reduction == "sum":
            return draft.write("loss", losses.sum_of_tokens, each, "")
        if self.ignored is None:
            return draft.write("loss", losses.mean_of_tokens, each, "")
        return draft.write("loss", losses.mean_of_counted, f"{each} {target}", "", ignored=self.ignored)

    def _weighted(self, draft: Draft, plain: str, target: str, axes: str) -> str:
        """The losses of tokens times the weights of their classes, and their sum or mean."""
        token, classes = axes.split()
        operands = f"{target} {draft.give('class.weight', classes)}"
        each = draft.write("loss.token", losses.weigh_by_class, f"{plain} {operands}", token, ignored=self.ignored)
        if self.reduction == "sum":
            return draft.write("loss", losses.sum_of_tokens, each, "")
        return draft.write("loss", losses.mean_by_weight, f"{each} {operands}", "", ignored=self.ignored)
