"""Models at work: real checkpoints on real text, what is kept, replaced, padded and cached."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tests.conformance.families import made

from clearhead import Family, SpecError, UnknownName, load
from clearhead.errors import CheckpointError, ShapeError
from clearhead.models.budget import in_words
from clearhead.models.inputs import patches

from ..rounding import assert_rounded, expected

IDS = [3, 16, 8, 2, 11, 8]


def exactly(model, ids):
    """Every line of a text in float64, and how far float32 may be from it."""
    return expected(model.working(), {**model.arrays, "token": np.array(ids)})


@pytest.fixture
def tiny(small):
    """A small Llama of random weights."""
    return load(small)


def test_paris(smollm):
    """SmolLM2 goes on from "The capital of France is" with " Paris"."""
    trace = smollm.trace("The capital of France is")
    best, *rest = smollm.next(trace)
    assert best.token == " Paris"
    assert best.probability > 0.5 > sum(each.probability for each in rest)
    assert trace.tokens == ("The", " capital", " of", " France", " is")


def test_what_is_kept(smollm):
    """By default the states between layers, every head's weights, and the results, in the order of the layers."""
    trace = smollm.trace("One two")
    assert len(smollm.hidden) == 31
    expected = {"token", *smollm.hidden, *(f"layers.{n}.attention.weights" for n in range(30)), "norm", "logits"}
    assert set(trace) == expected
    made = [line.name for line in smollm.working().lines]
    assert list(trace) == ["token", *(name for name in made if name in expected)]
    assert list(trace)[2:5] == ["layers.0.attention.weights", "layers.0.mlp.residual", "layers.1.attention.weights"]
    assert trace["layers.29.attention.weights"].shape == (9, 2, 2)
    assert trace["layers.3.attention.weights@8"].shape == (2, 2)


def test_keep(tiny):
    """Patterns and words choose; what nothing needs is not computed; a wrong one is answered."""
    inside = ("norm.normalized", "norm", "up", "gate", "active", "gated", "output", "residual")
    kept = set(tiny.trace(IDS, keep="layers.0.mlp.*"))
    assert kept == {"token", *(f"layers.0.mlp.{name}" for name in inside)}
    assert set(tiny.trace(IDS, keep=["hidden"])) == {"token", *tiny.hidden}
    with pytest.raises(UnknownName, match="keep: no line is called 'wieghts'"):
        tiny.trace(IDS, keep="wieghts")


def test_every_line_is_explained(tiny):
    """A cell of any line is explained, kept or not, and its value is the line's own to the last digits of float32."""
    light, whole = tiny.trace(IDS, keep="results"), tiny.trace(IDS, keep="*")
    exact = exactly(tiny, IDS)
    for line in tiny.working().lines:
        cell = tuple(size - 1 for size in whole[line.name].shape)
        explained = light.explain(line.name, *cell, decimals=None)
        assert_rounded(np.float64(explained.value), exact[line.name].at(cell), line.name)
        assert_rounded(whole[line.name], exact[line.name], line.name)
    text = str(light.explain("layers.1.attention.weights@5", 3, 0))
    assert text.startswith("layers.1.attention.weights@5[3,0] = exp(")


def test_replace_by_a_number(tiny):
    """A head set to 0 is 0 from there on; lines before it stay; all others follow from it."""
    before, after = tiny.trace(IDS, keep="*"), tiny.trace(IDS, keep="*", replace={"layers.0.attention.head@5": 0})
    assert not after["layers.0.attention.head@5"].any()
    np.testing.assert_array_equal(after["layers.0.attention.head@4"], before["layers.0.attention.head@4"])
    np.testing.assert_array_equal(after["layers.0.attention.weights"], before["layers.0.attention.weights"])
    concat = before["layers.0.attention.concat"].copy()
    concat[:, 10:] = 0
    np.testing.assert_array_equal(after["layers.0.attention.concat"], concat)
    assert np.abs(after["logits"] - before["logits"]).max() > 1e-3
    assert str(after.explain("layers.0.attention.head@5", 1, 0)).endswith("= 0")


def test_replace_by_other_things(tiny):
    """An array, a function of the line's own numbers, and another trace's line give the same where they agree."""
    name, other = "layers.1.mlp.output", tiny.trace([5, 1, 9, 3, 3, 0], keep="*")
    own = tiny.trace(IDS, keep="*")[name]
    by_array = tiny.trace(IDS, replace={name: 2 * own})
    by_function = tiny.trace(IDS, replace={name: lambda numbers: 2 * numbers})
    np.testing.assert_array_equal(by_array["logits"], by_function["logits"])
    by_trace = tiny.trace(IDS, keep="*", replace={name: other})
    np.testing.assert_array_equal(by_trace[name], other[name])
    np.testing.assert_array_equal(by_trace[f"{name}.own"], own)
    whole = tiny.trace(IDS, replace={"embedding": other["embedding"]})
    np.testing.assert_array_equal(whole["logits"], other["logits"])


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"layers.0.attention.head@6": 0}, UnknownName, "has heads 0 to 5, not 6"),
        ({"layers.0.mlp.output@1": 0}, UnknownName, "has no heads"),
        ({"layers.7.mlp.output": 0}, UnknownName, "There is no line"),
        ({"norm.gain": 0}, UnknownName, "cannot be replaced"),
        ({"logits": np.zeros((2, 3))}, ShapeError, r"expects shape \(6, 17\)"),
    ],
)
def test_replacements_that_do_not_fit(tiny, changes, error, message):
    """A head or line that is not there, a weight, and numbers of another shape are answered."""
    with pytest.raises(error, match=message):
        tiny.trace(IDS, replace=changes)


def test_a_batch_is_its_texts(tiny, minilm):
    """Texts side by side, padded, give the numbers that each gives alone."""
    texts = [[3, 1, 4, 1, 5], [9, 2], [6, 5, 3]]
    batch = tiny.trace(texts)
    assert batch["layers.1.attention.weights"].shape == (3, 6, 5, 5)
    for row, text in enumerate(texts):
        assert_rounded(batch["logits"][row, : len(text)], exactly(tiny, text)["logits"])
        assert_rounded(tiny.trace(text)["logits"], exactly(tiny, text)["logits"])
    pair, alone = minilm.trace(["A cat.", "Two dogs ran away."])["pooled"], minilm.trace("A cat.")["pooled"]
    np.testing.assert_allclose(pair[0], alone, rtol=0, atol=64 * 2.0**-23 * np.abs(alone).max())


@pytest.mark.parametrize("name", ["minilm", "smollm"])
def test_a_batch_by_programs_is_its_texts_to_the_bit(name, request):
    """Texts of real checkpoints, padded, have the numbers that compiled code gives each alone, for all that is kept."""
    model, rng = request.getfixturevalue(name), np.random.default_rng(0)
    texts = [rng.integers(1000, 20000, count).tolist() for count in (19, 64, 33)]
    batch = model.trace(texts)
    for row, text in enumerate(texts):
        for line, alone in model.trace(text).items():
            np.testing.assert_array_equal(batch[line][(row, *map(slice, alone.shape))], alone)


def test_threads_of_python_may_trace_at_once_with_replacements(minilm):
    """Each gets the numbers to the bit that it gets alone, and array code agrees within rounding."""
    head = "layers.2.attention.head@5"

    def ablated(text):
        return minilm.trace(text, keep=["layers.2.attention.head", "pooled"], replace={head: 0})

    texts = [np.random.default_rng(count).integers(1000, 20000, count).tolist() for count in (40, 65, 33, 50)]
    alone = [ablated(text) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(ablated, texts * 2))
    for one, other in zip(alone * 2, together, strict=True):
        for line in ("layers.2.attention.head", "pooled"):
            np.testing.assert_array_equal(other[line], one[line])
        assert not other[head].any()
    plain = load(minilm.path, engine="array").trace(texts[0], keep=["pooled"], replace={head: 0})["pooled"]
    np.testing.assert_allclose(alone[0]["pooled"], plain, rtol=0, atol=64 * 2.0**-23 * np.abs(plain).max())


def test_a_cache_goes_on(tiny, smollm):
    """A text in two or three parts, each going on from a cache, gives the numbers of the whole."""
    whole = tiny.trace(IDS)
    first = tiny.trace(IDS[:3], keep=["results", "cache"])
    second = tiny.trace(IDS[3:5], keep=["results", "cache"], past=first)
    third = tiny.trace(IDS[5:], past=second)
    parts = np.concatenate([first["logits"], second["logits"], third["logits"]])
    assert_rounded(parts, exactly(tiny, IDS)["logits"])
    assert_rounded(whole["logits"], exactly(tiny, IDS)["logits"])
    assert third["layers.0.attention.weights"].shape == (6, 1, 6)
    with pytest.raises(UnknownName, match=r"was not kept. Trace the beginning with keep"):
        tiny.trace(IDS[3:], past=whole)
    ids = smollm.tokenizer.encode("The capital of France is").ids
    begun = smollm.trace(ids[:2], keep=["results", "cache"])
    assert smollm.next(smollm.trace(ids[2:], past=begun))[0].token == " Paris"


def test_positions_that_skip_padding_go_without_a_cache(tmp_path):
    """A RoBERTa that is a decoder counts real tokens, and those of a cache are not among them: it is refused."""
    made("roberta, decoder").save_pretrained(tmp_path)
    model = load(tmp_path)
    with pytest.raises(SpecError, match="go without a cache"):
        model.trace(IDS[:3], keep=["results", "cache"])


def test_bert_has_no_cache(minilm):
    """Tokens that see later ones cannot go on from a cache, and there is no next token."""
    trace = minilm.trace("A cat.")
    with pytest.raises(CheckpointError, match="its tokens see later ones"):
        minilm.trace("It ran.", past=trace)
    with pytest.raises(UnknownName, match="no line 'logits'"):
        minilm.next(trace)


def test_a_pair_of_texts(minilm):
    """The second text of a pair is of the second type."""
    encoded = minilm.tokenizer.encode("A cat.", "A dog.")
    trace = minilm.trace(encoded)
    assert trace.tokens == ("[CLS]", "a", "cat", ".", "[SEP]", "a", "dog", ".", "[SEP]")
    assert trace["type"].tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 1]


def test_memory_is_told_before_it_is_spent(tiny):
    """What would exceed the budget is refused, with what would fit, and nothing is computed."""
    with pytest.raises(
        CheckpointError, match=r"would take \d+\.\d kB, and 60.0 kB may be spent. This would fit: keep="
    ):
        tiny.trace(IDS * 2, keep="*", budget=60_000)
    with pytest.raises(CheckpointError, match="Nothing smaller fits"):
        tiny.trace(IDS, budget=10)
    assert (in_words(5), in_words(1_500_000_000)) == ("5 bytes", "1.5 GB")


def test_a_budget_counts_no_weights_that_are_not_stored(small):
    """A long text that keeps its results alone is allowed within memory that the weights of a layer would exceed."""
    ids = np.random.default_rng(0).integers(0, 17, 1500).tolist()
    trace = load(small).trace(ids, keep=["results"], budget=20_000_000)
    assert trace["logits"].shape == (1500, 17)
    with pytest.raises(CheckpointError, match="Nothing smaller fits"):
        load(small, engine="array").trace(ids, keep=["results"], budget=20_000_000)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([3, 17], "the model has tokens 0 to 16, not 17"),
        ([-1], "not -1"),
        ([], "there is nothing to read"),
        ([[1], []], "there is nothing to read"),
        ([[[1]]], "nested deeper"),
    ],
)
def test_tokens_that_cannot_be_read(tiny, source, message):
    """Numbers beyond the vocabulary, nothing at all, and nests are answered."""
    with pytest.raises(ShapeError, match=message):
        tiny.trace(source)


def test_more_tokens_than_positions(minilm):
    """A model with learned positions says how many it has."""
    with pytest.raises(ShapeError, match="positions for 512 tokens, got 513"):
        minilm.trace([7] * 513)


def test_text_without_a_tokenizer(tiny):
    """A checkpoint without a tokenizer takes numbers, names tokens by them, and says so when given text."""
    assert tiny.trace([3, 5]).tokens == ("<3>", "<5>")
    with pytest.raises(CheckpointError, match=r"there is no tokenizer.json"):
        tiny.trace("text")


def test_an_unknown_family(small):
    """An architecture that no table serves is answered with the nearest; a table of one's own serves it."""
    config = small / "config.json"
    config.write_text(config.read_text("utf-8").replace("LlamaForCausalLM", "LlamoForCausalLM"))
    with pytest.raises(CheckpointError, match=r"unknown family: .* 'LlamoForCausalLM'. .*nearest is llama"):
        load(small)
    table = next(
        each for each in __import__("clearhead.models", fromlist=["FAMILIES"]).FAMILIES if each.name == "llama"
    )
    own = Family("llamo", ("LlamoForCausalLM",), table.spec, table.arrays, table.prefixes)
    assert load(small, families=[own]).trace(IDS)["logits"].shape == (6, 17)


def test_patches():
    """Patches go row by row; within one, channel by channel, as a convolution's weights do."""
    image = np.arange(2 * 4 * 6).reshape(2, 4, 6)
    found = patches(image, 2, 2)
    assert found.shape == (6, 8)
    assert found[1].tolist() == [2, 3, 8, 9, 26, 27, 32, 33]
    with pytest.raises(ShapeError, match="sides multiples of 4"):
        patches(image, 4, 2)
