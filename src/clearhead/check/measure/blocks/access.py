"""A function that computes tokens from named arrays: called with any of them, with a count of calls."""

from __future__ import annotations

import numpy as np

from clearhead.check.calls.calling import Caller, Form, Symptom
from clearhead.check.calls.task import Arrays, Task
from clearhead.check.measure.access import Refused, running
from clearhead.check.measure.parts import Array
from clearhead.errors import ClearheadError
from clearhead.working import Working

Outputs = tuple[Array, ...]


class Run:
    """A function on arrays by name, in the working's layout.

    Attributes:
        caller: the function with the form in which it is called.
        calls: how often it was called.
    """

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.calls = 0

    @property
    def task(self) -> Task:
        """The task of the function."""
        return self.caller.task

    def __call__(self, arrays: Arrays) -> Outputs:
        """What it returns, in double precision.

        Raises:
            Refused: the function does not run on such arrays, or returns arrays with fewer axes.
        """
        self.calls += 1
        call = self.caller(arrays)
        if call.failed:
            raise Refused(call.failed)
        form, outputs = self.caller.form, []
        for name, out in zip(self.task.returns, call.outputs, strict=True):
            words = self.task.axes(name)
            if out.ndim < len(form.axes(words)):
                raise Refused(None, out.shape)
            outputs.append(form.back(words, out).astype(np.float64))
        return tuple(outputs)

    def last(self, arrays: Arrays) -> Array:
        """The last of what it returns."""
        return self(arrays)[-1]


class Computed(Run):
    """A working as such a function; it takes only what `Run` takes."""

    def __init__(self, task: Task, working: Working) -> None:
        super().__init__(Caller(running(task, working), task, Form("numpy")))
        self.working = working

    def __call__(self, arrays: Arrays) -> Outputs:
        """What the working gives.

        Raises:
            Refused: it takes no such arrays.
        """
        given = {**self.task.fixed, **arrays}
        try:
            trace = self.working.run(
                {each.name: given[each.name] for each in self.working.givens}, keep=self.task.returns
            )
        except ClearheadError as error:
            raise Refused(Symptom("raises", str(error))) from None
        return tuple(np.asarray(trace.numpy(name), np.float64) for name in self.task.returns)
