"""Documents as sequences."""

import pytest

from clearhead.corpora import sequences
from clearhead.corpora.documents import Document
from clearhead.corpora.options import Options, checked
from clearhead.corpora.sequences import Cutter, Failed
from clearhead.errors import SpecError
from clearhead.models import load

from .conftest import WORDS, drawn


def made(checkpoint, documents, **options):
    return list(Cutter(load(checkpoint).tokenizer, Options(**options)).sequences(documents))


def ids_of(text):
    return tuple(WORDS.index(word) for word in text.split())


TEXTS = drawn(40)
DOCUMENTS = [Document(n, text, "ab"[n % 2]) for n, text in enumerate(TEXTS)]


def test_a_document_is_cut_behind_its_special_tokens(checkpoint):
    """The beginning of each, with the special token in front; nothing depends on its neighbours."""
    found = made(checkpoint, DOCUMENTS, length=8)
    assert [each.ids for each in found] == [(0, *ids_of(text)[:7]) for text in TEXTS]
    assert made(checkpoint, DOCUMENTS[5:6], length=8) == found[5:6]
    assert [each.unread for each in found] == [max(0, len(ids_of(text)) - 7) for text in TEXTS]


def test_a_document_is_split_into_all_of_it(checkpoint):
    """Each part has the special token, and the parts make the text."""
    found = made(checkpoint, DOCUMENTS[:5], length=8, fit="split")
    for number, text in enumerate(TEXTS[:5]):
        own = [each.ids for each in found if each.number == number]
        assert all(ids[0] == 0 and len(ids) <= 8 for ids in own)
        assert tuple(id for ids in own for id in ids[1:]) == ids_of(text)
    assert not any(each.unread for each in found)


@pytest.mark.parametrize("fit", ["split", "pack"])
def test_a_long_document_is_hashed_once(checkpoint, fit, monkeypatch):
    """However many sequences it has, so that their time grows with its length, and not with its square."""
    hashed, right = [], sequences.hashlib.blake2b
    monkeypatch.setattr(sequences.hashlib, "blake2b", lambda *given, **more: hashed.append(1) or right(*given, **more))
    texts = [" ".join(["the cat sat on a mat"] * 50) + end for end in (" so", " far")]
    found = made(checkpoint, [Document(n, text) for n, text in enumerate(texts)], length=12, fit=fit)
    assert len(found) > 40
    assert len(hashed) == 2


def test_packed_documents_are_all_there(checkpoint):
    """By block of sixteen and by group, one behind the other; only the last sequence of these is short."""
    found = made(checkpoint, DOCUMENTS, length=8, fit="pack")
    for block in range(0, 40, 16):
        for group in "ab":
            own = [each for each in found if each.group == group and block <= each.number < block + 16]
            texts = [each.text for each in DOCUMENTS[block : block + 16] if each.group == group]
            stream = tuple(id for text in texts for id in (0, *ids_of(text)))
            assert tuple(id for each in own for id in each.ids) == stream
            assert all(len(each.ids) == 8 for each in own[:-1])
    assert [each for each in found if 16 <= each.number < 32] == made(
        checkpoint, DOCUMENTS[16:32], length=8, fit="pack"
    )


@pytest.mark.parametrize("fit", ["cut", "split", "pack"])
def test_each_document_begins_in_one_sequence(checkpoint, fit):
    """So documents are counted once, however many sequences have tokens of one, or one sequence of many."""
    found = made(checkpoint, DOCUMENTS, length=8, fit=fit)
    assert sorted(number for each in found for number in each.begun) == list(range(40))
    assert all(each.begun == (each.number,) for each in found) == (fit == "cut")
    special = [sum(id == 0 for id in each.ids) for each in found]
    assert fit == "split" or special == [len(each.begun) for each in found]


def test_a_packed_sequence_knows_all_documents_that_it_has_tokens_of(checkpoint):
    """Also the one that began in the sequence before."""
    texts = ["the cat sat", "on a mat so far", "dog"]  # <s> the cat sat | <s> on a mat | so far <s> dog
    found = made(checkpoint, [Document(n, text) for n, text in enumerate(texts)], length=4, fit="pack")
    assert [each.numbers for each in found] == [(0,), (1,), (1, 2)]


@pytest.mark.parametrize("fit", ["cut", "split", "pack"])
def test_what_gives_no_sequence_is_said(checkpoint, fit):
    """Documents with a fault, and those without tokens."""
    found = made(checkpoint, [Document(0, fault="bad"), Document(1, "  "), Document(2, "cat")], fit=fit)
    assert found[:2] == [Failed(0, "bad"), Failed(1, "it has no tokens")]
    assert found[2].ids == (0, 3)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"length": 1}, "2 to 65536"),
        ({"fit": "fold"}, "cut, split or pack"),
        ({"classes": {"a b": "x"}}, "letters, digits"),
        ({"classes": {"a": "("}}, "regular expression"),
        ({"classes": {f"c{n}": "x" for n in range(17)}}, "at most 16"),
    ],
)
def test_options_that_cannot_be_followed(given, said):
    """Each is refused in words."""
    with pytest.raises(SpecError, match=said):
        checked(Options(**given))
