"""Gradients as a spec: of which line or loss, and with respect to what."""

from __future__ import annotations

from clearhead.axes import TOKENS, describe
from clearhead.errors import SpecError
from clearhead.line import Given, Line
from clearhead.spec.draft import Draft
from clearhead.spec.fields import Spec
from clearhead.spec.loss import Loss
from clearhead.spec.optimizer import Optimizer
from clearhead.working import Working


class Backward(Spec, frozen=True):
    """The backward pass after a forward pass, from a loss or from a given gradient of a line.

    Given arrays, in addition to those of the forward pass: those of the loss. Without a loss, and unless the line is a
    single number: ``<of>.grad``, the gradient of the line, in its shape.

    Attributes:
        of: the line that the loss reads, or at which the backward pass starts; None for the last.
        wrt: the lines or given arrays whose gradients are computed; none for all given arrays of numbers, or with an
            optimizer for those without an axis of tokens: weights, biases, gains, tables.
        loss: a loss added after the line; None where the forward pass ends with one, or for a given gradient.
        optimizer: steps of training after the gradients; None for none.
    """

    of: str | None = None
    wrt: tuple[str, ...] = ()
    loss: Loss | None = None
    optimizer: Optimizer | None = None

    def working(self, forward: Working) -> Working:
        """The working ``forward``, followed by its loss and its gradients.

        Raises:
            UnknownName: ``of`` or ``wrt`` names no line.
            SpecError: the loss cannot be of this line.
        """
        whole = forward if self.loss is None else self._with_loss(forward, self.loss)
        backward = whole.backward(self.of if self.loss is None else "loss", self._wrt(forward))
        return backward if self.optimizer is None else self.optimizer.behind(backward)

    def _wrt(self, forward: Working) -> tuple[str, ...]:
        """The arrays whose gradients are computed, where none is named."""
        numbers = [given for given in forward.givens if given.holds == "numbers"]
        if self.optimizer is not None:
            numbers = [given for given in numbers if not {*given.axes} & {*TOKENS, "past"}]
        return self.wrt or tuple(given.name for given in numbers)

    def _with_loss(self, forward: Working, loss: Loss) -> Working:
        """A forward working, followed by the lines of a loss."""
        parts: tuple[Given | Line, ...] = (*forward.givens, *forward.lines)
        read = parts[-1] if self.of is None else forward.line(self.of)
        if len(read.axes) != 2:
            raise SpecError(
                f"{loss.kind} expects a line of two axes, such as (token, vocabulary), got {read.name} "
                f"{describe(read.axes, [None] * len(read.axes))}. Name another line with of."
            )
        draft = Draft("", ([*forward.givens], [*forward.lines]))
        loss.write(draft, read.name, " ".join(read.axes))
        return draft.working(forward.label_base)
