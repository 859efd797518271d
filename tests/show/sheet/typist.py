"""Types into workbooks as a person does. The office's own Python runs this script, since only that one has `uno`.

Standard input: a JSON list of ``{"path", "typed": [[sheet, row, column, text]]}``, counted from 0. Standard output: for
each the cells of all sheets, as ``[[sheet, row, column, kind, number, shown]]``, before and after the typing.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time

import uno
from com.sun.star.beans import PropertyValue
from com.sun.star.connection import NoConnectException

PATIENCE = 60
"""How many seconds the office may take to start."""


def main():
    """Starts an office on an untouched profile, and works through what was asked."""
    asked = json.load(sys.stdin)
    with tempfile.TemporaryDirectory() as folder:
        pipe = f"clearhead{os.getpid()}"
        options = ["--headless", "--norestore", "--nologo", f"--accept=pipe,name={pipe};urp;"]
        command = ["soffice", f"-env:UserInstallation=file://{folder}/profile", *options]
        process = subprocess.Popen(command, start_new_session=True)
        try:
            desktop, dispatcher = services(pipe)
            json.dump([worked(desktop, dispatcher, **each) for each in asked], sys.stdout)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def services(pipe):
    """The office's desktop and its dispatcher of commands, as soon as it answers."""
    here = uno.getComponentContext()
    resolver = here.ServiceManager.createInstanceWithContext("com.sun.star.bridge.UnoUrlResolver", here)
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            context = resolver.resolve(f"uno:pipe,name={pipe};urp;StarOffice.ComponentContext")
        except NoConnectException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
            continue
        names = ("com.sun.star.frame.Desktop", "com.sun.star.frame.DispatchHelper")
        return [context.ServiceManager.createInstanceWithContext(name, context) for name in names]


def worked(desktop, dispatcher, path, typed):
    """The cells of a workbook as it was opened, and after texts were typed into some."""
    book = desktop.loadComponentFromURL(f"file://{path}", "_blank", 0, ())
    before = cells(book)
    controller = book.CurrentController
    for sheet, row, column, text in typed:
        place = book.Sheets.getByName(sheet)
        controller.setActiveSheet(place)
        controller.select(place.getCellByPosition(column, row))
        entry = PropertyValue(Name="StringName", Value=text)
        dispatcher.executeDispatch(controller.Frame, ".uno:EnterString", "", 0, (entry,))
    found = [before, cells(book)]
    book.close(True)
    return found


def cells(book):
    """What stands in every cell that is not empty: in numbers that are not whole also what the screen shows."""
    return [
        [sheet.Name, row, column, *content(sheet, row, column, value)]
        for sheet in book.Sheets
        for row, values in enumerate(used(sheet).DataArray)
        for column, value in enumerate(values)
        if value != ""
    ]


def used(sheet):
    """The rectangle of cells that is in use."""
    cursor = sheet.createCursor()
    cursor.gotoEndOfUsedArea(False)
    last = cursor.RangeAddress
    return sheet.getCellRangeByPosition(0, 0, last.EndColumn, last.EndRow)


def content(sheet, row, column, value):
    """Whether a cell holds a number, a text or an error; its number, and what is shown of it."""
    if isinstance(value, str):
        return "text", 0, value
    if value is None:
        return "error", 0, ""
    return "number", value, str(value) if value == int(value) else sheet.getCellByPosition(column, row).String


main()
