import subprocess
import sys

import pytest

from clearhead.document import Document
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
