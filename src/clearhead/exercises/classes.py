"""Several exercises at once, and a set for a class: other numbers for each student, a sheet to fill in, and its key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec.structs import replace

from clearhead.exercises.draw import seeded, sentence
from clearhead.exercises.generate import exercise, title_of
from clearhead.exercises.recipe import Recipe
from clearhead.files import make_folder
from clearhead.problems import Problem, write_problem
from clearhead.show import View
from clearhead.show.export import Export


def exercises(recipe: Recipe, seed: int | str, count: int) -> Iterator[Problem]:
    """``count`` exercises, each with another sentence; a single one is that of `generate`.

    Raises:
        SpecError: for one of them no numbers were found.
    """
    for number in range(1, count + 1):
        own = seed if count == 1 else f"{seed}.{number}"
        words = sentence(seeded(own, "words"), recipe.tokens)
        made = f"--seed {seed}" if count == 1 else f"--seed {seed} --count {count} (exercise {number})"
        yield exercise(recipe, words, own, title=title_of(words), made=made)


def variants(recipe: Recipe, seed: int | str, count: int) -> Iterator[Problem]:
    """One exercise in ``count`` variants: the same sentence, other numbers.

    Raises:
        SpecError: for one of them no numbers were found.
    """
    words = sentence(seeded(seed, "words"), recipe.tokens)
    for number in range(1, count + 1):
        made = f"--seed {seed} --count {count} --variants (variant {number})"
        yield exercise(recipe, words, f"{seed}.{number}", title=f"{title_of(words)}, variant {number}", made=made)


def write_set(problems: Iterable[Problem], folder: Path, count: int, *, sheets: tuple[str, ...], decimals: int) -> None:
    """Writes numbered problem files into a folder, which is made if there is none.

    ``sheets`` are the endings of the sheets and keys that go with them, such as ``(".pdf", ".xlsx")``.

    Raises:
        FileError: the folder cannot be made, or a file cannot be written.
        UnknownName: no kind of file has this ending.
        MissingPackage: the sheets need a package that is not installed.
    """
    # All are made before the first is written, so an error leaves no incomplete set.
    made: list[tuple[Problem, str, list[Export]]] = []
    for number, problem in enumerate(problems, start=1):
        name = f"{number:0{len(str(count))}d}"
        exports = [each for ending in sheets for each in _sheets(problem, folder / name, ending, decimals)]
        made.append((problem, name, exports))
    make_folder(folder)
    for problem, name, exports in made:
        write_problem(problem, folder / f"{name}.toml")
        for each in exports:
            each.write()


def _sheets(problem: Problem, path: Path, ending: str, decimals: int) -> list[Export]:
    """The sheet to fill in, and its key."""
    trace = problem.trace()
    view = View(problem.title, problem.about, decimals=decimals)
    blank = Export.of(trace, path.with_name(path.name + ending), replace(view, blank=("*",)))
    return [blank, Export.of(trace, path.with_name(f"{path.name}-key{ending}"), view)]
