"""Right gradients with PyTorch and JAX: rules of one's own, and what the libraries differentiate themselves."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import torch
from tests.check.gradients.reported import IGNORING, LAYER, RMS, SCALARS, norms
from tests.check.gradients.right import Right
from tests.check.gradients.right_attention import CAP, WINDOW
from tests.check.gradients.right_layers import GATES, LOGITS, SMOOTHING, mlp_of, of_loss
from torch.autograd.function import once_differentiable
from torch.nn import functional

from clearhead import Attention, Block, Mlp, autograd

EPS = 1e-5
_torch, _jax = partial(autograd, library="torch"), partial(autograd, library="jax")


class Attend(torch.autograd.Function):
    """Attention that keeps its weights."""

    @staticmethod
    def forward(ctx, q, k, v):
        p = (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1)
        ctx.save_for_backward(q, k, v, p)
        return p @ v

    @staticmethod
    @once_differentiable
    def backward(ctx, do):
        q, k, v, p = ctx.saved_tensors
        ds = torch._softmax_backward_data(do @ v.mT, p, -1, q.dtype) / math.sqrt(q.shape[-1])
        return ds @ k, ds.mT @ q, p.mT @ do


def lower(s):
    n, m = s.shape[-2:]
    return torch.ones(n, m, dtype=torch.bool).tril(m - n)


class Flash(torch.autograd.Function):
    """Causal attention that keeps the logsumexp, and computes the weights of each block of keys again."""

    @staticmethod
    def forward(ctx, q, k, v):
        s = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(~lower(q @ k.mT), -torch.inf)
        lse = s.logsumexp(-1, keepdim=True)
        out = (s - lse).exp() @ v
        ctx.save_for_backward(q, k, v, out, lse)
        return out

    @staticmethod
    def backward(ctx, do):
        q, k, v, out, lse = ctx.saved_tensors
        delta, scale = (do * out).sum(-1, keepdim=True), 1 / math.sqrt(q.shape[-1])
        seen, dq, dks, dvs = lower(q @ k.mT), torch.zeros_like(q), [], []
        for keys, values, part in zip(k.split(2, -2), v.split(2, -2), seen.split(2, -1), strict=True):
            p = (q @ keys.mT * scale - lse).exp().masked_fill(~part, 0)
            ds = p * (do @ values.mT - delta) * scale
            dq += ds @ keys
            dks.append(ds.mT @ q)
            dvs.append(p.mT @ do)
        return dq, torch.cat(dks, -2), torch.cat(dvs, -2)


class Capped(torch.autograd.Function):
    """Causal attention with a soft-cap."""

    @staticmethod
    def forward(ctx, q, k, v):
        bent = (q @ k.mT / math.sqrt(q.shape[-1]) / CAP).tanh()
        p = (CAP * bent).masked_fill(~lower(bent), -torch.inf).softmax(-1)
        ctx.save_for_backward(q, k, v, p, bent)
        return p @ v

    @staticmethod
    def backward(ctx, do):
        q, k, v, p, bent = ctx.saved_tensors
        dp = do @ v.mT
        ds = p * (dp - (p * dp).sum(-1, keepdim=True)) * (1 - bent.square()) / math.sqrt(q.shape[-1])
        return ds @ k, ds.mT @ q, p.mT @ do


class LayerNorm(torch.autograd.Function):
    """Layer norm that keeps its mean and 1/std."""

    @staticmethod
    def forward(ctx, x, gain, bias):
        mean, inverse = x.mean(-1, keepdim=True), (x.var(-1, correction=0, keepdim=True) + EPS).rsqrt()
        ctx.save_for_backward(x, gain, mean, inverse)
        return (x - mean) * inverse * gain + bias

    @staticmethod
    def backward(ctx, dy):
        x, gain, mean, inverse = ctx.saved_tensors
        y, d = (x - mean) * inverse, dy * gain
        dx = inverse * (d - d.mean(-1, keepdim=True) - y * (d * y).mean(-1, keepdim=True))
        return dx, (dy * y).flatten(0, -2).sum(0), dy.flatten(0, -2).sum(0)


class RmsNorm(torch.autograd.Function):
    """RMS norm in single precision inside, whatever it is called with."""

    @staticmethod
    def forward(ctx, x, gain):
        inverse = (x.float().square().mean(-1, keepdim=True) + EPS).rsqrt()
        ctx.save_for_backward(x, gain, inverse)
        return (x.float() * inverse * gain.float()).to(x.dtype)

    @staticmethod
    def backward(ctx, dy):
        x, gain, inverse = ctx.saved_tensors
        y, d = x.float() * inverse, dy.float() * gain.float()
        dx = inverse * (d - y * (d * y).mean(-1, keepdim=True))
        return dx.to(x.dtype), (dy.float() * y).flatten(0, -2).sum(0).to(gain.dtype)


class SwiGlu(torch.autograd.Function):
    """A gated activation that keeps its two inputs, and computes the logistic function again."""

    @staticmethod
    def forward(ctx, gate, up):
        ctx.save_for_backward(gate, up)
        return functional.silu(gate) * up

    @staticmethod
    def backward(ctx, dy):
        gate, up = ctx.saved_tensors
        s = gate.sigmoid()
        return dy * up * (s + gate * s * (1 - s)), dy * functional.silu(gate)


class CrossEntropy(torch.autograd.Function):
    """Losses of tokens whose gradient is made in the forward pass, and only multiplied in the backward pass."""

    @staticmethod
    def forward(ctx, logits, target):
        logs = logits.log_softmax(-1)
        ctx.save_for_backward(logs.exp().scatter_add(-1, target[..., None], -torch.ones_like(logits)))
        return -logs.gather(-1, target[..., None])[..., 0]

    @staticmethod
    def backward(ctx, up):
        return ctx.saved_tensors[0] * up[..., None], None


def dense(q, k, v):
    """Half precision inside."""
    return functional.scaled_dot_product_attention(q.bfloat16(), k.bfloat16(), v.bfloat16())


def grouped(q, k, v):
    n, m = q.shape[-2], k.shape[-2]
    seen = torch.ones(n, m, dtype=torch.bool).tril(m - n)
    return functional.scaled_dot_product_attention(q, k, v, attn_mask=seen, enable_gqa=True)


def online(q, k, v):
    """The running maximum and sum of FlashAttention, through which PyTorch differentiates."""
    top = torch.full((*q.shape[:-1], 1), -torch.inf, dtype=q.dtype)
    total, out = torch.zeros_like(top), torch.zeros(*q.shape[:-1], v.shape[-1], dtype=q.dtype)
    for keys, values in zip(k.split(2, -2), v.split(2, -2), strict=True):
        s = q @ keys.mT / math.sqrt(q.shape[-1])
        new = torch.maximum(top, s.amax(-1, keepdim=True))
        shrink, e = (top - new).exp(), (s - new).exp()
        total, out, top = total * shrink + e.sum(-1, keepdim=True), out * shrink + e @ values, new
    return out / total


def losses(logits, target, **options):
    flat = functional.cross_entropy(logits.flatten(0, -2), target.flatten(), reduction="none", **options)
    return flat.reshape(target.shape)


def smoothed_mean(logits, target):
    return losses(logits, target, ignore_index=1, label_smoothing=SMOOTHING).sum(-1) / (target != 1).sum(-1)


# JAX


def jax_lower(s):
    n, m = s.shape[-2:]
    return jnp.tri(n, m, m - n, dtype=bool)


@jax.custom_vjp
def attend(q, k, v):
    return _attend_forward(q, k, v)[0]


def _attend_forward(q, k, v):
    s = jnp.einsum("...qd,...kd->...qk", q, k) / math.sqrt(q.shape[-1])
    p = jax.nn.softmax(jnp.where(jax_lower(s), s, -jnp.inf))
    return p @ v, (q, k, v, p)


def _attend_backward(kept, do):
    q, k, v, p = kept
    dp = jnp.einsum("...qd,...kd->...qk", do, v)
    ds = p * (dp - jnp.sum(dp * p, -1, keepdims=True)) / math.sqrt(q.shape[-1])
    return ds @ k, jnp.einsum("...qk,...qd->...kd", ds, q), jnp.einsum("...qk,...qd->...kd", p, do)


attend.defvjp(_attend_forward, _attend_backward)


@jax.custom_vjp
def rms(x, gain):
    return _rms_forward(x, gain)[0]


def _rms_forward(x, gain):
    inverse = jax.lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + EPS)
    return x * inverse * gain, (x * inverse, inverse, gain)


def _rms_backward(kept, dy):
    y, inverse, gain = kept
    d = dy * gain
    return inverse * (d - y * jnp.mean(d * y, -1, keepdims=True)), jnp.sum((dy * y).reshape(-1, y.shape[-1]), 0)


rms.defvjp(_rms_forward, _rms_backward)


@jax.custom_vjp
def squared_relu(x, up, down):
    return jnp.square(jax.nn.relu(x @ up)) @ down


def _squared_forward(x, up, down):
    h = jax.nn.relu(x @ up)
    return h * h @ down, (x, up, down, h)


def _squared_backward(kept, dy):
    x, up, down, h = kept
    dh = dy @ down.T * 2 * h
    x, wide, squares, grad = (a.reshape(-1, a.shape[-1]) for a in (x, dh, h * h, dy))
    return dh @ up.T, x.T @ wide, squares.T @ grad


squared_relu.defvjp(_squared_forward, _squared_backward)


def jax_losses(logits, target):
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), target[..., None], -1)[..., 0]


@jax.jit
def scanned(q, k, v):
    """One key after another, with a running maximum and sum, in a loop that JAX differentiates."""

    def step(carry, at):
        top, total, out = carry
        key, value = at
        s = jnp.sum(q * key[..., None, :], -1, keepdims=True) / math.sqrt(q.shape[-1])
        new = jnp.maximum(top, s)
        shrink, e = jnp.exp(top - new), jnp.exp(s - new)
        return (new, total * shrink + e, out * shrink + e * value[..., None, :]), None

    start = jnp.full((*q.shape[:-1], 1), -1e9, q.dtype)
    zeros = jnp.zeros_like(start), jnp.zeros((*q.shape[:-1], v.shape[-1]), q.dtype)
    rows = tuple(jnp.moveaxis(a, -2, 0) for a in (k, v))
    (_, total, out), _ = jax.lax.scan(step, (start, *zeros), rows)
    return out / total


@jax.checkpoint
def again(q, k, v):
    """What is kept of the forward pass is nothing: JAX computes it again."""
    return jax.nn.softmax(q @ jnp.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1])) @ v


def windowed(q, k, v):
    s = q @ jnp.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1])
    n, m = s.shape[-2:]
    distance = jnp.arange(n)[:, None] + m - n - jnp.arange(m)
    return jax.nn.softmax(s, where=(distance >= 0) & (distance < WINDOW)) @ v


def jax_norm(x, gain, bias):
    return jax.nn.standardize(x, epsilon=EPS) * gain + bias


TWO, CAUSAL = Attention(2).working(), Attention(2, causal=True).working()
GATED = Block(Attention(1), mlp=Mlp("silu", gated=True)).working()


def mlp(name, function):
    """An MLP that a library differentiates, beside the working of one in NumPy."""
    right = mlp_of(name)
    return Right(right.working, function, None, right.takes, right.returns)


LIBRARIES = {
    "torch: weights kept": Right(TWO, Attend),
    "torch: logsumexp kept": Right(CAUSAL, Flash),
    "torch: soft-cap": Right(Attention(2, causal=True, softcap=CAP).working(), Capped),
    "torch: layer norm": Right(norms("layer"), LayerNorm, None, LAYER, "attention.norm"),
    "torch: RMS norm in float32": Right(norms("rms"), RmsNorm, None, RMS, "attention.norm"),
    "torch: SwiGLU": Right(GATED, SwiGlu, None, GATES, "mlp.gated"),
    "torch: losses": Right(SCALARS, CrossEntropy, None, LOGITS, "loss.token"),
    "torch: library's attention": Right(TWO, _torch(functional.scaled_dot_product_attention)),
    "torch: attention in bfloat16": Right(TWO, _torch(dense)),
    "torch: groups": Right(Attention(4, kv_heads=2, causal=True).working(), _torch(grouped)),
    "torch: online softmax": Right(TWO, _torch(online)),
    "torch: library's layer norm": Right(norms("layer"), _torch(
        lambda x, gain, bias: functional.layer_norm(x, x.shape[-1:], gain, bias, EPS)), None, LAYER, "attention.norm"),
    "torch: library's RMS norm": Right(norms("rms"), _torch(
        lambda x, gain: functional.rms_norm(x, x.shape[-1:], gain, EPS)), None, RMS, "attention.norm"),
    "torch: library's losses": Right(SCALARS, _torch(losses), None, LOGITS, "loss.token"),
    "torch: ignored targets": Right(IGNORING, _torch(partial(losses, ignore_index=1)), None, LOGITS, "loss.token"),
    "torch: smoothing, ignored targets, mean": Right(
        of_loss(smoothing=SMOOTHING, ignored=1), _torch(smoothed_mean), None, LOGITS, "loss"),
    "torch: GELU": mlp("gelu", _torch(lambda x, up, down: functional.gelu(x @ up) @ down)),
    "torch: GELU by tanh": mlp("gelu-tanh", _torch(
        lambda x, up, down: functional.gelu(x @ up, approximate="tanh") @ down)),
    "jax: weights kept": Right(CAUSAL, attend),
    "jax: RMS norm": Right(norms("rms"), rms, None, RMS, "attention.norm"),
    "jax: squared ReLU": mlp("relu-squared", squared_relu),
    "jax: losses": Right(SCALARS, _jax(jax_losses), None, LOGITS, "loss.token"),
    "jax: scan over keys": Right(TWO, _jax(scanned)),
    "jax: checkpoint": Right(TWO, _jax(again)),
    "jax: window": Right(Attention(2, causal=True, window=WINDOW).working(), _jax(windowed)),
    "jax: standardize": Right(norms("layer"), _jax(jax_norm), None, LAYER, "attention.norm"),
    "jax: SwiGLU": Right(GATED, _jax(lambda gate, up: jax.nn.silu(gate) * up), None, GATES, "mlp.gated"),
}  # fmt: skip
"""Gradients by PyTorch and JAX, by what they do."""
