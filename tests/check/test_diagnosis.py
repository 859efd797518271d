"""Why numbers differ: found by the rewrite whose numbers they are."""

import json
from importlib import import_module
from itertools import combinations

import numpy as np
import pytest

import clearhead
from clearhead import (
    Attention,
    Block,
    Claim,
    Embedding,
    Head,
    Loss,
    Norm,
    Rotary,
    Transformer,
    diagnose,
    read_problem,
)
from clearhead.deviations import candidates, deviate
from clearhead.document import Equation, Panels
from clearhead.errors import ProblemError
from clearhead.show import lower

BLOCK = Block(Attention(heads=2), norm=Norm(gain=False)).working()
SIZES = {"token": 3, "model": 5, "head": 2, "depth": 4, "head*depth": 8}


def drawn(working=BLOCK, seed=0, sizes=SIZES):
    rng = np.random.default_rng(seed)
    return {given.name: rng.normal(size=[sizes[word] for word in given.axes]) for given in working.givens}


def claimed(working, arrays, lines=("norm",), decimals=6):
    trace = working.run({given.name: arrays[given.name] for given in working.givens})
    return [Claim.of(line, np.round(trace[line], decimals), decimals=decimals) for line in lines]


def of_problem(name):
    problem = read_problem(name)
    return diagnose(problem.claims, problem.textbook().run(problem.arrays, tokens=problem.tokens or None))


def text(report):
    return lower(report.document(), "text", width=100)


@pytest.fixture(scope="module")
def soccer():
    return of_problem("soccer")


@pytest.fixture(scope="module")
def two_heads():
    return of_problem("two-heads")


def test_the_two_faults_of_the_notebook_are_named(soccer):
    """From the printed numbers of "Chaky loves soccer" come the softmax over queries and the norm over the matrix."""
    assert soccer.verdict == "explained"
    assert soccer.convincing
    assert [finding.deviations for finding in soccer.findings] == [("softmax-over-queries", "norm-over-matrix")]
    assert soccer.explained_by("softmax-over-queries")
    assert not soccer.explained_by("scale-after-softmax")
    assert soccer.first_wrong_line == "head@1"


def test_the_heading_asks_for_a_cause_where_numbers_differ(soccer):
    """Numbers that agree digit for digit have no cause that the heading could ask for."""
    assert soccer.heading == "Why they differ"
    problem = read_problem("single-head")
    assert diagnose(problem.claims, problem.trace()).heading == "What is claimed"


def test_what_cannot_be_seen_is_said_to_be_indistinguishable(soccer):
    """With d_k = 1 the place of the scale cannot be seen, and the report says so instead of guessing."""
    (group,) = soccer.indistinguishable
    assert group.smallest == 1
    assert any(set(each) - set(group.sets[0]) == {"scale-after-softmax"} for each in group.sets)
    assert "cannot be seen on this data" in text(soccer)
    assert "scale-after-softmax" in text(soccer)


def test_an_input_tells_apart_what_the_data_could_not(soccer):
    """The separating input is of greater depth, and the numbers shown are those that each working gives on it."""
    (separation,) = soccer.separate()
    assert not separation.same_shapes
    assert separation.arrays["query.weight"].shape[-1] > 1
    shown = separation.predictions
    assert len(shown) >= 2
    textbook = read_problem("soccer").textbook()
    for deviations, values in shown.items():
        trace = deviate(textbook, *deviations).run(separation.arrays)
        np.testing.assert_allclose(values, trace[separation.line])
    first, other, *_ = shown.values()
    assert np.abs(first - other).max() > 1e-3


def test_the_hand_values_are_rounded_weights(two_heads):
    """The hand solution is the textbook's with its weights in two decimals, 7/6 in one, and the norm of the code."""
    assert two_heads.verdict == "explained"
    assert two_heads.explained_by("round:line=weights,decimals=2")
    assert two_heads.explained_by("round:line=head@1,decimals=1")
    assert two_heads.explained_by("norm-over-matrix")
    assert two_heads.findings[0].kinds.count("rounding") == 2


def test_the_textbook_has_nothing_to_explain():
    """Problems whose claims agree get no findings."""
    report = of_problem("single-head")
    assert report.verdict == "agrees"
    assert report.findings == report.indistinguishable == ()


PRESENT = ("softmax-over-queries", "scale-after-softmax", "norm-over-matrix", "round:line=weights,decimals=2")
PLANTED = [chosen for size in (1, 2) for chosen in combinations(PRESENT, size)]


@pytest.mark.parametrize("planted", PLANTED, ids=" ".join)
@pytest.mark.parametrize("lines", [("norm",), ("weights", "output", "norm")], ids=len)
def test_planted_deviations_are_found(planted, lines):
    """One or two deviations are found from the last line alone, and from several lines."""
    arrays = drawn()
    report = diagnose(claimed(deviate(BLOCK, *planted), arrays, lines), BLOCK.run(arrays))
    assert report.verdict == "explained"
    assert set(planted) in [set(finding.deviations) for finding in report.findings]
    assert report.convincing


def test_every_candidate_is_found_alone_or_with_its_equals():
    """Each deviation that is tried is found where it can be seen, and numbers on which it cannot be seen agree."""
    arrays = drawn()
    tried = candidates(BLOCK, {name: array.shape for name, array in arrays.items()})
    assert len(tried) >= 3
    for applied in tried:
        claims = claimed(applied.rewrite(BLOCK), arrays, ("norm",), decimals=9)
        report = diagnose(claims, BLOCK.run(arrays), max_deviations=1)
        assert report.verdict == "agrees" or report.explained_by(applied.id), applied


def test_a_triple_is_found():
    """Three deviations at once are still found."""
    arrays = drawn(seed=3)
    planted = PRESENT[:3]
    report = diagnose(claimed(deviate(BLOCK, *planted), arrays), BLOCK.run(arrays))
    assert set(planted) in [set(finding.deviations) for finding in report.findings]


def unknown(arrays):
    """Attention with sigmoid weights and noise: no formula in the table."""
    query, key, value = (arrays["input"] @ arrays[f"{name}.weight"] for name in ("query", "key", "value"))
    scores = query @ key.swapaxes(-1, -2)
    weights = 1 / (1 + np.exp(-0.37 * scores + 0.1)) + np.random.default_rng(7).normal(0, 0.05, scores.shape)
    head = weights @ value
    return weights, head


def test_numbers_of_an_unknown_formula_are_not_explained():
    """What no deviation gives is called unexplained, with the first line that does not follow and near misses."""
    working = Attention(heads=2, output=False).working()
    arrays = drawn(working)
    weights, head = unknown(arrays)
    claims = [Claim.of("weights", np.round(weights, 6), decimals=6), Claim.of("head", np.round(head, 4), decimals=4)]
    report = diagnose(claims, working.run(arrays))
    assert report.verdict == "unexplained"
    assert report.findings == ()
    assert report.first_wrong_line == "weights"
    assert report.near_misses
    assert report.largest == 3
    judged = {each.line: each.follows for each in report.judged}
    assert judged == {"weights": False, "head": True}


def test_few_digits_are_not_called_convincing():
    """One cell with one decimal is fitted by many sets: the report says so and does not pretend."""
    arrays = drawn()
    value = float(deviate(BLOCK, "softmax-over-queries").run(arrays)["norm"][0, 0])
    report = diagnose([Claim("norm", f"{value:.1f}", cell=(1, 1))], BLOCK.run(arrays))
    assert report.verdict == "explained"
    assert not report.convincing
    assert "chance" in text(report)


def test_claims_of_heads_and_cells_are_enough():
    """A head and a single cell, with most of it not claimed, are enough to find a deviation."""
    arrays = drawn()
    trace = deviate(BLOCK, "softmax-over-queries").run(arrays)
    head = [[f"{cell:.6f}" for cell in row] for row in trace["weights@2"]]
    head[0] = ["?"] * 3
    claims = [
        Claim("weights@2", tuple(map(tuple, head))),
        Claim("output", f"{trace['output'][1, 3]:.5f}", cell=(2, 4)),
    ]
    report = diagnose(claims, BLOCK.run(arrays))
    assert [finding.deviations for finding in report.findings] == [("softmax-over-queries",)]


def test_the_report_shows_formulas_evidence_and_remedy(soccer):
    """Each deviation comes with both formulas, three matrices of evidence, and how to fix it."""
    parts = soccer.document().parts
    assert sum(isinstance(part, Equation) for part in parts) == 4
    panels = [part for part in parts if isinstance(part, Panels)]
    assert [matrix.title for matrix in panels[0].matrices] == ["claimed", "the working", "explained"]
    shown = text(soccer)
    assert "softmax-over-queries (a mistake)" in shown
    assert "axis=-1" in shown
    assert "Ruled out: the working as it is, and every deviation alone." in shown
    assert "The nearest is softmax-over-queries, which misses 6 of 48 cells, first in norm." in " ".join(shown.split())
    assert "scale-inverted, scale-after-softmax (where the depth is 1)" in " ".join(shown.split())
    assert "What would tell (norm, computed for these numbers)" in shown
    for form in ("markdown", "latex"):
        assert "axis=-1" in lower(soccer.document(), form)


def test_the_data_is_json(soccer):
    """The keys are those that are documented, and all values survive JSON."""
    data = json.loads(json.dumps(soccer.data(), allow_nan=False))
    assert data["verdict"] == "explained"
    assert data["findings"][0]["deviations"] == ["softmax-over-queries", "norm-over-matrix"]
    assert data["findings"][0]["fit"]["convincing"] is True
    assert data["first_wrong_line"] == "head@1"
    assert data["indistinguishable"][0][0] == ["softmax-over-queries", "norm-over-matrix"]


def test_assert_agrees_fails_with_the_diagnosis():
    """In a test, wrong numbers fail with the name of the deviation, right ones pass."""
    arrays = drawn()
    expected = BLOCK.run(arrays)
    clearhead.assert_agrees(np.asarray(expected["norm"]), expected)
    clearhead.assert_agrees(np.asarray(expected["norm"], dtype=np.float32), expected)
    wrong = deviate(BLOCK, "norm-over-matrix").run(arrays)["norm"]
    with pytest.raises(AssertionError, match="norm-over-matrix") as caught:
        clearhead.assert_agrees(wrong, expected)
    assert "To fix it" in str(caught.value)
    with pytest.raises(AssertionError, match="softmax-over-queries"):
        clearhead.assert_agrees({"weights": deviate(BLOCK, "softmax-over-queries").run(arrays)["weights"]}, expected)


def test_assert_agrees_asks_for_the_trace_itself():
    """An array where the trace belongs is refused, with the call that was meant."""
    expected = BLOCK.run(drawn())
    with pytest.raises(clearhead.errors.WrongType, match=r"expected expects Trace, got ndarray.*trace, \"weights\""):
        clearhead.assert_agrees(expected["weights"], expected["weights"])


@pytest.mark.parametrize(
    ("claims", "trace", "message"),
    [
        (Claim("norm", "0.8", cell=(1, 1)), None, r"claims expects several claims, got one Claim. Write \[claim\]"),
        (3, None, "claims expects several claims, got one int"),
        ([np.ones(3)], None, r"claims\[0\] expects Claim, got ndarray. Claim.of"),
        ([], BLOCK, r"trace expects Trace, got Working.*working.run\(arrays\)"),
    ],
)
@pytest.mark.parametrize("ask", [diagnose, clearhead.compare])
def test_other_types_are_refused_where_they_are_given(ask, claims, trace, message):
    """What is no list of claims or no trace gets an error that says what was expected and how to get it."""
    with pytest.raises(clearhead.errors.WrongType, match=message):
        ask(claims, trace or BLOCK.run(drawn()))


def test_a_trace_without_its_given_arrays_cannot_be_diagnosed():
    """A trace of results alone is refused, with the first array that it lacks."""
    trace = clearhead.Trace(BLOCK, {"norm": np.zeros((3, 5))})
    with pytest.raises(clearhead.UnknownName, match=r"The trace lacks the given array input\. Run the working"):
        diagnose([Claim("norm", "0.8", cell=(1, 1))], trace)


def test_a_trace_in_single_precision_is_diagnosed_in_double():
    """The given arrays are run once more in float64, so that nine decimals can be held to them."""
    arrays = {name: array.astype(np.float32) for name, array in drawn().items()}
    exact = BLOCK.run({name: array.astype(np.float64) for name, array in arrays.items()})
    report = diagnose([Claim.of("norm", exact["norm"], decimals=9)], BLOCK.run(arrays))
    assert report.verdict == "agrees"
    assert report.trace["norm"].dtype == np.float64


def test_a_slip_is_told_as_one():
    """Where all cells but one agree, that cell is named with what it should be and what may have happened."""
    arrays = drawn()
    trace = BLOCK.run(arrays)
    weights = [[[f"{cell:.3f}" for cell in row] for row in head] for head in trace["weights"]]
    right = weights[1][2][0]
    weights[1][2][0] = right[:2] + right[:1:-1]
    assert weights[1][2][0] != right
    claims = [
        Claim("weights", tuple(tuple(map(tuple, head)) for head in weights)),
        Claim.of("output", np.round(trace["output"], 3), decimals=3),
    ]
    report = diagnose(claims, BLOCK.run(arrays))
    assert report.verdict == "unexplained"
    assert report.first_wrong_line == "weights"
    (miss, *_) = report.near_misses
    assert (miss.deviations, miss.off, miss.claimed) == ((), 1, 33)
    shown = " ".join(text(report).split())
    assert "all but 1 of the 33 claimed cells agree with the working as it is" in shown
    assert f"weights[2,3,1] claims {weights[1][2][0]} and is {right}: digits may be swapped." in shown


def test_a_slip_beside_a_fault_is_told_with_it():
    """The near miss names the fault that explains all cells but the one with the wrong sign."""
    arrays = drawn()
    trace = deviate(BLOCK, "softmax-over-queries").run(arrays)
    output = np.round(trace["output"], 3)
    output[1, 1] *= -1
    weights = claimed(deviate(BLOCK, "softmax-over-queries"), arrays, ("weights",), 3)
    claims = [*weights, Claim.of("output", output, decimals=3)]
    report = diagnose(claims, BLOCK.run(arrays))
    assert report.verdict == "unexplained"
    assert report.near_misses[0].deviations == ("softmax-over-queries",)
    assert report.near_misses[0].slips[0].name == "output[2,2]"
    assert "the sign is lost" in text(report)


def test_an_error_carried_forward_is_found_where_it_was_made():
    """Scores of a formula outside the table, gone on with rightly: the first wrong line is theirs, the rest follows."""
    arrays = drawn()
    trace = BLOCK.run(arrays)
    scaled = np.tanh(trace["scaled"])
    after = BLOCK.starting_at("scaled").run(
        {**{n: arrays[n] for n in ("input", "value.weight", "output.weight")}, "scaled": scaled}
    )
    claims = [Claim.of("scaled", np.round(scaled, 4), decimals=4)]
    claims += [Claim.of(line, np.round(after[line], 4), decimals=4) for line in ("weights", "head", "norm")]
    report = diagnose(claims, BLOCK.run(arrays))
    assert report.verdict == "unexplained"
    assert report.first_wrong_line == "scaled"
    assert [each.line for each in report.judged if each.follows] == ["weights", "head", "norm"]
    assert "These follow from the lines before them: weights, head, norm." in text(report)


def test_a_convention_is_not_called_a_mistake():
    """Another eps is told as a convention, from the verdict on."""
    arrays = drawn()
    working = Block(Attention(heads=2), norm=Norm(eps=1e-5, gain=False)).working()
    report = diagnose(claimed(deviate(working, "norm-eps:eps=0.001"), arrays), working.run(arrays))
    shown = " ".join(text(report).split())
    assert "explained, and not wrong, but by another convention: with norm-eps:eps=0.001" in shown
    assert "Others do this on purpose; your spec does not." in shown
    assert "(a mistake)" not in shown


FOREIGN = {
    "squashed weights": lambda w, v: (np.tanh(w) / np.tanh(w).sum(axis=-1, keepdims=True), v),
    "squashed values": lambda w, v: (w, np.tanh(v)),
    "no attention to oneself, not renormalised": lambda w, v: (w * (1 - np.eye(w.shape[-1])), v),
    "noise": lambda w, v: (w + np.random.default_rng(2).normal(0, 1e-2, w.shape), v),
    "a head counted twice": lambda w, v: (w * np.array([2.0, 1.0])[:, None, None], v),
}


@pytest.mark.parametrize("foreign", FOREIGN.values(), ids=FOREIGN)
def test_formulas_outside_the_table_are_not_explained(foreign):
    """With three decimals in many cells no set of up to three known deviations passes for an unknown one."""
    arrays = drawn(seed=5)
    trace = BLOCK.run(arrays)
    weights, value = foreign(trace["weights"], trace["value"])
    after = BLOCK.starting_at("head").run(
        {"input": arrays["input"], "output.weight": arrays["output.weight"], "head": weights @ value}
    )
    report = diagnose([Claim.of("norm", np.round(after["norm"], 3), decimals=3)], BLOCK.run(arrays))
    assert report.verdict == "unexplained", report.findings


@pytest.mark.parametrize("decimals", [1, 2, 3, 6])
def test_right_numbers_agree_however_they_were_rounded(decimals):
    """Correct numbers rounded to any precision are never a disagreement."""
    arrays = drawn(seed=8)
    report = diagnose(claimed(BLOCK, arrays, ("weights", "head", "norm"), decimals), BLOCK.run(arrays))
    assert report.verdict == "agrees"


@pytest.mark.parametrize("library", ["torch", "jax.numpy"])
def test_assert_agrees_takes_arrays_of_other_libraries(library):
    """Single precision arrays of a mapping agree within what their type can tell, and wrong ones are diagnosed."""
    xp = import_module(library)
    arrays = drawn()
    expected = BLOCK.run(arrays)
    asarray = xp.from_numpy if library == "torch" else xp.asarray
    single = {line: asarray(np.asarray(expected[line], dtype=np.float32)) for line in ("weights", "norm")}
    clearhead.assert_agrees(single, expected)
    wrong = deviate(BLOCK, "weights-transposed").run(arrays)["head"]
    with pytest.raises(AssertionError, match="weights-transposed"):
        clearhead.assert_agrees(asarray(np.asarray(wrong, dtype=np.float32)), expected, "head")


def test_what_another_deviation_took_away_is_not_named_as_unseen():
    """Where the norm is left out, its eps and its kind are not said to be hidden by the data."""
    block = Block(Attention(heads=2), norm=Norm())
    rng = np.random.default_rng(3)
    sizes = {"token": 4, "model": 5, "head": 2, "depth": 3, "head*depth": 6}
    arrays = {each.name: rng.normal(size=[sizes[axis] for axis in each.axes]) for each in block.working().givens}
    left_out = deviate(block.working(), "norm-left-out:line=norm")
    report = diagnose([Claim.of("norm", left_out.run(arrays)["norm"], decimals=5)], block.working().run(arrays))
    assert [each.deviations for each in report.findings] == [("norm-left-out:line=norm",)]
    told = {each.partition(":")[0] for group in report.indistinguishable for chosen in group.sets for each in chosen}
    assert not told & {"norm-eps", "norm-of-other-kind", "norm-over-matrix", "norm-gain-missing"}


def test_a_report_as_text_has_the_telling_numbers():
    """Messages of failed tests show what was claimed, what the working gives and what the explanation gives."""
    soccer = read_problem("soccer")
    said = str(diagnose(soccer.claims, soccer.trace()))
    assert "  claimed: [0.08860486; -0.33190762; 0.24330276]\n" in said
    assert "  explained: [0.08860486; -0.33190762; 0.24330276]\n" in said


def test_heads_that_are_averaged_in_place_of_concatenated_are_named():
    """Numbers in a shape that the line has not are refused, with the deviation that gives them, if there is one."""
    working = Attention(2).working()
    sizes = {"token": 3, "model": 4, "depth": 4, "head": 2, "head*depth": 8}
    rng = np.random.default_rng(8)
    trace = working.run({each.name: rng.normal(size=[sizes[word] for word in each.axes]) for each in working.givens})
    with pytest.raises(ProblemError, match=r"expects \(token=3, head\*depth=8\) .*heads-averaged gives these numbers"):
        diagnose([Claim.of("concat", trace["head"].mean(axis=0), decimals=5)], trace)
    with pytest.raises(ProblemError, match="expects") as caught:
        diagnose([Claim.of("concat", rng.normal(size=(3, 4)))], trace)
    assert "gives these numbers" not in str(caught.value)


def test_what_is_shown_is_rounded_once():
    """0.14545011 is 0.1455 to four decimals, in the report on a claim as anywhere else."""
    working = Attention(1, output=False).working().starting_at("scaled", "value")
    trace = working.run({"scaled": np.array([[[0.14545011, 0.85454989]]]), "value": np.array([[[1.0], [2.0]]])})
    report = diagnose([Claim("weights@1", (("0.1455", "0.8545"),))], trace)
    assert report.explained_by("softmax-without-exp")
    assert "explained: [0.1455, 0.8545]" in str(report)


def test_triples_are_not_tried_where_pairs_took_long():
    """An unexplained block is left at pairs, by how many numbers these took, and is not walked again in vain."""
    trace = read_problem("encoder-block").trace()
    last = trace.working.lines[-1].name
    numbers = np.random.default_rng(5).normal(size=trace.numpy(last).shape).round(6)
    report = diagnose([Claim.of(last, numbers, decimals=6)], trace)
    assert (report.verdict, report.largest) == ("unexplained", 2)


def test_gradients_that_nothing_explains_are_said_to_be_unexplained():
    """Noise on a gradient of a whole block is unexplained, although some pairs of deviations leave no part of a sum."""
    trace = read_problem("block-backward").trace()
    numbers = trace.numpy("mlp.output.bias.grad") + np.array([0.03, -0.02, 0.05, -0.07])
    report = diagnose([Claim.of("mlp.output.bias.grad", numbers.round(4), decimals=4)], trace)
    assert report.verdict == "unexplained"


@pytest.mark.parametrize("size", [1, 3, 6])
def test_nan_alone_is_a_symptom_however_few_are_claimed(size):
    """A row of NaN shows no cause, and nothing is fitted to it."""
    scaled = np.linspace(-1, 1, size)[None, None]
    trace = (
        Attention(1, output=False)
        .working()
        .starting_at("scaled", "value")
        .run({"scaled": scaled, "value": np.ones((1, size, 1))})
    )
    report = diagnose([Claim("weights@1", (("nan",) * size,))], trace)
    assert (report.verdict, report.findings) == ("unexplained", ())
    assert "NaN" in report.symptom


def test_nan_is_a_symptom_beside_zeros_where_no_gradient_comes():
    """Rows of a table that no token reads have the gradient 0; where all others are NaN, nothing is fitted to them."""
    working = Transformer(Embedding(), head=Head(), loss=Loss(reads="logits")).working().backward("loss")
    sizes = {"vocabulary": 4, "model": 3, "token": 2}
    arrays = drawn(working, 1, sizes) | {"token": np.array([1, 3]), "target": np.array([0, 2])}
    trace = working.run(arrays)
    numbers = np.where(trace["embedding.weight.grad"] == 0, 0.0, np.nan)
    report = diagnose([Claim.of("embedding.weight.grad", numbers)], trace)
    assert (report.verdict, report.findings) == ("unexplained", ())
    assert "but for zeros where no gradient comes, are NaN" in report.symptom


@pytest.mark.parametrize(("times", "says"), [(2.0, "doubled"), (1.25, "multiplied by 1.25"), (0.25, "")])
def test_positions_that_are_multiplied_are_said_as_multiplied(times, says):
    """Positions divided by less than 1 are said by their factor, and those divided by more are not."""
    working = Attention(heads=2, causal=True, rotary=Rotary()).working()
    working = working.starting_at("query", "key", "value").ending_at("head")
    sizes = {"token": 7, "head": 2, "depth": 6, "query": 7, "key": 7}
    arrays = drawn(working, 4, sizes)
    rotated = []
    for x in (arrays["query"], arrays["key"]):
        angles = times * np.arange(7)[:, None] * 10000.0 ** (-np.arange(0, 6, 2) / 6)
        a, b = np.split(x, 2, -1)
        turned = (a * np.cos(angles) - b * np.sin(angles), b * np.cos(angles) + a * np.sin(angles))
        rotated.append(np.concatenate(turned, -1))
    scores = rotated[0] @ rotated[1].swapaxes(-1, -2) / np.sqrt(6) + np.triu(np.full((7, 7), -np.inf), 1)
    e = np.exp(scores - scores.max(-1, keepdims=True))
    claims = [Claim.of("weights", (e / e.sum(-1, keepdims=True)).round(9), decimals=9)]
    said = text(diagnose(claims, working.run(arrays)))
    assert "rotary-interpolated" in said, said
    assert (f"Here positions are {says}: they are divided by" in " ".join(said.split())) == bool(says), said
