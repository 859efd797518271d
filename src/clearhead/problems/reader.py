"""From the text of a problem file to a `Problem`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from clearhead.claim import Claim
from clearhead.deviations import Applied, parse_deviation
from clearhead.errors import ProblemError
from clearhead.problems.fault import join, part, quote, reading
from clearhead.problems.numbers import read_array, read_written
from clearhead.problems.problem import HEADINGS, Computed, NumpyArray, Problem
from clearhead.problems.schema import ClaimsFile, ClaimTable, ProblemFile, check_format, convert
from clearhead.problems.toml import plain, tables


def parse_problem(text: str | bytes, *, source: str = "<text>") -> Problem:
    """The problem in a text of the problem format.

    Args:
        text: TOML, as text or as UTF-8.
        source: the name of the text in errors.

    Raises:
        ProblemError: the text cannot be used; the message says where, what was expected, what came and what to do.
    """
    with reading(source):
        return _problem(_checked(text))


def parse_claims(text: str | bytes, *, source: str = "<text>") -> tuple[Claim, ...]:
    """The claims of a text that holds only ``format`` and ``[[claims]]``, or of a whole problem.

    Whether they fit a working is checked when they are put into its problem.

    Raises:
        ProblemError: the text cannot be used, or claims nothing.
    """
    with reading(source):
        return tuple(_claim(index, table) for index, table in enumerate(claim_tables(text)))


def claim_tables(text: str | bytes) -> tuple[ClaimTable, ...]:
    """The claims of such a text, their numbers not yet read.

    Raises:
        ProblemError: as `parse_claims`.
    """
    found = _checked(text)
    whole = bool(found.keys() & set(HEADINGS.values()))
    if whole:
        _problem({**found, "claims": []})
    claims = (convert(found, ProblemFile) if whole else convert(found, ClaimsFile)).claims
    if not claims:
        raise ProblemError("claims is empty. Write each claim below a heading [[claims]].")
    return claims


def _checked(text: str | bytes) -> dict[str, Any]:
    found = tables(text)
    check_format(found)
    checked: dict[str, Any] = plain(found)
    for embedding in _embeddings(checked.get("model")):
        embedding.setdefault("kind", "tokens")
    return checked


def _embeddings(model: Any) -> Iterator[dict[str, Any]]:
    """The tables of embeddings in that of a model; those without a kind are of tokens."""
    if isinstance(model, dict) and isinstance(embedding := model.get("embedding"), dict):
        yield embedding


def _problem(found: dict[str, Any]) -> Problem:
    file = convert(found, ProblemFile)
    return Problem(
        title=file.title,
        about=file.about,
        tokens=file.tokens,
        key_tokens=file.key_tokens,
        spec=_spec(file),
        arrays=dict(_arrays(file.arrays, "")),
        given=file.given,
        until=file.until,
        deviations=tuple(_deviations(file.deviations)),
        claims=tuple(_claim(index, table) for index, table in enumerate(file.claims)),
        backward=file.backward,
    )


def _spec(file: ProblemFile) -> Computed:
    found = {heading: spec for heading in HEADINGS.values() if (spec := getattr(file, heading)) is not None}
    if len(found) > 1:
        raise ProblemError(
            f"{' and '.join(found)}: a problem has one of these, got {len(found)}. "
            "Write [block.attention] for the attention of a block, [attention] for attention alone."
        )
    if not found:
        raise ProblemError(
            "block is missing. Write [attention] for attention alone, [block] and [block.attention], or [model] for "
            "anything from tokens to a loss."
        )
    chosen: Computed = next(iter(found.values()))
    return chosen


def _arrays(table: dict[str, Any], path: str) -> Iterator[tuple[str, NumpyArray]]:
    """The arrays of a table and the tables in it, by full name."""
    seen: set[str] = set()
    for key, value in table.items():
        name = join(path, key)
        found = _arrays(value, name) if isinstance(value, dict) else [(name, read_array(value, f"arrays.{name}"))]
        for full, array in found:
            if full in seen:
                raise ProblemError(f"arrays.{full} is given twice, under {quote(full)} and in a table. Keep one.")
            seen.add(full)
            yield full, array


def _deviations(written: Iterable[str]) -> Iterator[Applied]:
    for index, text in enumerate(written):
        with part(f"deviations[{index}]"):
            applied = parse_deviation(text)
        yield applied


def _claim(index: int, table: ClaimTable) -> Claim:
    return Claim(table.line, read_written(table.values, f"claims[{index}].values"), table.cell, table.decimals)
