"""Checkpoints made to crash, to hang or to eat memory: each is answered in words, quickly and in little memory."""

import json
import os
import struct
import subprocess
import sys
import time
import tracemalloc

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from clearhead.errors import ClearheadError
from clearhead.models import load
from clearhead.models.gguf import read_gguf
from clearhead.models.safetensors import read_safetensors
from clearhead.models.tokenizer import read_tokenizer, tokenizer_of


def refused(use, *arguments, within=2.0, max_bytes=300e6):
    """The message of an error of ours, within the time and the memory that any input may take."""
    tracemalloc.start()
    try:
        began = time.process_time()
        with pytest.raises(ClearheadError) as caught:
            use(*arguments)
        # Watching memory makes all of it take several times as long.
        assert time.process_time() - began < 5 * within
        assert tracemalloc.get_traced_memory()[1] < max_bytes
    finally:
        tracemalloc.stop()
    return str(caught.value)


def safetensors(path, header, size=None):
    path.write_bytes((len(header) if size is None else size).to_bytes(8, "little") + header)
    return path


@pytest.mark.parametrize(
    "header",
    [
        b"{" + b",".join(b'"%d":{}' % n for n in range(2_000_000)) + b"}",
        b"{" + b",".join(b'"%d":1' % n for n in range(20_000)) + b',"19999":1}',
        b'{"a":' + b"[" * 400_000,
        b'{"\\ud800": {"dtype": "U8", "shape": [], "data_offsets": [0, 1]}}',
        b'{"a": {"dtype": "\\udfff", "shape": [], "data_offsets": [0, 1]}}',
    ],
    ids=["empty objects", "the last name twice", "a nest", "half a character as a name", "half a character as a type"],
)
def test_headers(header, tmp_path):
    """A header is bounded in what is made of it, and takes no square of its length."""
    assert "x.safetensors" in refused(read_safetensors, safetensors(tmp_path / "x.safetensors", header))


def gguf(path, *entries, size=None):
    """A GGUF file of metadata alone: entries are (name, type, bytes); with holes up to a size."""
    content = b"GGUF" + struct.pack("<IQQ", 3, 0, len(entries))
    for name, kind, value in entries:
        content += struct.pack("<Q", len(name)) + name + struct.pack("<I", kind) + value
    path.write_bytes(content)
    if size is not None:
        os.truncate(path, size)
    return path


def test_arrays_of_metadata_are_counted(tmp_path):
    """A file with holes that says it has five hundred million numbers, or as many empty strings, costs nothing."""
    numbers = struct.pack("<IQ", 0, 500_000_000)
    texts = struct.pack("<IQ", 8, 50_000_000)
    for value in (numbers, texts):
        path = gguf(tmp_path / "x.gguf", (b"a", 9, value), size=600_000_000)
        assert "at most 4000000 values" in refused(read_gguf, path)


def test_metadata_are_counted_over_the_whole_file(tmp_path):
    """Many arrays that are each of a modest size are too many together."""
    part = struct.pack("<IQ", 0, 900_000) + bytes(900_000)
    path = gguf(tmp_path / "x.gguf", *[(b"%d" % n, 9, part) for n in range(5)])
    assert "at most 4000000 values" in refused(read_gguf, path)


WORDS = {"tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": ["<unk>", "a"], "tokenizer.ggml.scores": [0.0, 0.0]}


@pytest.mark.parametrize(
    "change",
    [
        {"tokens": ["<unk>", "a" * 1_000_000]}, {"tokens": ["\udcff", "a"]}, {"tokens": [1, 2]}, {"tokens": [None]},
        {"unknown_token_id": 2**70}, {"unknown_token_id": "a"}, {"scores": ["a", "b"]}, {"token_type": [3, "a"]},
        {"model": "gpt2"}, {"model": "gpt2", "merges": ["a"]}, {"model": "gpt2", "merges": ["a b", "x y"]},
        {"tokens": []},
    ],
)  # fmt: skip
def test_words_of_gguf(change):
    """Whatever metadata say of a tokenizer, it is built and used, or refused."""
    metadata = {**WORDS, **{f"tokenizer.ggml.{name}": value for name, value in change.items()}}
    try:
        began = time.process_time()
        tokenizer_of(metadata, "x.gguf").encode("a b", "c")
    except ClearheadError:
        pass
    assert time.process_time() - began < 2


def template_without_its_tokens():
    made = Tokenizer(models.WordLevel({"[UNK]": 0, "[CLS]": 1}, unk_token="[UNK]"))
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A", special_tokens=[("[CLS]", 1)])
    described = json.loads(made.to_str())
    described["post_processor"]["special_tokens"] = {}
    return described


def prefix_longer_than_a_token():
    described = json.loads(Tokenizer(models.BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b")])).to_str())
    described["model"]["continuing_subword_prefix"] = "#####"
    return described


def words_without_the_unknown():
    made = Tokenizer(models.WordLevel({"a": 0}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return json.loads(made.to_str())


PANICS = [template_without_its_tokens, prefix_longer_than_a_token, words_without_the_unknown]


@pytest.mark.parametrize("described", PANICS)
def test_what_the_tokenizers_package_raises_names_the_file(described, tmp_path):
    """A panic of Rust's and an Exception of no kind become an error with the path in it."""
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(described()))
    assert str(path) in refused(lambda: read_tokenizer(path).encode("x y"))


def test_a_panic_ends_a_command_with_a_message(small):
    """The command line says which file it was, and exits with the code for bad input."""
    (small / "tokenizer.json").write_text(json.dumps(template_without_its_tokens()))
    command = [sys.executable, "-m", "clearhead", "trace", str(small), "x y"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "tokenizer.json" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json", "model.safetensors.index.json"])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_pipes_and_devices_are_not_waited_for(kind, name, small):
    """Nothing of a checkpoint is read but regular files, and a pipe into which nobody writes is no wait."""
    if name.endswith("index.json"):
        (small / "model.safetensors").unlink()
    else:
        (small / name).unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(small / name)
    else:
        (small / name).symlink_to("/dev/zero")
    refused(lambda: load(small).trace("a"))


@pytest.mark.parametrize(
    "change",
    [
        {"rope_theta": float("nan")}, {"rope_theta": float("inf")}, {"rope_theta": 0}, {"rms_norm_eps": float("inf")},
        {"rope_scaling": {"rope_type": "linear", "factor": 10**400}},
        {"rope_scaling": {"rope_type": "linear", "factor": 0}},
        {"rope_scaling": {"rope_type": "linear", "factor": float("nan")}},
        {"architectures": ["MistralForCausalLM"], "sliding_window": 2**70},
        {"architectures": ["Gemma2ForCausalLM"], "query_pre_attn_scalar": 0},
        {"architectures": ["Gemma2ForCausalLM"], "query_pre_attn_scalar": -4},
        {"architectures": ["GPTNeoXForCausalLM"], "rotary_pct": float("nan")},
        {"architectures": ["GPTNeoXForCausalLM"], "rotary_pct": float("inf")},
        {"hidden_act": "\ud800"}, {"architectures": ["\ud800"]}, {"num_hidden_layers": 10**400},
    ],
)  # fmt: skip
def test_numbers_of_a_config(change, small):
    """A number with which no model can be computed is refused, wherever it stands."""
    config = json.loads((small / "config.json").read_text("utf-8"))
    (small / "config.json").write_text(json.dumps(config | change))
    refused(lambda: load(small).trace([1, 2, 3]))


def test_a_revision_that_is_no_text_is_no_revision(small, tmp_path, monkeypatch):
    """Then the only snapshot is taken, as without one."""
    folder = tmp_path / "hub" / "models--some--model"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_bytes(b"\xff\xfe\x00")
    (folder / "snapshots").mkdir()
    small.rename(folder / "snapshots" / "0123abcd")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    assert load("some/model").trace([1, 2])["logits"].shape == (2, 17)
