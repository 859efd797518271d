"""What can be typed after a command, and what the shell can complete."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem


def cell(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    """The indices of a cell, counted as the labels are, from ``1,2``."""
    if value is None:
        return None
    try:
        return tuple(int(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(
            f"expects whole numbers with commas between, such as 1,2; got {value!r}.", ctx, param
        ) from None


def token_ids(ctx: click.Context, param: click.Parameter, value: str | None) -> list[int] | None:
    """The numbers of tokens, from ``1,2,3``."""
    if value is None:
        return None
    try:
        return [int(part) for part in value.split(",")]
    except ValueError:
        raise click.BadParameter(
            f"expects whole numbers with commas between, such as 1,2,3; got {value!r}.", ctx, param
        ) from None


def replacement(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> dict[str, float]:
    """Lines and the numbers to put in their place, from ``layers.3.attention.head@5=0``."""
    found = {}
    for each in value:
        line, _, number = each.partition("=")
        try:
            found[line] = float(number)
        except ValueError:
            raise click.BadParameter(f"expects LINE=NUMBER, such as weights@2=0; got {each!r}.", ctx, param) from None
    return found


def complete_problem(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    """Bundled problems, else files."""
    from clearhead.problems import bundled

    names = [CompletionItem(name) for name in bundled() if name.startswith(incomplete)]
    return names or [CompletionItem(incomplete, type="file")]


def complete_line(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    """The lines of the problem that was typed before."""
    from clearhead.errors import ClearheadError
    from clearhead.problems import read_problem

    try:
        names = read_problem(ctx.params["problem"]).working().names
    except (ClearheadError, KeyError):
        return []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def complete_deviation(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    """The deviations, with what they do."""
    from clearhead.deviations.table import DEVIATIONS

    return [CompletionItem(id, help=each.does) for id, each in DEVIATIONS.items() if id.startswith(incomplete)]
