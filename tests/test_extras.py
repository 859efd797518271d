"""Packages that only some uses need."""

import math

import pytest

from clearhead.errors import MissingPackage
from clearhead.extras import need


def test_a_package_that_is_there_is_given():
    """What is installed is simply the module."""
    assert need("math", "none") is math


def test_a_missing_package_is_answered_with_the_command_that_installs_it():
    """The message names the package and the extra, also where a module inside the package was asked for."""
    with pytest.raises(MissingPackage, match=r"needs no_such_package.*pip install 'clearhead\[pdf\]'"):
        need("no_such_package.inner", "pdf")


def test_a_package_that_is_itself_broken_is_not_called_missing(tmp_path, monkeypatch):
    """If an installed package lacks another one, that one's own error is told."""
    (tmp_path / "broken_package.py").write_text("import no_such_thing")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_thing"):
        need("broken_package", "pdf")
