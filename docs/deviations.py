"""Writes docs/reference/deviations.md: every deviation, what no row shows, and the results of planting each."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from clearhead.deviations import Deviation
from clearhead.deviations.table import DEVIATIONS, GROUPS

PAGE = Path(__file__).parent / "reference" / "deviations.md"

INTRODUCTION = """\
# The deviations

A deviation is a known way to get other numbers, written as a rewrite of the working's lines. `clearhead check` and
`diagnose` search for the smallest set of them that gives the numbers somebody got; `--deviate` applies them. Most were
seen in public code: `name#n` is an issue, `name PR#n` a pull request of a public repository. A *convention* is a way
that others follow on purpose; the report words it so. This page is made by `make deviations`.
"""

NO_ROWS: dict[str, str] = {
    "A8": "Token-type embeddings: a row of an array that a working is not given. What is added to the embeddings can "
    "be given as `position`.",
    "C10": "Angles in half precision: about the type of the numbers, not about the formula.",
    "F8": "Softmax in low precision: the same.",
    "F10": "Dropout in evaluation: its draws are random, so no rewrite gives the same numbers twice.",
    "F11": "Dropout on the output instead of on the weights: the same.",
    "G15": "Weights with the norm folded into them: the weights differ, the result does not.",
    "H4": "Storage in half precision and the order of sums: noise below what claims are held to.",
    "H5": "The root of the scale on queries and keys alike: an equivalence, the same numbers.",
    "H6": "The test in double precision: a way to tell noise from faults, which `probe` uses.",
}
"""What the catalogue of faults has and the table has no row for, and why."""

PARTLY: dict[str, str] = {
    "C5": "Of the kinds of rope scaling, linear and NTK-aware are rows; YaRN's and Llama 3's piecewise ones are not.",
    "E15": "What `~mask` of integers does depends on what reads it; where it is read as True everywhere, scores are "
    "all filled or all left: `mask-complement-of-integers` and `mask-missing`.",
    "F2": "Softmax over the batch is attention over the batch with another product; of the wrong axes heads, the whole "
    "matrix and a single entry are rows.",
    "G11": "The order of rounding to half precision and gain: about types.",
}


def page(results: Mapping[str, Mapping[str, Sequence[str]]]) -> str:
    """The page, for the results of each kind of problem."""
    parts = [INTRODUCTION, *_rows(), _without(), _equivalences(), _table(results)]
    return "\n".join(parts)


def _rows() -> Iterator[str]:
    for group, rows in GROUPS.items():
        yield f"## {group}\n"
        yield from (_row(row) for row in rows)


def _row(row: Deviation) -> str:
    lines = [f"### {row.id}\n\n*{row.kind.capitalize()}.* {row.does}\n"]
    lines += [f"- `{each.name}`: {each.about}." for each in row.parameters]
    lines += [
        f"- Cannot be seen: {_after_colon(row.invisible)}",
        f"- To fix it: {row.remedy}",
        f"- Seen: {row.seen}",
    ]
    return "\n".join(lines) + "\n"


def _after_colon(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]


def _without() -> str:
    lines = [f"| {id} | {why} |" for id, why in {**NO_ROWS, **PARTLY}.items()]
    head = (
        "## Faults without a row\n\nThe table was made from a catalogue of faults in public code. A forward pass of "
        "one block cannot show these, or not all of them:\n\n| in the catalogue | why |\n|---|---|"
    )
    return "\n".join([head, *lines]) + "\n"


EQUIVALENCES = (
    "a mask after the softmax, with weights renormalized",
    "a bias of the keys, and any other number that is the same for all keys of a query",
    "heads in another order, with the rows of the output weight in the same order",
    "rotary positions of the other layout, with the columns of query and key weights permuted to match",
    "the scale split over queries and keys",
    "tokens as columns throughout, transposed at the end",
    "the sum over heads of each head times its rows of the output weight, instead of concatenating first",
    "a causal mask aligned at the top left, where there are as many keys as queries",
    "either order of grouped heads, where there is one key/value head",
)


def _equivalences() -> str:
    lines = [f"- {each}" for each in EQUIVALENCES]
    head = "## What is no deviation\n\nThese give the same numbers, and `diagnose` says that they agree:\n"
    return "\n".join([head, *lines]) + "\n"


LOSSES = tuple(row.id for row in GROUPS["Losses"])
FORWARD = tuple(id for id, row in DEVIATIONS.items() if row.of == "forward" and id not in LOSSES)
BACKWARD = tuple(id for id, row in DEVIATIONS.items() if row.of == "backward")


def _table(results: Mapping[str, Mapping[str, Sequence[str]]]) -> str:
    """What came of planting rows of the forward pass, of losses and of gradients, each in kinds of their own."""
    backward = (
        "## Gradients planted and found again\n\nThe same for gradients that are wrong by themselves, in problems with "
        "a backward pass, of which the gradients of all given numbers are claimed, or the weights after each step. "
        "The kinds:\n"
    )
    losses = (
        "## Losses planted and found again\n\nThe same for losses, of which those of each token or cell are claimed, "
        "and their mean or sum; or this alone. The kinds:\n"
    )
    tables = ((FORWARD, _HEAD), (LOSSES, losses), (BACKWARD, backward))
    return "\n".join(
        _planted({kind: found for kind, found in results.items() if not {*found}.isdisjoint(ids)}, ids, head)
        for ids, head in tables
    )


_HEAD = (
    "## Planted and found again\n\nEach deviation, with one value of its parameters or another, is planted alone "
    "in a random problem of each kind, and its numbers are claimed: every line, or only the last, to 4, 5 or 6 "
    "decimals.\n\n**1**: `diagnose` names it, and nothing else. **2** and more: this many deviations give numbers "
    "that are written the same, among them this one. **·**: the claims agree with the textbook: it cannot be seen. "
    "**=**: all claims are one number, or NaN, which shows no cause. Empty: it does not apply, or the "
    "shape or size of the result gives it away. **MISSED**: not found. The "
    "kinds:\n"
)


def _planted(results: Mapping[str, Mapping[str, Sequence[str]]], ids: Sequence[str], head: str) -> str:
    kinds = list(results)
    legend = [f"{number}. {kind}" for number, kind in enumerate(kinds, start=1)]
    columns = " | ".join(str(number) for number in range(1, len(kinds) + 1))
    rows = [f"| {id} | " + " | ".join(cell(results[kind][id]) for kind in kinds) + " |" for id in ids]
    return "\n".join([head, *legend, f"\n| deviation | {columns} |", "|---" * (len(kinds) + 1) + "|", *rows]) + "\n"


def cell(results: Iterable[str]) -> str:
    """The results of planting one deviation in problems of one kind, in short."""
    short = {"alone": "1", "not visible": "·", "symptom": "="}
    return " ".join(dict.fromkeys(short.get(each, each.removeprefix("of ")) for each in sorted(results)))


def main(*, check: bool) -> int:
    """Writes the page, or, to check, lists what differs from it and which pairs are not found. Takes minutes."""
    import planted

    groups = ((planted.KINDS, FORWARD), (planted.LOSSES, LOSSES), (planted.GRADIENTS, BACKWARD))
    results = {kind: planted.column(kind, ids) for kinds, ids in groups for kind in kinds}
    text = page(results)
    if not check:
        PAGE.write_text(text)
        return 0
    written = set(PAGE.read_text("utf-8").splitlines())
    faults = [line for line in text.splitlines() if line not in written or "| MISSED |" in line]
    faults += [str(pair) for pair in planted.pairs() if pair.missed()]
    sys.stdout.write("\n".join([*faults, f"{len(faults)} of all lines and pairs differ.", ""]))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    sys.exit(main(check="--check" in sys.argv))
