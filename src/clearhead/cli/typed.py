"""Types of arguments, and what the shell can complete."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class FormName(click.ParamType[str]):
    """The name of a medium that can be printed; the list is read when it is needed, so that commands start early."""

    name = "form"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002
        """The names, as the help lists them."""
        return f"[{'|'.join(_forms())}]"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name itself, if there is such a form."""
        if value not in _forms():
            self.fail(f"{value!r} is not one of {', '.join(map(repr, _forms()))}.", param, ctx)
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        """The names that start with what is typed."""
        return _starting_with(incomplete, _forms())


def _forms() -> list[str]:
    from clearhead.show.media import FORMS

    return list(FORMS)


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
    """Lines and the numbers that replace them, from ``layers.3.attention.head@5=0``."""
    found = {}
    for each in value:
        line, _, number = each.partition("=")
        try:
            found[line] = float(number)
        except ValueError:
            raise click.BadParameter(f"expects LINE=NUMBER, such as weights@2=0; got {each!r}.", ctx, param) from None
    return found


def complete_problem(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    """Problems that come with clearhead, else files."""
    from clearhead.problems import bundled, library

    known = [*bundled(), *(name for names in library().values() for name in names)]
    return _starting_with(incomplete, known) or [_item(incomplete, type="file")]


def complete_line(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    """The lines of the problem that is typed before."""
    from clearhead.errors import ClearheadError
    from clearhead.problems import read_problem

    try:
        names = read_problem(ctx.params["problem"]).working().names
    except (ClearheadError, KeyError):
        return []
    return _starting_with(incomplete, names)


def complete_deviation(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    """The deviations, with what they do."""
    from clearhead.deviations.table import DEVIATIONS

    return [_item(id, help=each.does) for id, each in DEVIATIONS.items() if id.startswith(incomplete)]


def _starting_with(incomplete: str, names: Iterable[str]) -> list[CompletionItem]:
    return [_item(name) for name in names if name.startswith(incomplete)]


def _item(value: str, type: str = "plain", help: str | None = None) -> CompletionItem:
    from click.shell_completion import CompletionItem  # loaded where something is completed only

    return CompletionItem(value, type, help)
