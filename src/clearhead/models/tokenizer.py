"""Text to tokens and back: through the `tokenizers` package, from a tokenizer.json or from GGUF's metadata."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from clearhead.budgets import MAX_MERGE_STEPS, MAX_TOKENIZER_BYTES, Budget
from clearhead.errors import CheckpointError, suggest
from clearhead.extras import need
from clearhead.models.tensors import content
from clearhead.untrusted.foreign import failing_as

GPT2_PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3_PATTERN = "|".join(
    (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)",
        r"[^\r\n\p{L}\p{N}]?\p{L}+",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)
QWEN2_PATTERN = LLAMA3_PATTERN.replace(r"\p{N}{1,3}", r"\p{N}")
ONE_DIGIT = r"\p{N}"

PATTERNS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("default", "gpt-2", "gpt2", "olmo", "dbrx-gpt2", "phi-2"), (GPT2_PATTERN,)),
    **dict.fromkeys(("smollm", "starcoder", "refact", "command-r", "codeshell"), (ONE_DIGIT, GPT2_PATTERN)),
    **dict.fromkeys(("llama-bpe", "llama3", "llama-v3", "dbrx", "smaug-bpe"), (LLAMA3_PATTERN,)),
    **dict.fromkeys(("qwen2", "stablelm2", "deepseek-r1-qwen"), (QWEN2_PATTERN,)),
}
"""How text is split into words before byte pairs are merged, by GGUF's name: patterns, applied in turn."""

REMEDY = "Fetch it again, or give token numbers instead of text."

MARK = "▁"
"""SentencePiece's character for a space."""

CONTROL, USER_DEFINED = 3, 4
"""Types of tokens in GGUF that are never split in a text."""


class Encoded(Struct, frozen=True):
    """A text as tokens.

    Attributes:
        ids: the numbers of the tokens.
        types: the segment of each, 0 or 1.
        tokens: their names.
    """

    ids: tuple[int, ...]
    types: tuple[int, ...]
    tokens: tuple[str, ...]


class Tokenizer:
    """Text to tokens and back.

    Raises:
        MissingPackage: the package tokenizers is not installed.
    """

    def __init__(self, inner: Any, source: str = "the tokenizer") -> None:
        inner.no_truncation()
        inner.no_padding()
        self.inner = inner
        self.source = source

    def encode(self, text: str, pair: str | None = None) -> Encoded:
        """The tokens of ``text``, or of a pair of texts with ``pair``, with the model's special tokens."""
        with failing_as(CheckpointError, f"{self.source}: the tokenizer fails on this text", REMEDY):
            found = self.inner.encode(text, pair)
        return Encoded(tuple(found.ids), tuple(found.type_ids), self.names(found.ids))

    def ids(self, text: str, *, special: bool = True) -> tuple[int, ...]:
        """The numbers of the tokens of ``text``; with ``special`` also the model's special tokens."""
        with failing_as(CheckpointError, f"{self.source}: the tokenizer fails on this text", REMEDY):
            return tuple(self.inner.encode(text, add_special_tokens=special).ids)

    def names(self, ids: Sequence[int]) -> tuple[str, ...]:
        """The text of each token of ``ids``, for display, or its name where it is a part of a character."""
        with failing_as(CheckpointError, f"{self.source}: the tokenizer cannot name its tokens", REMEDY):
            return tuple(map(self._name, ids))

    def _name(self, id: int) -> str:
        piece = str(self.inner.id_to_token(id) or f"<{id}>")
        if MARK in piece:
            return piece.replace(MARK, " ")
        text = str(self.inner.decode([id], skip_special_tokens=False))
        if text and "\N{REPLACEMENT CHARACTER}" not in text:
            return text
        return piece

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the tokens ``ids``, without special tokens."""
        with failing_as(CheckpointError, f"{self.source}: the tokenizer fails on these tokens", REMEDY):
            return str(self.inner.decode(list(ids)))


def read_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of a tokenizer.json.

    Raises:
        CheckpointError: the file is damaged.
        MissingPackage: tokenizers is not installed.
    """
    tokenizers = need("tokenizers", "models")
    described = content(path, MAX_TOKENIZER_BYTES)
    with failing_as(CheckpointError, f"{path}: the tokenizer cannot be read", "Fetch it again."):
        return Tokenizer(tokenizers.Tokenizer.from_buffer(described), str(path))


def tokenizer_of(metadata: Mapping[str, Any], source: str = "the metadata") -> Tokenizer:
    """The tokenizer that GGUF's metadata describe; ``source`` names their file in errors.

    Raises:
        CheckpointError: the metadata lack something, or describe a kind that is not known.
        MissingPackage: tokenizers is not installed.
    """
    kind = _entry(metadata, "model", str)
    if kind not in _KINDS:
        raise CheckpointError(f"the tokenizer is of kind {kind[:40]!r}. {suggest(kind, _KINDS)}")
    tokenizers = need("tokenizers", "models")
    words = _entry(metadata, "tokens", list)
    with failing_as(CheckpointError, "the tokenizer in the metadata cannot be built", REMEDY):
        inner = _KINDS[kind](tokenizers, metadata, words)
        _take_whole(tokenizers, inner, metadata, words)
        inner.post_processor = _around(tokenizers, inner.post_processor, metadata, words)
        return Tokenizer(inner, source)


def _entry(metadata: Mapping[str, Any], name: str, kind: type) -> Any:
    value = metadata.get(f"tokenizer.ggml.{name}")
    if not isinstance(value, kind):
        raise CheckpointError(f"the metadata have no tokenizer.ggml.{name}. Give token numbers instead of text.")
    return value


def _byte_pairs(tokenizers: Any, metadata: Mapping[str, Any], words: list[str]) -> Any:
    """Byte pairs over bytes, as in GPT-2."""
    merges = [tuple(merge.split(" ", 1)) for merge in _entry(metadata, "merges", list)]
    name = metadata.get("tokenizer.ggml.pre", "default")
    if name not in PATTERNS:
        raise CheckpointError(f"the tokenizer cuts words as {str(name)[:40]!r}. {suggest(str(name), PATTERNS)}")
    inner = tokenizers.Tokenizer(tokenizers.models.BPE(_numbered(words), merges, ignore_merges=name == "llama-bpe"))
    cuts = [tokenizers.pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated") for pattern in PATTERNS[name]]
    bytewise = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([*cuts, bytewise])
    inner.decoder = tokenizers.decoders.ByteLevel()
    inner.post_processor = tokenizers.processors.ByteLevel(trim_offsets=False)
    return inner


def _numbered(words: list[str]) -> dict[str, int]:
    return {word: number for number, word in enumerate(words)}


def _sentence_pieces(tokenizers: Any, metadata: Mapping[str, Any], words: list[str]) -> Any:
    """SentencePiece's byte pairs: the pair whose joint piece has the best score is merged first."""
    scores = _entry(metadata, "scores", list)
    numbered = _numbered(words)
    merges = _merges(numbered, dict(zip(words, scores, strict=False)))
    unknown = words[metadata.get("tokenizer.ggml.unknown_token_id", 0)]
    model = tokenizers.models.BPE(numbered, merges, unk_token=unknown, fuse_unk=True, byte_fallback=True)
    inner = tokenizers.Tokenizer(model)
    marks = [tokenizers.normalizers.Replace(" ", MARK)]
    spaced = metadata.get("tokenizer.ggml.add_space_prefix", True)
    if spaced:
        marks.insert(0, tokenizers.normalizers.Prepend(MARK))
    inner.normalizer = tokenizers.normalizers.Sequence(marks)
    inner.decoder = tokenizers.decoders.Sequence(
        [
            tokenizers.decoders.Replace(MARK, " "),
            tokenizers.decoders.ByteFallback(),
            tokenizers.decoders.Fuse(),
            *([tokenizers.decoders.Strip(" ", 1, 0)] if spaced else []),
        ]
    )
    return inner


def _merges(numbered: Mapping[str, int], scores: Mapping[str, float]) -> list[tuple[str, str]]:
    """Every way to join two pieces to one, the best pieces first."""
    Budget(MAX_MERGE_STEPS, "characters of long pieces", CheckpointError).spend(
        sum(len(word) ** 2 for word in numbered)
    )
    found = [
        (-scores[word], numbered[word], word[:cut], word[cut:])
        for word in numbered
        for cut in range(1, len(word))
        if word[:cut] in numbered and word[cut:] in numbered
    ]
    return [(left, right) for _, _, left, right in sorted(found)]


_KINDS: Mapping[str, Callable[[Any, Mapping[str, Any], list[str]], Any]] = {
    "gpt2": _byte_pairs,
    "llama": _sentence_pieces,
}


def _take_whole(tokenizers: Any, inner: Any, metadata: Mapping[str, Any], words: list[str]) -> None:
    """Adds the tokens that are not split and not merged from parts."""
    types = metadata.get("tokenizer.ggml.token_type") or []
    special = [word for word, type in zip(words, types, strict=False) if type == CONTROL]
    own = [word for word, type in zip(words, types, strict=False) if type == USER_DEFINED]
    inner.add_special_tokens([tokenizers.AddedToken(word, normalized=False, special=True) for word in special])
    inner.add_tokens([tokenizers.AddedToken(word, normalized=False, special=False) for word in own])


def _around(tokenizers: Any, before: Any, metadata: Mapping[str, Any], words: list[str]) -> Any:
    """The tokens around every text: those of beginning and end, where the metadata require them."""
    adds_first = metadata.get("tokenizer.ggml.add_bos_token", metadata["tokenizer.ggml.model"] == "llama")
    wanted = [("bos", adds_first), ("eos", metadata.get("tokenizer.ggml.add_eos_token", False))]
    ids = {each: metadata.get(f"tokenizer.ggml.{each}_token_id") for each, wants in wanted if wants}
    known = {each: words[id] for each, id in ids.items() if isinstance(id, int) and 0 <= id < len(words)}
    if not known:
        return before
    first, last = known.get("bos"), known.get("eos")
    single = [*([first] if first else []), "$A", *([last] if last else [])]
    pair = [*single, *([f"{first}:1"] if first else []), "$B:1", *([f"{last}:1"] if last else [])]
    template = tokenizers.processors.TemplateProcessing(
        single=single, pair=pair, special_tokens=[(word, ids[each]) for each, word in known.items()]
    )
    return tokenizers.processors.Sequence([before, template]) if before is not None else template
