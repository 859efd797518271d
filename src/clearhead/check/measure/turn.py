"""The form of one head as rotated pairs of features: which pairs, how strong, by which angles, from which positions."""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from clearhead.check.measure.parts import Array
from clearhead.check.measure.weights import median

Pairs = tuple[tuple[int, int], ...]


class Turn(Struct, frozen=True, eq=False):
    """A form as gains and rotated pairs.

    Attributes:
        coupled: which features of a query meet which of a key (depth, depth).
        gain: by feature, its strength apart from rotation.
        pairs: the features that rotate together.
        theta: by pair, the angle between query and key (pair, query, key); NaN where it is not known.
        rotates: whether each pair rotates as a whole, with one angle and one strength.
    """

    coupled: Array
    gain: Array
    pairs: Pairs
    theta: Array
    rotates: bool

    @property
    def turned(self) -> Array:
        """Which pairs rotate at all."""
        return np.asarray(np.nanmax(np.abs(np.nan_to_num(self.theta)), axis=(1, 2), initial=0.0) > STILL)


STILL = 1e-9
"""Angles below this count as 0."""


def coupling(form: Array, tolerance: float) -> Array:
    """Which features of a query (rows) meet which of a key (columns), of a form (query, key, feature, feature)."""
    known = np.where(np.isfinite(form), np.abs(form), 0.0).max((0, 1))
    return np.asarray(known > max(4 * tolerance, 1e-9) * max(known.max(), 1e-30))


def pairs_of(coupled: Array) -> Pairs | None:
    """The pairs that features are coupled in; None if some are coupled with several."""
    both = coupled | coupled.T
    pairs = []
    for a in range(len(both)):
        others = [b for b in np.nonzero(both[a])[0] if b != a]
        if len(others) > 1:
            return None
        if others and a < others[0]:
            pairs.append((a, int(others[0])))
    return tuple(pairs)


def turn_of(form: Array, pairs: Pairs, tolerance: float) -> Turn:
    """A form (query, key, feature, feature) as rotated pairs, where only features of a pair are coupled."""
    diagonal = np.moveaxis(np.diagonal(form, axis1=-2, axis2=-1), -1, 0)
    gain = median(diagonal.reshape(len(diagonal), -1))
    theta, rotates = [], True
    for a, b in pairs:
        across, along = (form[..., a, b] - form[..., b, a]) / 2, (form[..., a, a] + form[..., b, b]) / 2
        strength = np.hypot(across, along)
        theta.append(np.where(strength > 1e-12, np.arctan2(across, along), np.nan))
        gain[a] = gain[b] = median(strength.ravel())
        off = np.stack([form[..., a, a] - form[..., b, b], form[..., a, b] + form[..., b, a], strength - gain[a]])
        rotates &= bool(np.nanmax(np.abs(np.nan_to_num(off)), initial=0.0) <= 4 * tolerance * max(gain[a], 1.0))
    alone = [a for a in range(len(gain)) if not any(a in pair for pair in pairs)]
    for a in alone:
        spread = np.nan_to_num(diagonal[a] - gain[a])
        rotates &= bool(np.abs(spread).max(initial=0.0) <= 4 * tolerance * max(abs(gain[a]), 1.0))
    shape = (0, *form.shape[:2])
    return Turn(coupling(form, tolerance), gain, pairs, np.array(theta) if theta else np.zeros(shape), rotates)


class Motion(Struct, frozen=True, eq=False):
    """Angles as differences of those of queries and those of keys.

    Attributes:
        query, key: the angle of each token minus that of the first key (pair, token); NaN where it is not known.
        separable: whether all angles are such differences.
    """

    query: Array
    key: Array
    separable: bool

    @property
    def query_speeds(self) -> Array:
        """By pair, the angle from one query to the next: the most common step that is not 0."""
        return _usual(np.diff(self.query, axis=-1))

    def key_speeds(self, neighbours: Array | None = None) -> Array:
        """The same for keys, of which only some neighbours may be one position apart."""
        steps = np.diff(self.key, axis=-1)
        return _usual(steps if neighbours is None else steps[:, neighbours])

    def neighbours(self, speeds: Array) -> Array:
        """Which keys and their neighbours are one step apart at these speeds."""
        return np.asarray(
            (np.abs(np.diff(self.key, axis=-1) - speeds[:, None]) < NEAR + NEAR * np.abs(speeds[:, None])).all(0)
        )


NEAR = 0.02


def _usual(steps: Array) -> Array:
    moving = np.where(np.abs(np.nan_to_num(steps)) > STILL, steps, np.nan)
    return np.nan_to_num(median(moving)) if steps.shape[-1] else np.zeros(len(steps))


def motion_of(theta: Array, tolerance: float) -> Motion:
    """The angles (pair, query, key) as a motion of queries and keys."""
    rows, keys = _running(wrap(np.diff(theta, axis=1)), 1), -_running(wrap(np.diff(theta, axis=2)), 2)
    rest = wrap(theta - rows[:, :, None] + keys[:, None, :])
    offset = _middle(rest.reshape(len(theta), -1))
    gaps = np.nan_to_num(wrap(rest - offset[:, None, None]))
    known = np.isfinite(theta).any((0, 2))
    query = np.where(known, rows + offset[:, None], np.nan)
    return Motion(query, keys, bool(np.abs(gaps).max(initial=0.0) <= 12 * tolerance))


def _running(steps: Array, axis: int) -> Array:
    """Sums of the steps along an axis: the angle of each token since the first."""
    usual = _middle(np.moveaxis(steps, axis, 1))
    usual = np.where(np.isnan(usual), 0.0, usual)
    return np.concatenate([np.zeros((len(steps), 1)), np.cumsum(usual, -1)], -1)


def _middle(angles: Array) -> Array:
    """The median of angles along the last axis, modulo whole turns."""
    start = median(angles)
    return np.asarray(wrap(start + median(wrap(angles - start[..., None]))))


def wrap(angle: Array) -> Array:
    """An angle from -pi up to pi."""
    return np.asarray((angle + np.pi) % (2 * np.pi) - np.pi)
