"""The page's own arithmetic: its texts are Python's, to the character, and its numbers are the trace's, to the bit."""

import json
from base64 import b64decode

import numpy as np
import pytest

from clearhead import Attention, Delta
from clearhead.deviations import candidates
from clearhead.errors import ClearheadError
from clearhead.expr import number
from clearhead.problems import bundled, read_problem
from clearhead.show import View
from clearhead.show.cells import digits
from clearhead.show.page import arrays as arrays_module
from clearhead.show.page.assemble import program
from clearhead.show.page.content import content_of

pytestmark = pytest.mark.sweep(3)

EXPLAIN = """async ([content, arrays, cells]) => {
  const trace = new $trace.Trace(content, (name) => arrays[name].data);
  await trace.ready(...trace.lines.keys());
  return cells.map(([name, cell]) => $explain.explain(trace, name, cell).rows.map($text.plain).join("\\n"));
}"""

READ = """async ([content, arrays]) => {
  const base64 = ({ buffer }) => btoa(new Uint8Array(buffer).reduce((a, b) => a + String.fromCharCode(b), ""));
  const trace = new $trace.Trace(content, (name) => arrays[name].data);
  await trace.ready(...trace.lines.keys());
  return Object.fromEntries([...trace.arrays].map(([name, numbers]) => [name, base64(numbers)]));
}"""

RUN = """async ([content, arrays, line]) => {
  const trace = new $trace.Trace(content, (name) => arrays[name].data);
  await trace.ready(...trace.lines.keys());
  return [...trace.run(line)];
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


@pytest.fixture(params=[np.float64, np.float32], ids=["float64", "float32"])
def given_as(request):
    """A function that makes arrays of numbers of one type, masks left as they are."""
    return lambda arrays: {name: a if a.dtype.kind == "b" else a.astype(request.param) for name, a in arrays.items()}


def test_numbers_are_unpacked_as_they_are(modules, big, given_as):
    """float64, float32 and booleans have every bit that they had."""
    assert_unpacked(
        modules, big.working.run(given_as({each.name: big.numpy(each.name) for each in big.working.givens}))
    )


def test_large_arrays_are_unpacked_as_they_are(modules, big, given_as, monkeypatch):
    """The same where they are deflated."""
    monkeypatch.setattr(arrays_module, "LARGE", 0)
    assert_unpacked(
        modules, big.working.run(given_as({each.name: big.numpy(each.name) for each in big.working.givens}))
    )


COMPUTE = """async ([content, arrays, cells]) => {
  const trace = new $trace.Trace(content, (name) => arrays[name].data);
  await trace.ready(...trace.lines.keys());
  return cells.map(([name, cell]) => (trace.knows(name) ? trace.value(name, cell) : null));
}"""


def test_what_was_not_kept_is_computed_from_what_was(modules, big):
    """Computed cells are the trace's to 1e-12, whichever line is left out; weights are not computed."""
    computed = 0
    for left_out in [line.name for line in big.working.lines]:
        part = big.only([name for name in big if name != left_out])
        cells = list(np.ndindex(big[left_out].shape))[::7]
        told = modules.evaluate(COMPUTE, [*packed(part), [[left_out, list(cell)] for cell in cells]])
        if None in told:
            assert left_out.endswith("weights")
            continue
        computed += 1
        expected = [float(big.numpy(left_out)[cell]) for cell in cells]
        np.testing.assert_allclose(np.array(told, dtype=float), expected, rtol=1e-12, atol=1e-12, err_msg=left_out)
    assert computed > 20


@pytest.mark.parametrize("line", ["written", "written.grad.accumulated"])
def test_a_recurrence_is_computed_from_its_first_cell_or_its_last(modules, line):
    """The cells of a recurrence are told as Python tells them, and computed again in the order in which they read."""
    working = Attention(heads=1, causal=True, delta=Delta(heads=1)).working().backward()
    sizes = {"token": 4, "model": 3, "depth": 2, "tap": 2, "head": 1, "head*depth": 2}
    rng = np.random.default_rng(6)
    trace = working.run({each.name: rng.normal(size=[sizes[word] for word in each.axes]) for each in working.givens})
    assert_same(modules, trace, every_cell(trace, [line]))
    told = modules.evaluate(RUN, [*packed(trace), line])
    np.testing.assert_allclose(told, trace[line].ravel(), rtol=1e-12)


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
