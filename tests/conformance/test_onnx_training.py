"""The ONNX project's node tests of losses and optimizers, answered from clearhead's workings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pytest

from clearhead.line import Given, line
from clearhead.ops.textbook import linear
from clearhead.spec import Backward, Loss, Optimizer
from clearhead.working import Working

from .onnx_cases import TRAINING, Arrays, Case, cases

CASES = {case.name: case for case in cases(TRAINING)}
LOSSES = {name: case for name, case in CASES.items() if case.operator.endswith("Loss")}
OPTIMIZERS = {name: case for name, case in CASES.items() if name not in LOSSES}


def test_all_base_cases_are_here() -> None:
    """The pinned suite has 52 cases of losses and 7 of optimizers, and every one of them is run."""
    assert Counter(case.operator.endswith("Loss") for case in CASES.values()) == {True: 52, False: 7}


def rows(array: np.ndarray) -> np.ndarray:
    """(batch, classes, ...) as a row of classes for each token."""
    return np.moveaxis(array, 1, -1).reshape(-1, array.shape[1]).astype(np.float64)


@pytest.mark.parametrize("case", LOSSES.values(), ids=LOSSES)
def test_losses(case: Case) -> None:
    """Each loss, with weights, ignored classes and each reduction, and the logarithms of its probabilities."""
    scores, target, *weights = case.inputs.values()
    reduction = case.attributes["reduction"].decode()
    logits = case.operator == "SoftmaxCrossEntropyLoss"
    loss = Loss(
        reads="logits" if logits else "probabilities", ignored=case.attributes.get("ignore_index"),
        reduction="sum" if reduction == "sum" else "mean", weighted=bool(weights),
    )  # fmt: skip
    scored = Working((Given("x", ("token", "vocabulary")),), (line("logits", linear.add, "x x", "token vocabulary"),))
    start = "logits" if logits else "probabilities"
    working = Backward(loss=loss, wrt=(start,)).working(scored).starting_at(start)
    arrays = {"target": target.reshape(-1), **({"class.weight": weights[0].astype(np.float64)} if weights else {})}
    trace = working.run({start: rows(scores) if logits else np.exp(rows(scores)), **arrays})
    found, *logs = case.expected.values()
    mine = trace["loss.token"].reshape(found.shape) if reduction == "none" else trace["loss"]
    np.testing.assert_allclose(mine, found, rtol=1e-5)
    for log in logs:
        np.testing.assert_allclose(np.log(trace["probabilities"]), rows(log), rtol=1e-5)


def spec_of(case: Case) -> Optimizer:
    """The optimizer that a node is. None of the suite's counts above 0, where averages are not corrected."""
    given = {name: value for name, value in case.attributes.items() if isinstance(value, float)}
    rate, decay = float(case.inputs["R"]), given["norm_coefficient"]
    if case.operator == "Momentum":
        nesterov = case.attributes["mode"] == b"nesterov"
        return Optimizer("sgd", rate, momentum=given["alpha"], nesterov=nesterov, decay=decay, number=2)
    if case.operator == "Adagrad":
        return Optimizer("adagrad", rate, eps=given["epsilon"], decay=decay, number=2)
    betas = given["alpha"], given["beta"]
    return Optimizer("adam", rate, betas=betas, eps=given["epsilon"], decay=decay, corrected=False, number=2)


STATES = {"Momentum": ("velocity",), "Adagrad": ("squares",), "Adam": ("first", "second")}


def stepped(case: Case, state: Mapping[str, np.ndarray], x: np.ndarray, slope: np.ndarray) -> Arrays:
    """What a step makes of an array whose gradient is given, and what it remembers."""
    given = (Given("x", ("model",)), Given("slope", ("model",)))
    forward = Working(given, (line("loss", linear.multiply, "x slope", "model"),))
    whole = spec_of(case).behind(forward.backward("loss", ["x"])).ending_at("x.new", *(f"x.{each}" for each in state))
    past = {f"past.x.{name}": array.astype(np.float64) for name, array in state.items()}
    return whole.starting_at("x.grad").run({"x": x.astype(np.float64), "x.grad": slope.astype(np.float64), **past})


@pytest.mark.parametrize("case", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_optimizers(case: Case) -> None:
    """Each step of each array, and all that is remembered of it."""
    assert float(case.inputs["T"]) == 0
    arrays = [array for name, array in case.inputs.items() if name not in ("R", "T")]
    count = len(arrays) // (2 + len(STATES[case.operator]))
    found = list(case.expected.values())
    for place in range(count):
        x, slope, *state = arrays[place::count]
        names = STATES[case.operator]
        trace = stepped(case, dict(zip(names, state, strict=True)), x, slope)
        for name, expected in zip(("new", *names), found[place::count], strict=True):
            np.testing.assert_allclose(trace[f"x.{name}"], expected, rtol=1e-5, err_msg=name)
