"""An exercise from a recipe and a seed: numbers are drawn until some suit it."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from clearhead.errors import SpecError
from clearhead.exercises.acceptance import Array, bearable, common_mistakes, shows
from clearhead.exercises.draw import array, seeded, sentence
from clearhead.exercises.effort import effort_in_words
from clearhead.exercises.recipe import PARTS, DifficultyName, PartName, Recipe
from clearhead.problems import Problem

MAX_TRIES = 10_000
COUNTED = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")


def generate(
    *,
    tokens: int = 3,
    heads: int = 2,
    width: int = 4,
    parts: Iterable[PartName] = (),
    difficulty: DifficultyName = "easy",
    seed: int | str = 1,
) -> Problem:
    """A new exercise for computing by hand, in which every common mistake changes the answer.

    Args:
        tokens: how many, 2 to 8.
        heads: how many, 1 to 4.
        width: the features of a token, heads times a depth of 2 or more.
        parts: what it has besides attention: some of `clearhead.exercises.PARTS`.
        difficulty: easy, medium or hard.
        seed: the same seed gives the same exercise, on any machine.

    Raises:
        SpecError: the sizes do not fit, or no numbers were found.
        UnknownName: no such part or difficulty.
    """
    recipe = Recipe(tokens=tokens, heads=heads, width=width, parts=tuple(parts), difficulty=difficulty)
    words = sentence(seeded(seed, "words"), tokens)
    return exercise(recipe, words, seed, title=title_of(words), made=f"--seed {seed}")


def title_of(words: Iterable[str]) -> str:
    """The title of an exercise on these tokens."""
    return " ".join(words).capitalize()


def exercise(recipe: Recipe, words: tuple[str, ...], seed: int | str, *, title: str, made: str) -> Problem:
    """An exercise on these tokens; its text states the options that made it.

    Raises:
        SpecError: no numbers were found.
    """
    arrays = _arrays(recipe, seeded(seed, "numbers"))
    about = _about(recipe, effort_in_words(recipe.working.run(arrays)), made)
    return Problem(title=title, about=about, tokens=words, spec=recipe.spec, arrays=arrays, backward=recipe.backward)


def _arrays(recipe: Recipe, rng: Random) -> dict[str, Array]:
    working = recipe.working
    mistakes = list(common_mistakes(working, recipe))
    for _ in range(MAX_TRIES):
        arrays = {given.name: array(rng, given, recipe) for given in working.givens}
        if not bearable(working.run(arrays), recipe):
            continue
        hidden = next((each for each in mistakes if not shows(each, working, arrays, recipe.level.decimals)), None)
        if hidden is None:
            return arrays
        # A mistake that is hidden now is likely to be hidden again: test it first.
        mistakes.remove(hidden)
        mistakes.insert(0, hidden)
    raise SpecError(
        f"No exercise was found for {recipe.options()} in {MAX_TRIES} tries. "
        f"Ask for fewer tokens, heads or parts, or try another seed."
    )


def _about(recipe: Recipe, work: str, made: str) -> str:
    depth = recipe.width // recipe.heads
    heads = "One head" if recipe.heads == 1 else f"{COUNTED[recipe.heads].capitalize()} heads"
    features = "; ".join(PARTS[part] for part in recipe.parts)
    said = f"{heads} of depth {depth} look at {COUNTED[recipe.tokens]} tokens"
    return (
        f"{said}{f': {features}' if features else ''}. "
        f"Compute every line by hand, to {COUNTED[recipe.level.decimals]} decimals. {work}\n\n"
        f"Made by: clearhead generate {recipe.options()} {made}"
    )
