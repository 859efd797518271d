"""The decoder of an encoder-decoder on its way through its layers: its own attention, and that to the source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clearhead.inspection import inspect_lines
from clearhead.inspection.request import Wanted
from clearhead.inspection.survey import Numbers
from clearhead.models.lengths import check_lengths
from clearhead.models.reading import ENCODER
from clearhead.models.texts import Inputs
from clearhead.models.walking import NOTHING, Asked, Attended, Progress, Run

if TYPE_CHECKING:
    from clearhead.models.model import Model


class DecoderRun(Run):
    """A decoder on its way; ``crossed`` is the attention of the layer that was computed last to the source."""

    crossed: Attended

    def __init__(self, model: Model, inputs: Inputs, asked: Asked, progress: Progress | None) -> None:
        self._begin(model, asked, progress, decoder=True)
        check_lengths(model.spec, {**self.weights, **inputs.arrays})
        (memory,) = (name for name in self.cuts.across(self.states, -1) if name.startswith(ENCODER))
        last, read = _encoded(model, inputs)
        written = {name: array for name, array in inputs.arrays.items() if not name.startswith(ENCODER)}
        found = read if last == memory else self._between({last: read}, memory)[memory]
        self._enter({**written, memory: found})

    def layer(self, number: int, *, count: int, measure: bool = True, further: bool = True) -> Attended:
        """Computes a layer, both of its attentions, and returns its own; see `Run.layer`."""
        asked = self.asked if measure else NOTHING
        own = self._attend(number, self.cuts.core(number), asked, count)
        heads = {own.core.head.name: own.found.output}
        self.crossed = self._cross(number, heads, asked)
        if further:
            self._go_on(number, count, {**heads, self.crossed.core.head.name: self.crossed.found.output})
        return own

    def _cross(self, number: int, heads: dict[str, Numbers], asked: Asked) -> Attended:
        """A layer's attention to the source."""
        core = self.cuts.core(number, "cross")
        before = {self.states[number]: self.hidden, **heads, **self.across}
        arrays = self._between(before, core.query, core.key, core.value)
        given = {each.name: self.weights[each.name] for each in core.others}
        wanted = Wanted(asked.top, asked.received)
        read = arrays[core.query], arrays[core.key], arrays[core.value]
        found = inspect_lines(read, given, core, {}, wanted, compiled=self.model.engine != "array")
        return Attended(core, {**arrays, **given}, found)


def _encoded(model: Model, inputs: Inputs) -> tuple[str, Numbers]:
    """The state behind the encoder's last layer, and the name of its line."""
    run = Run(model, inputs, NOTHING, None)
    count = len(run.states) - 1
    for number in range(count):
        run.layer(number, count=count)
    return run.states[-1], run.hidden
