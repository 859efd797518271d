"""The algebra of formulas: nodes, their evaluation in any arithmetic, and their plain text."""

from clearhead.expr.evaluate import FLOAT, Arithmetic, Scope, evaluate, substitute
from clearhead.expr.formula import Formula, formula
from clearhead.expr.nodes import (
    Binary,
    Call,
    Expr,
    Index,
    Let,
    Local,
    Number,
    Reduce,
    Ref,
    Size,
    Terms,
    Where,
    call,
    indices,
    lift,
    mean,
    same,
    total,
    walk,
    where,
)  # fmt: skip
from clearhead.expr.text import number, text

__all__ = [
    "FLOAT", "Arithmetic", "Binary", "Call", "Expr", "Formula", "Index", "Let", "Local", "Number", "Reduce", "Ref",
    "Scope", "Size", "Terms", "Where", "call", "evaluate", "formula", "indices", "lift", "mean", "number", "same",
    "substitute", "text", "total", "walk", "where",
]  # fmt: skip
