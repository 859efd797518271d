"""Cases from public teaching material, entered as problems: each comes out as it should, with values from outside."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from clearhead import WrongType, assert_agrees, diagnose
from clearhead.check.grading.grade import Grader
from clearhead.check.report.hints import hints
from clearhead.cli import main
from clearhead.errors import ClearheadError
from clearhead.problems import parse_problem, read_problem
from clearhead.problems.submissions import read_submission
from clearhead.show.forms import lower

OF_TWO = 'format = 1\ntitle = "A case"\ngiven = ["query", "key", "value"]\n[attention]\nheads = 1\noutput = false\n'


def problem(given, arrays, *claims, fields="output = false", until=""):
    """A problem of one head, entered at some lines."""
    numbers = "\n".join(f"{name} = {json.dumps(each, ensure_ascii=False)}" for name, each in arrays.items())
    claimed = "\n".join(
        f'[[claims]]\nline = "{line}"\nvalues = {json.dumps(each, ensure_ascii=False)}' for line, each in claims
    )
    entered = f"given = {json.dumps(given)}\n" if given else ""
    return parse_problem(
        f'format = 1\ntitle = "A case"\n{entered}{until}[attention]\nheads = 1\n{fields}\n'
        f"[arrays]\n{numbers}\n{claimed}\n"
    )


def by_scaled(scaled, weights, **more):
    """Weights claimed for one row of scaled scores."""
    value = [[[0]] * len(scaled)]
    return problem(["scaled", "value"], {"scaled": [[scaled]], "value": value}, ("weights@1", [weights]), **more)


def report_of(problem):
    return diagnose(problem.claims, problem.trace())


def test_each_number_has_its_own_significant_digits():
    """Case 1: numbers printed with exponents agree to five significant digits, as text and as numbers."""
    for row in (["1.6660e-05", "2.4726e-03", "9.9751e-01"], [1.6660e-05, 2.4726e-03, 9.9751e-01]):
        report = report_of(by_scaled([0, 5, 11], row))
        assert report.verdict == "agrees"


@pytest.mark.parametrize(("row", "kind"), [
    (["0.2589478", "0.42693272", "0.15705977", "0.15705977"], "float32"),
    (["0.259", "0.427", "0.1571", "0.1571"], "float16"),
])  # fmt: skip
def test_smaller_types_are_right_and_the_largest_difference_is_said(row, kind):
    """Case 2: numbers of single and half precision are right as far as these go."""
    report = report_of(by_scaled([1, 1.5, 0.5, 0.5], row))
    assert (report.verdict, report.precision.kind) == ("agrees", kind)
    assert "largest difference" in str(report)


def test_outputs_of_unrounded_givens_are_right_within_their_digits():
    """Case 3: weights printed to four decimals, outputs from the unrounded ones: right, and the interval is said."""
    scaled = np.array([[0.7313, -0.2291, 0.1184], [0.015, 0.6, -0.33]])
    weights = np.exp(scaled) / np.exp(scaled).sum(axis=1, keepdims=True)
    value = np.array([[531.0, 2.5], [-47.0, 8.1], [880.0, -3.3]])
    case = problem(
        ["weights", "value"],
        {"weights": [weights.round(4).tolist()], "value": [value.tolist()]},
        ("head@1", [[f"{cell:.4f}" for cell in row] for row in weights @ value]),
    )
    report = report_of(case)
    assert (report.verdict, report.precision.kind) == ("agrees", "givens")
    assert report.precision.largest <= report.precision.allowed


def test_hand_rounding_comes_before_any_odd_cause():
    """Case 4: numerators to two decimals, their sum and the quotients: rounding of every step, not powers of 3."""
    report = report_of(by_scaled([0.82, 0.44, 0.71], ["0.39", "0.26", "0.35"]))
    assert report.first.ids == ("rounded-by-hand",)
    assert "explained, by rounding alone: with rounded-by-hand:decimals=2,at=steps" in str(report)


def test_check_rounds_once():
    """Case 5: 0.14545011 is 0.1455 to four decimals, never 0.1454, whoever rounds it."""
    case = by_scaled([0.14545011, 0.85454989], ["0.1455", "0.8545"])
    report = report_of(case)
    assert report.first.ids == ("softmax-without-exp",)
    assert "0.1454 " not in str(report)
    shown = case.trace("softmax-without-exp").explain("weights@1", 0, 0)
    assert f"{float(case.trace('softmax-without-exp')['weights'][0, 0, 0]):.4f}" == "0.1455"
    assert "0.1454 " not in str(shown)


@pytest.mark.parametrize("form", ["text", "markdown", "latex", "json", "typst"])
def test_dust_is_0_in_every_medium(form, tmp_path):
    """Case 6: 0.1 + 0.2 - 0.3 is shown as 0."""
    path = tmp_path / "dust.toml"
    path.write_text(
        f"{OF_TWO}[arrays]\nquery = [[[0.1, 0.2, -0.3]]]\nkey = [[[1, 1, 1], [1, 0, 0]]]\nvalue = [[[1], [2]]]\n"
    )
    if form == "typst":
        run = CliRunner().invoke(main, ["export", str(path), "-o", str(tmp_path / "dust.svg")])
        assert run.exit_code == 0
        return
    run = CliRunner().invoke(main, ["show", str(path), "scores", "--as", form])
    assert "e-1" not in run.output
    assert "0.0" in run.output


@pytest.mark.parametrize("given", ["scores", "query"])
def test_a_mask_before_the_scale_is_a_convention(given):
    """Case 7: minus infinity, scaled by one half, is minus infinity; what is called scores may be masked, too."""
    scores = [[2, 1, 3], [0, 4, 1], [1, 2, 2]]
    arrays = {"scores": [scores]} if given == "scores" else {"query": [scores], "key": [np.eye(3, dtype=int).tolist()]}
    masked = [[1, "-inf", "-inf"], [0, 2, "-inf"], [0.5, 1, 1]]
    case = problem(
        [*arrays, "value"], {**arrays, "value": [[[1], [2], [3]]]}, ("scaled@1", masked),
        fields="output = false\ncausal = true\nscale = 0.5",
    )  # fmt: skip
    report = report_of(case)
    assert report.first.ids == ("scale-after-mask",)
    assert report.findings[0].kinds == ("convention",)


def test_scores_that_are_masked_in_place_are_a_convention():
    """Case 7: what a notebook prints as scores after writing the mask into them is named, the weights being right."""
    case = problem(
        ["query", "key", "value"],
        {"query": [[[2, 1, 3], [0, 4, 1], [1, 2, 2]]], "key": [np.eye(3, dtype=int).tolist()],
         "value": [[[1], [2], [3]]]},
        ("scores@1", [[2, "-inf", "-inf"], [0, 4, "-inf"], [1, 2, 2]]),
        ("scaled@1", [[1, "-inf", "-inf"], [0, 2, "-inf"], [0.5, 1, 1]]),
        ("weights@1", [[1, 0, 0], [0.1192, 0.8808, 0], [0.2327, 0.3837, 0.3837]]),
        fields="output = false\ncausal = true\nscale = 0.5",
    )  # fmt: skip
    report = report_of(case)
    assert report.verdict == "explained"
    assert report.first.ids == ("mask-before-scale",)
    assert report.findings[0].kinds == ("convention",)


INVENTED = {"scores": [[0.2, 0.1], [0.19, 0.27]], "weights": [["0.55", "0.45"], ["0.45", "0.55"]],
            "head": [["0.90", "0.88"], ["0.80", "1.03"]]}  # fmt: skip
TWO_WORDS = {
    "query": [[[0.31, 0.17, 0.05], [0.12, 0.41, 0.23]]], "key": [[[0.53, 0.11, 0.37], [0.07, 0.29, 0.61]]],
    "value": [[[1.3, 0.2], [0.4, 1.7]]],
}  # fmt: skip


def test_invented_weights_get_nothing(tmp_path):
    """Case 8: weights of .55 and .45 are not .514 and .486, however plausible; what follows from them follows."""
    path = tmp_path / "ann.json"
    path.write_text(json.dumps({f"{line}@1": rows for line, rows in INVENTED.items()}))
    trace = problem(["query", "key", "value"], TWO_WORDS).trace()
    claims = read_submission(path, trace)
    grade = Grader(trace, [claims]).grade(claims)
    assert (grade.verdict, grade.first_wrong_line) == ("unexplained", "weights")
    assert grade.right["weights"] == 0


def test_softmax_over_queries_is_in_the_summary_of_a_class(tmp_path):
    """Cases 9, 10: who rounds by hand is headed so, a cause of a line is named, and every file has a row."""
    trace = problem(["query", "key", "value"], TWO_WORDS).trace()
    powers = np.exp(trace["scaled"][0])
    columns = powers / powers.sum(axis=0)
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "ann.json").write_text(json.dumps({"weights@1": columns.round(3).tolist()}))
    (folder / "ben.docx").write_text("what is this")
    (tmp_path / "case.toml").write_text(
        f"{OF_TWO}[arrays]\n" + "\n".join(f"{name} = {json.dumps(each)}" for name, each in TWO_WORDS.items())
    )
    run = CliRunner().invoke(main, ["grade", str(tmp_path / "case.toml"), str(folder), "-o", str(tmp_path / "g.csv")])
    assert run.exit_code == 0
    assert "softmax-over-queries" in run.output
    rows = (tmp_path / "g.csv").read_text().splitlines()[1:]
    assert [row.split(",")[:2] for row in rows] == [["ann.json", "explained"], ["ben.docx", "error"]]


def test_hints_name_the_place_and_the_kind_and_no_number(tmp_path):
    """Cases 12, 13: a JSON file is read as claims, and a hint says line, cell and kind, never the number."""
    trace = problem(["query", "key", "value"], TWO_WORDS).trace()
    path = tmp_path / "anna.json"
    path.write_text(json.dumps({"weights@1": [["0.514", "0.486"], ["0.489", "0.611"]]}))
    said = lower(hints(read_submission(path, trace), trace, (), title="anna"), "text")
    assert "weights" in said
    assert "[1,2,2]" in said or "[2,2]" in said
    assert "0.51" not in said.replace("0.514", "")


@pytest.mark.parametrize(("text", "value"), [
    ("\N{MINUS SIGN}0.5", -0.5), ("33%", 0.33), ("\N{VULGAR FRACTION ONE HALF}", 0.5), ("1/3 ", 1 / 3),
    ("0,5", 0.5), ("\N{SQUARE ROOT}2", 2**0.5), ("30 deg", np.pi / 6), ("sqrt(2)/2", 2**0.5 / 2),
    ("-\N{INFINITY}", -np.inf),
])  # fmt: skip
def test_pasted_numbers_are_read(text, value):
    """Cases 14, 16: signs, percent, fractions, roots, degrees and spaces as pasted, in given arrays and in claims."""
    case = by_scaled([text, 0, 1], ["?", "?", "?"])
    np.testing.assert_allclose(case.arrays["scaled"][0, 0, 0], value, rtol=1e-15)
    (claim,) = by_scaled([0, 0, 1], [text, "?", "?"]).claims
    np.testing.assert_allclose(claim.values[0, 0], value, rtol=1e-15)


def test_what_needed_a_trick_is_said_once():
    """Case 15: queries, keys and values that are the input; no values at all; and an error that names the scale."""
    bare = problem([], {"input": [[1, 0], [0, 1]]}, fields="projected = false", until='until = ["weights"]\n')
    share = np.exp(1 / 2**0.5) / (np.exp(1 / 2**0.5) + 1)
    np.testing.assert_allclose(bare.trace()["weights"][0, 0], [share, 1 - share], rtol=1e-14)
    with pytest.raises(ClearheadError, match=r"scale = 1 below \[attention\]"):
        problem(["scores"], {"scores": [[[1, 0], [0, 1]]]}, until='until = ["weights"]\n').trace()


def test_a_missing_gain_names_the_field_and_context_is_the_head():
    """Case 17: the error offers gain = false, and ``context`` is answered with head."""
    with pytest.raises(ClearheadError, match="gain = false"):
        parse_problem(
            'format = 1\ntitle = "A case"\n[block.attention]\nheads = 1\nprojected = false\noutput = false\n'
            "[block.norm]\n[arrays]\ninput = [[1, 0], [0, 1]]\n"
        ).trace()
    with pytest.raises(ClearheadError, match="Did you mean head"):
        read_problem("two-heads").trace()["context"]


def test_an_explanation_is_one_line_and_arrays_are_refused_with_what_to_do():
    """Case 18: the last line of a notebook's cell shows the arithmetic alone, and assert_agrees asks for the trace."""
    trace = read_problem("two-heads").trace()
    assert repr(trace.explain("weights@1", 1, 1)).count("\n") == 0
    with pytest.raises(WrongType, match="Give the whole trace"):
        assert_agrees(trace["weights"], trace["weights"])
