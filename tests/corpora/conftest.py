"""A small model with a tokenizer, and documents of its words."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, processors

from clearhead.corpora.options import Options
from clearhead.corpora.worker import Work

from ..models.conftest import LLAMA, llama_weights

WORDS = ("<s>", "?", "the", "cat", "sat", "on", "a", "mat", ".", ",", "dog", "and", "ran", "ing", "far", "9", "so")
"""The vocabulary of the small model: 17 words."""


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """A Llama of random weights whose tokens are words; a text begins with a special token."""
    return model_in(tmp_path_factory.mktemp("tokenized") / "model")


def model_in(folder):
    """The small model, written to a folder."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(LLAMA))
    save_file(llama_weights(), folder / "model.safetensors")
    inner = Tokenizer(models.WordLevel({word: n for n, word in enumerate(WORDS)}, unk_token="?"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.add_special_tokens([AddedToken("<s>", special=True)])
    inner.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    inner.save(str(folder / "tokenizer.json"))
    return folder


def drawn(count, seed=0, least=3, most=40):
    """Texts of drawn words."""
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS[2:], rng.integers(least, most))) for _ in range(count)]


@pytest.fixture
def lines(tmp_path):
    """Forty documents as JSON lines, with a group."""
    return write_lines(tmp_path / "docs.jsonl", drawn(40))


def write_lines(path, texts):
    """Texts as JSON lines, in two groups."""
    path.write_text("".join(f"{json.dumps({'text': text, 'kind': 'ab'[n % 2]})}\n" for n, text in enumerate(texts)))
    return path


class Here:
    """An engine that does shards in this process, in an order of its own."""

    def __init__(self, order=1):
        self.order, self.count = order, 0

    def run(self, job, shards, done):
        work = Work(job)
        for shard in shards[:: self.order]:
            work.do(shard)
            self.count += 1
            done(shard)


OPTIONS = Options(length=24, group="kind", loss=True, classes={"digit": "[0-9]"})
