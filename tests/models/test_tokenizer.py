"""Tokens: those of Transformers, on two thousand strings; and tokenizers built from GGUF's metadata."""

from itertools import pairwise

import numpy as np
import pytest
import transformers
from tokenizers import pre_tokenizers

from clearhead.errors import CheckpointError
from clearhead.models.tokenizer import PATTERNS, tokenizer_of

from .corpus import corpus


@pytest.fixture(scope="module")
def strings():
    return corpus()


def differing(strings, ours, theirs):
    """The strings whose tokens differ, with both."""
    found = [(text, list(ours.encode(text).ids), theirs(text)["input_ids"]) for text in strings]
    return [each for each in found if each[1] != each[2]]


def test_wordpiece_tokens_are_those_of_transformers(minilm, strings):
    """MiniLM's tokenizer.json gives what Transformers gives, with nothing cut off or filled up."""
    theirs = transformers.AutoTokenizer.from_pretrained(minilm.path)
    assert differing(strings, minilm.tokenizer, theirs) == []


def test_tokens_of_gguf_are_those_of_transformers(smollm, strings):
    """The tokenizer built from SmolLM2's metadata gives what the published one does.

    Transformers' own conversion takes the words and merges over, but does not cut numbers into digits as the published
    tokenizer.json does; as it comes it differs where there are digits, and only there.
    """
    theirs = transformers.AutoTokenizer.from_pretrained(smollm.path.parent, gguf_file=smollm.path.name)
    others = [text for text, _, _ in differing(strings, smollm.tokenizer, theirs)]
    assert 0 < len(others) < 150
    assert all(any(character.isnumeric() for character in text) for text in others)
    digits = pre_tokenizers.Digits(individual_digits=True)
    bytewise = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    theirs.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, bytewise])
    assert differing(strings, smollm.tokenizer, theirs) == []


def test_text_comes_back(smollm, strings):
    """Byte pairs lose nothing but special tokens, as long as the vocabulary has all bytes of the text."""
    for text in strings[:300]:
        if "<|im_start|>" not in text and max(text, default="") < "\U00030000":
            assert smollm.tokenizer.decode(smollm.tokenizer.encode(text).ids) == text


def test_names(smollm):
    """A token is named by its text; a part of a character by its own name."""
    encoded = smollm.tokenizer.encode("naïve 🦥")
    assert encoded.tokens[:2] == ("na", "ïve")
    assert all("\N{REPLACEMENT CHARACTER}" not in name for name in encoded.tokens)


PIECES = {
    "<unk>": 0.0, "<s>": 0.0, "</s>": 0.0, **{f"<0x{byte:02X}>": 0.0 for byte in range(256)},
    "▁": -1.0, "a": -2.0, "b": -2.5, "c": -2.7, "▁a": -3.0, "ab": -4.0, "bc": -3.5, "abc": -6.0, "▁ab": -5.0,
    "▁abc": -7.0, "ca": -4.2, "▁▁": -9.0,
}  # fmt: skip
TYPES = [2, 3, 3, *[6] * 256, *[1] * 12]


def metadata(**changes):
    ggml = {
        "model": "llama", "tokens": list(PIECES), "scores": list(PIECES.values()), "token_type": TYPES,
        "unknown_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip
    return {f"tokenizer.ggml.{name}": value for name, value in (ggml | changes).items() if value is not None}


def by_hand(text):
    """SentencePiece's rule, by hand: of all neighbours that make a piece the best is joined, the leftmost of equals."""
    names = list(PIECES)
    parts = list("▁" + text.replace(" ", "▁"))
    while True:
        pairs = [(-PIECES[a + b], n) for n, (a, b) in enumerate(pairwise(parts)) if a + b in PIECES]
        if not pairs:
            break
        _, n = min(pairs)
        parts[n : n + 2] = [parts[n] + parts[n + 1]]
    found = []
    for part in parts:
        found += [names.index(part)] if part in PIECES else [3 + byte for byte in part.encode()]
    return [1, *found]


def test_sentence_pieces():
    """A tokenizer from SentencePiece's scores joins pieces as the scores say, and spells the rest in bytes."""
    ours = tokenizer_of(metadata())
    draw = np.random.default_rng(3)
    for _ in range(300):
        text = "".join(draw.choice(list("abc dé"), draw.integers(1, 12)))
        assert list(ours.encode(text).ids) == by_hand(text), text
    encoded = ours.encode("abc dé")
    assert ours.decode(encoded.ids) == "abc dé"
    assert encoded.tokens[:3] == ("<s>", " abc", " ")


def test_what_stands_around():
    """Beginning and end are added where the metadata want them, and not where not."""
    assert tokenizer_of(metadata(add_bos_token=False)).encode("a").ids == tuple(by_hand("a")[1:])
    assert tokenizer_of(metadata(add_eos_token=True)).encode("a").ids == (*by_hand("a"), 2)


@pytest.mark.parametrize("name", ["default", "smollm", "llama-bpe", "qwen2"])
def test_words_are_cut_as_their_models_do(name):
    """Numbers are cut as each pattern says: whole, in single digits, or in threes."""
    words = [chr(code) for code in range(33, 127)] + ["Ġ"]
    digits = [f"{n}{m}" for n in range(10) for m in range(10)]
    given = {"model": "gpt2", "pre": name, "tokens": words + digits, "merges": [" ".join(d) for d in digits]}
    found = tokenizer_of({f"tokenizer.ggml.{key}": value for key, value in given.items()}).encode("12345").tokens
    expected = {"default": "12 34 5", "smollm": "1 2 3 4 5", "qwen2": "1 2 3 4 5", "llama-bpe": "12 3 45"}
    assert " ".join(found) == expected[name]
    assert name in PATTERNS


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "t5"}, "the tokenizer is of kind 't5'"),
        ({"model": None}, r"have no tokenizer.ggml.model"),
        ({"scores": None}, r"have no tokenizer.ggml.scores"),
        ({"model": "gpt2", "merges": ["a b"], "pre": "tekken"}, "cuts words as 'tekken'"),
        ({"model": "gpt2", "merges": ["nothing"]}, "cannot be built"),
        ({"unknown_token_id": 10**6}, "cannot be built"),
        ({"tokens": 7}, r"have no tokenizer.ggml.tokens"),
    ],
)
def test_tokenizers_that_cannot_be_built(changes, message):
    """Metadata that lack something, or describe a kind that is not known, are answered."""
    with pytest.raises(CheckpointError, match=message):
        tokenizer_of(metadata(**changes))
