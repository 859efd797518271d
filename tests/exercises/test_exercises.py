"""Fresh exercises: small numbers, the same for the same seed, and no common mistake that hides."""

import sys

import numpy as np
import pytest
from click.testing import CliRunner

from clearhead.check import compare, diagnose
from clearhead.claim import Claim
from clearhead.cli import main
from clearhead.deviations import candidates, deviate
from clearhead.errors import MissingPackage, SpecError, UnknownName
from clearhead.exercises import DIFFICULTIES, PARTS, Recipe, exercises, generate, variants, write_set
from clearhead.exercises.acceptance import COMMON, common_mistakes
from clearhead.exercises.draw import SENTENCES
from clearhead.problems import format_problem, parse_problem, read_problem

RECIPES = [
    {},
    {"tokens": 2, "heads": 1, "width": 2, "difficulty": "medium"},
    {"tokens": 4, "parts": ("causal", "rotary", "norm", "mlp")},
    {"tokens": 5, "heads": 2, "width": 8, "parts": ("grouped", "bias", "output"), "difficulty": "hard"},
    {"tokens": 3, "parts": ("positions", "residual", "rms"), "difficulty": "medium"},
]


@pytest.fixture(scope="module", params=RECIPES, ids=lambda recipe: ",".join(map(str, recipe.values())) or "plain")
def made(request):
    """An exercise and its recipe."""
    return generate(**request.param, seed=3), Recipe(**request.param)


def test_the_same_seed_gives_the_same_file():
    """An exercise is told by its recipe and seed alone; another seed gives other numbers."""
    one, again, other = (format_problem(generate(seed=seed)) for seed in (5, 5, 6))
    assert one == again
    assert one != other
    assert parse_problem(one) == generate(seed=5)


def test_an_exercise_stays_what_it_was():
    """The numbers of a seed do not change with machine or version: these were read and kept."""
    arrays = generate(tokens=2, heads=1, width=2, seed=1).arrays
    assert {name: array.tolist() for name, array in arrays.items()} == STAYS


STAYS = {
    "input": [[1, 1], [2, 1]],
    "query.weight": [[[1, 0], [1, 1]]],
    "key.weight": [[[1, -1], [-1, 1]]],
    "value.weight": [[[0, 1], [1, 0]]],
}


def test_the_numbers_are_for_hands(made):
    """Whole numbers or halves, no score beyond the limit, few exponentials, every line finite and tokens named."""
    problem, recipe = made
    trace, level = problem.trace(), recipe.level
    for array in problem.arrays.values():
        np.testing.assert_array_equal(array * 2, np.round(array * 2))
        assert np.abs(array).max() <= 2
    assert np.abs(trace["scores"]).max() <= level.largest
    if "rotary" not in recipe.parts:
        assert len(np.unique(np.round(trace["scaled"], 9))) <= level.exponentials + 2 * max(recipe.tokens - 3, 0)
    assert all(np.isfinite(trace[name]).all() for name in trace if not name.endswith("masked"))
    assert len(problem.tokens) == recipe.tokens
    assert " ".join(problem.tokens) in SENTENCES[recipe.tokens]


def test_no_common_mistake_hides(made):
    """Whoever makes a common mistake gets another answer, at the precision that is asked for."""
    problem, recipe = made
    trace = problem.trace()
    answer = trace.working.lines[-1].name
    shapes = {name: array.shape for name, array in problem.arrays.items()}
    planted = [each for each in candidates(trace.working, shapes) if each.id in COMMON]
    seen = common_mistakes(trace.working, recipe)
    assert len(seen) > 10
    hidden = []
    for mistake in planted:
        wrong = deviate(trace.working, mistake).run(problem.arrays)
        if wrong[answer].shape == trace[answer].shape:
            claim = Claim.of(answer, np.round(wrong[answer], recipe.level.decimals), decimals=recipe.level.decimals)
            if compare([claim], trace).agrees:
                hidden.append(mistake)
    assert not set(hidden) & set(seen)
    # What hides here hides on any numbers: of a single head, that heads are mixed up.
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    for mistake in hidden:
        other = deviate(trace.working, mistake).run(arrays)[answer]
        np.testing.assert_allclose(other, trace.working.run(arrays)[answer], atol=1e-9)


@pytest.mark.parametrize("id", ["softmax-over-queries", "scale-missing", "norm-over-matrix", "causal-missing"])
def test_the_diagnosis_names_what_a_student_did(id):
    """From a student's weights and answer, written as asked, the diagnosis finds the mistake."""
    problem = generate(parts=("causal", "norm"), seed=2)
    wrong = problem.trace(id)
    claims = [Claim.of(name, np.round(wrong[name], 2), decimals=2) for name in ("weights", "concat", "norm")]
    report = diagnose(claims, problem.working().run(problem.arrays))
    assert report.explained_by(id)
    assert len(report.findings[0].deviations) == 1


@pytest.mark.parametrize("parts", [("gradients", "causal"), ("gradients", "grouped", "bias"), ("gradients", "mlp")])
def test_gradients_can_be_an_exercise(parts):
    """A mistake in the gradients, made by hand, changes the answer, and is named from what a student hands in."""
    problem = generate(parts=parts, seed=4)
    assert parse_problem(format_problem(problem)) == problem
    right, wrong = problem.trace(), problem.trace("grad-softmax-sum-missing")
    names = [each for each in right if each.endswith(("query.weight.grad", "key.weight.grad", "value.weight.grad"))]
    claims = [Claim.of(name, np.round(wrong[name], 2), decimals=2) for name in names]
    assert any((np.abs(right[claim.line] - wrong[claim.line]) > 5e-3).any() for claim in claims)
    assert diagnose(claims, right).explained_by("grad-softmax-sum-missing")


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_every_part_can_be_had(part, difficulty):
    """Each part is in the working of the exercise, and the file says how it was made."""
    problem = generate(parts=(part,), difficulty=difficulty, seed=4)
    names = " ".join(line.name for line in problem.working().lines)
    sign = {
        "causal": "masked", "rotary": "rotary.cos", "positions": "input", "bias": "query.product",
        "grouped": "key.repeated", "output": "output", "residual": "residual", "norm": "norm", "rms": "norm",
        "mlp": "mlp.active", "sinusoidal": "position", "exponentials": "exponentials", "dropout": "weights.dropped",
        "embedding": "embedding.weight", "cross": "cross.weights", "encoder": "encoder.layers.1.weights",
        "stack": "layers.2.weights", "logits": "probabilities", "loss": "loss.token", "squared": "loss.cell",
        "gradients": "value.weight.grad",
    }[part]  # fmt: skip
    assert sign in names or sign in problem.arrays
    assert PARTS[part] in problem.about
    assert f"clearhead generate --tokens 3 --heads 2 --width 4 --parts {part}" in problem.about
    assert f"--difficulty {difficulty} --seed 4" in problem.about


@pytest.mark.parametrize(
    "parts",
    [
        ("causal", "embedding", "sinusoidal", "loss"), ("causal", "cross", "norm"), ("encoder", "causal", "mlp"),
        ("embedding", "stack", "logits"), ("squared", "dropout", "exponentials"), ("grouped", "bias", "cross", "loss"),
    ],
    ids=",".join,
)  # fmt: skip
def test_a_model_can_be_an_exercise(parts):
    """From tokens to a loss: whole numbers as given, every line finite, and each common mistake changes the answer."""
    problem = generate(parts=parts, seed=6)
    trace = problem.trace()
    assert parse_problem(format_problem(problem)) == problem
    for name, array in problem.arrays.items():
        np.testing.assert_array_equal(array, np.round(array), err_msg=name)
    assert all(np.isfinite(trace[name]).all() for name in trace if not name.endswith("masked"))
    answers = [name for name in trace if name == "logits"] + [trace.working.lines[-1].name]
    shapes = {name: array.shape for name, array in problem.arrays.items()}
    scales = [
        each for each in candidates(trace.working, shapes) if each.id in ("scale-missing", "softmax-over-queries")
    ]
    assert scales
    for mistake in scales:
        wrong = deviate(trace.working, mistake).run(problem.arrays)
        assert any((np.abs(wrong[answer] - trace[answer]) > 5e-3).any() for answer in answers), mistake


def test_a_model_of_next_words_is_computed_as_by_hand():
    """The loss of a generated exercise is that of plain NumPy, from the numbers of words on."""
    problem = generate(heads=1, width=2, tokens=3, parts=("causal", "embedding", "loss"), seed=2)
    a = problem.arrays
    x = a["embedding.weight"][a["token"].astype(int)]
    query, key, value = (x @ a[f"layers.1.{name}.weight"][0] for name in ("query", "key", "value"))
    scores = np.where(np.tril(np.ones((3, 3), bool)), query @ key.T / np.sqrt(2), -np.inf)
    weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    logits = (x + weights @ value) @ a["logits.weight"]
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    loss = -np.log(shares[np.arange(3), a["target"].astype(int)]).mean()
    np.testing.assert_allclose(problem.trace()["loss"], loss, rtol=1e-12)


@pytest.mark.parametrize(
    ("wanted", "error", "says"),
    [
        ({"parts": ("loss", "squared")}, SpecError, "Choose one"),
        ({"tokens": 1}, SpecError, "tokens expects 2 to 8"),
        ({"heads": 5, "width": 10}, SpecError, "heads expects 1 to 4"),
        ({"heads": 2, "width": 2}, SpecError, "width expects 4 or 6 or 8"),
        ({"heads": 1, "width": 3, "parts": ("rotary",)}, SpecError, "width expects 2 or 4"),
        ({"parts": ("casual",)}, UnknownName, "Did you mean causal"),
        ({"difficulty": "eazy"}, UnknownName, "Did you mean easy"),
        ({"parts": ("norm", "rms")}, SpecError, "Choose one"),
        ({"heads": 3, "width": 6, "parts": ("grouped",)}, SpecError, "even number of heads"),
        ({"heads": 1, "width": 2, "parts": ("norm",)}, SpecError, "norm needs a width"),
    ],
)
def test_what_cannot_be_is_refused(wanted, error, says):
    """The message names what does not fit, and what would."""
    with pytest.raises(error, match=says):
        generate(**wanted)


def test_a_class_gets_the_same_words_and_other_numbers():
    """Variants share title and tokens, and no two have the same numbers; fresh exercises share nothing."""
    recipe = Recipe(parts=("causal",))
    own = list(variants(recipe, 1, 4))
    assert len({problem.tokens for problem in own}) == 1
    assert [problem.title.rpartition(", ")[2] for problem in own] == [f"variant {n}" for n in range(1, 5)]
    assert len({problem.arrays["input"].tobytes() + problem.arrays["query.weight"].tobytes() for problem in own}) == 4
    assert len({problem.tokens for problem in exercises(recipe, 1, 6)}) > 1


def test_a_set_has_sheets_and_keys(tmp_path):
    """Each numbered problem comes with a sheet that has none of the answers, and a key that has all."""
    write_set(variants(Recipe(), 1, 2), tmp_path / "a" / "b", 12, sheets=(".md",), decimals=2)
    names = sorted(path.name for path in (tmp_path / "a" / "b").iterdir())
    assert names == ["01-key.md", "01.md", "01.toml", "02-key.md", "02.md", "02.toml"]
    answer = read_problem(tmp_path / "a/b/01.toml").trace()["concat"]
    sheet, key = (tmp_path.joinpath("a", "b", name).read_text("utf-8") for name in ("01.md", "01-key.md"))
    for number in answer.flat:
        assert f"{number:.2f}" in key
        assert f"{number:.2f}" not in sheet or number == round(number)


def run(*arguments, code=0):
    result = CliRunner().invoke(main, ["generate", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result.output + result.stderr


def test_the_command_makes_what_the_function_makes(tmp_path):
    """Printed, in a file, or in a folder: the same exercise."""
    expected = generate(parts=("causal", "output"), seed=9)
    options = ("--parts", "causal, output", "--seed", 9)
    assert parse_problem(run(*options)) == expected
    run(*options, "-o", tmp_path / "x.toml")
    assert read_problem(tmp_path / "x.toml") == expected
    assert "3 exercises" in run(*options, "--count", 3, "-o", tmp_path / "set")
    assert sorted(path.name for path in (tmp_path / "set").iterdir()) == ["1.toml", "2.toml", "3.toml"]
    assert "sheets and keys" in run(*options, "--variants", "--sheet", "txt", "-o", tmp_path / "one")
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == ["1-key.txt", "1.toml", "1.txt"]


def test_the_command_says_what_is_wrong(tmp_path):
    """Bad options end with 2 and no traceback."""
    assert "Did you mean causal" in run("--parts", "casual", code=2)
    assert "-o FOLDER" in run("--count", 3, code=2)
    assert "1 exercise with sheets and keys" in run("--sheet", "txt,md", "-o", tmp_path / "alone")
    files = {"1.toml", "1.txt", "1-key.txt", "1.md", "1-key.md"}
    assert {path.name for path in (tmp_path / "alone").iterdir()} == files
    assert ".pdf" in run("--variants", "--sheet", "pfd", "-o", tmp_path / "x", code=2)
    (tmp_path / "file").write_text("")
    run("--count", 2, "-o", tmp_path / "file", code=2)


def test_a_set_that_cannot_be_made_leaves_nothing(tmp_path, monkeypatch):
    """Without the package that the sheets need, no folder and no file is written."""
    monkeypatch.setitem(sys.modules, "typst", None)
    made = variants(Recipe(), 7, 2)
    with pytest.raises(MissingPackage):
        write_set(made, tmp_path / "set", 2, sheets=(".pdf",), decimals=2)
    assert list(tmp_path.iterdir()) == []
