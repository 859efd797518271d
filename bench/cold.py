"""Whole processes that trace a short text, from nothing to the next token, against the same in Transformers."""

from __future__ import annotations

from bench.models import MINILM, SMOLLM
from bench.timing import compare, process

THEIRS = """
import sys, torch, transformers
from pathlib import Path
from bench.models import model_of
path = Path(sys.argv[1])
file = next(iter(path.glob("*.gguf")), None)
tokenizer = transformers.AutoTokenizer.from_pretrained(path, **({"gguf_file": file.name} if file else {}))
model = model_of(path, transformers, torch)
with torch.inference_mode():
    out = model(**tokenizer(sys.argv[2], return_tensors="pt"), output_hidden_states=True, output_attentions=True)
print(len(out.attentions))
"""


def run() -> None:
    """Prints the ratios; the aim is half."""
    text = "The capital of France is"
    for name, path in (("MiniLM", MINILM), ("SmolLM2-135M", SMOLLM)):
        ours = process("-m", "clearhead", "trace", str(path), text)
        ratio = compare(ours, process("-c", THEIRS, str(path), text), pairs=3, repeat=1)
        print(ratio.row(f"clearhead trace {name}, cold", "the same in Transformers", 1e3, "ms"))
