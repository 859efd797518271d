"""A simulated class: hand-ins of every kind, drawn from a seed, worked in plain NumPy and written as files.

``python -m tests.check.grading.classroom COUNT SEED`` grades so many, and lists what was graded otherwise than it
should be.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from clearhead import Attention, ClearheadError
from clearhead.check.grading.grade import Grader
from clearhead.check.grading.gradebook import Entry, Gradebook
from clearhead.problems.submissions import read_submission

WORKING = Attention(1, output=False).working()
TOKENS, MODEL, DEPTH = 3, 5, 2
"""Such that no two ways to scale are the same: the roots of none of these is another."""

LINES = ("scaled", "weights", "head")


def softmax(scores, axis=-1):
    parts = np.exp(scores - scores.max())
    return parts / parts.sum(axis=axis, keepdims=True)


MISTAKES = {
    "scale-missing": {"scale": lambda scores: scores},
    "scale-squared": {"scale": lambda scores: scores / DEPTH},
    "softmax-over-queries": {"weigh": lambda scores: softmax(scores, axis=0)},
    "softmax-over-matrix": {"weigh": lambda scores: softmax(scores, axis=None)},
    "weights-transposed": {"mix": lambda weights, value: weights.T @ value},
}
"""What each does otherwise, in plain NumPy."""

KINDS = ("right", "rounded", *MISTAKES, "two", "carried", "broken")


def drawn(rng):
    """Arrays with one decimal, as exercises have them."""
    arrays = {"input": np.round(rng.normal(size=(TOKENS, MODEL)), 1)}
    return arrays | {
        f"{name}.weight": np.round(rng.normal(size=(1, MODEL, DEPTH)), 1) for name in ("query", "key", "value")
    }


def worked(a, *, scale=None, weigh=softmax, mix=None, decimals=None):
    """The lines of one sheet, each step rounded to decimals where somebody works by hand."""

    def short(numbers):
        return numbers if decimals is None else np.round(numbers, decimals)

    query, key, value = (short(a["input"] @ a[f"{name}.weight"][0]) for name in ("query", "key", "value"))
    scores = short(query @ key.T)
    scaled = short(scale(scores) if scale else scores / short(np.sqrt(DEPTH)))
    if decimals is None:
        weights = weigh(scaled)
    else:
        parts = short(np.exp(scaled))
        weights = short(parts / short(parts.sum(axis=-1, keepdims=True)))
    return {"scaled": scaled, "weights": weights, "head": short(mix(weights, value) if mix else weights @ value)}


def hand_in(kind, a, rng):
    """The numbers of one hand-in and the causes that should be named; None for what cannot be read."""
    if kind == "broken":
        return None, ()
    if kind == "rounded":
        return {name: np.round(each, 2) for name, each in worked(a, decimals=2).items()}, ()
    if kind == "carried":
        scaled = np.round(worked(a)["scaled"], 4)
        scaled[tuple(rng.integers(0, TOKENS, 2))] += 1
        weights = np.round(softmax(scaled), 4)
        value = a["input"] @ a["value.weight"][0]
        return {"scaled": scaled, "weights": weights, "head": np.round(weights @ value, 4)}, ()
    names = ("softmax-over-queries", "weights-transposed") if kind == "two" else (kind,) * (kind in MISTAKES)
    how = {key: way for name in names for key, way in MISTAKES[name].items()}
    return {name: np.round(each, 4) for name, each in worked(a, **how).items()}, names


def written(path, numbers, decimals):
    """Writes a hand-in as a file of a kind that its number chooses."""
    if numbers is None:
        path.with_suffix(".json").write_text("{")
        return
    texts = {name: [[f"{cell:.{decimals}f}" for cell in row] for row in each] for name, each in numbers.items()}
    if len(path.name) % 2:
        body = "\n".join(f'[[claims]]\nline = "{name}@1"\nvalues = {json.dumps(each)}' for name, each in texts.items())
        path.with_suffix(".toml").write_text(f"format = 1\n{body}\n")
    else:
        path.with_suffix(".json").write_text(json.dumps({f"{name}@1": each for name, each in texts.items()}))


def fair(kind, causes, entry, book):
    """Whether a hand-in was graded as it should be: its verdict, its causes, and its credit line by line."""
    if kind == "broken":
        return entry.grade is None and bool(entry.error)
    grade = entry.grade
    credits = {line: book.credit(grade, line) for line in LINES}
    named = [each for each in grade.deviations if not each.startswith("rounded-by-hand")]
    if kind == "right":
        return grade.verdict == "agrees" and all(credit == 1 for credit in credits.values())
    if kind == "rounded":
        return grade.verdict != "unexplained" and not named and all(credit == 1 for credit in credits.values())
    if kind == "carried":
        cells = TOKENS * TOKENS
        return credits["weights"] == credits["head"] == 1 and abs(credits["scaled"] - (cells - 1) / cells) < 1e-9
    wrong = [line for line, credit in credits.items() if credit < 1]
    return grade.verdict == "explained" and tuple(named) == causes and len(wrong) == len(causes)


def graded(count, seed):
    """Grades so many hand-ins; those that were graded otherwise than they should be, and how many a second."""
    rng = np.random.default_rng(seed)
    a = drawn(rng)
    trace = WORKING.run(a)
    kinds = [KINDS[number % len(KINDS)] for number in range(count)]
    expected = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, kind in enumerate(kinds):
            name = f"{number:03d}-{kind}"
            numbers, causes = hand_in(kind, a, rng)
            written(Path(folder) / name, numbers, 2 if kind == "rounded" else 4)
            expected[name] = kind, causes
        start = time.process_time()
        read = [(path, claims_of(path, trace)) for path in sorted(Path(folder).iterdir())]
        grader = Grader(trace, [claims for _, claims in read if claims])
        entries = [
            Entry(path.stem, grader.grade(claims)) if claims else Entry(path.stem, error="cannot be read")
            for path, claims in read
        ]
        spent = time.process_time() - start
    book = Gradebook(tuple(entries))
    unfair = [(entry.name, entry.grade) for entry in entries if not fair(*expected[entry.name], entry, book)]
    return unfair, count / spent


def claims_of(path, trace):
    """The claims of a hand-in; None if it cannot be read."""
    try:
        return read_submission(path, trace)
    except ClearheadError:
        return None


if __name__ == "__main__":
    unfair, rate = graded(int(sys.argv[1]), int(sys.argv[2]))
    said = [f"{name} {grade}\n" for name, grade in unfair]
    sys.stdout.write("".join(said))
    sys.stdout.write(f"{len(unfair)} of {sys.argv[1]} graded otherwise than they should be; {rate:.0f} a second\n")
    sys.exit(bool(unfair))
