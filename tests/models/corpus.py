"""Two thousand strings that a tokenizer may meet: words, code, numbers, white space, every script, and noise."""

from __future__ import annotations

import random
import unicodedata

WORDS = [
    "the", "of", "attention", "isn't", "naïve", "café", "Straße", "東京", "привет", "שלום", "مرحبا", "हिन्दी", "ไทย",
    "한국어", "ﬁne", "İstanbul", "ǅ", "e\u0301", "résumé",
]  # fmt: skip
CODE = [
    "def f(x):", "\treturn x**2  # why?", "if (a != b) {", "    }", "<|im_start|>", "</s>", "&amp;", "0x1F",
    "a_b", "->",
]  # fmt: skip
NUMBERS = ["1", "12", "1999", "3.14", "1,000,000", "1e-5", "٣٤", "½", "²", "Ⅷ", "\uff12\uff10"]
SPACES = [" ", "  ", "\t", "\n", "\r\n", "\n\n\n", "\u00a0", "\u3000", "\u200b", "\u2028", "   \n  "]
MARKS = [
    "'s", "'LL", "\u2019s", "...", "—", "«", "!!!", "@#$%", "😀", "👩‍👩‍👧", "🇫🇷", "\ufeff", "\x00", "\x7f", "[CLS]",
    "##ing", "▁", "Ġ",
]  # fmt: skip
GROUPS = (WORDS, CODE, NUMBERS, SPACES, MARKS)


def corpus(count: int = 2000, seed: int = 7) -> list[str]:
    """``count`` strings, the same ones each time."""
    draw = random.Random(seed)
    return [_one(draw) for _ in range(count)]


def _one(draw: random.Random) -> str:
    parts = []
    for _ in range(draw.randint(0, 14)):
        kind = draw.random()
        if kind < 0.6:
            parts.append(draw.choice(draw.choice(GROUPS)))
        elif kind < 0.75:
            parts.append(" " + draw.choice(WORDS))
        else:
            parts.append("".join(_character(draw) for _ in range(draw.randint(1, 5))))
    return "".join(parts)


def _character(draw: random.Random) -> str:
    """Any character of any plane that is no half of a pair."""
    while True:
        code = draw.choice((draw.randint(32, 126), draw.randint(128, 0x2FFF), draw.randint(0x3000, 0x10FFFF)))
        if unicodedata.category(chr(code)) != "Cs":
            return chr(code)
