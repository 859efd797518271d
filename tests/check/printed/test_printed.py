"""Numbers as people print them, and faults with constants that stand on no list."""

import numpy as np
import pytest
import torch

from clearhead import Attention, Claim, deviate, diagnose

from .cases import FAULTS


def diagnosed(fault, seed=0):
    given = fault.arrays(seed)
    claims = [
        Claim.of(line, np.round(numbers, fault.decimals), decimals=fault.decimals)
        for line, numbers in fault.solve(given).items()
    ]
    return diagnose(claims, fault.spec.working().run(given))


OTHERS = {"columns_in_another_order": "heads-merged-interleaved"}
"""Where another deviation says the same more plainly."""


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_fault_is_named_first(fault):
    """The deviation of each case is the first finding, with the value that was used."""
    report = diagnosed(fault)
    assert report.verdict == "explained"
    assert report.first.ids == (OTHERS.get(fault.name, fault.cause),)
    if fault.name not in OTHERS:
        (parameters,) = report.first.parameters.values()
        for name, value in fault.values.items():
            assert parameters[name] == (pytest.approx(value, rel=1e-6) if isinstance(value, float) else value)
    assert report.convincing


def test_a_fitted_value_is_read_as_people_write_it():
    """1/sqrt(96) is said, not 0.10206."""
    (case,) = (each for each in FAULTS if each.name == "scale_by_root_of_96")
    assert diagnosed(case).first.finding.readings == {"factor": "1/sqrt(96)"}


def by_weights(scaled):
    """A working entered at its scaled scores, and its trace."""
    working = Attention(1, output=False).working().starting_at("scaled", "value")
    scaled = np.array([[scaled]], dtype=float)
    return working.run({"scaled": scaled, "value": np.zeros((1, scaled.shape[-1], 1))})


PRINTED = {
    "PyTorch with exponents": ([0, 5, 11], ["1.6660e-05", "2.4726e-03", "9.9751e-01"], None),
    "general format": ([0.4, 6, 13.5], ["2.044e-06", "0.0005528", "0.9994"], None),
    "floats of single precision": (
        [1, 1.5, 0.5, 0.5],
        ["0.2589478", "0.42693272", "0.15705977", "0.15705977"],
        "float32",
    ),
    "NumPy's float16": ([1, 1.5, 0.5, 0.5], ["0.259", "0.427", "0.1571", "0.1571"], "float16"),
}  # fmt: skip


@pytest.mark.parametrize("name", PRINTED)
def test_right_numbers_agree_however_they_are_printed(name):
    """Each number has the precision of its print, and the arithmetic of a smaller type is said to be that."""
    scaled, written, kind = PRINTED[name]
    report = diagnose([Claim("weights@1", (tuple(written),))], by_weights(scaled))
    assert report.verdict == "agrees"
    assert (report.precision and report.precision.kind) == kind
    if kind:
        assert kind in str(report)


@pytest.mark.parametrize("name", PRINTED)
def test_wrong_numbers_do_not_agree_however_they_are_printed(name):
    """Two weights exchanged are wrong in any print."""
    scaled, written, _ = PRINTED[name]
    report = diagnose([Claim("weights@1", ((written[1], written[0], *written[2:]),))], by_weights(scaled))
    assert report.verdict != "agrees"


HANDS = {
    "one query": ([0.82, 0.44, 0.71], 2, ["0.39", "0.26", "0.35"]),
    "four keys": ([1.13, 0.27, -0.46, 0.88], 2, None),
    "three decimals": ([0.317, -1.204, 0.655, 0.09], 3, None),
}


@pytest.mark.parametrize("name", HANDS)
def test_rounding_of_every_step_comes_before_odd_causes(name):
    """Exponentials rounded, their sum and shares rounded: named as that, and not as powers of another base."""
    scaled, decimals, written = HANDS[name]
    if written is None:
        exponentials = [round(float(np.exp(s)), decimals) for s in scaled]
        written = [f"{round(e / sum(exponentials) + 1e-12, decimals):.{decimals}f}" for e in exponentials]
    trace = by_weights(scaled)
    right = [f"{weight:.{decimals}f}" for weight in trace["weights"][0, 0]]
    report = diagnose([Claim("weights@1", (tuple(written),))], trace)
    assert report.verdict == ("agrees" if written == right else "explained")
    if written != right:
        assert report.first.ids == ("rounded-by-hand",)


WORKING = Attention(2).working()
SIZES = {"token": 5, "model": 6, "head": 2, "depth": 4, "head*depth": 8}


def drawn(seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    return {each.name: scale * rng.normal(size=[SIZES[word] for word in each.axes]) for each in WORKING.givens}


@pytest.mark.parametrize("kind", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("seed", range(3))
def test_right_code_in_a_smaller_type_agrees(kind, seed):
    """Arrays of any type, computed in it, are right as far as it goes, and the largest difference is said."""
    given = drawn(seed, 0.7)
    out = WORKING.run({name: torch.tensor(array).to(getattr(torch, kind)) for name, array in given.items()})
    report = diagnose([Claim.of(line, out[line]) for line in ("weights", "output")], WORKING.run(given))
    assert report.verdict == "agrees"
    assert report.precision.kind == kind
    assert report.precision.largest > 0


@pytest.mark.parametrize("deviation", ["scale-missing", "weights-transposed", "heads-merged-by-reshape"])
@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_faulty_code_in_a_smaller_type_is_explained(deviation, kind):
    """A fault is named from float32 and float16 arrays too: their arithmetic does not hide it."""
    given = drawn(3, 0.5)
    out = deviate(WORKING, deviation).run({name: array.astype(kind) for name, array in given.items()})
    report = diagnose([Claim.of("output", out["output"])], WORKING.run(given))
    assert report.verdict == "explained"
    assert report.first.ids == (deviation,)


def test_rounded_givens_are_right_within_their_digits():
    """Outputs of unrounded numbers beside given arrays in four decimals: right within what these digits allow."""
    given = drawn(1)
    rounded = {name: array.round(4) for name, array in given.items()}
    claims = [Claim.of("output", WORKING.run(given)["output"].round(5), decimals=5)]
    report = diagnose(claims, WORKING.run(rounded))
    assert report.verdict == "agrees"
    assert report.precision.kind == "givens"
    assert 1e-5 < report.precision.largest <= report.precision.allowed


def test_overflow_in_single_precision_is_explained_in_single_precision():
    """Exponentials of unshifted scores overflow in float32 where they do not in float64: NaN rows are explained."""
    given = drawn(0)
    given = {name: array * (8 if "query" in name or "key" in name else 1) for name, array in given.items()}
    out = deviate(WORKING, "softmax-unshifted").run({name: a.astype(np.float32) for name, a in given.items()})
    assert np.isnan(out["output"]).any()
    report = diagnose([Claim.of("output", out["output"])], WORKING.run(given))
    assert report.first.ids == ("softmax-unshifted",)


def test_overflow_of_half_precision_is_no_right_number():
    """Scores beyond 65504 before the scale: explained by float16, with how many overflow, and not called right."""
    working = Attention(2, output=False).working().starting_at("query", "key", "value")
    rng = np.random.default_rng(2)
    given = {name: rng.normal(size=(2, 5, 16)) for name in ("query", "key", "value")}
    given = {"query": given["query"] * 260, "key": given["key"] * 120, "value": given["value"]}
    given["key"][:, 2:] *= 1e-3
    given["query"], given["key"] = (given[n].astype(np.float16).astype(float) for n in ("query", "key"))
    with np.errstate(all="ignore"):
        scores = given["query"].astype(np.float16) @ given["key"].astype(np.float16).swapaxes(-1, -2) / np.float16(4)
    assert 0 < np.isinf(scores).sum() < scores.size
    report = diagnose([Claim.of("scaled", scores)], working.run(given))
    assert report.verdict == "explained"
    assert report.precision.kind == "float16"
    assert report.precision.overflowed == np.isinf(scores).sum()


@pytest.mark.parametrize("value", [0.0, np.nan, 1.0])
def test_numbers_that_are_all_the_same_are_a_symptom(value):
    """All zero, all NaN, all one: no cause is named, and what is seen is said."""
    report = diagnose([Claim.of("output", np.full((5, 6), value))], WORKING.run(drawn()))
    assert report.verdict == "unexplained"
    assert report.findings == ()
    assert "symptom" in str(report)


def test_one_number_is_no_evidence_for_a_fitted_one():
    """Two equal queries and two keys leave a single number to explain, which any constant could be fitted to."""
    working = Attention(1, output=False).working().starting_at("query", "key", "value")
    ones = np.eye(2)[None]
    trace = working.run({"query": ones, "key": ones, "value": np.array([[[1.0, 2.0], [3.0, 4.0]]])})
    claim = Claim("head@1", (("1.66082", "2.66082"), ("2.33918", "3.33918")))
    assert diagnose([claim], trace).verdict == "unexplained"


def test_queries_and_keys_exchanged_come_before_the_order_of_a_fused_projection():
    """The plain sentence comes first, and a base that people use before any other constant."""
    working = Attention(1, output=False).working().starting_at("query", "key", "value")
    rng = np.random.default_rng(2)
    given = {name: rng.normal(size=(1, 3, 2)).round(1) for name in ("query", "key", "value")}
    trace = working.run(given)
    exchanged = working.run({**given, "query": given["key"], "key": given["query"]})
    claims = [Claim.of(line, exchanged[line].round(4), decimals=4) for line in ("scores", "weights", "head")]
    assert diagnose(claims, trace).first.ids == ("query-key-exchanged",)
    powers = 2.0 ** trace["scaled"]
    weights = Claim.of("weights", (powers / powers.sum(-1, keepdims=True)).round(3), decimals=3)
    assert diagnose([weights], trace).first.parameters == {"softmax-base": {"base": 2.0}}
