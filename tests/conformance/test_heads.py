"""Heads for classes, classes of tokens and questions, on decoders of many families, give Transformers' logits."""

import numpy as np
import pytest
import torch
import transformers

from clearhead.errors import ShapeError
from clearhead.models import FAMILIES, load
from clearhead.models.families.heads import PATHS

from .families import CONFIGURATIONS, made, made_of, theirs

IDS = [3, 17, 8, 30, 2, 25, 11, 8, 5, 5]
"""A text that ends with two tokens of padding."""


MISSING = {"MBartForSequenceClassification", "MBartForQuestionAnswering"}
"""Heads that no table has: mBART's decoder begins with the last token of the source."""


def cases():
    """The architectures with such a head that no configuration has, with the first configuration of their family."""
    tried = {made_by for made_by, _, _ in CONFIGURATIONS.values()}
    for family in FAMILIES:
        ends = [name for name in family.architectures if name.endswith(tuple(PATHS)) and name not in tried]
        based = next((each for each in CONFIGURATIONS.values() if each[0] in family.architectures), None)
        if based is not None and family.by_architecture.keys() >= set(ends):
            yield from (pytest.param(name, *based[1:], id=name) for name in ends)


@pytest.mark.parametrize(("architecture", "config", "options"), [*cases()][::3])
def test_logits_are_those_of_transformers(architecture, config, options, tmp_path):
    """The last token that is no padding, or each token, gives the same logits, to float32."""
    labels = {} if architecture.endswith("QuestionAnswering") else {"num_labels": 4}
    model = made_of(architecture, config, {**options, "pad_token_id": 5, **labels}, 7)
    model.save_pretrained(tmp_path)
    with torch.inference_mode():
        out = model(input_ids=torch.tensor([IDS]))
    asks = getattr(out, "start_logits", None) is not None
    expected = torch.stack([out.start_logits[0], out.end_logits[0]], -1) if asks else out.logits[0]
    found = load(tmp_path, engine="array").trace(IDS)["logits"]
    expected = expected.numpy().reshape(found.shape)
    assert np.abs(found - expected).max() < 5e-5 * np.abs(expected).max()


def test_questions_have_two_logits_whatever_labels_are_named(tmp_path):
    """Decoders answer where a text begins and ends, also if their config names five labels."""
    made_of(
        "GPT2ForQuestionAnswering", "GPT2Config", {**CONFIGURATIONS["gpt2"][2], "num_labels": 5}, 7
    ).save_pretrained(tmp_path)
    assert load(tmp_path, engine="array").trace(IDS)["logits"].shape == (len(IDS), 2)


OF_WHOLE_TEXTS = (
    "modernbert, classes by the mean", "modernbert, decoder, classes", "eurobert, classes",
    "eurobert, classes by the mean", "pair, bart, classes", "pair, t5, classes",
)  # fmt: skip
"""Configurations whose head reads more than the first token, or one that has to be found."""


@pytest.mark.parametrize("name", OF_WHOLE_TEXTS)
def test_padding_does_not_count(name, tmp_path):
    """In a batch with padding each text has the logits that it has alone, and those are Transformers'."""
    model = made(name)
    model.save_pretrained(tmp_path)
    ours, texts = load(tmp_path, engine="array"), ([3, 17, 8, 30, 2, 25, 11, 8, 19], [9, 8, 4, 8, 19, 6])
    together = ours.trace(texts)["logits"]
    for found, ids in zip(together, texts, strict=True):
        out = theirs(model, input_ids=torch.tensor([ids])).logits[0].numpy()
        assert np.abs(found.reshape(out.shape) - out).max() < 5e-5 * np.abs(out).max()


def test_a_source_without_its_end_is_refused(tmp_path):
    """A head that reads where the source ends says that it does not; it takes no other token."""
    made("pair, bart, classes").save_pretrained(tmp_path)
    with pytest.raises(ShapeError, match=r"where the source has the token 19, .* Put it at the end"):
        load(tmp_path, engine="array").trace([3, 17, 8])


def test_all_heads_of_families_that_are_read_are_read():
    """Each class of Transformers with a head for classes or questions is in a table, if its base model is."""
    read = {name for family in FAMILIES for name in family.architectures}
    ends = ("ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering", "ForImageClassification")
    stems = {name.removesuffix(end) for name in read for end in ("Model", "ForCausalLM", "ForConditionalGeneration")}
    found = {name for name in dir(transformers) for end in ends if name.endswith(end) and name[: -len(end)] in stems}
    assert found - read == MISSING
