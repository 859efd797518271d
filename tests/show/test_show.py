import subprocess
import sys

import numpy as np
import pytest

from clearhead.document import Document, Matrix, Panels
from clearhead.errors import UnknownName
from clearhead.show import lower, render


@pytest.mark.parametrize("show", [lambda _: lower(Document("T", ()), "pdf"), lambda trace: render(trace, "markdwn")])
def test_an_unknown_form_is_refused(trace, show):
    """A form that does not exist is refused with those that do."""
    with pytest.raises(UnknownName, match="markdown"):
        show(trace)


def test_forms_without_colour_do_without_rich():
    """Importing the printers, and printing Markdown and LaTeX, does not import Rich."""
    code = (
        "import sys; from clearhead.document import Document; from clearhead.show import lower;"
        "[lower(Document('T', ()), form) for form in ('markdown', 'latex')];"
        "print([name for name in sys.modules if name.startswith('rich')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("form", ["text", "markdown", "latex"])
def test_unknown_cells_are_question_marks(form):
    """What nobody claimed is shown as ?, not as the NaN that stands in for it."""
    values = np.array([[0.25, np.nan]])
    matrix = Matrix("claimed", ("a",), ("1", "2"), values, unknown=frozenset({(0, 1)}))
    shown = lower(Document("t", [Panels((matrix,))]), form)
    assert "?" in shown
    assert "0.25" in shown
    assert "nan" not in shown.lower()
