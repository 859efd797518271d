"""A survey written to a file of the kind of its ending."""

from __future__ import annotations

from pathlib import Path

from clearhead.errors import UnknownName, suggest
from clearhead.files import FilePath, replacing
from clearhead.inspection.report.table import ROWS, TableRows, write_csv, write_parquet
from clearhead.inspection.survey import Survey

FORMS = (".html", ".csv", ".parquet")
"""The endings of files that can be written."""

BY = tuple(ROWS)
"""What a row of a table can be for."""


def save(survey: Survey, path: FilePath, *, by: TableRows = "head") -> None:
    """Writes a survey; see `clearhead.inspection.survey.Survey.save`."""
    check(path, by)
    if by == "source" and not survey.cross:
        raise UnknownName("by: the survey has no weights on a source. Inspect a decoder, or give head or token.")
    ending = Path(path).suffix.lower()
    with replacing(path) as file:
        if ending == ".html":
            from clearhead.inspection.report.page import report

            file.write(report(survey))
        elif ending == ".csv":
            write_csv(survey, file, by)
        else:
            write_parquet(survey, file, by)


def check(path: FilePath, by: TableRows = "head") -> None:
    """Checks that such a file can be written, before hours are spent on its content.

    Raises:
        UnknownName: no kind of file has this ending, or no table these rows.
        MissingPackage: pyarrow, for parquet, is not installed.
    """
    ending = Path(path).suffix.lower()
    if ending not in FORMS:
        raise UnknownName(f"{Path(path).name}: a survey is written to files that end with {', '.join(FORMS)}.")
    if by not in BY:
        raise UnknownName(f"by: a row cannot stand for {by!r}. {suggest(by, BY)}")
    if ending == ".parquet":
        from clearhead.extras import need

        need("pyarrow.parquet", "survey")
