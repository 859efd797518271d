"""Sheets worked by hand: rounding is named, mistakes beside it are found, and invented numbers get nothing."""

import numpy as np
import pytest

from clearhead import Attention, Claim, diagnose
from clearhead.check.grading.grade import Grader
from clearhead.check.grading.gradebook import Entry, Gradebook

WORKING = Attention(1, output=False).working()


def given(seed):
    """Arrays with one decimal, as exercises have them."""
    rng = np.random.default_rng(seed)
    arrays = {"input": np.round(rng.normal(size=(3, 3)), 1)}
    return arrays | {f"{name}.weight": np.round(rng.normal(size=(1, 3, 2)), 1) for name in ("query", "key", "value")}


def by_hand(a, decimals, *, scaled=True, axis=-1, transposed=False):
    """What somebody gets who rounds every number that is written down, the root and the exponentials too."""

    def short(numbers):
        return np.round(numbers, decimals)

    query, key, value = (short(a["input"] @ a[f"{name}.weight"][0]) for name in ("query", "key", "value"))
    scores = short(query @ key.T)
    scores = short(scores / short(np.sqrt(2))) if scaled else scores
    powers = short(np.exp(scores))
    weights = short(powers / short(powers.sum(axis=axis, keepdims=True)))
    return {"scaled": scores, "weights": weights, "head": short((weights.T if transposed else weights) @ value)}


def claims_of(numbers, decimals):
    """The claims of one sheet."""
    return [Claim.of(line, array[None], decimals=decimals) for line, array in numbers.items()]


MISTAKES = {
    "": {},
    "scale-missing": {"scaled": False},
    "softmax-over-queries": {"axis": 0},
    "softmax-over-queries weights-transposed": {"axis": 0, "transposed": True},
    "scale-missing weights-transposed": {"scaled": False, "transposed": True},
}


@pytest.mark.parametrize("decimals", [2, 3])
@pytest.mark.parametrize("seed", [11, 21])
def test_mistakes_beside_rounding_are_named(decimals, seed):
    """Each mistake is named whatever was rounded, alone and in pairs, and costs its own line and no other."""
    a = given(seed)
    trace = WORKING.run(a)
    sheets = {names: claims_of(by_hand(a, decimals, **how), decimals) for names, how in MISTAKES.items()}
    grader = Grader(trace, list(sheets.values()))
    for names, claims in sheets.items():
        grade = grader.grade(claims)
        causes = [each for each in grade.deviations if not each.startswith("rounded-by-hand")]
        assert (grade.verdict, causes) == ("explained", names.split())
        assert sum(not each.follows for each in grade.judged) == len(causes)
        assert diagnose(claims, trace).verdict == "explained"


def test_rounding_by_hand_is_likelier_than_an_odd_base():
    """Exponentials rounded to two decimals give weights that a softmax to the base of 3 gives too: nobody took that."""
    scaled = np.array([[[0.82, 0.44, 0.71]]])
    working = Attention(1, output=False).working().starting_at("scaled", "value")
    trace = working.run({"scaled": scaled, "value": np.array([[[1.0], [0.0], [0.0]]])})
    exponentials = np.exp(scaled[0]).round(2)
    weights = (exponentials / exponentials.sum()).round(2)
    assert weights.tolist() == [[0.39, 0.26, 0.35]]
    claims = [Claim.of("weights@1", weights, decimals=2)]
    grade = Grader(trace, [claims]).grade(claims)
    assert grade.deviations == ("rounded-by-hand:decimals=2,at=steps",)
    assert grade.right == {"weights": 3}


def test_fractions_are_not_taken_for_numbers_rounded_by_hand():
    """Fractions are exact: a class that hands in nothing else is graded, and a wrong one is wrong."""
    working = Attention(1, output=False).working().starting_at("weights", "value")
    trace = working.run({"weights": np.array([[[0.25, 0.75]]]), "value": np.array([[[1.0], [2.0]]])})
    right, wrong = ([Claim("head@1", ((written,),))] for written in ("7/4", "5/4"))
    grader = Grader(trace, [right, wrong])
    assert grader.grade(right).verdict == "agrees"
    assert grader.grade(wrong).right == {"head": 0}


def test_invented_numbers_get_nothing():
    """Sheets in the right shapes, whose weights add up to one in each row, have a mean credit below 5 %."""
    rng = np.random.default_rng(7)
    trace = WORKING.run(given(11))
    sheets = [
        claims_of(
            {
                "scaled": np.round(rng.normal(size=(3, 3)), decimals),
                "weights": np.round(rng.dirichlet(np.ones(3), 3), decimals),
                "head": np.round(rng.normal(size=(3, 2)), decimals),
            },
            decimals,
        )
        for decimals in (1, 2, 3) * 5
    ]
    grader = Grader(trace, sheets)
    book = Gradebook(tuple(Entry(str(number), grader.grade(claims)) for number, claims in enumerate(sheets)))
    assert {grade.verdict for grade in book.grades} == {"unexplained"}
    assert np.mean([book.total(grade) for grade in book.grades]) < 0.05
