"""Problems: worked examples as files, and the bundled ones."""

from clearhead.problems.files import STARTER, bundled, library, read_claims, read_problem, write_problem, write_text
from clearhead.problems.notebook import widget
from clearhead.problems.problem import Problem
from clearhead.problems.reader import parse_problem
from clearhead.problems.writer import format_problem

__all__ = [
    "STARTER", "Problem", "bundled", "format_problem", "library", "parse_problem", "read_claims", "read_problem",
    "widget", "write_problem", "write_text",
]  # fmt: skip
