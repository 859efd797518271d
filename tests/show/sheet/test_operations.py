"""Every operation as formulas of a spreadsheet, worked out by LibreOffice and compared with the operation's code."""

import numpy as np
from hypothesis import given, settings

from clearhead import Attention, Delta
from clearhead.line import Given, Line
from clearhead.ops import as_parameters
from clearhead.ops.table import OPERATIONS
from clearhead.show import View
from clearhead.show.sheet.workbook import xlsx
from clearhead.trace import Trace
from clearhead.working import Working

from ...ops.test_formula_equals_code import CASES, drawn
from .recalculation import differences, recalculated

WORDS = ("batch", "batch", "head", "token", "depth")
EXAMPLES = 4
HOLDS = {"b": "booleans", "i": "integers", "f": "numbers"}


def working_of(examples):
    """A working with a line for each operation, on arrays of its own."""
    givens, lines, arrays = [], [], {}
    for name, (operands, parameters) in examples.items():
        formula = OPERATIONS[name].formula(as_parameters(parameters))
        for role, letters, operand in zip(formula.roles, formula.operands, operands, strict=True):
            words = WORDS[len(WORDS) - len(letters) :]
            givens.append(Given(f"{name}.{role}", words, holds=HOLDS[operand.dtype.kind]))
            arrays[f"{name}.{role}"] = operand
        words = WORDS[len(WORDS) - len(formula.result) :]
        operands = tuple(f"{name}.{role}" for role in formula.roles)
        lines.append(Line(name, OPERATIONS[name], operands, words, as_parameters(parameters)))
    return Working(tuple(givens), tuple(lines)).run(arrays)


def lying(trace):
    """The trace with other numbers for its lines, as they would be stored with the formulas."""
    wrong = {line.name: np.full(trace[line.name].shape, 7.25) for line in trace.working.lines}
    return Trace(trace.working, {name: wrong.get(name, trace[name]) for name in trace})


def examples_of(name):
    """Operands and parameters for an operation, as the proof of its two statements draws them."""
    found = []

    @settings(max_examples=EXAMPLES)
    @given(drawn(OPERATIONS[name], CASES[name]))
    def collect(example):
        found.append(example)

    collect()
    return found


def test_every_operation_is_worked_out_by_the_sheet():
    """The formulas give what the code gives, to 1e-12, whatever numbers were stored with them."""
    examples = {name: examples_of(name) for name in OPERATIONS}
    rounds = [{name: found[at % len(found)] for name, found in examples.items()} for at in range(EXAMPLES)]
    traces = {f"{number}": working_of(each) for number, each in enumerate(rounds)}
    books = recalculated({name: bytes(xlsx(lying(trace), View())) for name, trace in traces.items()})
    assert [each for name, trace in traces.items() for each in differences(books[name], trace)] == []


def test_a_recurrence_and_its_gradient_are_worked_out_by_the_sheet():
    """Sums inside sums, and cells that read later cells of their own line, give what the code gives."""
    working = Attention(heads=1, causal=True, delta=Delta(heads=1)).working().backward()
    sizes = {"token": 3, "model": 3, "depth": 2, "tap": 2, "head": 1, "head*depth": 2}
    rng = np.random.default_rng(6)
    trace = working.run({each.name: rng.normal(size=[sizes[word] for word in each.axes]) for each in working.givens})
    books = recalculated({"delta": bytes(xlsx(lying(trace), View()))})
    assert differences(books["delta"], trace) == []
