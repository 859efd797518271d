"""The site of the documents."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site; a warning fails the build."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet", DOCS, folder / "html"]
    done = subprocess.run([*command, "-d", folder / "doctrees"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "html"


def test_every_page_is_there(site):
    """Each document has its page, and each public name its own."""
    pages = [path.relative_to(DOCS).with_suffix(".html") for path in DOCS.glob("**/*.md")]
    assert [str(page) for page in pages if not (site / page).exists()] == []
    assert (site / "reference" / "names" / "clearhead.Attention.html").exists()


def test_the_site_needs_no_network(site):
    """No page loads anything from another place: scripts, styles, fonts, pictures; and there is an index to search."""
    loads = re.compile(r"""<(?:script|link|img|iframe)[^>]*(?:src|href)=["'](?:https?:)?//[^"']*""")
    found = {path.name: loads.findall(path.read_text("utf-8")) for path in site.glob("**/*.html")}
    assert {name: urls for name, urls in found.items() if urls} == {}
    assert "softmax" in (site / "searchindex.js").read_text("utf-8")
