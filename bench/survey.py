"""A checkpoint inspected: time and peak memory as the text grows, beside what storing the weights would take.

The aim: memory beyond the loaded model grows no faster than the tokens. Each length runs in a process of its own, on a
long text (the LICENSE over and over) read by SmolLM2-135M, all layers, with what each token receives; memory is the
peak less what the process holds when the model is loaded and the kernel compiled.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from bench.models import SMOLLM

LICENSE = Path(__file__).parents[1] / "LICENSE"
TOKENS = (1024, 2048, 4096, 8192)


def run() -> None:
    """Prints a line for each length."""
    for count in TOKENS:
        program = f"import json; from bench.survey import measured; print(json.dumps(measured({count})))"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        print(
            f"  {count:>6,} tokens: {found['seconds']:6.1f} s ({found['processor']:6.1f} s of processor time)   "
            f"peak + {found['beyond'] / 1e6:5.0f} MB, kept {found['kept'] / 1e6:4.0f} MB   "
            f"weights would be {found['weights'] / 1e9:5.1f} GB, of one layer {found['layer'] / 1e9:4.2f} GB"
        )


def measured(count: int) -> dict[str, float]:
    """Seconds and bytes of one inspection, in this process."""
    from clearhead import load

    model = load(SMOLLM)
    ids = model.tokenizer.encode(LICENSE.read_text("utf-8")).ids
    ids = (ids * (1 + count // len(ids)))[:count]
    model.inspect(ids[:64])
    before, start, processor = _memory("VmRSS"), time.perf_counter(), time.process_time()
    survey = model.inspect(ids)
    heads, layers = model.sizes.heads, model.sizes.layers
    layer = 4 * heads * count * count
    return {
        "seconds": time.perf_counter() - start,
        "processor": time.process_time() - processor,
        "beyond": _memory("VmHWM") - before,
        "kept": sum(getattr(each, name).nbytes for each in survey.layers.values() for name in each.__struct_fields__),
        "layer": layer,
        "weights": layer * layers,
    }


def _memory(name: str) -> int:
    """Bytes that the system counts for this process: held now (VmRSS), or at the most (VmHWM)."""
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)
