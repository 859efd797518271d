"""The gated delta net: a memory that decays and is corrected, as lines; one of them a recurrence."""

import json
import subprocess
import sys

import numpy as np
import pytest
from mpmath import mp

from clearhead import Attention, Delta, SpecError, read_trace
from clearhead.expr import text
from clearhead.line import equation

SPEC = Attention(heads=4, causal=True, delta=Delta(heads=4, key_heads=2))
SHAPES = {
    "input": (5, 7), "query.weight": (2, 7, 3), "key.weight": (2, 7, 3), "value.weight": (4, 7, 2),
    "gate.weight": (4, 7, 2), "query.taps": (2, 3, 3), "key.taps": (2, 3, 3), "value.taps": (4, 2, 3),
    "share.weight": (4, 7), "step.weight": (4, 7), "step.bias": (4,), "rate": (4,), "head.norm.gain": (2,),
    "output.weight": (8, 6),
}  # fmt: skip


@pytest.fixture
def arrays():
    rng = np.random.default_rng(8)
    return {name: rng.normal(size=shape) for name, shape in SHAPES.items()}


@pytest.fixture
def trace(arrays):
    return SPEC.working().run(arrays)


def silu(x):
    return x / (1 + np.exp(-x))


def by_memory(a):
    """What heads read, by the recurrence of the paper: a memory for each head, token by token."""
    x, convolved = a["input"], {}
    for name in ("query", "key", "value"):
        rows, taps = np.einsum("im,hmd->hid", x, a[f"{name}.weight"]), a[f"{name}.taps"]
        padded = np.pad(rows, ((0, 0), (2, 0), (0, 0)))
        convolved[name] = silu(sum(padded[:, k : k + 5] * taps[:, None, :, k] for k in range(3)))
    query, key = (
        each / np.sqrt((each**2).sum(-1, keepdims=True) + 1e-6) for each in (convolved["query"], convolved["key"])
    )
    share = 1 / (1 + np.exp(-(a["share.weight"] @ x.T)))
    decay = np.exp(-np.exp(a["rate"])[:, None] * np.log1p(np.exp(a["step.weight"] @ x.T + a["step.bias"][:, None])))
    read = np.zeros((4, 5, 2))
    for head in range(4):
        memory, group = np.zeros((3, 2)), head // 2
        for token in range(5):
            memory = memory * decay[head, token]
            k, v = key[group, token], convolved["value"][head, token]
            memory = memory + np.outer(k, share[head, token] * (v - memory.T @ k))
            read[head, token] = memory.T @ query[group, token] / np.sqrt(3)
    return read


def test_heads_read_what_the_recurrence_of_the_paper_gives(trace, arrays):
    """Written out by token, each head reads what a memory would give that is updated token by token."""
    np.testing.assert_allclose(trace["head"], by_memory(arrays), rtol=1e-12, atol=1e-12)


def test_what_is_read_is_normed_and_then_gated(trace, arrays):
    """Each head's result is divided by its root mean square, then multiplied by silu of the gate."""
    read = by_memory(arrays)
    normed = read / np.sqrt((read**2).mean(-1, keepdims=True) + 1e-6) * arrays["head.norm.gain"]
    gated = normed * silu(np.einsum("im,hmd->hid", arrays["input"], arrays["gate.weight"]))
    expected = gated.swapaxes(0, 1).reshape(5, 8) @ arrays["output.weight"]
    np.testing.assert_allclose(trace["output"], expected, rtol=1e-11)


def test_long_decays_lose_no_digits():
    """In float32 what is left of a late token's write does not suffer from all decays before it."""
    from clearhead.ops.textbook import recurrent

    steps = np.full((1, 3000), -3.7, np.float32)
    left = recurrent.decay_since(steps)[0, -1]
    np.testing.assert_allclose(left[-2:], [float(mp.exp(mp.mpf(float(steps[0, 0])))), 1], rtol=1e-6)


def test_a_cell_names_the_cells_of_its_own_line(trace):
    """The formula and the arithmetic of a written cell have cells of the same line, all of earlier tokens."""
    working = SPEC.working()
    left, right = equation(working.line("written"), working.axes, working.label_base)
    assert text(left) == "written@h[i,d]"
    assert "written@h[j,d]" in text(right)
    explained = trace.explain("written@3", 2, 1)
    own = [cell for name, cell in explained.reads if name == "written"]
    assert own == [(2, 0, 1), (2, 1, 1)]
    assert explained.value == trace["written"][2, 2, 1]
    assert f"*{trace['written'][2, 0, 1]:.3f}" in str(explained)


def test_the_first_token_reads_no_other(trace):
    """A recurrence begins: the first cells read no cell of their line."""
    assert [name for name, _ in trace.explain("written@1", 0, 0).reads if name == "written"] == []


def printed_by_script(trace, line, framework, path):
    """What a program that is made of a trace computes for a line."""
    trace.save(path, framework=framework)
    shown = f"\nimport json\nprint(json.dumps({line.replace('.', '_')}.tolist()))\n"
    path.write_text(path.read_text("utf-8") + shown, "utf-8")
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("framework", ["numpy", "torch"])
def test_a_script_computes_it_row_by_row(trace, framework, tmp_path):
    """The exported program gives the numbers of the trace."""
    found = printed_by_script(trace, "output", framework, tmp_path / "delta.py")
    np.testing.assert_allclose(found, trace["output"], rtol=1e-6, atol=1e-9)


@pytest.fixture
def backward(arrays):
    given = {**arrays, "output.grad": np.random.default_rng(9).normal(size=(5, 6))}
    return SPEC.working().backward().run(given)


def test_gradients_pass_from_the_last_token_to_the_first(backward):
    """The gradient of what a token wrote has a line with what later tokens passed to it, whose cells it reads."""
    working = backward.working
    left, right = equation(working.line("written.grad.accumulated"), working.axes, working.label_base)
    assert text(left) == "written.grad.accumulated@h[i,d]"
    assert text(right) == (
        "written.grad@h[i,d] + sum_j (-written.grad.accumulated@h[j,d]*share@h[j]*overlap.decayed@h[j,i] "
        "if i < j else 0)"
    )
    explained = backward.explain("written.grad.accumulated@3", 2, 1)
    own = [cell for name, cell in explained.reads if name == "written.grad.accumulated"]
    assert own == [(2, 3, 1), (2, 4, 1)]
    assert explained.value == backward["written.grad.accumulated"][2, 2, 1]


@pytest.mark.parametrize("framework", ["numpy", "torch"])
def test_a_script_computes_gradients_from_the_last_row(backward, framework, tmp_path):
    """The exported program of a backward pass gives the numbers of the trace."""
    found = printed_by_script(backward, "input.grad", framework, tmp_path / "delta.py")
    np.testing.assert_allclose(found, backward["input.grad"], rtol=1e-6, atol=1e-9)


def test_a_line_before_the_recurrence_is_not_asked_for():
    """Where nothing behind the recurrence is asked for, what passes through it is not computed."""
    lines = SPEC.working().backward(wrt="written").names
    assert "written.grad" in lines
    assert "written.grad.accumulated" not in lines


def test_a_saved_trace_is_read_back(trace, tmp_path):
    """Operations of the delta rule are found by their names."""
    trace.save(tmp_path / "delta.npz")
    again = read_trace(tmp_path / "delta.npz")
    np.testing.assert_array_equal(again["written"], trace["written"])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"causal": False}, "delta goes with causal = true"),
        ({"causal": True, "softcap": 2.0}, "got causal, softcap"),
        ({"causal": True, "delta": Delta(heads=4, key_heads=2), "alibi": True}, "got alibi, causal"),
    ],
)
def test_what_does_not_go_with_it_is_refused(fields, message):
    """There are no scores to mask or to change, and no token sees a later one."""
    with pytest.raises(SpecError, match=message):
        Attention(**{"heads": 4, "delta": Delta(heads=4), **fields})


def test_heads_are_shared_evenly():
    """Each head of queries and keys serves equally many heads of values."""
    with pytest.raises(SpecError, match="key_heads expects a divisor of heads=4, got 3"):
        Delta(heads=4, key_heads=3)
