"""The kernel for GPUs: which tensors it is chosen for, how it tells its progress, and that it compiles."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

import clearhead

from .cases import DEVICE
from .reference import EPS, rounding

RNG = np.random.default_rng(0)


def tensors(queries=35, keys=70, depth=6, dtype=torch.float32):
    """Query, key and value of small sizes, no two of one size."""
    shapes = ((4, queries, depth), (2, keys, depth), (2, keys, 3))
    return [torch.asarray(RNG.normal(size=shape), device=DEVICE).to(dtype) for shape in shapes]


@pytest.fixture
def gpu(monkeypatch):
    """Makes a tensor in main memory one of a GPU, as far as the choice of a kernel can tell."""
    monkeypatch.setattr("clearhead.inspection.choice._device", lambda _: "cuda")


@pytest.mark.parametrize(
    ("change", "kernel", "reason"),
    [
        ({}, "triton", "float32 tensors on a GPU"),
        ({"dtype": torch.bfloat16}, "triton", "float32 tensors on a GPU"),
        ({"dtype": torch.float64}, "plain", "The arrays are torch.float64"),
        ({"depth": 129}, "plain", "The heads are 129 deep, and the Triton kernel is for up to 128"),
        ({"top": 65}, "plain", "The Triton kernel reports up to 64 largest weights and bands"),
    ],
)
@pytest.mark.usefixtures("gpu")
def test_the_choice_on_a_gpu_is_explained(change, kernel, reason):
    """Triton's kernel takes float32 (and halves, in float32); the rest goes to array code, and the reason is told."""
    top = change.pop("top", 8)
    with np.errstate(all="ignore"):
        found = clearhead.inspect(*tensors(**change), top=top)
    assert (found.kernel, found.reason.startswith(reason)) == (kernel, True)


@pytest.mark.usefixtures("gpu")
def test_without_triton_the_answer_is_the_same(monkeypatch):
    """A missing package is no error: array code answers, and says what would make it faster."""
    arrays = tensors()
    with np.errstate(all="ignore"):
        there = clearhead.inspect(*arrays)
    monkeypatch.setattr("clearhead.inspection.choice.find_spec", lambda name: None if name == "triton" else 1)
    found = clearhead.inspect(*arrays)
    assert (there.kernel, found.kernel) == ("triton", "plain")
    assert "pip install 'clearhead[gpu]'" in found.reason
    torch.testing.assert_close(found.entropy, there.entropy)


@pytest.mark.usefixtures("gpu")
def test_progress_is_told_and_changes_nothing():
    """A pass that is split so that its progress can be told gives the same numbers; what is done grows to the whole."""
    arrays, states = tensors(queries=80), []
    with np.errstate(all="ignore"):
        whole = clearhead.inspect(*arrays, received=True, causal=True)
        found = clearhead.inspect(*arrays, received=True, causal=True, progress=lambda *state: states.append(state))
    assert torch.equal(found.output, whole.output)
    assert torch.equal(found.received.total, whole.received.total)
    assert [done for done, _ in states] == sorted({done for done, _ in states})
    assert {whole for _, whole in states} == {states[-1][0]}


@pytest.mark.usefixtures("gpu")
def test_a_spec_says_how_to_attend():
    """ALiBi, a cap, a window, and tensors whose heads lie token by token, as array code works them out in float64."""
    spec = clearhead.Attention(4, 2, scale=0.4, softcap=2.0, window=40, alibi=True, causal=True)
    query, key, value = (each.transpose(0, 1).contiguous().transpose(0, 1) for each in tensors())
    with np.errstate(all="ignore"):
        found = clearhead.inspect(query, key, value, spec=spec, bands=(5, 30))
    other = clearhead.inspect(query.double(), key.double(), value.double(), spec=spec, bands=(5, 30))
    assert (found.kernel, other.kernel) == ("triton", "plain")
    largest = 1 + 0.4 * float(query.norm(dim=-1).max() * key.norm(dim=-1).max())  # no score is larger
    near = EPS * rounding(key.shape[-2]) * largest
    for name in ("output", "entropy", "logsumexp", "top_weights", "sink", "bands"):
        torch.testing.assert_close(getattr(found, name).double(), getattr(other, name), rtol=near, atol=near)
    assert torch.equal(found.top_keys, other.top_keys)


COMPILE = '''
import subprocess, sys, tempfile
from pathlib import Path
import torch, triton
from triton.backends.compiler import GPUTarget
from clearhead import Attention
from clearhead.compiled.attention.triton_passes import attend, receive
from clearhead.compiled.attention.triton_tiles import OPTIONS
from clearhead.inspection import gpu
from clearhead.inspection.request import Wanted, request_of

class Pretended:
    """As much of a driver as compiling asks for."""
    get_current_target = staticmethod(lambda: GPUTarget("cuda", 80, 32))
    get_current_device = staticmethod(lambda: 0)
    get_current_stream = staticmethod(lambda device: 0)

triton.runtime.driver.set_active(Pretended)
arrays = [torch.zeros(4, 100, 128), torch.zeros(2, 130, 128), torch.zeros(2, 130, 128)]
masks = {"mask": torch.zeros(100, 130), "padding": torch.ones(130, dtype=bool)}
spec = Attention(4, 2, mask="additive", padding=True, causal=True, window=70, softcap=3.0, alibi=True)
request = request_of(arrays, masks, spec, {}, Wanted(8, True, (1, 16, 64)))
for run in (attend, receive):
    kernel = run.warmup(gpu._work(request), gpu._results(request), 0, gpu._how(request), grid=(1,), **OPTIONS)
    with tempfile.TemporaryDirectory() as folder:
        code = Path(folder, "kernel.ptx")
        code.write_text(kernel.asm["ptx"])
        ptxas = [triton.knobs.nvidia.ptxas.path, "-v", "--gpu-name=sm_80", code, "-o", code.with_suffix(".o")]
        printed = subprocess.run(ptxas, capture_output=True, text=True, check=True).stderr
    assert "0 bytes spill stores, 0 bytes spill loads" in printed, printed
    assert kernel.metadata.shared <= 48 * 1024, kernel.metadata.shared
'''


def test_both_passes_compile_for_a_gpu():
    """With every option at depth 128 Triton makes machine code of them that keeps its sums in registers (sm_80)."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    command = [sys.executable, "-W", "error::UserWarning", "-c", COMPILE]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
