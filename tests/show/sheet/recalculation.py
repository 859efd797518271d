"""Workbooks worked out by LibreOffice, and what stands in their cells then."""

import subprocess
import tempfile
from pathlib import Path

import numpy as np
import openpyxl

from clearhead.show.sheet.places import blocks_of

PROFILE = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry" xmlns:xs="http://www.w3.org/2001/XMLSchema">
<item oor:path="/org.openoffice.Office.Calc/Formula/Load"><prop oor:name="OOXMLRecalcMode" oor:op="fuse">
<value>0</value></prop></item></oor:items>
"""
"""Work everything out anew when a file is opened, whatever numbers are stored in it."""

KIND = "xlsx:Calc MS Excel 2007 XML"


def recalculated(contents):
    """Workbooks, as bytes by name, opened and saved again by LibreOffice: openpyxl's workbooks of values by name."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "profile/user").mkdir(parents=True)
        (root / "profile/user/registrymodifications.xcu").write_text(PROFILE)
        for name, content in contents.items():
            (root / f"{name}.xlsx").write_bytes(content)
        profile = f"-env:UserInstallation=file://{root}/profile"
        files = [root / f"{name}.xlsx" for name in contents]
        command = ["soffice", profile, "--headless", "--convert-to", KIND, "--outdir", root / "out", *files]
        subprocess.run(command, check=True, capture_output=True, timeout=240)
        return {name: openpyxl.load_workbook(root / f"out/{name}.xlsx", data_only=True) for name in contents}


def read(book, trace, name):
    """What stands in the cells of a line, as objects: numbers, booleans, errors as text, None where nothing does."""
    block = blocks_of(trace)[name]
    values = np.empty(block.shape, dtype=object)
    for cell in np.ndindex(block.shape):
        row, column = block.place(cell)
        values[cell] = book[block.sheet].cell(row + 1, column + 1).value
    return values


def differences(book, trace, names=None):
    """The cells that are not the trace's numbers: finite to 1e-12, minus infinity as the low number, others errors."""
    return [
        f"{name}{list(cell)}: {value!r}, not {expected!r}"
        for name in names or trace
        for cell, value in np.ndenumerate(read(book, trace, name))
        if not _agree(value, expected := trace.numpy(name)[cell])
    ]


def _agree(value, expected):
    if isinstance(expected, np.bool_):
        return value == expected
    if np.isfinite(expected):
        return isinstance(value, int | float) and abs(value - expected) <= 1e-12 * max(abs(expected), 1)
    if isinstance(value, int | float):
        return expected == -np.inf and value < -1e290
    return str(value).startswith("#")
