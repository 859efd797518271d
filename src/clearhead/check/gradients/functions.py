"""Backward functions, also those that PyTorch and JAX make of a function that they can differentiate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from inspect import signature
from typing import Any

import numpy as np
from msgspec import Struct

from clearhead.check.calls.calling import Function, Symptom, results
from clearhead.check.gradients.task import GradientTask
from clearhead.errors import SpecError


class Autograd(Struct, frozen=True, eq=False):
    """A function whose gradients its library computes: what `autograd` gives.

    Attributes:
        function: the forward pass.
        library: ``"torch"`` or ``"jax"``.
    """

    function: Callable[..., Any]
    library: str


def autograd(function: Callable[..., Any], library: str | None = None) -> Autograd:
    """A function of PyTorch or JAX with the gradients that its library gives, for `probe_gradients`.

    Args:
        function: the forward pass: a function, a ``torch.autograd.Function``, a module, or a ``jax.custom_vjp``.
        library: ``"torch"`` or ``"jax"``; None for classes and objects of these libraries, which are recognised.

    Raises:
        SpecError: the library is not recognised, or not one of the two.
    """
    found = library or _library(function)
    if found not in GRADIENTS:
        got = "which of them is not to be seen" if found is None else f"got {found!r}"
        raise SpecError(f"autograd expects a function of torch or jax, {got}. Say library='torch' or library='jax'.")
    return Autograd(getattr(function, "apply", function) if isinstance(function, type) else function, found)


def is_differentiable(function: Any) -> bool:
    """Whether a function is an object of a library that gives its gradients."""
    return isinstance(function, Autograd) or _library(function) is not None


DIFFERENTIABLE = {
    "torch.autograd.function.Function": "torch",
    "torch.nn.modules.module.Module": "torch",
    "jax._src.custom_derivatives.custom_vjp": "jax",
    "jax._src.custom_derivatives.custom_jvp": "jax",
}
"""The classes whose objects, or subclasses, their library differentiates."""


def _library(function: Any) -> str | None:
    """The library of a differentiable object, by the names of its classes, so that nothing is imported."""
    kind = function if isinstance(function, type) else type(function)
    names = (f"{base.__module__}.{base.__qualname__}" for base in kind.__mro__)
    return next((DIFFERENTIABLE[name] for name in names if name in DIFFERENTIABLE), None)


def _torch(function: Function, wrt: tuple[int, ...], count: int, *arrays: Any) -> tuple[Any, ...]:
    import torch

    inputs = [each.detach().requires_grad_(place in wrt) for place, each in enumerate(arrays[:count])]
    with torch.enable_grad():
        out = _first(function(*inputs))
    start = arrays[count].to(out.dtype) if len(arrays) > count else torch.ones_like(out)
    asked = [inputs[place] for place in wrt]
    found = torch.autograd.grad(out, asked, start, allow_unused=True)
    return tuple(torch.zeros_like(x) if grad is None else grad for x, grad in zip(asked, found, strict=True))


def _jax(function: Function, wrt: tuple[int, ...], count: int, *arrays: Any) -> tuple[Any, ...]:
    import jax

    def of_numbers(*numbers: Any) -> Any:
        whole = list(arrays[:count])
        for place, each in zip(wrt, numbers, strict=True):
            whole[place] = each
        return _first(function(*whole))

    out, back = jax.vjp(of_numbers, *(arrays[place] for place in wrt))
    return tuple(back(arrays[count].astype(out.dtype) if len(arrays) > count else out * 0 + 1))


def _first(out: Any) -> Any:
    return out[0] if isinstance(out, tuple | list) else out


GRADIENTS = {"torch": _torch, "jax": _jax}
"""How each library gives the gradients of a function, for the arguments at some places."""


def backward_of(source: Autograd, task: GradientTask) -> Function:
    """The backward function of a differentiable one."""
    places = tuple(task.forward.takes.index(name) for name in task.wrt)
    return partial(GRADIENTS[source.library], source.function, places, len(task.forward.takes))


class ByItem(Struct, frozen=True):
    """A backward function called for each item of a batch by itself, since what items share has one gradient for all.

    The gradients of each item are what the working has. That those of a batch are their sum is a property.
    """

    function: Function
    task: GradientTask

    def __call__(self, *arrays: Any) -> Any:
        """The gradients of each item, one behind the other."""
        task = self.task
        lead = [each.ndim > len(task.axes(name)) for name, each in zip(task.takes, arrays, strict=True)]
        if not any(lead):
            return self.function(*arrays)
        count = next(each.shape[0] for each, has in zip(arrays, lead, strict=True) if has)
        items = []
        for item in range(count):
            returned = self.function(
                *(each[item : item + 1] if has else each for each, has in zip(arrays, lead, strict=True))
            )
            found = results(returned, task.returns)
            if not found:
                return returned
            items.append(found)
        return tuple(self._together(name, each) for name, each in zip(task.wrt, zip(*items, strict=True), strict=True))

    def _together(self, name: str, grads: tuple[np.ndarray[Any, Any], ...]) -> np.ndarray[Any, Any]:
        return np.stack(grads) if self.task.shared(name) else np.concatenate(grads)


def by_item(function: Function, task: GradientTask) -> Function:
    """The function, called for each item of a batch where items share what it gives gradients of."""
    batched = any(map(task.takes_batch, task.takes))
    return ByItem(function, task) if batched and any(map(task.shared, task.wrt)) else function


def misfit(function: Function, task: GradientTask) -> Symptom | None:
    """What is said of a function whose parameters are not the arrays that it is called with; None where they are."""
    try:
        parameters = signature(function)
    except (TypeError, ValueError):  # compiled code has none to be seen
        return None
    try:
        parameters.bind(*task.takes)
    except TypeError:
        names = ", ".join(task.takes)
        says = f"It is called with {len(task.takes)} arrays ({names}), and its parameters are {parameters}."
        result = task.forward.returns[0]
        if task.upstream is None:
            remedy = (
                f"{result} is a single number, so its gradient is 1 and is not passed. A function that asks for it is "
                "wrapped: lambda *arrays: backward(*arrays, 1.0)."
            )
        else:
            remedy = f"The last is the gradient of {result}, which the pass starts with."
        return Symptom("arguments", says, remedy)
    return None


def libraries_of(source: Any) -> Iterator[str]:
    """The library of a differentiable function."""
    if isinstance(source, Autograd):
        yield source.library
