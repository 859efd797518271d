"""New exercises: problems whose numbers can be computed by hand, and in which every common mistake shows."""

from clearhead.exercises.classes import exercises, variants, write_set
from clearhead.exercises.generate import generate
from clearhead.exercises.recipe import DIFFICULTIES, PARTS, Recipe

__all__ = ["DIFFICULTIES", "PARTS", "Recipe", "exercises", "generate", "variants", "write_set"]
