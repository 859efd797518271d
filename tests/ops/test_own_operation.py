"""An operation that a user states is shown, explained and written by all media, as those of the library are."""

import copy
import io
import pickle
import subprocess
import sys

import numpy as np
import pytest

from clearhead import Trace, read_trace, render
from clearhead.errors import ClearheadError
from clearhead.expr import Size, call, formula, indices, total
from clearhead.line import Given, line
from clearhead.ops import operation
from clearhead.ops.textbook import linear, scores
from clearhead.show.export import save
from clearhead.working import Working

i, j, k = indices("i j k")


@operation(
    lambda power: formula(
        "i j -> i j", lambda s: call("exp", s[i, j]) ** power / total(k, call("exp", s[i, k]) ** power), k=Size("j")
    ),
    role="softmax",
)
def sharpened(xp, s, *, power):
    """Softmax of the scores times a power: a temperature below 1 for powers above 1."""
    parts = xp.exp((s - xp.max(s, axis=-1, keepdims=True)) * power)
    return parts / xp.sum(parts, axis=-1, keepdims=True)


@pytest.fixture
def trace() -> Trace:
    """Attention of two heads with the operation of the user's own in the place of the softmax."""
    givens = [
        Given("query", ("head", "token", "depth")), Given("key", ("head", "token", "depth")),
        Given("value", ("head", "token", "depth")),
    ]  # fmt: skip
    lines = [
        line("scores", linear.matmul_transposed, "query key", "head query key"),
        line("masked", scores.mask_causal, "scores", "head query key"),
        line("weights", sharpened, "masked", "head query key", power=2),
        line("head", linear.weighted_sum, "weights value", "head token depth"),
    ]
    rng = np.random.default_rng(4)
    arrays = {name: rng.normal(size=(2, 3, depth)) for name, depth in (("query", 4), ("key", 4), ("value", 5))}
    return Working(tuple(givens), tuple(lines)).run(arrays)


def test_it_is_explained_down_to_its_arithmetic(trace):
    """A cell is what its formula says, in numbers."""
    explained = trace.explain("weights@1", 1, 0)
    assert explained.formula == "weights[i,j] = exp(masked[i,j])^2/(sum_k exp(masked[i,k])^2)"
    s = trace["masked@1"][1]
    assert explained.value == pytest.approx(np.exp(2 * s[0]) / np.exp(2 * s).sum(), rel=1e-12)


def test_every_medium_has_it(trace, tmp_path):
    """Text, Markdown, LaTeX, a sheet, a page, data, a script and a notebook."""
    for medium in ("text", "markdown", "latex"):
        assert "exp" in render(trace, medium)
    for ending in (".xlsx", ".html", ".json", ".npz", ".ipynb", ".py"):
        save(trace, tmp_path / f"own{ending}")
        assert (tmp_path / f"own{ending}").stat().st_size > 0
    scope = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", io.StringIO())
        exec((tmp_path / "own.py").read_text("utf-8"), scope)
    np.testing.assert_allclose(scope["head"], trace["head"], rtol=1e-12)


def test_data_of_it_is_refused_where_it_is_not_known(trace, tmp_path):
    """A trace on disk names its operations; another program that does not have them is told which is missing."""
    save(trace, tmp_path / "own.npz")
    with pytest.raises(ClearheadError, match="sharpened"):
        read_trace(tmp_path / "own.npz")


def test_it_is_copied_and_pickled_as_functions_are():
    """By the name under which its module has it."""
    assert pickle.loads(pickle.dumps(sharpened)) is sharpened
    assert copy.deepcopy(sharpened) is sharpened


SCRIPT = '''
from clearhead import Attention, inspect
from clearhead.expr import formula, indices
from clearhead.line import line
from clearhead.ops import operation
from msgspec.structs import replace
import numpy as np

i, j = indices("i j")

@operation(lambda by: formula("i j -> i j", lambda s: s[i, j] - by), role="scale")
def lowered(xp, s, *, by):
    """The scores less a number."""
    return s - by

working = Attention(heads=2, causal=True, output=False).working()
working = working.rewrite(lambda each: [line("scaled", lowered, "scores", "head query key", by=1.0)]
                          if each.name == "scaled" else [each])
rng = np.random.default_rng(0)
x, w = rng.normal(size=(4, 6)), [rng.normal(size=(2, 6, 3)) for _ in range(3)]
trace = working.run({"input": x, "query.weight": w[0], "key.weight": w[1], "value.weight": w[2]})
found = inspect(trace["query"], trace["key"], trace["value"], spec=working)
print(trace.explain("scaled@1", 2, 0))
print(found.kernel, found.reason.partition(",")[0], bool(np.allclose(found.output, trace["head"])))
'''


def test_a_script_states_one_with_public_names_alone(tmp_path):
    """What a user writes in a file of their own runs, and is inspected by array code."""
    file = tmp_path / "own.py"
    file.write_text(SCRIPT, "utf-8")
    done = subprocess.run([sys.executable, file], capture_output=True, text=True, check=True)
    first, second = done.stdout.splitlines()
    assert first.startswith("scaled@1[3,1] = ")
    assert first.count(" - 1 = ") == 1
    assert second == "plain The compiled kernels do not know lowered (scaled) True"
