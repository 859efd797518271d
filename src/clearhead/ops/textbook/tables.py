"""What a model does around its blocks: rows of tables, tokens added in front or selected, lines that are replaced."""

from __future__ import annotations

from clearhead.expr import Expr, Size, call, formula, indices, lift, mean, same, total, where
from clearhead.expr.formula import Operand, broadcast
from clearhead.expr.nodes import Reduce
from clearhead.ops.numpy import numpy_namespace
from clearhead.ops.operation import Array, Namespace, counting, operation

d, h, i, j, m, p, t = indices("d h i j m p t")


@operation(lambda: formula("v m, i -> i m", lambda table, token: table[token[i], m]), role="table")
def look_up(xp: Namespace, table: Array, token: Array) -> Array:
    """The row of a table that each token's number names: its embedding."""
    if xp is numpy_namespace and table.ndim == 2:
        return table[token]
    width = table.shape[-1]
    rank = max(table.ndim, token.ndim + 1)
    table = xp.reshape(table, (1,) * (rank - table.ndim) + tuple(table.shape))
    token = xp.reshape(token, (1,) * (rank - 1 - token.ndim) + tuple(token.shape))
    rows = xp.broadcast_to(token[..., None], (*token.shape, width))
    return xp.take_along_axis(table, rows, axis=-2)


def _place(token: Operand, pad: int) -> Expr:
    before = total(t, where(t < i + 1, where(same(token[t], pad), 0, 1), 0))
    return where(same(token[i], pad), pad, pad + before)


@operation(
    lambda pad: formula("v m, i -> i m", lambda table, token: table[_place(token, pad), m], t=Size("i")), role="table"
)
def rows_of_real(xp: Namespace, table: Array, token: Array, *, pad: int) -> Array:
    """The rows of a table for positions that skip padding; the first is the row after that of padding (RoBERTa)."""
    real = xp.astype(token != pad, token.dtype)
    places = counting(xp, token.shape[-1], token)
    so_far = xp.sum(xp.where(places <= places[:, None], real[..., None, :], 0), axis=-1)
    return look_up.code(xp, table, so_far * real + pad)


@operation(lambda offset: formula("v m, i c -> i m", lambda table, x: table[i + offset, m]), role="table")
def first_rows(xp: Namespace, table: Array, x: Array, *, offset: int) -> Array:
    """The rows of a table for the first positions, from an offset on."""
    return table[..., offset : offset + x.shape[-2], :]


@operation(
    lambda offset: formula("v m, i c, p d -> i m", lambda table, x, past: table[i + Size("p") + offset, m]),
    role="table",
)
def next_rows(xp: Namespace, table: Array, x: Array, past: Array, *, offset: int) -> Array:
    """The rows of a table for the positions behind those of a cache."""
    start = past.shape[-2] + offset
    return table[..., start : start + x.shape[-2], :]


@operation(lambda: formula("m, j m -> i m", lambda first, x: where(same(i, 0), first[m], x[i - 1, m]), i=Size("j") + 1))
def prepend(xp: Namespace, first: Array, x: Array) -> Array:
    """One token put in front of the others: the class token of a ViT."""
    lead = broadcast([first.shape[:-1], x.shape[:-2]])
    first = xp.broadcast_to(first[..., None, :], (*lead, 1, x.shape[-1]))
    return xp.concat([first, xp.broadcast_to(x, (*lead, *x.shape[-2:]))], axis=-2)


def _inserted(x: Operand, rows: Operand) -> Expr:
    return where(i < 1, x[i, m], where(i < Size("p") + 1, rows[i - 1, m], x[i - Size("p"), m]))


@operation(lambda: formula("j m, p m -> i m", _inserted, i=Size("j") + Size("p")))
def insert_second(xp: Namespace, x: Array, rows: Array) -> Array:
    """Rows put between the first token and the others: the registers of a ViT (Darcet et al. 2024)."""
    lead = broadcast([rows.shape[:-2], x.shape[:-2]])
    parts = x[..., :1, :], rows, x[..., 1:, :]
    return xp.concat([xp.broadcast_to(each, (*lead, *each.shape[-2:])) for each in parts], axis=-2)


def _unmasked(token: Operand, mask: int) -> Expr:
    return call("max", total(t, where(same(token[t], mask), 0, 1)), 1)


@operation(
    lambda mask, keep: formula(
        "i m, i -> i m",
        lambda x, token: where(same(token[i], mask), 0, x[i, m] * keep * Size("i") / _unmasked(token, mask)),
        t=Size("i"),
    )
)
def drop_masked(xp: Namespace, x: Array, token: Array, *, mask: int, keep: float) -> Array:
    """Zeros for masked tokens, the others scaled as if a share of ``keep`` were none (ESM)."""
    there = xp.sum(xp.astype(token != mask, x.dtype), axis=-1)
    grown = keep * token.shape[-1] / xp.where(there < 1, 1.0, there)
    return xp.where((token == mask)[..., None], 0.0, x * grown[..., None, None])


@operation(lambda: formula("i m -> t m", lambda x: x[t, m], t=Size("i") // Size("i")))
def first_token(xp: Namespace, x: Array) -> Array:
    """The first token alone."""
    return x[..., :1, :]


@operation(lambda: formula("i m -> t m", lambda x: x[Size("i") - 1 + t, m], t=Size("i") // Size("i")))
def last_token(xp: Namespace, x: Array) -> Array:
    """The last token alone."""
    return x[..., -1:, :]


def _last(token: Operand, pad: int) -> Expr:
    return Reduce("max", ("j",), where(same(token[j], pad), 0, j))


@operation(
    lambda pad: formula(
        "i m, i -> t m", lambda x, token: x[_last(token, pad) + t, m], t=Size("i") // Size("i"), j=Size("i")
    )
)
def last_real_token(xp: Namespace, x: Array, token: Array, *, pad: int) -> Array:
    """The last token that is no padding, alone; the first where all are."""
    place = xp.max(xp.where(token == pad, 0, counting(xp, token.shape[-1], token)), axis=-1)
    return look_up.code(xp, x, place[..., None])


def _last_marked(token: Operand, mark: int) -> Expr:
    return Reduce("max", ("j",), where(same(token[j], mark), j, 0))


@operation(
    lambda mark: formula(
        "i m, i -> t m", lambda x, token: x[_last_marked(token, mark) + t, m], t=Size("i") // Size("i"), j=Size("i")
    )
)
def last_marked_token(xp: Namespace, x: Array, token: Array, *, mark: int) -> Array:
    """The last token whose number is ``mark``, alone; the first where there is none (BART's classifier)."""
    place = xp.max(xp.where(token == mark, counting(xp, token.shape[-1], token), 0), axis=-1)
    return look_up.code(xp, x, place[..., None])


@operation(
    lambda skip: formula("i m -> t m", lambda x: mean(j, x[j + skip, m]), t=Size("i") // Size("i"), j=Size("i") - skip)
)
def mean_token(xp: Namespace, x: Array, *, skip: int) -> Array:
    """The mean of all tokens, or of all behind the first few."""
    return xp.sum(x[..., skip:, :], axis=-2, keepdims=True) / (x.shape[-2] - skip)


def _mean_of_real(x: Operand, real: Operand) -> Expr:
    count = call("max", total(j, where(real[j], 1, 0)), 1)
    return total(j, where(real[j], x[j, m], 0)) / count


@operation(lambda: formula("i m, i -> t m", _mean_of_real, t=Size("i") // Size("i"), j=Size("i")))
def mean_real_token(xp: Namespace, x: Array, real: Array) -> Array:
    """The mean of the tokens that are no padding."""
    count = xp.sum(xp.astype(real, x.dtype), axis=-1)
    kept = xp.sum(xp.where(real[..., None], x, 0.0), axis=-2)
    return (kept / xp.where(count < 1, 1.0, count)[..., None])[..., None, :]


@operation(lambda number: formula("h i m -> i m", lambda x: x[lift(number), i, m]), role="table")
def pick(xp: Namespace, x: Array, *, number: int) -> Array:
    """One of several matrices, by its number from 0."""
    return x[..., number, :, :]


@operation(lambda: formula("i m, i m -> i m", lambda x, new: new[i, m]))
def instead(xp: Namespace, x: Array, new: Array) -> Array:
    """Given numbers in place of a line."""
    return new


@operation(lambda head: formula("h i m, i m -> h i m", lambda x, new: where(same(h, head), new[i, m], x[h, i, m])))
def instead_of_head(xp: Namespace, x: Array, new: Array, *, head: int) -> Array:
    """Given numbers in place of one head."""
    chosen = counting(xp, x.shape[-3], x)[:, None, None] == head
    return xp.where(chosen, new[..., None, :, :], x)
