"""The table of families. To add one, copy the nearest and read `clearhead.models.family.Family`."""

from __future__ import annotations

from clearhead.models.families.bert import BERT, ROBERTA
from clearhead.models.families.gemma import GEMMA, GEMMA2, GEMMA3
from clearhead.models.families.gguf import GGUF_LLAMA, GGUF_QWEN2, GGUF_QWEN3
from clearhead.models.families.gpt import GPT2, NEOX
from clearhead.models.families.llama import LLAMA, MINISTRAL, MISTRAL, PHI3, QWEN2, QWEN3
from clearhead.models.families.vit import VIT
from clearhead.models.family import Family

FAMILIES: tuple[Family, ...] = (
    BERT, ROBERTA, GPT2, NEOX, LLAMA, MISTRAL, MINISTRAL, QWEN2, QWEN3, GEMMA, GEMMA2, GEMMA3, PHI3, VIT, GGUF_LLAMA,
    GGUF_QWEN2, GGUF_QWEN3,
)  # fmt: skip
"""All families that are known."""
