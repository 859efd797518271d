"""Other ways to treat heads: split, repeated, joined in another order."""

from __future__ import annotations

from clearhead.expr import Expr, Formula, Size, formula, indices, lift, mean, same, total, where
from clearhead.expr.formula import Operand, broadcast
from clearhead.ops.operation import Array, Namespace, operation

c, d, g, h, i, j, k, m = indices("c d g h i j k m")


@operation(lambda: formula("i m -> i m", lambda x: x[i, m]))
def unchanged(xp: Namespace, x: Array) -> Array:
    """The same numbers: the step was left out."""
    return x


@operation(lambda: formula("i m -> m i", lambda x: x[i, m]))
def transposed(xp: Namespace, x: Array) -> Array:
    """Rows as columns and columns as rows."""
    return xp.matrix_transpose(x)


@operation(
    lambda: formula("j i, j d -> i d", lambda weights, values: total(j, weights[j, i] * values[j, d])),
    role="weighted-sum",
)
def weighted_sum_transposed(xp: Namespace, weights: Array, values: Array) -> Array:
    """The sum of the value rows by the columns of the weights, where the rows are meant."""
    return xp.matmul(xp.matrix_transpose(weights), values)


def _project_transposed() -> Formula:
    row = h * Size("d") + d
    return formula(
        "i m, h m d -> h i d",
        lambda x, w: total(m, x[i, m] * w[m // Size("d"), row, m % Size("d")]),
        wide=Size("m") - Size("h") * Size("d"),
        narrow=Size("h") * Size("d") - Size("m"),
    )


@operation(_project_transposed, role="product")
def project_transposed(xp: Namespace, x: Array, w: Array) -> Array:
    """The product of the tokens with the transpose of all heads' weights side by side, a square matrix."""
    heads, model, depth = w.shape[-3:]
    square = xp.reshape(swap_heads.code(xp, w), (*w.shape[:-3], model, heads * depth))
    full = xp.matmul(x, xp.matrix_transpose(square))
    return swap_heads.code(xp, xp.reshape(full, (*full.shape[:-1], heads, depth)))


@operation(lambda: formula("h i d -> i h d", lambda x: x[h, i, d]))
def swap_heads(xp: Namespace, x: Array) -> Array:
    """The axes of heads and tokens exchanged."""
    *lead, heads, tokens, depth = range(x.ndim)
    return xp.permute_dims(x, (*lead, tokens, heads, depth))


@operation(lambda: formula("h i d -> h i d", lambda x: x[lift(0), i, d]))
def first_head(xp: Namespace, x: Array) -> Array:
    """The first head in place of every head."""
    return xp.broadcast_to(x[..., :1, :, :], x.shape)


def _split_by_reshape() -> Formula:
    row = h * Size("i") + i
    return formula("h i d -> h i d", lambda x: x[row % Size("h"), row // Size("h"), d])


@operation(_split_by_reshape)
def split_by_reshape(xp: Namespace, x: Array) -> Array:
    """Heads as a bare reshape of (token, head*depth) to (head, token, depth) cuts them: each a block of tokens."""
    return xp.reshape(swap_heads.code(xp, x), x.shape)


def _split_interleaved() -> Formula:
    column = d * Size("h") + h
    return formula("h i d -> h i d", lambda x: x[column // Size("d"), i, column % Size("d")])


@operation(_split_interleaved)
def split_interleaved(xp: Namespace, x: Array) -> Array:
    """Heads that result if neighbouring columns are taken to belong to different heads."""
    *lead, heads, tokens, depth = x.shape
    columns = xp.reshape(swap_heads.code(xp, x), (*lead, tokens, depth, heads))
    count = len(lead)
    return xp.permute_dims(columns, (*range(count), count + 2, count, count + 1))


def _concat_by_reshape() -> Formula:
    cell = i * (Size("h") * Size("d")) + c
    n = Size("i") * Size("d")
    return formula(
        "h i d -> i c",
        lambda x: x[cell // n, (cell // Size("d")) % Size("i"), cell % Size("d")],
        c=Size("h") * Size("d"),
    )


@operation(_concat_by_reshape)
def concat_by_reshape(xp: Namespace, x: Array) -> Array:
    """The heads as a bare reshape of (head, token, depth) to (token, head*depth) joins them: each row mixes tokens."""
    *lead, heads, tokens, depth = x.shape
    return xp.reshape(x, (*lead, tokens, heads * depth))


@operation(
    lambda: formula("h i d -> i c", lambda x: x[c % Size("h"), i, c // Size("h")], c=Size("h") * Size("d")),
)
def concat_interleaved(xp: Namespace, x: Array) -> Array:
    """The first column of every head, then the second of every head, and so on."""
    *lead, heads, tokens, depth = x.shape
    count = len(lead)
    columns = xp.permute_dims(x, (*range(count), count + 1, count + 2, count))
    return xp.reshape(columns, (*lead, tokens, heads * depth))


@operation(lambda: formula("h i d -> i d", lambda x: total(h, x[h, i, d])))
def sum_heads(xp: Namespace, x: Array) -> Array:
    """The sum of the heads of each token."""
    return xp.sum(x, axis=-3)


@operation(lambda: formula("h i d -> i d", lambda x: mean(h, x[h, i, d])))
def average_heads(xp: Namespace, x: Array) -> Array:
    """The mean of the heads of each token."""
    return xp.sum(x, axis=-3) / x.shape[-3]


@operation(lambda: formula("h i j -> h i j", lambda w: mean(k, w[k, i, j]), k=Size("h")))
def average_weights(xp: Namespace, w: Array) -> Array:
    """The mean of all heads' weights in place of each head's weights."""
    return xp.broadcast_to(xp.sum(w, axis=-3, keepdims=True) / w.shape[-3], w.shape)


@operation(
    lambda times: formula("g j d -> h j d", lambda x: x[h % Size("g"), j, d], h=Size("g") * times), role="repeat"
)
def tile(xp: Namespace, x: Array, *, times: int) -> Array:
    """All key/value heads one after the other, repeated: 1 2 1 2, not 1 1 2 2."""
    return xp.concat([x] * times, axis=-3)


def _repeat_tokens(times: int) -> Formula:
    return formula(
        "g j d -> h j d",
        lambda x: x[h % Size("g"), (j * times + h // Size("g")) % Size("j"), d],
        h=Size("g") * times,
    )


@operation(_repeat_tokens, role="repeat")
def repeat_tokens(xp: Namespace, x: Array, *, times: int) -> Array:
    """The tokens of the key/value heads repeated where the heads are meant, and all cut into heads again."""
    *lead, groups, tokens, depth = x.shape
    repeated = xp.concat([swap_heads.code(xp, x)] * times, axis=-3)
    return swap_heads.code(xp, xp.reshape(repeated, (*lead, tokens, groups * times, depth)))


def _one_of_three(which: Expr, head: Expr, roles: tuple[Operand, ...]) -> Expr:
    q, k, v = (x[head, i, d] for x in roles)
    return where(same(which, 0), q, where(same(which, 1), k, v))


def _fused_as_blocks(part: int) -> Formula:
    block = h + part * Size("h")
    return formula("h i d, h i d, h i d -> h i d", lambda q, k, v: _one_of_three(block % 3, block // 3, (q, k, v)))


@operation(_fused_as_blocks)
def fused_as_blocks(xp: Namespace, q: Array, k: Array, v: Array, *, part: int) -> Array:
    """The part (0, 1, 2) that reading [Q | K | V] finds in a fused projection stored head by head, [q k v | q k v]."""
    heads = q.shape[-3]
    stored = xp.stack(_alike(xp, q, k, v), axis=-3)
    stored = xp.reshape(stored, (*stored.shape[:-4], 3 * heads, *stored.shape[-2:]))
    return stored[..., part * heads : (part + 1) * heads, :, :]


def _fused_by_head(part: int) -> Formula:
    block = 3 * h + part
    n = Size("h")
    return formula("h i d, h i d, h i d -> h i d", lambda q, k, v: _one_of_three(block // n, block % n, (q, k, v)))


@operation(_fused_by_head)
def fused_by_head(xp: Namespace, q: Array, k: Array, v: Array, *, part: int) -> Array:
    """The part (0, 1, 2) that reading head by head, [q k v | q k v], finds in a fused projection stored [Q | K | V]."""
    heads = q.shape[-3]
    stored = xp.concat(_alike(xp, q, k, v), axis=-3)
    stored = xp.reshape(stored, (*stored.shape[:-3], heads, 3, *stored.shape[-2:]))
    return stored[..., part, :, :]


def _alike(xp: Namespace, *parts: Array) -> list[Array]:
    lead = broadcast([part.shape[:-3] for part in parts])
    return [xp.broadcast_to(part, (*lead, *part.shape[-3:])) for part in parts]
