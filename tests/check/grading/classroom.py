"""A simulated class: hand-ins of every kind, worked in plain NumPy and written as files, and a just grade of each.

``python -m tests.check.grading.classroom COUNT SEED`` grades COUNT of them, and lists what was graded otherwise than it
should be. What is just is worked out here, without clearhead: a cell is right if it follows, by the textbook's steps,
from the numbers that were handed in before it, or from the right ones.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from clearhead import ClearheadError
from clearhead.check.grading.grade import Grader
from clearhead.check.grading.gradebook import Entry, Gradebook
from clearhead.deviations import deviation
from clearhead.problems.submissions import read_submission

from .sheets import SHEETS, Sheet, worked

BROKEN = {
    "cut.json": "{",
    "empty.json": "",
    "unknown.json": '{"wieghts": [[1]]}',
    "shape.json": '{"%s": [[1, 2, 3, 4, 5, 6, 7, 8, 9]]}',
    "words.toml": 'format = 1\n[[claims]]\nline = "%s"\nvalues = [["about a half"]]\n',
    "oops.csv": "oops",
    "picture.png": "\x89PNG",
}
"""Files that cannot be graded, by their endings; ``%s`` is a line of the sheet."""

FURTHER = ("right", "rounded", "carried", "carried-exactly", "carried-rounded", "invented", "broken")
"""Kinds of hand-ins without a mistake of the table."""


STYLES = (
    lambda cell, decimals: f"{cell:.{decimals}f}",
    lambda cell, decimals: f"{cell:.{decimals}f}".replace(".", ",").replace("-", "\u2212"),
    lambda cell, decimals: f"{100 * cell:.{decimals - 2}f}%",
    lambda cell, decimals: f"  {cell:+.{decimals}f} ",
)
"""Ways of writing a number with so many decimals: with a point, with a comma as pasted, as percent, with its sign."""


@dataclass(frozen=True)
class HandIn:
    """What one person hands in: a kind, the mistakes that were made, the numbers, and their decimals."""

    kind: str
    mistakes: tuple[str, ...] = ()
    numbers: Any = None
    decimals: int = 4
    slipped: str = ""

    @property
    def by_hand(self) -> bool:
        """Whether every step was rounded."""
        return self.kind in ("rounded", "carried-rounded", "rounded-mistake")


def hand_ins(sheet: Sheet, arrays, rng, count: int) -> list[HandIn]:
    """So many hand-ins: every kind and every mistake in turn, and pairs of mistakes that change different steps."""
    pairs = [each for each in combinations(sheet.mistakes, 2) if both_show(sheet, arrays, each)]
    rng.shuffle(pairs)
    plans = [HandIn(kind) for kind in FURTHER]
    plans += [HandIn("mistake", (name,)) for name in sheet.mistakes]
    plans += [HandIn("two", tuple(map(str, each))) for each in pairs[: len(sheet.mistakes) // 2]]
    plans += [HandIn("rounded-mistake", (name,), decimals=3) for name in list(sheet.mistakes)[::4]]
    rng.shuffle(plans)
    first = [HandIn("right"), HandIn("broken")]
    chosen = [*first, *(plans[number % len(plans)] for number in range(count - len(first)))]
    return [filled(sheet, arrays, rng, each) for each in chosen]


def both_show(sheet: Sheet, arrays, pair: tuple[str, str]) -> bool:
    """Whether two mistakes change different steps, and each shows beside the other; they are not of one family.

    Two of one family may be one mistake by another name: keys for values and values for keys are exchanged parts.
    """
    one_family = len({each.partition("-")[0] for each in pair}) == 1
    if one_family or set(sheet.mistakes[pair[0]]) & set(sheet.mistakes[pair[1]]):
        return False
    both, *each = (worked(sheet, arrays, names) for names in (pair, pair[:1], pair[1:]))
    return all(any((both[line].round(3) != one[line].round(3)).any() for line in sheet.asked) for one in each)


def filled(sheet: Sheet, arrays, rng, plan: HandIn) -> HandIn:
    """The numbers of one hand-in, written with its decimals."""
    if plan.kind == "broken":
        return plan
    decimals = 2 if plan.by_hand and plan.kind != "rounded-mistake" else plan.decimals
    slipped = str(rng.choice(sheet.asked[:-1])) if plan.kind.startswith("carried") else ""

    def after(step, result):
        if plan.kind == "carried" and step in sheet.asked:
            result = result.round(decimals)
        if step == slipped:
            result[tuple(rng.integers(0, result.shape))] += 1
        return result

    done = worked(sheet, arrays, plan.mistakes, decimals=decimals if plan.by_hand else None, after=after)
    numbers = {line: done[line].round(decimals) + 0.0 for line in sheet.asked}
    if plan.kind == "invented":
        numbers = {line: invented(line, array, rng).round(2) for line, array in numbers.items()}
        decimals = 2
    return replace(plan, numbers=numbers, decimals=decimals, slipped=slipped)


def invented(line, array, rng):
    """Numbers that look right: of the same size, and rows of weights that add up to one."""
    if not line.endswith("weights"):
        return rng.normal(scale=array.std(), size=array.shape)
    shares = rng.random(array.shape) * (array != 0) + 1e-9
    return shares / shares.sum(axis=-1, keepdims=True)


def written(folder: Path, name: str, hand_in: HandIn, sheet: Sheet, number: int) -> None:
    """Writes a hand-in as a file of a kind that its number chooses."""
    if hand_in.kind == "broken":
        ending, text = list(BROKEN.items())[number % len(BROKEN)]
        (folder / f"{name}-{ending}").write_text(text.replace("%s", sheet.asked[-1]), encoding="latin-1")
        return
    style = STYLES[number % len(STYLES)] if number % 3 == 0 else STYLES[0]
    texts = {
        f"{line}@{head}" if array.ndim == 3 else line: [[style(cell, hand_in.decimals) for cell in row] for row in part]
        for line, array in hand_in.numbers.items()
        for head, part in enumerate(array if array.ndim == 3 else array[None], start=1)
    }
    if number % 3 == 0:
        (folder / f"{name}.json").write_text(json.dumps(texts))
    elif number % 3 == 1:
        body = "\n".join(f'[[claims]]\nline = "{line}"\nvalues = {json.dumps(each)}' for line, each in texts.items())
        (folder / f"{name}.toml").write_text(f"format = 1\n{body}\n")
    else:
        (folder / name).mkdir()
        for line, each in texts.items():
            (folder / name / f"{line}.csv").write_text("\n".join(",".join(row) for row in each))


def following(sheet: Sheet, arrays, numbers, decimals=None, rng=None):
    """Each handed-in line as the textbook's steps give it from the handed-in numbers before it; as `worked` rounds."""
    own = {}

    def after(step, result):
        own[step] = result
        return numbers.get(step, result)

    worked(sheet, arrays, decimals=decimals, after=after, rng=rng)
    return {line: own[line] for line in sheet.asked}


def just(sheet: Sheet, arrays, hand_in: HandIn, rng) -> dict[str, tuple[float, float]]:
    """The least and the most credit that each line of a hand-in deserves.

    A cell is right for sure if it follows, or is the right number, within the half unit in which it was written; for
    whoever rounds by hand, if it follows with each step rounded. It may be right as far as the numbers before it may
    have been rounded: how far that moves it is tried. Steps that are not handed in may be rounded either way: four
    standard deviations of what that does may be right too, since nobody knows how such a step was rounded.
    """
    half = 0.5 * 10.0**-hand_in.decimals
    base = following(sheet, arrays, hand_in.numbers)
    bases = [base, worked(sheet, arrays)]
    if hand_in.by_hand:
        bases += [following(sheet, arrays, hand_in.numbers, hand_in.decimals)]
    far = {line: np.zeros(array.shape) for line, array in base.items()}
    for _ in range(24):
        moved = {line: x + half * rng.choice([-1.0, 1.0], x.shape) for line, x in hand_in.numbers.items()}
        other = following(sheet, arrays, moved, hand_in.decimals if hand_in.by_hand else None)
        far = {line: np.maximum(far[line], np.abs(other[line] - base[line])) for line in far}
    far = {line: 4 * each for line, each in far.items()}
    if hand_in.by_hand:
        careless = [following(sheet, arrays, hand_in.numbers, hand_in.decimals, rng) for _ in range(24)]
        for line, each in base.items():
            rms = np.sqrt(np.mean([(other[line] - each) ** 2 for other in careless], axis=0))
            far[line] = np.maximum(far[line], 4 * rms)
    bounds = {}
    for line, x in hand_in.numbers.items():
        off = np.min([np.abs(x - each[line]) for each in bases], axis=0) - half * (1 + 1e-6)
        bounds[line] = (off <= 0).mean(), (off <= far[line]).mean()
    return bounds


def unfair(sheet: Sheet, arrays, hand_in: HandIn, entry: Entry, book: Gradebook, rng) -> str:
    """What is not just about a grade: of its verdict, its causes, or its credit; empty if nothing is."""
    if hand_in.kind == "broken":
        return "" if entry.grade is None and entry.error else "was graded"
    grade = entry.grade
    if grade is None:
        return f"could not be graded: {entry.error}"
    named = tuple(sorted(each for each in grade.deviations if deviation(each.partition(":")[0]).kind != "rounding"))
    if named != tuple(sorted(hand_in.mistakes)):
        return f"causes {grade.deviations} for {hand_in.mistakes}"
    verdicts = {"right": ("agrees",), "rounded": ("agrees", "explained"), "invented": ("unexplained",)}
    for_slips = ("explained", "unexplained") if hand_in.slipped else ("explained",)
    if grade.verdict not in verdicts.get(hand_in.kind, for_slips):
        return f"verdict {grade.verdict}"
    if hand_in.slipped and grade.slips != 1:
        return f"{grade.slips} slips"
    for line, (least, most) in just(sheet, arrays, hand_in, rng).items():
        credit = book.credit(grade, line)
        if not least - 1e-9 <= credit <= most + 1e-9 and not (credit == 0 and most < 1 and not hand_in.slipped):
            return f"credit {credit:.3f} of {line}, which deserves {least:.3f} to {most:.3f}"
    return ""


def graded(count: int, seed: int, sheets=SHEETS) -> tuple[list[str], float, float]:
    """Grades ``count`` hand-ins of several sheets.

    Returns:
        what was graded otherwise than it should be, how many a second of the processor, and the mean credit of
        invented numbers.
    """
    said: list[str] = []
    spent, credits = 0.0, []
    for place, sheet in enumerate(sheets):
        rng = np.random.default_rng([seed, place])
        arrays = sheet.given(rng)
        share = count // len(sheets) + (place < count % len(sheets))
        everyone = hand_ins(sheet, arrays, rng, share)
        with tempfile.TemporaryDirectory() as folder:
            for number, each in enumerate(everyone):
                written(Path(folder), f"{number:03d}", each, sheet, number)
            start = time.process_time()
            trace = sheet.spec.working().run(arrays)
            book = graded_folder(Path(folder), trace)
            spent += time.process_time() - start
        for each, entry in zip(everyone, book.entries, strict=True):
            wrong = unfair(sheet, arrays, each, entry, book, rng)
            if wrong:
                said.append(f"{seed} {sheet.name} {entry.name} {each.kind} {' and '.join(each.mistakes)}: {wrong}")
            if each.kind == "invented" and entry.grade:
                credits.append(book.total(entry.grade))
    return said, count / spent, mean(credits or [0.0])


def graded_folder(folder: Path, trace) -> Gradebook:
    """A folder of hand-ins, read and graded."""
    read = [(path.stem, claims_of(path, trace)) for path in sorted(folder.iterdir())]
    grader = Grader(trace, [claims for _, claims in read if claims])
    return Gradebook(tuple(entry_of(name, claims, grader) for name, claims in read))


def entry_of(name, claims, grader) -> Entry:
    """The row of a hand-in."""
    try:
        return Entry(name, grader.grade(claims)) if claims else Entry(name, error="cannot be read")
    except ClearheadError as error:
        return Entry(name, error=str(error))


def claims_of(path, trace):
    """The claims of a hand-in; None if it cannot be read."""
    try:
        return read_submission(path, trace)
    except ClearheadError:
        return None


if __name__ == "__main__":
    found, rate, credit = graded(int(sys.argv[1]), int(sys.argv[2]))
    sys.stdout.write("".join(f"{each}\n" for each in found))
    sys.stdout.write(f"{len(found)} of {sys.argv[1]} graded otherwise than they should be; {rate:.0f} a second; ")
    sys.stdout.write(f"invented numbers get {credit:.3f}\n")
    sys.exit(bool(found))
