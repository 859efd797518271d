"""The field's letters for lines, for every medium that sets formulas."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Symbol(Struct, frozen=True):
    """A letter, or its name, with the text above it and its accent."""

    letter: str
    top: str = ""
    accent: Literal["", "tilde", "bar"] = ""


GREEK = {"gamma": "\u03b3", "beta": "\u03b2", "theta": "\u03b8"}
"""The letters that are written by their name."""

SYMBOLS: dict[str, Symbol] = {
    "input": Symbol("X"), "embedding": Symbol("E"), "position": Symbol("P"), "memory": Symbol("Y"),
    "query": Symbol("Q"), "key": Symbol("K"), "value": Symbol("V"),
    "query.weight": Symbol("W", "Q"), "key.weight": Symbol("W", "K"), "value.weight": Symbol("W", "V"),
    "output.weight": Symbol("W", "O"),
    "query.bias": Symbol("b", "Q"), "key.bias": Symbol("b", "K"), "value.bias": Symbol("b", "V"),
    "output.bias": Symbol("b", "O"),
    "scores": Symbol("S"), "scaled": Symbol("S", accent="tilde"), "masked": Symbol("S", accent="bar"),
    "mask": Symbol("M"), "weights": Symbol("A"),
    "head": Symbol("H"), "concat": Symbol("C"), "output": Symbol("O"), "residual": Symbol("R"), "norm": Symbol("N"),
    "norm.gain": Symbol("gamma"), "norm.bias": Symbol("beta"),
    "up.weight": Symbol("W", "up"), "gate.weight": Symbol("W", "gate"),
    "rotary.angle": Symbol("theta"), "rotary.cos": Symbol("cos"), "rotary.sin": Symbol("sin"),
}  # fmt: skip
"""The field's symbols for lines, by the ending of their path."""


def has_symbol(name: str) -> bool:
    """Whether formulas write a letter for a line; its heading then shows the letter too."""
    return symbol_of(name)[0] is not None


def symbol_of(name: str) -> tuple[Symbol | None, list[str]]:
    """The symbol of a line, and the words of its name before and after the part that the symbol replaces.

    None where the field has no letter: then the name is written.

    >>> symbol_of("layers.3.query.weight")
    (Symbol(letter='W', top='Q', accent=''), ['layers.3'])
    """
    parts = name.split(".")
    for length in (2, 1):
        for start in range(len(parts) - length, -1, -1):
            known = SYMBOLS.get(".".join(parts[start : start + length]))
            if known:
                around = [".".join(parts[:start]), ".".join(parts[start + length :])]
                return known, [words for words in around if words]
    return None, []
