"""A trace as a file: what each ending of a name stands for."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Literal

from msgspec import Struct

from clearhead.errors import UnknownName, suggest
from clearhead.files import FilePath, replacing
from clearhead.show.data.plain import as_json, to_data
from clearhead.show.forms import Form, lower
from clearhead.show.paper.worksheet import worksheet_of
from clearhead.show.view import View
from clearhead.trace import Trace

Exporter = Callable[[Trace, View], bytes | memoryview]


def _lowered(form: Form) -> Exporter:
    def export(trace: Trace, view: View) -> bytes:
        return (lower(worksheet_of(trace, view), form) + "\n").encode("utf-8", "replace")

    return export


def _json(trace: Trace, view: View) -> bytes:
    return as_json(to_data(trace, view)).encode()


def _html(trace: Trace, view: View) -> bytes:
    from clearhead.show.page import page

    return page(trace, view)


def _script(trace: Trace, view: View) -> bytes:
    from clearhead.show.source.script import script

    return script(trace, view)


def _notebook(trace: Trace, view: View) -> bytes:
    from clearhead.show.source.notebook import notebook

    return notebook(trace, view)


def _archive(trace: Trace, view: View) -> memoryview:
    from clearhead.show.data.archive import npz

    return npz(trace, view)


def _sheet(trace: Trace, view: View) -> memoryview:
    from clearhead.show.sheet.workbook import xlsx

    return xlsx(trace, view)


MAX_WORKSHEET = 20_000
"""A trace of more numbers than this is drawn on paper, and not written out in tables."""


def _paper(form: Literal["pdf", "svg", "png"]) -> Exporter:
    def export(trace: Trace, view: View) -> bytes:
        if sum(prod(trace[name].shape) for name in trace) > MAX_WORKSHEET:
            from clearhead.show.plot.multiples import picture

            return picture(trace, view, form)
        from clearhead.show.paper.compile import compiled

        return compiled(worksheet_of(trace, view), form)

    return export


KINDS: dict[str, Exporter] = {
    ".html": _html,
    ".ipynb": _notebook,
    ".json": _json,
    ".md": _lowered("markdown"),
    ".npz": _archive,
    ".py": _script,
    ".pdf": _paper("pdf"),
    ".png": _paper("png"),
    ".svg": _paper("svg"),
    ".tex": _lowered("latex"),
    ".txt": _lowered("text"),
    ".xlsx": _sheet,
}
"""What a trace can become, by the ending of the file. Each imports what it needs when it is used."""


class Export(Struct, frozen=True):
    """A trace as a file of a kind, made but not written: what cannot be made is known before anything is replaced."""

    path: FilePath
    content: bytes | memoryview

    @classmethod
    def of(cls, trace: Trace, path: FilePath, view: View) -> Export:
        """A trace as a file of the kind that the ending of its name says.

        Raises:
            UnknownName: no kind of file has this ending.
            MissingPackage: the kind needs a package that is not installed.
        """
        ending = Path(path).suffix.lower()
        if ending not in KINDS:
            raise UnknownName(f"{path}: no export has the ending {ending!r}. {suggest(ending, KINDS)}")
        return cls(path, KINDS[ending](trace, view))

    def write(self) -> None:
        """Writes the file, which is there in whole or not at all.

        Raises:
            FileError: it cannot be written.
        """
        with replacing(self.path) as file:
            file.write(self.content)


def save(trace: Trace, path: FilePath, view: View | None = None) -> None:
    """Writes a trace to a file of the kind that its ending says; the file is there in whole or not at all.

    Raises:
        UnknownName: no kind of file has this ending.
        FileError: the file cannot be written.
        MissingPackage: the kind needs a package that is not installed.
    """
    Export.of(trace, path, view or View()).write()
