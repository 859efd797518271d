"""The page's own arithmetic: its texts are Python's, to the character, and its numbers are the trace's, to the bit."""

import json
from base64 import b64decode

import numpy as np
import pytest

from clearhead.deviations import candidates
from clearhead.errors import ClearheadError
from clearhead.expr import number
from clearhead.problems import bundled, read_problem
from clearhead.show import View
from clearhead.show.cells import digits
from clearhead.show.page import arrays as arrays_module
from clearhead.show.page import predict as predict_module
from clearhead.show.page.assemble import program
from clearhead.show.page.content import content_of
from clearhead.spec import Attention

EXPLAIN = """async ([content, arrays, cells]) => {
  const trace = new $trace.Trace(content, (name) => arrays[name].data);
  await trace.ready(...trace.lines.keys());
  return cells.map(([name, cell]) => trace.explain(name, cell).rows.map($text.plain).join("\\n"));
}"""

READ = """async ([content, arrays]) => {
  const base64 = ({ buffer }) => btoa(new Uint8Array(buffer).reduce((a, b) => a + String.fromCharCode(b), ""));
  const trace = new $trace.Trace(content, (name) => arrays[name].data);
  await trace.ready(...trace.lines.keys());
  return Object.fromEntries([...trace.arrays].map(([name, numbers]) => [name, base64(numbers)]));
}"""


@pytest.fixture(scope="module")
def modules(chromium):
    """A page that has the modules and nothing else."""
    page = chromium.new_page()
    page.add_script_tag(content=program())
    yield page
    page.close()


def packed(trace, view=None):
    content, arrays = content_of(trace, view or View())
    return [json.loads(json.dumps(content | {"arrays": arrays})), arrays]


def every_cell(trace, names=None):
    return [(name, cell) for name in names or trace for cell in np.ndindex(trace[name].shape)]


def assert_same(modules, trace, cells):
    told = modules.evaluate(EXPLAIN, [*packed(trace), [[name, list(cell)] for name, cell in cells]])
    expected = [str(trace.explain(name, *cell)) for name, cell in cells]
    assert [pair for pair in zip(told, expected, strict=True) if pair[0] != pair[1]] == []


@pytest.mark.parametrize("name", bundled())
def test_every_cell_of_every_bundled_problem_is_told_as_python_tells_it(modules, name):
    """The text of the arithmetic is that of `Trace.explain`."""
    trace = read_problem(name).trace()
    assert_same(modules, trace, every_cell(trace))


def test_every_cell_of_a_block_with_every_feature_is_told_as_python_tells_it(modules, big):
    """The same in a batch, with long sums, masks, caches, rotary positions and activations."""
    cells = every_cell(big)
    assert_same(modules, big, cells[:: max(len(cells) // 3000, 1)])


@pytest.mark.parametrize(
    "name", ["soccer", "decoder-block", "encoder-block", "grouped-query", "rotary", "padding-mask"]
)
def test_whatever_a_deviation_does_is_told_as_python_tells_it(modules, name):
    """The lines that a deviation changes, for every deviation that applies."""
    problem = read_problem(name)
    textbook = problem.textbook()
    for applied in candidates(textbook, {each: array.shape for each, array in problem.arrays.items()}):
        try:
            trace = problem.trace(applied)
        except (ClearheadError, ValueError):  # it does not fit these numbers
            continue
        changed = [line.name for line in trace.working.lines if line not in textbook.lines]
        assert_same(modules, trace, every_cell(trace, changed))


def assert_unpacked(modules, trace):
    """Every bit of every array comes back."""
    content, arrays = packed(trace)
    read = modules.evaluate(READ, [content, arrays])
    for name in trace:
        assert b64decode(read[name]) == np.ascontiguousarray(trace.numpy(name)).tobytes(), name
    return {name for name, each in arrays.items() if "predicted" in each}


@pytest.fixture(params=[np.float64, np.float32], ids=["float64", "float32"])
def given_as(request):
    """A function that makes arrays of numbers of one type, masks left as they are."""
    return lambda arrays: {name: a if a.dtype.kind == "b" else a.astype(request.param) for name, a in arrays.items()}


def test_numbers_are_unpacked_as_they_are(modules, big, given_as):
    """float64, float32 and booleans have every bit that they had."""
    assert (
        assert_unpacked(modules, big.working.run(given_as({g.name: big.numpy(g.name) for g in big.working.givens})))
        == set()
    )


def test_what_is_left_out_is_worked_out_to_the_last_bit(modules, big, given_as, monkeypatch):
    """Lines stored as the difference to their formula are there whole, with every feature and in a batch."""
    monkeypatch.setattr(arrays_module, "LARGEST_WHOLE", 0)
    trace = big.working.run(given_as({each.name: big.numpy(each.name) for each in big.working.givens}))
    predicted = assert_unpacked(modules, trace)
    assert {"attention.scores", "attention.weights", "attention.alibi", "mlp.residual"} <= predicted


def test_a_long_trace_is_worked_out_to_the_last_bit(modules, given_as, monkeypatch):
    """The same where sums are long and are worked out in parts."""
    monkeypatch.setattr(arrays_module, "LARGEST_WHOLE", 0)
    monkeypatch.setattr(predict_module, "_BLOCK", 500)
    working = Attention(heads=3, causal=True, softcap=5.0).working()
    sizes = {"head": 3, "token": 101, "model": 13, "depth": 17, "head*depth": 51}
    rng = np.random.default_rng(5)
    arrays = {each.name: rng.normal(size=[sizes[word] for word in each.axes]) for each in working.givens}
    assert {"scores", "scaled", "capped", "masked", "weights"} <= assert_unpacked(
        modules, working.run(given_as(arrays))
    )


@pytest.mark.parametrize("size", [1e-310, 1e-200, 1e200, 0.0, np.inf])
def test_numbers_of_any_size_are_worked_out(modules, size, monkeypatch):
    """Also where products vanish or overflow, and where there is nothing but zeros or no number at all."""
    monkeypatch.setattr(arrays_module, "LARGEST_WHOLE", 0)
    working = Attention(heads=2, output=False).working()
    sizes = {"head": 2, "token": 5, "model": 3, "depth": 4}
    rng = np.random.default_rng(6)
    arrays = {each.name: rng.normal(size=[sizes[word] for word in each.axes]) for each in working.givens}
    with np.errstate(all="ignore"):
        assert_unpacked(modules, working.run({**arrays, "input": arrays["input"] * size}))


def numbers():
    """Numbers that are hard to write: ties, neighbours, large and small ones."""
    rng = np.random.default_rng(7)
    ties = np.arange(-40, 41) / 16
    some = rng.normal(size=300) * 10.0 ** rng.integers(-12, 14, size=300)
    edges = [0.0, -0.0, 1e7, 9999999.5, 1e16, 1e21, 1e22, 0.0005, 0.00049999, 0.9995, 5e-324, 1.7e308, 12500000.0]
    return [*ties, *some, *edges, *(-np.array(edges)), 1e-5, 1e-6, 1e-7, 1.5e-7, 123456789012345.6]


def test_numbers_are_written_as_python_writes_them(modules):
    """With any number of decimals, and with all digits."""
    values = [float(value) for value in numbers()]
    for decimals in (0, 1, 2, 3, 5, 12, None):
        told = modules.evaluate(
            "([values, decimals]) => values.map((v) => $number.number(v, decimals))", [values, decimals]
        )
        assert told == [number(value, decimals) for value in values]


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_a_matrix_is_written_as_python_writes_it(modules, kind):
    """All cells with the same decimals, fewer where none has more."""
    rng = np.random.default_rng(11)
    matrices = [
        rng.normal(size=6),
        rng.integers(-9, 9, size=6),
        rng.integers(-9, 9, size=6) / 4,
        [0.1, 1e-9, 2e8, np.inf],
    ]
    for matrix in [np.asarray(each, dtype=kind) for each in matrices]:
        values = [float(value) for value in matrix]
        call = "([values, kind]) => { const write = $number.digits(values, 3, kind); return values.map(write); }"
        told = modules.evaluate(call, [values, "f4" if kind is np.float32 else "f8"])
        write = digits(matrix, 3)
        assert told == [write(value) for value in matrix]
