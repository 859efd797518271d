"""Every kind of page that clearhead writes can be used by everybody: axe finds no fault in any theme."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from clearhead.cli import main
from clearhead.corpora.running import run
from clearhead.models import load
from clearhead.problems import bundled, read_problem

from .corpora.conftest import OPTIONS, Here, checkpoint, drawn, write_lines  # noqa: F401 - checkpoint is a fixture

pytestmark = pytest.mark.sweep(12)

NODE = Path(__file__).parents[1] / ".cache" / "node" / "node_modules"


def command(*words):
    """What writes a page by a command, of which ``{folder}`` is the folder for it."""

    def write(folder, _):
        done = CliRunner().invoke(main, [word.format(folder=folder) for word in words])
        assert done.exit_code == 0, done.output
        return folder / "page.html"

    return write


def graded(name):
    """What writes the pages on three who handed in: one who is right, one who is not, one whose file is broken."""

    def write(folder, _):
        problem = read_problem("soccer")
        (folder / "in").mkdir()
        (folder / "in" / "c.json").write_text("{")
        for person, deviations in (("a", ()), ("b", ("norm-over-matrix",))):
            trace = problem.trace(*deviations)
            lines = {line: trace.numpy(line).round(3).tolist() for line in ("weights", "output", "norm")}
            (folder / "in" / f"{person}.json").write_text(json.dumps(lines))
        words = ["grade", "soccer", "{folder}/in", "-o", "{folder}/grades.csv", "--summary", "{folder}/page.html"]
        command(*words, "--feedback", "{folder}", "--pages", "html", "--solution")(folder, None)
        return folder / name

    return write


def corpus(folder, model):
    """Writes the report of a corpus."""
    data = write_lines(folder / "docs.jsonl", drawn(20))
    run(str(model), [str(data)], str(folder / "out"), OPTIONS, Here(), (1, 1), None, 16)
    return folder / "out" / "report.html"


def model(write):
    """What writes a page on a small model: its trace, or the report on its heads."""

    def page(folder, checkpoint):  # noqa: F811
        write(load(checkpoint)).save(folder / "page.html")
        return folder / "page.html"

    return page


WRITTEN = ("-o", "{folder}/page.html")
PAGES = {
    **{name: command("export", name, *WRITTEN) for name in bundled()},
    "gradients": command("export", "encoder-block", "--backward", "mlp.norm", *WRITTEN),
    "deviation": command("export", "soccer", "--deviate", "softmax-over-queries", *WRITTEN),
    "exercise": command("export", "soccer", "--blank", "*", *WRITTEN),
    "walk": command("tour", "two-heads", *WRITTEN),
    "class": graded("page.html"),
    "feedback": graded("b.json.html"),
    "feedback on a broken file": graded("c.json.html"),
    "trace": model(lambda model: model.trace([3, 16, 0, 7, 7, 11, 2])),
    "trace of all lines": model(lambda model: model.trace([3, 16, 0, 7], keep="*")),
    "inspection": model(lambda model: model.inspect([3, 16, 0, 7, 7, 11, 2, 9, 14])),
    "corpus": corpus,
}
SHOWN = ".cell-name, html[data-shown], main > h1"
"""What is there once a page, a report on heads or a document is shown."""

THEMES = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "forced colours": {"color_scheme": "dark", "forced_colors": "active"},
}


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
@pytest.mark.parametrize("write", PAGES.values(), ids=PAGES)
def test_it_can_be_used_by_everybody(sheet, checkpoint, tmp_path, write, theme):  # noqa: F811
    """axe finds no fault with names, roles, contrast and order, on a screen and a telephone; none is wider."""
    sheet.emulate_media(**theme, reduced_motion="reduce")
    sheet.goto(write(tmp_path, checkpoint).as_uri())
    sheet.locator(SHOWN).first.wait_for(state="attached")
    sheet.evaluate((NODE / "axe-core" / "axe.min.js").read_text("utf-8"))
    for width in (1280, 390):
        sheet.set_viewport_size({"width": width, "height": 844})
        found = sheet.evaluate("async () => (await axe.run()).violations")
        assert [(each["id"], each["nodes"][0]["html"][:200]) for each in found] == []
        assert sheet.evaluate("document.documentElement.scrollWidth") <= width
