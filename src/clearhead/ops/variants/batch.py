"""Other ways to use the axis of a batch: taken for tokens, or for heads."""

from __future__ import annotations

from clearhead.expr import Expr, Formula, Size, formula, indices, where
from clearhead.ops.operation import Array, Namespace, operation
from clearhead.ops.textbook.scores import MASKED

b, c, d, h, i, j = indices("b c d h i j")


@operation(lambda: formula("b h i d -> i h b d", lambda x: x[b, h, i, d]))
def swap_batch(xp: Namespace, x: Array) -> Array:
    """The axes of the batch and of the tokens exchanged."""
    *lead, batch, heads, tokens, depth = range(x.ndim)
    return xp.permute_dims(x, (*lead, tokens, heads, batch, depth))


def _batch_as_heads() -> Formula:
    place = b * Size("h") + h
    return formula("b h i d -> b h i d", lambda x: x[place % Size("b"), place // Size("b"), i, d])


@operation(_batch_as_heads)
def batch_as_heads(xp: Namespace, x: Array) -> Array:
    """Heads of the batch, stored head by head, (head*batch), and read example by example, (batch*head)."""
    *lead, batch, heads, tokens, depth = range(x.ndim)
    by_head = xp.permute_dims(x, (*lead, heads, batch, tokens, depth))
    return xp.reshape(by_head, x.shape)


def _tiled(real: Expr, s: Expr) -> Expr:
    return where(real, s, MASKED)


@operation(
    lambda: formula(
        "b h i j, b j -> b h i j", lambda s, real: _tiled(real[(b * Size("h") + h) % Size("b"), j], s[b, h, i, j])
    ),
    role="mask",
)
def mask_padding_tiled(xp: Namespace, s: Array, real: Array) -> Array:
    """The scores of real keys, with the rows of padding repeated as 1 2 1 2 instead of 1 1 2 2 (head by head)."""
    batch, heads, _, keys = s.shape[-4:]
    tiled = xp.reshape(xp.concat([real] * heads, axis=-2), (*real.shape[:-2], batch, heads, 1, keys))
    return xp.where(tiled, s, MASKED)


@operation(
    lambda: formula(
        "b h i j, b j -> b h i j", lambda s, real: _tiled(real[(h * Size("b") + b) // Size("h"), j], s[b, h, i, j])
    ),
    role="mask",
)
def mask_padding_repeated(xp: Namespace, s: Array, real: Array) -> Array:
    """The scores of real keys, of heads stored before the batch, with the rows of padding as 1 1 2 2, not 1 2 1 2."""
    batch, heads, _, keys = s.shape[-4:]
    place = [(head * batch + example) // heads for example in range(batch) for head in range(heads)]
    repeated = xp.stack([real[..., each, :] for each in place], axis=-2)
    return xp.where(xp.reshape(repeated, (*real.shape[:-2], batch, heads, 1, keys)), s, MASKED)


def _concat_of_exchanged() -> Formula:
    place = (b * Size("i") + i) * Size("h") + c // Size("d")
    whole = Size("i") * Size("b")
    return formula(
        "b h i d -> b i c",
        lambda x: x[place % Size("b"), place // whole, place // Size("b") % Size("i"), c % Size("d")],
        c=Size("h") * Size("d"),
    )


@operation(_concat_of_exchanged)
def concat_of_exchanged(xp: Namespace, x: Array) -> Array:
    """The heads (head, batch, token, depth) joined as if they were (batch, head, token, depth)."""
    *lead, batch, heads, tokens, depth = range(x.ndim)
    shape = (*x.shape[:-4], x.shape[batch], x.shape[tokens], x.shape[heads] * x.shape[depth])
    return xp.reshape(xp.permute_dims(x, (*lead, heads, tokens, batch, depth)), shape)


@operation(lambda: formula("h i j, h j -> h i j", lambda s, real: _tiled(real[h, j], s[h, i, j])), role="mask")
def mask_padding_by_head(xp: Namespace, s: Array, real: Array) -> Array:
    """The scores of real keys, where each row of padding is used for a head instead of an example."""
    return xp.where(real[..., None, :], s, MASKED)
