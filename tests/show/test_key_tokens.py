"""The names of the tokens of a memory, to which cross-attention looks back."""

import numpy as np
import pytest

from clearhead.errors import ProblemError
from clearhead.problems import format_problem, parse_problem, read_problem
from clearhead.show.data.reading import read_trace
from clearhead.spec import Attention

ENGLISH = ("the", "cat", "is", "asleep", "now")
FRENCH = ("le", "chat", "dort")


def square(key_tokens=None):
    """Cross-attention over a memory of as many tokens as the input has."""
    rng = np.random.default_rng(0)
    working = Attention(heads=1, memory=True, output=False).working()
    arrays = {each.name: rng.normal(size=(1, 3, 3) if "head" in each.axes else (3, 3)) for each in working.givens}
    return working.run(arrays, tokens=FRENCH, key_tokens=key_tokens)


def test_a_memory_has_its_own_names():
    """In the bundled problem keys are English and queries French, whatever the axis is called."""
    trace = read_problem("cross-attention").trace()
    assert trace.labels("weights@1") == (FRENCH, ENGLISH)
    assert trace.labels("memory")[0] == trace.labels("key@1")[0] == trace.labels("value@1")[0] == ENGLISH
    assert trace.labels("head@1")[0] == trace.labels("query@1")[0] == FRENCH


def test_as_many_tokens_are_told_apart():
    """With as many tokens in both, a memory's rows have its names, and numbers where it has none."""
    assert square(("a", "b", "c")).labels("weights@1") == (FRENCH, ("a", "b", "c"))
    assert square(("a", "b", "c")).labels("head@1")[0] == FRENCH
    assert square().labels("weights@1") == (FRENCH, ("1", "2", "3"))
    assert square().labels("value@1")[0] == ("1", "2", "3")


def test_self_attention_names_its_keys_by_its_tokens():
    """Without a memory, keys are the tokens of the input."""
    trace = read_problem("soccer").trace()
    assert trace.labels("weights@1") == (trace.tokens, trace.tokens)


def test_gradients_have_the_names_of_what_they_are_for():
    """The gradient for a key has the key's tokens."""
    trace = square(("a", "b", "c"))
    working = trace.working.backward("head", ["memory", "input"])
    arrays = trace.given | {"head.grad": np.ones((1, 3, 3))}
    backward = working.run(arrays, tokens=FRENCH, key_tokens=("a", "b", "c"))
    assert backward.labels("key.grad@1")[0] == backward.labels("memory.grad")[0] == ("a", "b", "c")
    assert backward.labels("query.grad@1")[0] == FRENCH


def test_names_are_kept_by_files(tmp_path):
    """A problem's file and a saved trace, in both forms, have the names."""
    problem = read_problem("cross-attention")
    assert parse_problem(format_problem(problem), source="again").key_tokens == ENGLISH
    for ending in ("json", "npz"):
        problem.trace().save(tmp_path / f"trace.{ending}")
        assert read_trace(tmp_path / f"trace.{ending}").key_tokens == ENGLISH


@pytest.mark.parametrize(
    ("name", "names", "says"),
    [("cross-attention", '["a", "b"]', "key_tokens expects 5 names"), ("two-heads", '["a"]', "there is none")],
)
def test_names_that_fit_nothing_are_refused(name, names, says):
    """There is a name for each token of a memory, and no name where there is no memory."""
    text = format_problem(read_problem(name))
    lines = [line for line in text.split("\n") if not line.startswith("key_tokens")]
    with pytest.raises(ProblemError, match=says):
        parse_problem("\n".join([lines[0], f"key_tokens = {names}", *lines[1:]]), source="mine")
