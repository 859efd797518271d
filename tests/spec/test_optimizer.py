"""Steps of training as lines, held to PyTorch's optimizers."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
import torch

from clearhead.deviations import deviate
from clearhead.errors import SpecError
from clearhead.problems import read_problem
from clearhead.spec import Attention, Backward, Block, Loss, Mlp, Norm, Optimizer
from clearhead.working import Working

FORWARD = Attention(heads=2, causal=True, bias=("query", "value", "output")).working()
"""Without a bias of the keys, whose gradient is 0 but for rounding, which Adam makes large."""

TRAINED = [given.name for given in FORWARD.givens if given.name != "input"]
SIZES = {"token": 3, "head": 2, "model": 4, "depth": 2, "head*depth": 4}

Make = Callable[[Iterable[torch.Tensor]], torch.optim.Optimizer]

OPTIMIZERS: dict[str, tuple[Optimizer, Make]] = {
    "plain": (Optimizer("sgd", 0.3), lambda p: torch.optim.SGD(p, 0.3)),
    "momentum": (
        Optimizer("sgd", 0.2, momentum=0.9, dampening=0.1, decay=0.05),
        lambda p: torch.optim.SGD(p, 0.2, momentum=0.9, dampening=0.1, weight_decay=0.05),
    ),
    "nesterov": (
        Optimizer("sgd", 0.2, momentum=0.8, nesterov=True),
        lambda p: torch.optim.SGD(p, 0.2, momentum=0.8, nesterov=True),
    ),
    "adagrad": (
        Optimizer("adagrad", 0.1, eps=1e-10, decay=0.01),
        lambda p: torch.optim.Adagrad(p, 0.1, weight_decay=0.01),
    ),
    "adam": (
        Optimizer("adam", 0.05, betas=(0.8, 0.95), decay=0.1),
        lambda p: torch.optim.Adam(p, 0.05, betas=(0.8, 0.95), weight_decay=0.1),
    ),
    "adamw": (Optimizer("adamw", 0.05, decay=0.1), lambda p: torch.optim.AdamW(p, 0.05, weight_decay=0.1)),
}


def arrays_for(seed: int = 0) -> dict[str, np.ndarray]:
    """Numbers without a pattern for all given arrays."""
    rng = np.random.default_rng(seed)
    return {given.name: rng.normal(size=[SIZES[word] for word in given.axes]) for given in FORWARD.givens}


def by_pytorch(make: Make, clip: float | None, steps: int) -> tuple[list[float], dict[str, np.ndarray]]:
    """The losses before each step and after the last, and the arrays after it, by PyTorch."""
    leaves = {name: torch.tensor(array, requires_grad=name != "input") for name, array in arrays_for().items()}
    optimizer = make([leaves[name] for name in TRAINED])

    def loss() -> torch.Tensor:
        return torch.nn.functional.cross_entropy(FORWARD.run(leaves)["output"], torch.tensor([1, 3, 0]))

    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        now = loss()
        losses.append(now.item())
        now.backward()
        if clip is not None:
            torch.nn.utils.clip_grad_norm_([leaves[name] for name in TRAINED], clip)
        optimizer.step()
    return [*losses, loss().item()], {name: leaves[name].detach().numpy() for name in TRAINED}


def working_of(optimizer: Optimizer) -> Working:
    return Backward(loss=Loss(reads="logits"), optimizer=optimizer).working(FORWARD)


def with_steps(optimizer: Optimizer, **fields: Any) -> Optimizer:
    return Optimizer(**{name: getattr(optimizer, name) for name in optimizer.__struct_fields__} | fields)


@pytest.mark.parametrize("clip", [None, 0.1, 1e6])
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_three_steps_are_those_of_pytorch(kind, clip):
    """Three steps in a row of each optimizer, clipped or not: each loss and each array are PyTorch's."""
    spec, make = OPTIMIZERS[kind]
    trace = working_of(with_steps(spec, steps=3, clip=clip)).run({**arrays_for(), "target": np.array([1, 3, 0])})
    losses, arrays = by_pytorch(make, clip, 3)
    found = [float(trace[name]) for name in ("loss", "step2.loss", "step3.loss", "step4.loss")]
    np.testing.assert_allclose(found, losses, rtol=1e-9)
    for name, array in arrays.items():
        np.testing.assert_allclose(trace[f"step3.{name}.new"], array, rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_later_step_goes_on_from_what_is_remembered(kind):
    """The second step alone, from what the first has left, is the second of two steps."""
    spec, _ = OPTIMIZERS[kind]
    arrays = {**arrays_for(), "target": np.array([1, 3, 0])}
    both = working_of(with_steps(spec, steps=2)).run(arrays)
    second = working_of(with_steps(spec, number=2))
    past = {each.name: both[each.name.removeprefix("past.")] for each in second.givens if each.name.startswith("past.")}
    weights = {name: both[f"{name}.new"] for name in TRAINED}
    trace = second.run({**arrays, **weights, **past})
    for name in TRAINED:
        np.testing.assert_allclose(trace[f"{name}.new"], both[f"step2.{name}.new"], rtol=1e-12)


def test_a_step_of_adam_by_hand():
    """The first step moves a number by the learning rate against the sign of its gradient, as Kingma and Ba say."""
    trace = working_of(Optimizer("adam", 0.25, eps=0)).run({**arrays_for(), "target": np.array([1, 3, 0])})
    grad = trace["query.weight.grad"]
    np.testing.assert_allclose(trace["query.weight.new"], trace["query.weight"] - 0.25 * np.sign(grad), rtol=1e-9)


def test_what_is_trained_has_no_tokens():
    """Without wrt weights, biases and gains are trained, and neither inputs nor caches."""
    block = Block(Attention(heads=2, cache=True), Norm(), "pre", Mlp(bias=True)).working()
    whole = Backward(loss=Loss(), optimizer=Optimizer()).working(block)
    trained = {line.name.removesuffix(".new") for line in whole.lines if line.name.endswith(".new")}
    assert trained == {given.name for given in block.givens if given.name.split(".")[-1] in ("weight", "bias", "gain")}


def test_the_loss_of_the_soccer_example_falls():
    """Three steps of AdamW make the loss of the soccer example smaller each time."""
    trace = read_problem("step-soccer").trace()
    losses = [float(trace[name]) for name in ("loss", "step2.loss", "step3.loss", "step4.loss")]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.6 * losses[0]


def test_a_deviation_of_the_forward_pass_stands_in_every_step():
    """A deviation rewrites the forward pass, and all steps are made again from it."""
    working = deviate(working_of(Optimizer("sgd", steps=2)), "scale-missing")
    named = [line.name for line in working.lines if line.name.endswith("scaled") and line.operation.name == "unchanged"]
    assert named == ["scaled", "step2.scaled", "step3.scaled"]


@pytest.mark.parametrize(("fields", "says"), [
    ({"steps": 0}, "1 to 20"),
    ({"number": 0}, "from 1"),
    ({"rate": -1}, "at least 0"),
    ({"betas": (0.9, 1.0)}, "below 1"),
    ({"momentum": 0.9}, "go with sgd"),
    ({"kind": "sgd", "nesterov": True}, "need a momentum"),
])  # fmt: skip
def test_a_wrong_optimizer_is_refused(fields, says):
    """What makes no optimizer is refused, with what was expected."""
    with pytest.raises(SpecError, match=says):
        Optimizer(**fields)


def test_several_steps_need_a_loss():
    """Several steps begin at a number, since a given gradient is that of the first alone; one step may have it."""
    with pytest.raises(SpecError, match="begin at a single number"):
        Backward(optimizer=Optimizer(steps=2)).working(FORWARD)
    assert "query.weight.new" in Backward(optimizer=Optimizer()).working(FORWARD).names
