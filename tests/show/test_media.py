"""The list of media: all that prints or writes takes its media from it."""

from typing import get_args

import pytest
from click.testing import CliRunner

from clearhead import View, read_problem
from clearhead.cli import main
from clearhead.show import render
from clearhead.show.media import FORMS, MEDIA, Form, FormOfTrace


def test_the_words_of_types_are_the_names_of_media():
    """Type checkers know each form that the list has, and no other; so do documents."""
    assert set(get_args(FormOfTrace)) == set(FORMS)
    assert set(get_args(Form)) == {name for name, medium in FORMS.items() if medium.printer is not None}


def test_no_two_media_share_an_ending_or_a_name():
    """Each ending and each name stands for one medium."""
    assert len({medium.ending for medium in MEDIA}) == len(MEDIA)
    assert len(FORMS) == len([medium for medium in MEDIA if medium.form])


@pytest.mark.parametrize("name", FORMS)
def test_a_file_of_a_form_is_what_is_printed(name):
    """A medium with a name can be printed, and is offered by the command that prints."""
    trace = read_problem("soccer").trace()
    assert render(trace, name)
    assert FORMS[name].content(trace, View())
    assert CliRunner().invoke(main, ["show", "soccer", "--as", name]).exit_code == 0


def test_another_form_is_refused_with_the_list():
    """A name that no medium has is answered with those there are."""
    found = CliRunner().invoke(main, ["show", "soccer", "--as", "pdf"])
    assert found.exit_code == 2
    assert all(f"'{name}'" in found.output for name in FORMS)
