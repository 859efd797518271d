"""Commands that make exercises: generate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from clearhead.cli.group import command
from clearhead.cli.output import print_text, say
from clearhead.files import STANDARD_OUTPUT

if TYPE_CHECKING:
    from clearhead.exercises.recipe import DifficultyName, PartName


def _parts(ctx: click.Context, param: click.Parameter, value: str) -> tuple[str, ...]:  # noqa: ARG001 - click's signature
    return tuple(part.strip() for part in value.split(",") if part.strip())


@command("clearhead generate --parts causal,norm --seed 7 -o exercise.toml")
@click.option("-o", "--output", type=click.Path(), help="A file, or a folder for several.  [default: print it]")
@click.option("--tokens", type=int, default=3, show_default=True, help="2 to 8.")
@click.option("--heads", type=int, default=2, show_default=True, help="1 to 4.")
@click.option("--width", type=int, default=4, show_default=True, help="Features of a token: heads times 2 or more.")
@click.option("--parts", callback=_parts, default="", metavar="A,B", help="Some of those above.")
@click.option("--difficulty", type=click.Choice(["easy", "medium", "hard"]), default="easy", show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same exercise.")
@click.option("--count", type=click.IntRange(1, 500), default=1, show_default=True, help="How many exercises to draw.")
@click.option("--variants", is_flag=True, help="One exercise, other numbers for each student, with sheets and keys.")
@click.option("--sheet", help="Kinds of sheets, each with its key, such as pdf,html,xlsx.  [with --variants: pdf]")
def generate(
    output: str | None,
    tokens: int,
    heads: int,
    width: int,
    parts: tuple[PartName, ...],
    difficulty: DifficultyName,
    seed: int,
    count: int,
    variants: bool,  # noqa: FBT001 - an option is passed by name
    sheet: str | None,
) -> None:
    """Make new exercises for computing by hand.

    Numbers are small, and each common mistake, such as softmax down the columns or a forgotten scale, changes the
    answer. Parts of a block are causal, rotary, positions, sinusoidal, bias, grouped, exponentials, dropout, output,
    residual, norm, rms and mlp; of a model embedding, cross, encoder, stack, logits, loss and squared; gradients go
    with any. With --count, --variants or --sheet the output is a folder of numbered problem files; with the last two
    each has a sheet to fill in and a key.
    """
    from clearhead.exercises import Recipe, exercises, write_set
    from clearhead.exercises import variants as variants_of
    from clearhead.problems import format_problem, write_problem

    recipe = Recipe(tokens=tokens, heads=heads, width=width, parts=parts, difficulty=difficulty)
    kinds = [each.strip() for each in (sheet or ("pdf" if variants else "")).split(",")]
    sheets = tuple(f".{each.removeprefix('.')}" for each in kinds if each)
    if count == 1 and not variants and not sheets:
        (problem,) = exercises(recipe, seed, 1)
        if output in (None, STANDARD_OUTPUT):
            print_text(format_problem(problem))
            return
        write_problem(problem, output)
        say(f"Wrote {output}. Now: clearhead show {output}")
        return
    if output is None:
        raise click.UsageError("Several files need a folder: add -o FOLDER.")
    problems = (variants_of if variants else exercises)(recipe, seed, count)
    write_set(problems, Path(output), count, sheets=sheets, decimals=recipe.level.decimals)
    say(f"Wrote {count} exercise{'s' if count > 1 else ''}{' with sheets and keys' if sheets else ''} to {output}")
