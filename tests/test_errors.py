"""The errors and their suggestions."""

import pytest

from clearhead import errors
from clearhead.errors import ClearheadError, UnknownName, WrongType, require, suggest

BUILT_IN = {
    "UnknownName": KeyError,
    "ShapeError": ValueError,
    "SpecError": ValueError,
    "ProblemError": ValueError,
    "FileError": OSError,
    "CheckpointError": ValueError,
    "MissingPackage": ImportError,
    "WrongType": TypeError,
}


def test_the_tree_in_the_docstring_is_the_tree():
    """Every error class is drawn in the module's docstring, and no other."""
    classes = {name for name, each in vars(errors).items() if isinstance(each, type) and issubclass(each, Exception)}
    drawn = {line.split()[1] for line in errors.__doc__.splitlines() if "──" in line}
    assert drawn == BUILT_IN.keys()
    assert classes == {*drawn, "ClearheadError"}


@pytest.mark.parametrize(("name", "built_in"), BUILT_IN.items())
def test_callers_may_catch_what_they_know(name, built_in):
    """Each error is a ClearheadError and the built-in error that Python programmers would catch."""
    assert issubclass(getattr(errors, name), (ClearheadError,))
    assert issubclass(getattr(errors, name), built_in)


def test_a_value_of_the_right_type_is_given_back():
    """What is of the type passes through; anything else is refused with both types and the remedy."""
    assert require([1], list, "claims", "") == [1]
    with pytest.raises(WrongType, match=r"^claims expects list, got int\. Write \[1\]\.$"):
        require(1, list, "claims", "Write [1].")


def test_messages_are_printed_as_written():
    """An unknown name prints its message, not the repr that KeyError would make of it."""
    assert str(UnknownName("There is no line 'x'.")) == "There is no line 'x'."
    assert str(UnknownName()) == ""


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("wieghts", ["scores", "weights", "head"], "Did you mean weights?"),
        ("quer", ["query", "queries", "key"], "Did you mean query or queries?"),
        ("zzz", ["b", "a"], "There are: a, b."),
        ("zzz", [], "There are none."),
        ("zzz", [f"line{n:02}" for n in range(15)], "There are: " + ", ".join(f"line{n:02}" for n in range(12))
         + " and 3 more."),
    ],
)  # fmt: skip
def test_suggestions(name, known, expected):
    """The closest names are offered; failing that, what there is, in order, as far as it fits."""
    assert suggest(name, known) == expected


def test_the_last_part_of_a_path_is_enough_to_be_suggested():
    """A slip in a plain name finds the path that ends so."""
    assert suggest("wieghts", ["attention.weights", "mlp.output"]) == "Did you mean attention.weights?"
