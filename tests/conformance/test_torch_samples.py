"""The samples of PyTorch's own tests, with gradients: more than 800 of them are answered by workings.

One in seven is compared here, all with EVERY=1 (`make gradients`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice

import numpy as np
import pytest
import torch

from clearhead.backward import GRAD

from .torch_samples import LEFT_OUT, MODULES, OPERATORS, Answer, Result, of_module, of_operator

SAMPLED = {**dict.fromkeys(OPERATORS, of_operator), **dict.fromkeys(MODULES, of_module)}


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(16)


def gradients(answer: Answer, pull: torch.Tensor) -> Iterator[torch.Tensor | None]:
    """Our gradients of a result times ``pull``, by all leaves that its arrays are made of."""
    made = {name: array for name, array in answer.arrays.items() if array.requires_grad}
    plain = {name: array.detach().numpy() for name, array in answer.arrays.items()}
    backward = answer.working.backward(answer.of, list(made))
    trace = backward.run({**plain, answer.of + GRAD: pull.numpy()} if pull.ndim else plain)
    scale = 1.0 if pull.ndim else pull.item()
    grads = [torch.from_numpy(np.array(trace[name + GRAD])).sum_to_size(array.shape) for name, array in made.items()]
    pulls = [grad * scale for grad in grads]
    yield from torch.autograd.grad(list(made.values()), answer.leaves, pulls, allow_unused=True)


def assert_answered(answer: Answer) -> None:
    """The result and the gradients by all leaves are PyTorch's."""
    plain = {name: array.detach().numpy() for name, array in answer.arrays.items()}
    found, expected = answer.working.run(plain)[answer.of], answer.expected.detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * max(1, abs(expected).max(initial=0)))
    pull = torch.randn(answer.expected.shape, dtype=torch.float64)
    theirs = torch.autograd.grad((answer.expected * pull).sum(), answer.leaves, allow_unused=True, retain_graph=True)
    for mine, grad in zip(gradients(answer, pull), theirs, strict=True):
        assert (mine is None) == (grad is None)
        if grad is not None:
            largest = max(1.0, grad.abs().max().item())
            np.testing.assert_allclose(mine, grad, rtol=1e-9, atol=1e-9 * largest)


LEAST = 500
"""So many samples are answered; those of whole encoders and decoders, which take longest, are not counted here."""


@pytest.mark.filterwarnings("ignore:linear_cross_entropy. ``options`` ignored")
def test_there_are_answers_to_hundreds() -> None:
    """At least 500 samples have an answer, each with leaves that its gradients are compared for."""
    names = [name for name in SAMPLED if "Transformer" not in name]
    found = (each for name in names for each in SAMPLED[name](name, 1) if isinstance(each, Answer) and each.leaves)
    assert len(list(islice(found, LEAST))) == LEAST


EVERY = int(os.environ.get("EVERY", "7"))


def answers(name: str) -> list[Result]:
    return list(SAMPLED[name](name, EVERY))


@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True", "ignore:linear_cross_entropy. ``options`` ignored")
@pytest.mark.parametrize("name", SAMPLED)
def test_samples(name: str) -> None:
    """Each sample of an operator or a module: its result and all its gradients, in float64."""
    found = answers(name)
    for each in found:
        if isinstance(each, Answer):
            assert_answered(each)
        else:
            assert each in LEFT_OUT
    assert any(isinstance(each, Answer) for each in found)
