"""Problems: worked examples as files, and those that come with clearhead."""

from clearhead.problems.files import STARTER, bundled, read_claims, read_problem, write_problem, write_text
from clearhead.problems.problem import Problem
from clearhead.problems.reader import parse_problem
from clearhead.problems.writer import format_problem

__all__ = [
    "STARTER", "Problem", "bundled", "format_problem", "parse_problem", "read_claims", "read_problem", "write_problem",
    "write_text",
]  # fmt: skip
