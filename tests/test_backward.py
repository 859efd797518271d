"""Backward passes: gradients as lines, held to PyTorch's autograd."""

import tracemalloc

import numpy as np
import pytest
import torch

from clearhead.check import diagnose
from clearhead.claim import Claim
from clearhead.deviations import deviate
from clearhead.errors import ShapeError, SpecError, UnknownName
from clearhead.problems import bundled, read_problem
from clearhead.spec import Attention, Backward, Block, Loss, Mlp, Norm
from clearhead.working import Working

from .options import ATTENTIONS, BLOCKS, OPTIONS, WHOLE, arrays_for


def by_autograd(working: Working, arrays: dict[str, np.ndarray], of: str) -> dict[str, np.ndarray]:
    """The gradients of the sum of a line by PyTorch, through the forward lines."""
    leaves = {name: torch.tensor(array, requires_grad=array.dtype.kind == "f") for name, array in arrays.items()}
    wanted = {name: leaf for name, leaf in leaves.items() if leaf.requires_grad}
    found = torch.autograd.grad(working.run(leaves)[of].sum(), list(wanted.values()), allow_unused=True)
    return {
        name: np.zeros(leaf.shape) if grad is None else grad.numpy()
        for (name, leaf), grad in zip(wanted.items(), found, strict=True)
    }


def assert_like_autograd(working: Working, arrays: dict[str, np.ndarray]) -> None:
    of = working.lines[-1].name
    found = working.run(arrays).gradients(of)
    expected = by_autograd(working, arrays, of)
    assert found.keys() == expected.keys()
    for name, grad in expected.items():
        np.testing.assert_allclose(found[name], grad, rtol=1e-9, atol=1e-9, err_msg=name)


FORWARD = [name for name in bundled() if name != "soccer" and read_problem(name).backward is None]


@pytest.mark.parametrize("name", FORWARD)
def test_bundled_problems(name):
    """The gradients of every bundled problem by every given array are PyTorch's."""
    problem = read_problem(name)
    assert_like_autograd(problem.working(), problem.arrays)


@pytest.mark.parametrize("name", OPTIONS)
def test_options_of_specs(name):
    """The gradients through every option of attention, of a block and of a stack are PyTorch's."""
    working = OPTIONS[name].working()
    assert_like_autograd(working, arrays_for(working))


@pytest.mark.parametrize("kind", [Attention, Block])
def test_no_option_is_left_out(kind):
    """Each field of attention and of a block has another value than its default in one of these specs."""
    stacked = [block for each in WHOLE.values() for block in each.layers]
    blocks = [*BLOCKS.values(), *stacked]
    specs = blocks if kind is Block else [*ATTENTIONS.values(), *(each.attention for each in blocks)]
    usual = kind(Attention(2)) if kind is Block else kind(2)
    fields = [*kind.__struct_fields__][1:]
    assert [name for name in fields if all(getattr(each, name) == getattr(usual, name) for each in specs)] == []


def test_examples_of_a_batch_have_gradients_of_their_own():
    """In a batched run each example has its gradient; `Trace.gradients` gives arrays that all share the sum of them."""
    working = Attention(heads=2, causal=True).working()
    arrays = arrays_for(working)
    batch = np.random.default_rng(1).normal(size=(5, 3, 4))
    whole = working.run({**arrays, "input": batch}).gradients()
    backward = working.backward()
    given = {**arrays, "input": batch, "output.grad": np.ones((5, 3, 4))}
    each = backward.run(given)["query.weight.grad"]
    assert each.shape == (5, 2, 4, 2)
    np.testing.assert_allclose(whole["query.weight"], each.sum(0), rtol=1e-12)
    expected = by_autograd(working, {**arrays, "input": batch}, "output")
    np.testing.assert_allclose(whole["query.weight"], expected["query.weight"], rtol=1e-9)
    np.testing.assert_allclose(whole["input"], expected["input"], rtol=1e-9)


def test_lines_that_were_not_kept_have_gradients():
    """The gradient of a line that the trace did not keep is that of the same line kept."""
    working = ATTENTIONS["grouped"].working()
    arrays = arrays_for(working)
    names = ("weights", "key", "query")
    kept, short = (working.run(arrays, keep=keep) for keep in (None, "output"))
    for name, grad in kept.gradients(wrt=names).items():
        np.testing.assert_allclose(short.gradients(wrt=names)[name], grad, rtol=1e-12)


@pytest.mark.parametrize("reads", ["logits", "probabilities"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("ignored", [None, -100])
def test_cross_entropy(smoothing, ignored, reads):
    """Loss and gradients of cross-entropy are those of torch.nn.functional.cross_entropy."""
    forward = Attention(heads=2).working()
    backward = Backward(loss=Loss(smoothing=smoothing, ignored=ignored, reads=reads)).working(forward)
    target = np.array([1, 3, 0 if ignored is None else ignored])
    arrays = arrays_for(forward)
    trace = backward.run({**arrays, "target": target})
    leaves = {name: torch.tensor(array, requires_grad=True) for name, array in arrays.items()}
    loss = torch.nn.functional.cross_entropy(
        forward.run(leaves)["output"], torch.tensor(target), label_smoothing=smoothing
    )
    loss.backward()
    np.testing.assert_allclose(trace["loss"], loss.item(), rtol=1e-12)
    for name, leaf in leaves.items():
        np.testing.assert_allclose(trace[f"{name}.grad"], leaf.grad.numpy(), rtol=1e-9, atol=1e-12)


def test_squared_error():
    """Loss and gradients of the squared error are those of torch.nn.functional.mse_loss."""
    forward = Attention(heads=2).working()
    arrays = arrays_for(forward)
    target = np.random.default_rng(4).normal(size=(3, 4))
    trace = (
        Backward(loss=Loss("squared-error"), wrt=("input", "weights"))
        .working(forward)
        .run({**arrays, "target": target})
    )
    leaves = {name: torch.tensor(array, requires_grad=True) for name, array in arrays.items()}
    torch.nn.functional.mse_loss(forward.run(leaves)["output"], torch.tensor(target)).backward()
    np.testing.assert_allclose(trace["input.grad"], leaves["input"].grad.numpy(), rtol=1e-9)
    assert trace["weights.grad"].shape == (2, 3, 3)
    assert "value.weight.grad" not in trace


def test_what_comes_through_each_user_is_a_line():
    """A line that several use has what comes through each, and their sum, as lines; any cell explains itself."""
    backward = Attention(heads=2).working().backward(wrt="input")
    names = [line.name for line in backward.lines if line.name.startswith("input.grad")]
    assert names == [
        "input.grad.through_value", "input.grad.through_key", "input.grad.through_query", "input.grad",
    ]  # fmt: skip
    arrays = arrays_for(backward.backward_of.forward)
    trace = backward.run({**arrays, "output.grad": np.ones((3, 4))})
    parts = [float(trace[name][0, 0]) for name in names]
    assert parts[-1] == pytest.approx(sum(parts[:-1]))
    cell = trace.explain("weights.grad@2", 0, 1)
    assert cell.formula == "weights.grad[i,j] = sum_d head.grad[i,d]*value[j,d]"
    assert [name for name, _ in cell.reads] == ["head.grad", "value"] * 2


def test_lines_are_released_behind_their_last_use():
    """Of all lines that are as large as pairs of tokens, gradients hold the weights and three others at a time."""
    working = Attention(heads=4, causal=True).working()
    sizes = {"token": 300, "model": 8, "head": 4, "depth": 2, "head*depth": 8}
    rng = np.random.default_rng(0)
    arrays = {each.name: rng.normal(size=[sizes[word] for word in each.axes]) for each in working.givens}
    trace = working.run(arrays, keep="output")
    pair = 4 * 300 * 300 * 8
    trace.gradients(wrt="input")
    tracemalloc.start()
    try:
        found = trace.gradients(wrt="input")["input"]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4.3 * pair
    np.testing.assert_allclose(found, by_autograd(working, arrays, "output")["input"], rtol=1e-9, atol=1e-9)


def test_what_has_no_effect_has_a_gradient_of_zeros():
    """An array that a line does not change with has zeros, in its own shape."""
    working = Attention(heads=2).working()
    grads = working.run(arrays_for(working)).gradients("weights", ["value.weight", "query.weight"])
    assert not grads["value.weight"].any()
    assert grads["value.weight"].shape == (2, 4, 2)
    assert grads["query.weight"].any()


def test_lines_are_found_by_their_names_as_before():
    """No gradient's name makes the name of another line ambiguous."""
    working = Block(Attention(heads=2, bias=True), Norm(), mlp=Mlp(bias=True)).working()
    backward = working.backward()
    short = {name.rpartition(".")[2] for name in working.names}
    for name in short:
        assert [each for each in working.names if each.endswith(f".{name}")] == [
            each for each in backward.names if each.endswith(f".{name}")
        ]


def test_a_deviation_is_differentiated():
    """A deviation of the forward pass changes the gradients too: they are those of what is then computed."""
    working = Attention(heads=2).working()
    arrays = arrays_for(working) | {"output.grad": np.ones((3, 4))}
    wrong = deviate(working.backward(), "scale-missing")
    expected = by_autograd(deviate(working, "scale-missing"), arrays_for(working), "output")
    np.testing.assert_allclose(wrong.run(arrays)["key.weight.grad"], expected["key.weight"], rtol=1e-9)
    right = working.backward().run(arrays)["key.weight.grad"]
    assert not np.allclose(right, expected["key.weight"])


def test_the_cause_of_wrong_gradients_is_found_in_the_forward_pass():
    """Gradients of a wrong forward pass are explained by what is wrong there."""
    working = Attention(heads=2).working().backward()
    arrays = arrays_for(working.backward_of.forward) | {"output.grad": np.ones((3, 4))}
    wrong = deviate(working, "softmax-over-queries").run(arrays)
    names = ("weights.grad@1", "query.weight.grad@2", "value.weight.grad@2")
    report = diagnose([Claim.of(name, np.round(wrong[name], 4)) for name in names], working.run(arrays))
    assert [str(each) for each in report.findings[0].deviations] == ["softmax-over-queries"]


def test_what_cannot_be_asked_for():
    """Booleans have no gradient, and a line that does not exist none either; messages say so."""
    working = Attention(heads=2, mask="boolean").working()
    with pytest.raises(SpecError, match="mask holds booleans, so there is no gradient with respect to it"):
        working.backward(wrt="mask")
    with pytest.raises(UnknownName, match="There is no line 'loss'"):
        working.backward("loss")
    with pytest.raises(SpecError, match="cross-entropy expects a line of two axes"):
        Backward(loss=Loss(), of="weights").working(working)


def test_a_gradient_of_another_shape_than_its_line_is_refused():
    """The gradient that a pass begins with has a number for each of its line, before anything is computed."""
    working = Attention(2, output=False).working().backward("concat")
    shapes = {"input": (3, 4), "query.weight": (2, 4, 2), "key.weight": (2, 4, 2), "value.weight": (2, 4, 5)}
    assert working.shapes({**shapes, "concat.grad": (3, 10)})["value.weight.grad"] == (2, 4, 5)
    with pytest.raises(ShapeError, match=r"concat.grad expects the shape of concat, \(token=3, head\*depth=10\), got"):
        working.shapes({**shapes, "concat.grad": (3, 4)})
