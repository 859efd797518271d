"""Workbooks in LibreOffice as people have it: opened on an untouched profile, and typed into."""

import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from clearhead.show.sheet.places import blocks_of

PYTHON = "/usr/bin/python3"
"""The Python for which Debian packages `uno`."""


class Opened:
    """The cells of a workbook: of which kind they are, their numbers, and what is shown, by sheet, row and column."""

    def __init__(self, cells):
        self.cells = {(sheet, row, column): rest for sheet, row, column, *rest in cells}

    def kind(self, trace, name):
        """Of each cell of a line: number, text or error; None where it is empty."""
        return self._read(trace, name, 0)

    def value(self, trace, name):
        """The numbers of a line as the trace would have them: errors as NaN."""
        kinds = self.kind(trace, name)
        values = np.where(kinds == "number", self._read(trace, name, 1), np.nan).astype(float)
        return np.where(values < -1e290, -np.inf, values)

    def shown(self, trace, name):
        """What the screen shows of a line."""
        return self._read(trace, name, 2)

    def _read(self, trace, name, which):
        block = blocks_of(trace)[name]
        found = np.empty(block.shape, dtype=object)
        for cell in np.ndindex(block.shape):
            found[cell] = self.cells.get((block.sheet, *block.place(cell)), (None,) * 3)[which]
        return found


def entries(trace, arrays, known):
    """What a person types to put numbers into the cells of some arrays, where they are not the known ones."""
    blocks = blocks_of(trace)
    return [
        (blocks[name].sheet, *blocks[name].place(cell), str(value).upper())
        for name, array in arrays.items()
        for cell, value in np.ndenumerate(array)
        if name not in known or value != known[name][cell]
    ]


def typed_in(asked):
    """Workbooks by name, with what is typed into each: their cells as they were opened, and afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, (content, _) in asked.items():
            (root / f"{name}.xlsx").write_bytes(content)
        orders = [{"path": f"{root}/{name}.xlsx", "typed": typed} for name, (_, typed) in asked.items()]
        command = [PYTHON, Path(__file__).with_name("typist.py")]
        done = subprocess.run(
            command, input=json.dumps(orders), check=True, capture_output=True, text=True, timeout=300
        )
        return {name: tuple(map(Opened, found)) for name, found in zip(asked, json.loads(done.stdout), strict=True)}
