"""Encoder-decoders: a source, and what the decoder has written so far."""

import json

import numpy as np
import pytest
import torch
from tests.conformance.families import made
from tests.conformance.pairs import RECORDING
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import TemplateProcessing

from clearhead import load
from clearhead.errors import CheckpointError, ShapeError, UnknownName
from clearhead.models.verifying import verify

SOURCE, OTHER = [3, 17, 8, 30, 2, 25], [9, 4, 11]
DECODER = [0, 5, 21, 7]


def word_level(words, end):
    """A tokenizer of whole words that ends each text with a token."""
    inner = Tokenizer(WordLevel({word: number for number, word in enumerate(words)}, unk_token=words[0]))
    inner.pre_tokenizer = WhitespaceSplit()
    inner.post_processor = TemplateProcessing(single=f"$A {end}", special_tokens=[(end, words.index(end))])
    return inner


@pytest.fixture
def t5(tmp_path):
    """A small T5 that Transformers saved, with a tokenizer that ends texts with token 1."""
    made("pair, t5").save_pretrained(tmp_path)
    word_level(["<pad>", "</s>", "a", "b", "c", "d"], end="</s>").save(str(tmp_path / "tokenizer.json"))
    return tmp_path


def test_a_text_of_the_decoder_stands_behind_the_start_token(t5):
    """As in training: the start token, then the text without the token that ends it."""
    model = load(t5)
    trace = model.trace("a b", decoder="c d")
    np.testing.assert_array_equal(trace["encoder.token"], [2, 3, 1])
    np.testing.assert_array_equal(trace["token"], [0, 4, 5])
    assert trace["layers.0.cross.weights"].shape == (4, 3, 3)


def test_without_a_text_the_decoder_has_its_start_token_alone(t5):
    """What it would write first can be asked for at once."""
    model = load(t5)
    trace = model.trace("a b")
    np.testing.assert_array_equal(trace["token"], [0])
    assert len(model.next(trace)) == 5


def test_numbers_of_the_decoder_are_taken_as_they_are(t5):
    """Nothing is set in front of them."""
    np.testing.assert_array_equal(load(t5).trace(SOURCE, decoder=[7, 1])["token"], [7, 1])


def test_labels_are_those_of_the_decoder_where_lengths_tell_texts_apart(t5):
    """Axes over the source have numbers, and so has every axis where both texts are of one length."""
    model = load(t5)
    shorter, equal = model.trace("a b", decoder="c"), model.trace("a b", decoder="c d")
    rows, columns = shorter.labels("layers.0.cross.weights@1")
    assert rows == ("<pad>", "c")
    assert columns == ("0", "1", "2")
    assert equal.labels("layers.0.cross.weights@1") == (("0", "1", "2"), ("0", "1", "2"))


@pytest.mark.parametrize("name", ["pair, t5", "pair, bart", "pair, marian"])
def test_batches_give_the_numbers_of_each_text_alone(name, tmp_path):
    """Padding of sources and of decoders' texts is seen by nobody."""
    made(name).save_pretrained(tmp_path)
    model = load(tmp_path)
    both = model.trace([SOURCE, OTHER], decoder=[DECODER[:2], DECODER])
    for row, (source, decoder) in enumerate([(SOURCE, DECODER[:2]), (OTHER, DECODER)]):
        alone = model.trace(source, decoder=decoder)
        np.testing.assert_allclose(both["logits"][row, : len(decoder)], alone["logits"], rtol=2e-4, atol=2e-5)
        weights = both["layers.2.cross.weights"][row, :, : len(decoder)]
        np.testing.assert_allclose(weights[..., : len(source)], alone["layers.2.cross.weights"], rtol=2e-4, atol=1e-6)
        assert not weights[..., len(source) :].any()


@pytest.mark.parametrize("name", ["pair, t5", "pair, bart", "pair, whisper"])
def test_a_cache_gives_the_numbers_of_the_whole(name, tmp_path):
    """The decoder goes on from what it has written, with the same source."""
    made(name).save_pretrained(tmp_path)
    model = load(tmp_path)
    source = RECORDING if "whisper" in name else SOURCE
    whole = model.trace(source, decoder=DECODER)
    begun = model.trace(source, decoder=DECODER[:2], keep=["results", "cache"])
    rest = model.trace(source, decoder=DECODER[2:], past=begun)
    np.testing.assert_allclose(rest["logits"], whole["logits"][2:], rtol=2e-4, atol=2e-5)


def test_a_cache_of_another_source_is_refused(t5):
    """The decoder's states hang on what the encoder read."""
    model = load(t5)
    begun = model.trace(SOURCE, decoder=[0], keep=["cache"])
    with pytest.raises(ShapeError, match="another source"):
        model.trace([3, 17, 8, 30, 2, 24], decoder=[4], past=begun)


@pytest.mark.parametrize("name", ["pair, marian", "pair, pegasus"])
def test_sinusoids_count_on_behind_a_cache(tmp_path, name):
    """Computed positions count on behind the tokens of a cache: the numbers are Transformers' of the whole."""
    theirs = made(name)
    theirs.save_pretrained(tmp_path)
    model, written = load(tmp_path), [0, 4, 17, 9]
    begun = model.trace(SOURCE, decoder=written[:2], keep=["hidden", "cache"])
    rest = model.trace(SOURCE, decoder=written[2:], past=begun)
    with torch.inference_mode():
        out = theirs(input_ids=torch.tensor([SOURCE]), decoder_input_ids=torch.tensor([written]))
    np.testing.assert_allclose(rest["logits"], out.logits[0, 2:].numpy(), atol=5e-5)


def test_replacing_a_line_of_the_encoder_changes_the_decoder(t5):
    """A head of the encoder that is taken out is missed by all that reads it, as PyTorch computes it."""
    model, theirs = load(t5), made("pair, t5")
    trace = model.trace(SOURCE, decoder=DECODER, replace={"encoder.layers.1.attention.head@2": 0})
    out = theirs.encoder.block[1].layer[0].SelfAttention.o.weight
    with torch.inference_mode():
        out[:, 10:15] = 0
        expected = theirs(input_ids=torch.tensor([SOURCE]), decoder_input_ids=torch.tensor([DECODER]))
    np.testing.assert_allclose(trace["logits"], expected.logits[0].numpy(), rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize(
    ("source", "decoder", "message"),
    [
        (SOURCE, [99], "decoder: the model has tokens 0 to 36"),
        (SOURCE, [], "nothing to read"),
        ([40], [0], "tokens 0 to 36, not 40"),
        ([SOURCE, OTHER], [0], "the source has 2 texts and decoder one text"),
        (SOURCE, [[0], [0]], "the source has one text and decoder 2 texts"),
    ],
)
def test_what_does_not_fit_is_said(t5, source, decoder, message):
    """Wrong numbers, and texts that are not one for each source, are named."""
    with pytest.raises(ShapeError, match=message):
        load(t5).trace(source, decoder=decoder)


def test_a_model_of_one_stack_has_no_decoder(small):
    """A text for a decoder that is not there is an error."""
    with pytest.raises(ShapeError, match="one stack"):
        load(small).trace([1, 2], decoder=[1])


def test_without_a_start_token_numbers_are_asked_for(t5):
    """A config that does not say how a decoder starts, and what is said of generation beside it."""
    path = t5 / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), "decoder_start_token_id": None}), "utf-8")
    (t5 / "generation_config.json").unlink(missing_ok=True)
    with pytest.raises(CheckpointError, match="decoder_start_token_id"):
        load(t5).trace("a")
    (t5 / "generation_config.json").write_text('{"decoder_start_token_id": 3}', "utf-8")
    np.testing.assert_array_equal(load(t5).trace("a")["token"], [3])


def test_recordings_have_the_length_that_the_model_was_trained_on(tmp_path):
    """Other features than (channel, two frames for each position) are refused with what was expected."""
    made("pair, whisper").save_pretrained(tmp_path)
    model = load(tmp_path)
    for wrong in ("a text", RECORDING[:, :-1], RECORDING[:-1], RECORDING[0]):
        with pytest.raises(ShapeError, match=r"\(channel=7, frame=40\)"):
            model.trace(wrong, decoder=[1])


@pytest.mark.parametrize("name", ["pair, t5", "pair, bart", "pair, marian"])
def test_the_encoder_is_inspected(name, tmp_path):
    """Of two stacks the one that reads the source: its states and the entropies of its weights are those of a trace."""
    made(name).save_pretrained(tmp_path)
    model = load(tmp_path)
    survey, trace = model.inspect(SOURCE), model.trace(SOURCE, decoder=[1, 4, 2])
    last = trace[model.encoder_hidden[-1]]
    np.testing.assert_allclose(survey.output, last, atol=2e-5 * abs(last).max())
    assert [*survey.layers] == [0, 1]
    assert len(survey.tokens) == len(SOURCE)
    assert "the encoder" in survey.notes[0]
    for layer in survey.layers:
        weights = trace[f"encoder.layers.{layer}.attention.weights"].astype(np.float64)
        entropy = -(weights * np.log(np.where(weights > 0, weights, 1))).sum(-1)
        np.testing.assert_allclose(survey[layer].entropy, entropy, atol=1e-4)


def test_recordings_are_not_inspected(tmp_path):
    """What reads no text is refused, with what reads it."""
    made("pair, whisper").save_pretrained(tmp_path)
    with pytest.raises(UnknownName, match=r"reads recordings\. Say what the decoder has written"):
        load(tmp_path).inspect(RECORDING)


@pytest.mark.parametrize("name", ["pair, t5", "pair, marian", "pair, whisper"])
def test_verify_holds_both_stacks_against_transformers(name, tmp_path):
    """States, weights, cross-attention and logits are compared, in order."""
    made(name).save_pretrained(tmp_path)
    verdict = verify(load(tmp_path), RECORDING if "whisper" in name else SOURCE, decoder=[1, 4, 2])
    assert verdict.first is None, verdict.first
    names = [each.line for each in verdict.lines]
    assert {"encoder.layers.1.attention.weights", "layers.2.cross.weights", "logits"} <= set(names)
