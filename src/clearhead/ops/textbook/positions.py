"""Where tokens stand: positions added to embeddings, and rotations of queries and keys."""

from __future__ import annotations

from clearhead.expr import Expr, Formula, Size, call, formula, indices, same, where
from clearhead.expr.formula import Operand
from clearhead.ops import large
from clearhead.ops.numpy import numpy_namespace
from clearhead.ops.operation import Array, Namespace, counting, floats, operation

c, d, h, i, m = indices("c d h i m")


@operation(
    lambda base: formula(
        "i m -> i m",
        lambda x: where(
            same(m % 2, 0),
            call("sin", i / base ** (m / Size("m"))),
            call("cos", i / base ** ((m - 1) / Size("m"))),
        ),
    ),
    role="position",
)
def sinusoidal(xp: Namespace, x: Array, *, base: float) -> Array:
    """Sines and cosines of each token's position, for embeddings of this shape (Vaswani et al. 2017, section 3.5)."""
    tokens, width = x.shape[-2:]
    column = counting(xp, width, x)
    even = xp.astype(column - column % 2, x.dtype)
    angle = floats(xp, tokens, x)[:, None] / base ** (even / width)
    return xp.where(column % 2 == 0, xp.sin(angle), xp.cos(angle))


def _sinusoid(width: int, base: float) -> Formula:
    def body(position: Operand) -> Expr:
        sine, cosine = (call(name, position[i] / base ** (pair / width)) for name, pair in (("sin", m), ("cos", m - 1)))
        return where(same(m % 2, 0), sine, cosine)

    return formula("i -> i m", body, m=width)


@operation(_sinusoid, role="position")
def sinusoidal_at(xp: Namespace, position: Array, *, width: int, base: float) -> Array:
    """Sines and cosines of given positions, ``width`` numbers for each (Vaswani et al. 2017, section 3.5)."""
    column = counting(xp, width, position)
    even = xp.astype(column - column % 2, position.dtype)
    angle = position[..., None] / base ** (even / width)
    return xp.where(column % 2 == 0, xp.sin(angle), xp.cos(angle))


def _position_after(*before: Expr | float) -> Expr:
    position: Expr = i
    for term in before:
        position = position + term if term else position
    return position


@operation(lambda offset: formula("i d -> i", lambda x: _position_after(offset)), role="position")
def count(xp: Namespace, x: Array, *, offset: float) -> Array:
    """The position of each token, from an offset on."""
    return floats(xp, x.shape[-2], x) + offset


@operation(lambda offset: formula("i d, p c -> i", lambda x, past: _position_after(Size("p"), offset)), role="position")
def count_on(xp: Namespace, x: Array, past: Array, *, offset: float) -> Array:
    """The position of each token behind those of a cache."""
    return floats(xp, x.shape[-2], x) + (past.shape[-2] + offset)


def _angles(base: float, width: int | None) -> Formula:
    turned: Expr | int = Size("d") if width is None else width
    pairs = turned // 2
    return formula("i, h i d -> i c", lambda position, x: position[i] * base ** -(2 * c / turned), c=pairs)


@operation(_angles)
def rotary_angles(xp: Namespace, position: Array, x: Array, *, base: float, width: int | None) -> Array:
    """The angle by which each position turns each pair of features (Su et al. 2021, equation 15)."""
    turned = x.shape[-1] if width is None else width
    return position[..., None] * base ** (-2 * floats(xp, turned // 2, x) / turned)


def _frequencies(base: float, width: int | None) -> Formula:
    turned: Expr | int = Size("d") if width is None else width
    return formula("i d -> c", lambda x: base ** -(2 * c / turned), c=turned // 2)


@operation(_frequencies)
def rotary_frequencies(xp: Namespace, x: Array, *, base: float, width: int | None) -> Array:
    """The angle by which one position turns each pair of features (Su et al. 2021)."""
    turned = x.shape[-1] if width is None else width
    return base ** (-2 * floats(xp, turned // 2, x) / turned)


@operation(lambda: formula("i, c -> i c", lambda position, frequency: position[i] * frequency[c]))
def angles(xp: Namespace, position: Array, frequency: Array) -> Array:
    """The angle of each position for each frequency."""
    return position[..., None] * frequency[..., None, :]


@operation(lambda factor: formula("i -> i", lambda position: position[i] / factor), role="position")
def divide_positions(xp: Namespace, position: Array, *, factor: float) -> Array:
    """Positions divided by a number: linear interpolation to a longer context (Chen et al. 2023)."""
    return position / factor


@operation(
    lambda rate, context: formula("i -> i", lambda position: 1 + rate * call("log", 1 + position[i] // context)),
    role="position",
)
def log_growth(xp: Namespace, position: Array, *, rate: float, context: int) -> Array:
    """A factor that grows with the logarithm of how many contexts lie before a position (Llama 4, Ministral 3)."""
    return 1 + rate * xp.log(1 + xp.floor(position / context))


@operation(lambda: formula("h i d, i -> h i d", lambda x, by: x[h, i, d] * by[i]), role="position")
def grow(xp: Namespace, x: Array, by: Array) -> Array:
    """Each token of every head times a factor of its position."""
    return x * by[..., None, :, None]


@operation(lambda: formula("i c -> i c", lambda angle: call("cos", angle[i, c])))
def cos(xp: Namespace, angle: Array) -> Array:
    """The cosine of each angle."""
    return xp.cos(angle)


@operation(lambda: formula("i c -> i c", lambda angle: call("sin", angle[i, c])))
def sin(xp: Namespace, angle: Array) -> Array:
    """The sine of each angle."""
    return xp.sin(angle)


_REST = Size("d") - 2 * Size("c")
"""How many features are not rotated: never less than 0."""


def and_rest(xp: Namespace, turned: Array, x: Array) -> Array:
    """The rotated features, followed by the other features of ``x``, for every set of angles."""
    if turned.shape == x.shape:
        return turned
    rest = x[..., turned.shape[-1] :]
    return xp.concat([turned, xp.broadcast_to(rest, (*turned.shape[:-1], rest.shape[-1]))], axis=-1)


def _half() -> Formula:
    n = Size("c")
    return formula(
        "h i d, i c, i c -> h i d",
        lambda x, cos, sin: where(
            d < n,
            x[h, i, d] * cos[i, d] - x[h, i, d + n] * sin[i, d],
            where(
                d < 2 * n,
                x[h, i, d] * cos[i, d - n] + x[h, i, d - n] * sin[i, d - n],
                x[h, i, d],
            ),
        ),
        rest=_REST,
    )


@operation(_half, role="rotation")
def rotate_half(xp: Namespace, x: Array, cos: Array, sin: Array) -> Array:
    """Rotary positions, feature d paired with feature d + half (GPT-NeoX, Hugging Face); features beyond stay."""
    pairs = cos.shape[-1]
    first, second = x[..., :pairs], x[..., pairs : 2 * pairs]
    cos, sin = cos[..., None, :, :], sin[..., None, :, :]
    if xp is numpy_namespace and large.is_large(x) and x.shape[-1] == 2 * pairs and cos.ndim <= x.ndim:
        return large.rotated(first, second, cos, sin, x.shape)
    turned = xp.concat([first * cos - second * sin, second * cos + first * sin], axis=-1)
    return and_rest(xp, turned, x)


def _interleaved() -> Formula:
    return formula(
        "h i d, i c, i c -> h i d",
        lambda x, cos, sin: where(
            d < 2 * Size("c"),
            where(
                same(d % 2, 0),
                x[h, i, d] * cos[i, d // 2] - x[h, i, d + 1] * sin[i, d // 2],
                x[h, i, d] * cos[i, d // 2] + x[h, i, d - 1] * sin[i, d // 2],
            ),
            x[h, i, d],
        ),
        rest=_REST,
    )


@operation(_interleaved, role="rotation")
def rotate_interleaved(xp: Namespace, x: Array, cos: Array, sin: Array) -> Array:
    """Rotary positions, each even feature paired with the next (Su et al. 2021, GPT-J); features beyond stay."""
    pairs = cos.shape[-1]
    even, odd = x[..., 0 : 2 * pairs : 2], x[..., 1 : 2 * pairs : 2]
    cos, sin = cos[..., None, :, :], sin[..., None, :, :]
    turned = xp.stack([even * cos - odd * sin, odd * cos + even * sin], axis=-1)
    return and_rest(xp, xp.reshape(turned, (*turned.shape[:-2], 2 * pairs)), x)
