"""What a model is given to read, as arrays."""

from types import SimpleNamespace

import numpy as np
import pytest

from clearhead.errors import ShapeError
from clearhead.models.inputs import inputs_of, patches
from clearhead.models.tokenizer import Encoded


class Reader:
    """As much of a model as its inputs depend on: a vocabulary of ten tokens, of two types, and no head."""

    reads_images = False
    vocabulary = 10
    has_types = True
    spec = SimpleNamespace(head=None, encoder=None)

    @staticmethod
    def names(ids):
        return tuple(f"t{each}" for each in ids)


PAIR = Encoded((1, 2, 3), (0, 1, 1), ("a", "b", "c"))
SHORT = Encoded((9,), (1,), ("d",))


def test_a_batch_keeps_tokens_types_and_padding():
    """Texts stand side by side with their own types; what fills up the shorter one is marked as padding."""
    inputs = inputs_of(Reader, [PAIR, SHORT])
    assert inputs.arrays["token"].tolist() == [[1, 2, 3], [9, 0, 0]]
    assert inputs.arrays["type"].tolist() == [[0, 1, 1], [1, 0, 0]]
    assert inputs.arrays["padding"].tolist() == [[True, True, True], [True, False, False]]
    assert inputs.padded
    assert inputs.tokens is None


def test_a_batch_of_one_length_has_no_padding():
    """Nothing is marked where all texts are equally long, and one text keeps its tokens' names."""
    assert not inputs_of(Reader, [[1, 2], [3, 4]]).padded
    single = inputs_of(Reader, PAIR)
    assert single.tokens == ("a", "b", "c")
    assert single.arrays["type"].tolist() == [0, 1, 1]


class Classifier(Reader):
    """A head that reads the last token, without a token for padding."""

    spec = SimpleNamespace(head=SimpleNamespace(reads="last", pad=None, mark=None), encoder=None)


def test_texts_of_one_length_need_no_token_for_padding():
    """A head that reads the last token reads a batch of one length; of several, it asks for padding."""
    assert not inputs_of(Classifier, [[1, 2], [3, 4]]).padded
    with pytest.raises(ShapeError, match="no pad_token_id"):
        inputs_of(Classifier, [[1, 2], [3]])


@pytest.mark.parametrize(("ids", "message"), [([0, 10], "not 10"), ([-1], "not -1"), ([], "nothing to read")])
def test_tokens_that_the_model_lacks_are_refused(ids, message):
    """The smallest and the largest number of a token are accepted; one below and one above are not."""
    assert inputs_of(Reader, [0, 9]).arrays["token"].tolist() == [0, 9]
    with pytest.raises(ShapeError, match=message):
        inputs_of(Reader, ids)


def test_deeper_lists_are_refused():
    """A batch holds texts, not lists of them."""
    with pytest.raises(ShapeError, match="nested deeper"):
        inputs_of(Reader, [[[1], [2]]])


def test_an_image_becomes_patches_row_by_row():
    """Each patch has its channels one after another, each row by row; other sizes are refused."""
    image = np.arange(2 * 4 * 6).reshape(2, 4, 6)
    found = patches(image, 2, 2)
    assert found.shape == (6, 8)
    assert found[0].tolist() == [0, 1, 6, 7, 24, 25, 30, 31]
    assert found[4].tolist() == [14, 15, 20, 21, 38, 39, 44, 45]
    for wrong in (image[:1], image[:, :3], image[:, :, :5], image[0]):
        with pytest.raises(ShapeError, match="an image expects"):
            patches(wrong, 2, 2)
