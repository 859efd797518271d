"""Gradients as a spec: of which line or loss, and with respect to what."""

from __future__ import annotations

from clearhead.axes import describe
from clearhead.errors import SpecError
from clearhead.line import Given, Line
from clearhead.spec.draft import Draft
from clearhead.spec.fields import Spec
from clearhead.spec.loss import Loss
from clearhead.working import Working


class Backward(Spec, frozen=True):
    """The backward pass behind a forward pass, from a loss or from a given gradient of a line.

    Given arrays, beside those of the forward pass: what the loss adds; without one, and unless the line is a single
    number, ``<of>.grad``, the gradient of the line, in its shape.

    Attributes:
        of: the line that the loss reads, or that the backward pass begins at; None for the last.
        wrt: the lines or given arrays whose gradients are computed; none for all given arrays of numbers.
        loss: a loss that is put behind the line; None where the forward pass ends with one, or for a given gradient.
    """

    of: str | None = None
    wrt: tuple[str, ...] = ()
    loss: Loss | None = None

    def working(self, forward: Working) -> Working:
        """A forward working with its loss and its gradients behind it.

        Raises:
            UnknownName: ``of`` or ``wrt`` names no line.
            SpecError: the loss cannot be of this line.
        """
        wrt = self.wrt or tuple(given.name for given in forward.givens if given.holds == "numbers")
        if self.loss is None:
            return forward.backward(self.of, wrt)
        return self._with_loss(forward, self.loss).backward("loss", wrt)

    def _with_loss(self, forward: Working, loss: Loss) -> Working:
        """A forward working with the lines of a loss behind it."""
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
