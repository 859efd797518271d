"""Every rewrite of gradients against a backward pass in plain NumPy, written as people write the bug."""

import numpy as np
import pytest

from clearhead.deviations import deviate
from clearhead.deviations.table import DEVIATIONS, GROUPS
from clearhead.errors import SpecError
from clearhead.spec import Attention, Backward, Block, Embedding, Head, Loss, Mlp, Norm, Rotary, Transformer

from . import wild_backward as wild

SIZES = {
    "token": 4, "model": 6, "depth": 4, "head": 4, "group": 2, "hidden": 5, "head*depth": 16, "vocabulary": 6,
}  # fmt: skip
PADDED = np.array([2, -100, 5, 0])
TARGET = np.array([2, 3, 5, 0])
ROWS = {id for id, row in DEVIATIONS.items() if row.of == "backward"}


def working_of(*, rms=False, activation="gelu", ignored=-100, kv=2, causal=True, window=False, dropout=False,
               sink=False):  # fmt: skip
    attention = Attention(
        4, kv_heads=kv, causal=causal, rotary=Rotary(), softcap=3.0, bias=True, window=wild.WINDOW if window else None,
        dropout=wild.RATE if dropout else None, sink=sink,
    )  # fmt: skip
    block = Block(attention, Norm("rms" if rms else "layer", eps=wild.EPS), "pre", Mlp(activation, bias=True))
    forward = block.working()
    wrt = tuple(given.name for given in forward.givens if given.holds == "numbers")
    return Backward(wrt=wrt, loss=Loss(reads="logits", ignored=ignored)).working(forward)


def drawn(working, seed=0):
    rng = np.random.default_rng(seed)
    sizes = SIZES | working.sizes
    sizes |= {"query": sizes["token"], "key": sizes["token"]}
    made = {
        given.name: rng.normal(size=[sizes[word] for word in given.axes]) + given.name.endswith("gain")
        for given in working.givens
        if given.holds != "integers"
    }
    return {name: array > -1 if name.endswith("keep") else array for name, array in made.items()}


def assert_gives(working, arrays, target, expected):
    found = working.run({**arrays, "target": target})
    for name, grad in expected.items():
        np.testing.assert_allclose(found[f"{name}.grad"], grad, rtol=1e-9, atol=1e-11, err_msg=name)


@pytest.mark.parametrize(
    "options", [{}, {"activation": "silu"}, {"rms": True}, {"window": True}, {"sink": True}], ids=str
)
def test_the_plain_pass_is_right(options):
    """Without a fault the pass in plain NumPy gives the gradients of the lines."""
    working = working_of(**options)
    arrays = drawn(working)
    own = {name: value for name, value in options.items() if name != "sink"}
    assert_gives(working, arrays, PADDED, wild.Pass(arrays, PADDED, **own).run())


@pytest.mark.parametrize("id", wild.FAULTS)
def test_a_rewrite_gives_what_the_wild_code_gives(id):
    """All gradients of the rewritten working equal the plain NumPy code, and not all are the right ones."""
    working = working_of()
    arrays = drawn(working)
    expected = wild.Pass(arrays, PADDED, **wild.FAULTS[id]).run()
    assert_gives(deviate(working, id), arrays, PADDED, expected)
    right = wild.Pass(arrays, PADDED).run()
    assert not all(np.allclose(expected[name], right[name], rtol=1e-9, atol=1e-12) for name in right)


@pytest.mark.parametrize("id", wild.OTHERS)
def test_other_specs(id):
    """The same with another activation, another norm, other masks, a sink, and where all targets count."""
    fault = wild.OTHERS[id]
    options = {
        name: fault[name] for name in ("rms", "activation", "causal", "window", "dropout", "sink") if name in fault
    }
    working = working_of(**options, ignored=None)
    arrays = drawn(working)
    own = {name: value for name, value in fault.items() if name not in ("dropout", "sink")}
    expected = wild.Pass(arrays, TARGET, **own).run()
    assert_gives(deviate(working, id), arrays, TARGET, expected)
    assert any(not np.allclose(working.run({**arrays, "target": TARGET})[f"{name}.grad"], expected[name])
               for name in expected)  # fmt: skip


def assert_gives_heads(id, spec, given, expected):
    """The gradients of queries, keys and values under a deviation, which are not the right ones."""
    forward = spec.working().starting_at("query", "key", "value").ending_at("head")
    backward = forward.backward("head", ["query", "key", "value"])
    found, right = deviate(backward, id).run(given), backward.run(given)
    for name, grad in expected.items():
        np.testing.assert_allclose(found[f"{name}.grad"], grad, rtol=1e-9, atol=1e-12)
        assert not np.allclose(right[f"{name}.grad"], grad)


def heads(queries, keys):
    """Queries, keys, values and the gradient of the heads."""
    rng = np.random.default_rng(0)
    return [rng.normal(size=(2, tokens, 4)) for tokens in (queries, keys, keys, queries)]


@pytest.mark.parametrize("id", wild.TOP_LEFT)
def test_masks_where_there_are_more_keys_than_queries(id):
    """A mask of the backward pass that counts from the first key is seen where there are more keys than queries."""
    q, k, v, do = heads(3, 5)
    expected = wild.top_left(q, k, v, do, kept=wild.TOP_LEFT[id])
    assert_gives_heads(id, Attention(2, causal=True), {"query": q, "key": k, "value": v, "head.grad": do}, expected)


@pytest.mark.parametrize("id", wild.FORGOTTEN)
def test_masks_that_the_backward_pass_forgets(id):
    """Padding and given masks that are left out of the weights that the backward pass computes again."""
    q, k, v, do = heads(4, 4)
    options, kept = wild.FORGOTTEN[id]
    seen = np.array([True, True, True, False]) if "padding" in options else np.tri(4, dtype=bool)[::-1, ::-1]
    given = {"query": q, "key": k, "value": v, "head.grad": do, next(iter(options)): seen}
    assert_gives_heads(id, Attention(2, **options), given, wild.forgotten(q, k, v, seen, do, kept=kept))


def test_a_sum_of_losses_is_no_mean():
    """The gradient of a sum of losses, divided by the number of tokens."""
    loss = Loss(reads="logits", reduction="sum")
    working = Backward(loss=loss, wrt=("output.weight",)).working(Attention(4).working())
    arrays = {**drawn(working), "target": TARGET}
    found, right = deviate(working, "grad-loss-averaged").run(arrays), working.run(arrays)
    np.testing.assert_allclose(found["output.weight.grad"], right["output.weight.grad"] / len(TARGET), rtol=1e-9)


def test_rows_of_a_table_are_overwritten():
    """Of a token that stands twice only the last gradient stays."""
    forward = Transformer(Embedding(), (), head=Head(), loss=Loss()).working()
    arrays = drawn(forward)
    tokens = np.array([1, 4, 1, 1])
    backward = deviate(forward.backward("loss", ["embedding.weight"]), "grad-embedding-overwritten")
    found = backward.run({**arrays, "token": tokens, "target": TARGET})
    expected = wild.table_overwritten(arrays["embedding.weight"], tokens, arrays["logits.weight"], TARGET)
    np.testing.assert_allclose(found["embedding.weight.grad"], expected, rtol=1e-9, atol=1e-12)


def test_every_row_has_wild_code():
    """No row of gradients stands on its own word."""
    named = {id.partition(":")[0] for id in (*wild.FAULTS, *wild.OTHERS)}
    steps = {row.id for row in GROUPS["Steps of training"]}  # see test_wild_steps
    own = {*wild.TOP_LEFT, *wild.FORGOTTEN, "grad-embedding-overwritten", "grad-loss-averaged"}
    assert named | steps | own == ROWS


def test_a_forward_row_beside_one_of_gradients():
    """A deviation of the forward pass and one of gradients stand together in either order."""
    working = working_of()
    both = deviate(working, "grad-softmax-diagonal", "scale-missing")
    other = deviate(working, "scale-missing", "grad-softmax-diagonal")
    assert both.lines == other.lines


def test_a_working_without_gradients_has_nothing_to_rewrite():
    """Rows of gradients are refused where there are none, and say so."""
    with pytest.raises(SpecError, match="has no gradients"):
        deviate(Attention(1).working(), "grad-scale-missing")
