"""Other ways to use positions: sinusoids, rotations, and slopes over distance."""

from __future__ import annotations

from collections.abc import Callable

from clearhead.expr import Expr, Formula, Size, call, formula, indices, lift, same, where
from clearhead.expr.formula import Operand
from clearhead.ops.operation import Array, Namespace, counting, floats, operation
from clearhead.ops.textbook import disentangled
from clearhead.ops.textbook.positions import and_rest
from clearhead.ops.textbook.scores import POSITION, for_heads

c, d, h, i, j, m = indices("c d h i j m")


@operation(lambda: formula("i m -> i m", lambda x: x[i, m] * call("sqrt", Size("m"))))
def scale_by_root_width(xp: Namespace, x: Array) -> Array:
    """Each number times the square root of how many a token has (Vaswani et al. 2017, section 3.4)."""
    return x * float(x.shape[-1]) ** 0.5


def _sinusoid(angle: Callable[[float, float], Expr], is_sine: Expr) -> Callable[[float, float], Formula]:
    """The formula of sinusoids whose angle is ``angle(base, offset)``."""

    def stated(base: float, offset: float) -> Formula:
        value = angle(base, offset)
        return formula("i m -> i m", lambda x: where(is_sine, call("sin", value), call("cos", value)))

    return stated


def _alternating(xp: Namespace, x: Array, angle: Array) -> Array:
    """The sine of the angles in even columns, the cosine in odd ones."""
    return xp.where(counting(xp, x.shape[-1], x) % 2 == 0, xp.sin(angle), xp.cos(angle))


def _token_and_column(xp: Namespace, x: Array, offset: float) -> tuple[Array, Array]:
    return floats(xp, x.shape[-2], x)[:, None] + offset, floats(xp, x.shape[-1], x)


EVEN = same(m % 2, 0)


def _from(offset: float) -> Expr:
    return i + offset if offset else i


@operation(_sinusoid(lambda base, offset: _from(offset) / base ** ((m - m % 2) / Size("m")), EVEN), role="position")
def sinusoidal_shifted(xp: Namespace, x: Array, *, base: float, offset: float) -> Array:
    """Sines and cosines of positions that are counted from an offset."""
    token, column = _token_and_column(xp, x, offset)
    return _alternating(xp, x, token / base ** ((column - column % 2) / x.shape[-1]))


HALF = (Size("m") + 1) // 2


@operation(
    _sinusoid(lambda base, offset: _from(offset) / base ** (2 * (m % HALF) / Size("m")), m < HALF),
    role="position",
)
def sinusoidal_concatenated(xp: Namespace, x: Array, *, base: float, offset: float) -> Array:
    """All sines first, all cosines behind them."""
    token, column = _token_and_column(xp, x, offset)
    half = (x.shape[-1] + 1) // 2
    angle = token / base ** (2 * (column % half) / x.shape[-1])
    return xp.where(column < half, xp.sin(angle), xp.cos(angle))


@operation(_sinusoid(lambda base, offset: _from(offset) / base ** (2 * m / Size("m")), EVEN), role="position")
def sinusoidal_doubled(xp: Namespace, x: Array, *, base: float, offset: float) -> Array:
    """Sinusoids whose exponent is twice the column's number, as if it were the pair's."""
    token, column = _token_and_column(xp, x, offset)
    return _alternating(xp, x, token / base ** (2 * column / x.shape[-1]))


@operation(_sinusoid(lambda base, offset: _from(offset) / base ** (m / Size("m")), EVEN), role="position")
def sinusoidal_unpaired(xp: Namespace, x: Array, *, base: float, offset: float) -> Array:
    """Sinusoids in which each column has its own exponent, so that sine and cosine are no pair."""
    token, column = _token_and_column(xp, x, offset)
    return _alternating(xp, x, token / base ** (column / x.shape[-1]))


@operation(
    _sinusoid(lambda base, offset: (m + offset if offset else m) / base ** ((i - i % 2) / Size("m")), same(i % 2, 0)),
    role="position",
)
def sinusoidal_swapped(xp: Namespace, x: Array, *, base: float, offset: float) -> Array:
    """Sinusoids with the parts of position and column exchanged."""
    row, column = floats(xp, x.shape[-2], x)[:, None], floats(xp, x.shape[-1], x)
    angle = (column + offset) / base ** ((row - row % 2) / x.shape[-1])
    return xp.where(counting(xp, x.shape[-2], x)[:, None] % 2 == 0, xp.sin(angle), xp.cos(angle))


def _sinusoid_at(
    power: Callable[[int], Expr], is_sine: Callable[[int], Expr] = lambda _: EVEN
) -> Callable[[int, float, float], Formula]:
    """The formula of sinusoids of given positions, whose base has the exponent ``power(width) / width``."""

    def stated(width: int, base: float, offset: float) -> Formula:
        def body(position: Operand) -> Expr:
            value = (position[i] + offset if offset else position[i]) / base ** (power(width) / width)
            return where(is_sine(width), call("sin", value), call("cos", value))

        return formula("i -> i m", body, m=width)

    return stated


@operation(_sinusoid_at(lambda _: m - m % 2), role="position")
def sinusoidal_at_shifted(xp: Namespace, position: Array, *, width: int, base: float, offset: float) -> Array:
    """Sines and cosines of given positions that are counted from an offset."""
    column = floats(xp, width, position)
    angle = (position[..., None] + offset) / base ** ((column - column % 2) / width)
    return xp.where(column % 2 == 0, xp.sin(angle), xp.cos(angle))


@operation(
    _sinusoid_at(lambda width: 2 * (m % ((width + 1) // 2)), lambda width: m < (width + 1) // 2), role="position"
)
def sinusoidal_at_concatenated(xp: Namespace, position: Array, *, width: int, base: float, offset: float) -> Array:
    """All sines of given positions first, all cosines behind them."""
    column, half = floats(xp, width, position), (width + 1) // 2
    angle = (position[..., None] + offset) / base ** (2 * (column % half) / width)
    return xp.where(column < half, xp.sin(angle), xp.cos(angle))


@operation(_sinusoid_at(lambda _: 2 * m), role="position")
def sinusoidal_at_doubled(xp: Namespace, position: Array, *, width: int, base: float, offset: float) -> Array:
    """Sinusoids of given positions whose exponent is twice the column's number, as if it were the pair's."""
    column = floats(xp, width, position)
    angle = (position[..., None] + offset) / base ** (2 * column / width)
    return xp.where(column % 2 == 0, xp.sin(angle), xp.cos(angle))


@operation(_sinusoid_at(lambda _: m + 0), role="position")
def sinusoidal_at_unpaired(xp: Namespace, position: Array, *, width: int, base: float, offset: float) -> Array:
    """Sinusoids of given positions in which each column has its own exponent."""
    column = floats(xp, width, position)
    angle = (position[..., None] + offset) / base ** (column / width)
    return xp.where(column % 2 == 0, xp.sin(angle), xp.cos(angle))


@operation(
    lambda base, width: formula(
        "i, h i d -> i c", lambda position, x: position[i] * base ** -(2 * c / Size("d")), c=width // 2
    ),
)
def angles_over_depth(xp: Namespace, position: Array, x: Array, *, base: float, width: int) -> Array:
    """Angles of the first pairs, with frequencies spread over the whole depth instead of the rotated part."""
    return position[..., None] * base ** (-2 * floats(xp, width // 2, x) / x.shape[-1])


def _angles_ntk(base: float, width: int | None, factor: float) -> Formula:
    turned: Expr | int = Size("d") if width is None else width
    size = lift(turned)
    # With a single pair, whose exponent is 0, any base will do.
    wider = base * factor ** (size / where(size <= 2, 1, size - 2))
    return formula("i, h i d -> i c", lambda position, x: position[i] * wider ** -(2 * c / turned), c=turned // 2)


@operation(_angles_ntk)
def rotary_angles_ntk(
    xp: Namespace, position: Array, x: Array, *, base: float, width: int | None, factor: float
) -> Array:
    """Angles whose base grows with the context, so that the slowest pair rotates as in linear scaling (NTK-aware)."""
    turned = x.shape[-1] if width is None else width
    wider = base * factor ** (turned / (turned - 2 if turned > 2 else 1))
    return position[..., None] * wider ** (-2 * floats(xp, turned // 2, x) / turned)


_REST = Size("d") - 2 * Size("c")


def _half_other_table() -> Formula:
    n = Size("c")
    return formula(
        "h i d, i c, i c -> h i d",
        lambda x, cos, sin: where(
            d < n,
            x[h, i, d] * cos[i, d // 2] - x[h, i, d + n] * sin[i, d // 2],
            where(d < 2 * n, x[h, i, d] * cos[i, d // 2] + x[h, i, d - n] * sin[i, d // 2], x[h, i, d]),
        ),
        rest=_REST,
    )


@operation(_half_other_table, role="rotation")
def rotate_half_other_table(xp: Namespace, x: Array, cos: Array, sin: Array) -> Array:
    """Feature d rotated with d + half, by the angles of pair d // 2, which are for neighbours."""
    pairs = cos.shape[-1]
    first, second = x[..., :pairs], x[..., pairs : 2 * pairs]
    (cos1, cos2), (sin1, sin2) = (_halves(xp, xp.repeat(table, 2, axis=-1), pairs) for table in (cos, sin))
    return and_rest(xp, xp.concat([first * cos1 - second * sin1, second * cos2 + first * sin2], axis=-1), x)


def _interleaved_other_table() -> Formula:
    n = Size("c")
    return formula(
        "h i d, i c, i c -> h i d",
        lambda x, cos, sin: where(
            d < 2 * n,
            where(
                same(d % 2, 0),
                x[h, i, d] * cos[i, d % n] - x[h, i, d + 1] * sin[i, d % n],
                x[h, i, d] * cos[i, d % n] + x[h, i, d - 1] * sin[i, d % n],
            ),
            x[h, i, d],
        ),
        rest=_REST,
    )


@operation(_interleaved_other_table, role="rotation")
def rotate_interleaved_other_table(xp: Namespace, x: Array, cos: Array, sin: Array) -> Array:
    """Neighbouring features rotated together, by the angles of pair d mod half, which are for halves."""
    pairs = cos.shape[-1]
    even, odd = x[..., 0 : 2 * pairs : 2], x[..., 1 : 2 * pairs : 2]
    cos1, cos2, sin1, sin2 = (
        xp.concat([table, table], axis=-1)[..., None, :, start::2] for table in (cos, sin) for start in (0, 1)
    )
    turned = xp.stack([even * cos1 - odd * sin1, odd * cos2 + even * sin2], axis=-1)
    return and_rest(xp, xp.reshape(turned, (*turned.shape[:-2], 2 * pairs)), x)


def _halves(xp: Namespace, table: Array, pairs: int) -> tuple[Array, Array]:
    return table[..., None, :, :pairs], table[..., None, :, pairs:]


@operation(lambda heads: for_heads(heads, 2 ** -(8 * h / heads)))
def alibi_slopes_from_zero(xp: Namespace, s: Array, *, heads: int) -> Array:
    """ALiBi slopes whose exponents begin at 0: the first slope is 1."""
    return 2 ** (-8 * floats(xp, heads, s) / heads)


@operation(lambda heads: for_heads(heads, 2 ** -(8 * (h + 1) / heads)))
def alibi_slopes_plain(xp: Namespace, s: Array, *, heads: int) -> Array:
    """ALiBi slopes by the rule for powers of two, whatever the number of heads."""
    return 2 ** (-8 * (floats(xp, heads, s) + 1) / heads)


@operation(
    lambda: formula("h i j, h -> h i j", lambda s, slope: s[h, i, j] + slope[h] * call("abs", POSITION - j)),
    role="distance",
)
def alibi_added(xp: Namespace, s: Array, slope: Array) -> Array:
    """The scores plus the head's slope times the distance: distant keys get more weight."""
    queries, keys = s.shape[-2:]
    distance = floats(xp, queries, s)[:, None] + (keys - queries) - floats(xp, keys, s)[None, :]
    return s + slope[..., None, None] * xp.abs(distance)


@operation(lambda: formula("h i j, h -> h i j", lambda s, slope: s[h, i, j] + slope[h] * j), role="distance")
def alibi_by_key(xp: Namespace, s: Array, slope: Array) -> Array:
    """The scores plus the head's slope times the key's position (BLOOM)."""
    return s + slope[..., None, None] * floats(xp, s.shape[-1], s)


@operation(lambda span, reach: disentangled.added("i", span, reach, -disentangled.BACK), role="distance")
def add_by_query_mirrored(xp: Namespace, s: Array, by_distance: Array, *, span: int, reach: int | None) -> Array:
    """The scores plus what each query's content says of the distance in the other direction."""
    place = disentangled.places(xp, s, span=span, reach=reach, turn=-1)
    return disentangled.by_query(xp, s, by_distance, place)


@operation(lambda span, reach: disentangled.added("j", span, reach, -disentangled.BACK), role="distance")
def add_by_key_mirrored(xp: Namespace, s: Array, by_distance: Array, *, span: int, reach: int | None) -> Array:
    """The scores plus what each key's content says of the distance in the other direction."""
    place = disentangled.places(xp, s, span=span, reach=reach, turn=-1)
    return disentangled.by_key(xp, s, by_distance, place)
