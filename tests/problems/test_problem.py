"""Problems as values: equality, what they keep, what they refuse, and the workings they make."""

import numpy as np
import pytest
from msgspec.structs import replace

from clearhead.claim import Claim
from clearhead.deviations import parse_deviation
from clearhead.errors import ProblemError, UnknownName
from clearhead.problems import Problem, bundled, read_problem
from clearhead.spec import Attention, Block, Norm

ARRAYS = {
    "input": [[1, 0, 2], [0, 1, 1]],
    "query.weight": [[[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 1, 0]]],
    "key.weight": [[[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0]]],
    "value.weight": [[[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 1, 0]]],
}
"""Two tokens, three input features, one head of four features."""


def problem(**changes):
    """A small problem of attention alone, with some of its parts changed."""
    parts = {"title": "Small", "spec": Attention(heads=1, output=False), "arrays": ARRAYS}
    return Problem(**(parts | changes))


def with_array(name, values):
    """The small problem with another array."""
    return problem(arrays=ARRAYS | {name: values})


def test_whole_numbers_become_float64():
    """Arrays are kept as float64, whatever they were given as."""
    given = with_array("input", np.array([[1, 0, 2], [0, 1, 1]], dtype=np.int8))
    assert {array.dtype for array in given.arrays.values()} == {np.dtype(np.float64)}


def test_arrays_are_kept_as_copies_that_cannot_be_written_to():
    """Nobody can change an array of a problem, neither through the array that was given nor through the kept one."""
    mine = np.array([[1.0, 0, 2], [0, 1, 1]])
    kept = with_array("input", mine)
    mine[:] = 9
    assert kept.arrays["input"][0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        kept.arrays["input"][0, 0] = 2


def test_equal_parts_make_equal_problems():
    """Problems of equal parts are equal and hash the same, in whatever order their arrays were given."""
    backwards = problem(arrays=dict(reversed(ARRAYS.items())))
    assert problem() == backwards
    assert not problem() != backwards  # noqa: SIM202 - both operators are tested
    assert hash(problem()) == hash(backwards)
    assert problem() != "Small"


@pytest.mark.parametrize("other", [
    {"title": "small"},
    {"about": "something"},
    {"tokens": ("a", "b")},
    {"spec": Attention(heads=1, output=False, causal=True)},
    {"spec": Attention(heads=1, output=False, scale=0.5)},
    {"deviations": (parse_deviation("scale-after-softmax"),)},
    {"claims": (Claim("weights@1", "0.5", (1, 1)),)},
    {"arrays": ARRAYS | {"input": [[1, 0, 2], [-0.0, 1, 1]]}},
    {"arrays": ARRAYS | {"input": [[1, 0, 2], [0, 1, np.nextafter(1, 2)]]}},
    {"arrays": ARRAYS | {"input": [[1, 0, 2], [0, 1, 1], [0, 0, 0]]}},
])  # fmt: skip
def test_any_difference_makes_problems_differ(other):
    """Problems differ as soon as one part does, down to the sign of a zero and the last bit of a number."""
    assert problem() != problem(**other)
    assert len({problem(), problem(**other)}) == 2


def test_claims_that_are_written_differently_differ():
    """2.5 and 2.50 are not the same claim: the second has two decimals."""
    claims = [(Claim("weights@1", text, (1, 1)),) for text in ("2.5", "2.50")]
    assert problem(claims=claims[0]) != problem(claims=claims[1])


def test_declared_deviations_come_before_more():
    """The working has the problem's own deviations and then those asked for; the textbook has none."""
    both = read_problem("soccer").trace("softmax-over-queries", "norm-over-matrix")
    one = replace(read_problem("soccer"), deviations=(parse_deviation("softmax-over-queries"),))
    np.testing.assert_array_equal(one.trace("norm-over-matrix")["norm"], both["norm"])
    assert one.textbook().line("weights").operation.name == "softmax"
    assert one.working().line("weights").operation.name == "softmax_over_queries"


def test_a_trace_knows_the_tokens():
    """The trace of a problem carries the names of its tokens, or None where it has none."""
    assert read_problem("soccer").trace().tokens == ("Chaky", "loves", "soccer")
    assert problem().trace().tokens is None


def test_a_trace_keeps_what_it_is_told_to():
    """``keep`` names the lines that a trace stores."""
    assert set(problem().trace(keep=["weights"])) & {"weights", "head", "scores"} == {"weights"}


def test_a_working_can_be_entered():
    """A problem entered at some lines takes their numbers and drops what leads up to them."""
    lines = {"query": [[[1, 0], [0, 1], [1, 1]]], "key": [[[1, 1], [0, 1], [2, 0]]], "value": [[[1], [2], [4]]]}
    entered = problem(given=("query", "key", "value"), arrays=lines)
    assert [given.name for given in entered.textbook().givens] == ["query", "key", "value"]
    scores = np.array([[1, 0, 2], [1, 1, 0], [2, 1, 2]]) / np.sqrt(2)
    weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    np.testing.assert_allclose(entered.trace().numpy("head@1"), weights @ [[1], [2], [4]], rtol=1e-14)


def test_masked_scores_may_be_given():
    """Where scores are given, minus infinity is a number like any other: it masks a cell."""
    arrays = {"scaled": [[[0, -np.inf], [0, 0]]], "value": [[[1, 2, 3], [5, 4, 9]]]}
    entered = problem(given=("scaled", "value"), arrays=arrays)
    assert entered.trace().numpy("head@1").tolist() == [[1, 2, 3], [3, 3, 6]]


@pytest.mark.parametrize(("changes", "says"), [
    ({"arrays": {}}, r"arrays lacks input \(token, model\), query.weight \(head=1, model, depth\)"),
    ({"arrays": ARRAYS | {"x": [1]}}, "arrays has no use for 'x'"),
    ({"arrays": ARRAYS | {"input": [[1, 2], [3]]}}, "arrays.input expects rows of one length"),
    ({"arrays": ARRAYS | {"input": [["a"]]}}, "arrays.input expects numbers"),
    ({"arrays": ARRAYS | {"input": [[1j]]}}, "arrays.input expects numbers"),
    ({"arrays": ARRAYS | {"input": [[None]]}}, "arrays.input expects numbers"),
    ({"arrays": ARRAYS | {"input": [[True]]}}, "arrays.input expects numbers, got booleans"),
    ({"arrays": ARRAYS | {"input": 1.0}}, "arrays.input expects 2 axes"),
    ({"arrays": ARRAYS | {"input": np.zeros((0, 3))}}, "arrays: input has no numbers"),
    ({"arrays": ARRAYS | {"input": [[np.nan, 0, 0]]}}, r"arrays.input\[0\]\[0\] expects a finite number"),
    ({"arrays": ARRAYS | {"input": np.zeros((5000, 3))}}, "more than 4000000 numbers"),
    ({"tokens": ("a",)}, "tokens expects 2 names, one for each token of"),
    ({"given": ("nothing",)}, "given: .*no line 'nothing'"),
    ({"deviations": (parse_deviation("norm-over-matrix"),)}, r"deviations\[0\]: .*nothing to rewrite"),
    ({"claims": (Claim("nothing", "1"),)}, r"claims\[0\].line: .*no line 'nothing'"),
    ({"claims": (Claim("head@1", ("1", "2")),)}, r"claims\[0\].values expects \(token=2, depth=4\) for head@1, got"),
    ({"claims": (Claim("head@2", "1", (1, 1)),)}, r"claims\[0\].line: head has heads 1 to 1, not 2"),
    ({"claims": (Claim("input@1", "1", (1, 1)),)}, r"claims\[0\].line: input has no heads"),
    ({"claims": (Claim("input", "1", (1, 4)),)}, r"claims\[0\].cell: input has model 1 to 3, not 4"),
    ({"claims": (Claim("head", "1", (1, 1)),)}, r"claims\[0\].cell expects a number for each of head, token, depth"),
])  # fmt: skip
def test_parts_that_do_not_fit_are_refused(changes, says):
    """A problem whose parts contradict each other cannot be made, and the message begins with the part."""
    with pytest.raises(ProblemError, match=says):
        problem(**changes)


@pytest.mark.parametrize("claim", [
    Claim("weights@1", (("0.5", "0.5"), ("?", "1/3"))),
    Claim("weights", ((("0.5", "0.5"), ("?", "1/3")),)),
    Claim("weights", "0.5", (1, 2, 2)),
    Claim("input", "1", (2, 3)),
    Claim("query.weight@1", "1", (3, 4)),
])  # fmt: skip
def test_claims_of_lines_heads_and_cells_fit(claim):
    """Whole lines, heads of them, single cells and given arrays can all be claimed."""
    assert problem(claims=(claim,)).claims == (claim,)


def test_a_line_of_a_deviation_can_be_claimed():
    """A claim may be for a line that only the deviated working has."""
    claim = Claim("weights.unscaled@1", "0.5", (1, 2))
    assert problem(deviations=(parse_deviation("scale-after-softmax"),), claims=(claim,)).claims == (claim,)
    with pytest.raises(ProblemError, match=r"weights\.unscaled"):
        problem(claims=(claim,))


def test_tokens_name_those_that_ask():
    """In cross-attention the tokens are those of the input, however many the memory has."""
    assert read_problem("cross-attention").trace().numpy("weights@1").shape == (3, 5)
    with pytest.raises(ProblemError, match="tokens expects 3 names"):
        replace(read_problem("cross-attention"), tokens=("the", "cat", "is", "asleep", "now"))


def test_a_zero_spread_is_no_error():
    """A norm of eps 0 over a row without spread is a matter for the trace's notes, not for the problem."""
    flat = problem(spec=Block(Attention(heads=1, output=False), norm=Norm(eps=0, gain=False)), arrays=ARRAYS | {
        "input": [[0, 0, 0, 0], [1, 0, 0, 1]],
        **{name: [np.zeros((4, 4))] for name in ("query.weight", "key.weight", "value.weight")},
    })  # fmt: skip
    assert len(flat.trace().notes) == 1


def test_an_unknown_name_is_answered_with_the_closest():
    """A misspelt problem is answered with the bundled one that was meant."""
    with pytest.raises(UnknownName, match=r"Did you mean soccer"):
        read_problem("socer")
    with pytest.raises(UnknownName, match="no file ''"):
        read_problem("")


def test_bundled_names_win_over_files(tmp_path, monkeypatch):
    """A bundled name means the bundled problem, even where a file is called so; ./soccer is the file."""
    (tmp_path / "soccer").write_text("broken")
    (tmp_path / "mine").write_text("broken")
    monkeypatch.chdir(tmp_path)
    assert read_problem("soccer").title == "Chaky loves soccer"
    for file in ("./soccer", "mine"):
        with pytest.raises(ProblemError, match="not TOML"):
            read_problem(file)


def test_all_bundled_problems_differ():
    """No bundled problem is another one, and each has a title of its own."""
    problems = [read_problem(name) for name in bundled()]
    assert len(set(problems)) == len({each.title for each in problems}) == len(problems) >= 8
