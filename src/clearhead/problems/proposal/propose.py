"""A problem proposed from a notebook, a script or a workbook, with what is not sure said in words."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from clearhead.budgets import MAX_PROBLEM_BYTES
from clearhead.claim import Claim
from clearhead.errors import ClearheadError, ProblemError
from clearhead.files import read_bounded, why
from clearhead.problems.fault import reading
from clearhead.problems.problem import Problem
from clearhead.problems.proposal import events
from clearhead.problems.proposal.entry import entry
from clearhead.problems.proposal.example import Example, examples
from clearhead.problems.proposal.sheets import of_workbook
from clearhead.problems.writer import format_problem

KINDS = (".ipynb", ".py", ".xlsx")


class Proposal(Struct, frozen=True):
    """A proposed problem.

    Attributes:
        problem: the problem, with what was printed as claims.
        unsure: what could not be decided, each in a sentence.
        number: which example of the file it is, from 1.
        count: how many examples the file holds.
        source: the name of the file.
    """

    problem: Problem
    unsure: tuple[str, ...]
    number: int
    count: int
    source: str

    @property
    def text(self) -> str:
        """The problem file, with what is not sure as comments at its beginning."""
        said = [f"# Proposed from {self.source}, which was read and not run. Look at each line before you use it."]
        said += [f"# Not sure: {each}" for each in self.unsure]
        return "\n".join([*said, "", format_problem(self.problem)])


def propose(path: str | Path, example: int | None = None) -> Proposal:
    """A problem from the arrays and the printed results of a notebook, a script or a workbook, which is never run.

    Args:
        path: a file that ends in .ipynb, .py or .xlsx.
        example: which of several examples in it, from 1; None for the last that has results.

    Raises:
        ProblemError: it cannot be read, or no numbers of attention, a softmax or a norm are found in it.
    """
    path = Path(path)
    with reading(path.name):
        found = [each for each in _examples(path) if each.lines]
        proposals = []
        for each in found:
            try:
                proposals.append(_proposal(each, path))
            except ProblemError as error:
                last = error
        if not proposals:
            raise last if found else ProblemError(_NOTHING)
        if example is not None and not 1 <= example <= len(proposals):
            raise ProblemError(f"there are {len(proposals)} examples in it; got {example}. Name one of them.")
        claimed = [at for at, (problem, _) in enumerate(proposals) if problem.claims]
        chosen = example - 1 if example is not None else (claimed[-1] if claimed else len(proposals) - 1)
        problem, unsure = proposals[chosen]
        return Proposal(problem, tuple(dict.fromkeys(unsure)), chosen + 1, len(proposals), path.name)


_NOTHING = (
    "no numbers of attention, a softmax or a norm are found in it. They have to be written out "
    "(W_q = np.array([[1, 0], [0, 1]])), or printed in the outputs of its cells; nothing is run."
)


def _examples(path: Path) -> Iterator[Example]:
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise ProblemError(f"a problem is proposed from a file that ends in {', '.join(KINDS)}.")
    try:
        content = read_bounded(path, MAX_PROBLEM_BYTES)
    except (OSError, ValueError) as error:
        raise ProblemError(f"the file cannot be read: {why(error)}.") from None
    if kind == ".xlsx":
        return iter([of_workbook(content)])
    return examples(events.of_notebook(content) if kind == ".ipynb" else events.of_script(content))


def _proposal(example: Example, path: Path) -> tuple[Problem, list[str]]:
    found = entry(example)
    problem = Problem(
        title=path.stem.replace("_", " ").replace("-", " ").strip().capitalize() or "A problem",
        spec=found.spec,
        arrays={name: np.asarray(array) for name, array in found.arrays.items()},
        given=found.given,
        until=found.until,
    )
    claims, refused = [], []
    for address, shown in example.shown.items():
        line = found.line_of(address)
        if line is None:
            continue
        try:
            claim = Claim(line, _nested(_in_shape(shown.numbers, line, problem)))
            replace(problem, claims=(claim,))
        except (ClearheadError, ValueError):
            refused.append(f"what {shown.place} shows seems to be {address[0]}, but does not fit it.")
            continue
        claims.append(claim)
    unsure = [*found.unsure, *example.unsure, *refused]
    if example.unplaced:
        places = ", ".join(dict.fromkeys(example.unplaced))
        unsure.append(f"which line {places} shows is not known, so these numbers are left out.")
    if not claims:
        unsure.append("no result was found that could be a claim.")
    order = [line.name for line in problem.working().lines]
    claims.sort(key=lambda claim: order.index(claim.line.partition("@")[0]))
    return replace(problem, claims=tuple(claims)), unsure


def _in_shape(numbers: Any, line: str, problem: Problem) -> Any:
    """Printed numbers in the shape of their line: a row of numbers is also a matrix of one row."""
    shape = problem.trace()[line].shape
    flat = numbers if isinstance(numbers, list) and not isinstance(numbers[0], list) else None
    return [numbers] if flat is not None and len(shape) == 2 and shape[0] == 1 else numbers


def _nested(numbers: Any) -> Any:
    if isinstance(numbers, list):
        return tuple(map(_nested, numbers))
    return numbers if isinstance(numbers, str) else _short(numbers)


def _short(number: float) -> str:
    return str(int(number)) if math.isfinite(number) and number == int(number) else repr(float(number))
