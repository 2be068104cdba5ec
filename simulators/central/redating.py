"""When things really happened: the clock map of one boot of one box, out of its clock records.

A record says "at `mono` seconds of this boot it was `utc`, give or take `error`". Between two such points time runs
in a straight line; before the first and behind the last it runs at the rate that the points within a day show or,
where they show none, at one second a second. The error stated grows with the distance from the nearest point.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

DRIFT = 100e-6
"""What a box's oscillator may be wrong by."""
WANDER = 10e-6
"""How much the rate itself changes with heat and age."""
APART_S = 600.0
"""Of points that lie closer together only the best one counts: their errors would pass for a rate."""
BASELINE_S = 86_400.0
CONTRADICTION_S = 1.0
FOREVER = 1e15


class Point(NamedTuple):
    """One trusted clock record; seconds."""

    mono: float
    utc: float
    error: float
    is_signed: bool


class Piece(NamedTuple):
    """From `since` until `until` of the boot: utc + (mono - origin) * rate, give or take error + slope * distance.

    The distance is that from the nearer end which is not for ever away.
    """

    since: float
    until: float
    origin: float
    utc: float
    rate: float
    error: float
    slope: float

    def at(self, mono: float) -> tuple[float, float]:
        """The time, and its error."""
        distance = min(abs(mono - self.since), abs(self.until - mono))
        return self.utc + (mono - self.origin) * self.rate, self.error + self.slope * distance


def pieces_of(points: Sequence[Point]) -> list[Piece]:
    """The map of one boot: pieces that follow each other without a hole; none without a point."""
    known = _thinned(_believed(sorted(points)))
    if not known:
        return []
    first, last = known[0], known[-1]
    rate, slope = _rate([one for one in known if one.mono - first.mono <= BASELINE_S])
    pieces = [Piece(-FOREVER, first.mono, first.mono, first.utc, rate, first.error, slope)]
    for left, right in zip(known, known[1:], strict=False):
        pieces += _between(left, right)
    rate, slope = _rate([one for one in known if last.mono - one.mono <= BASELINE_S])
    return [*pieces, Piece(last.mono, FOREVER, last.mono, last.utc, rate, last.error, slope)]


def redate(pieces: Sequence[Piece], mono: float) -> tuple[float, float] | None:
    """UTC and its error in seconds, or None where nothing is known of this boot."""
    return next((piece.at(mono) for piece in pieces if piece.since <= mono < piece.until), None)


def _believed(points: list[Point]) -> list[Point]:
    """Without those of a time server that a signed point contradicts: NTP is not signed."""
    signed = [one for one in points if one.is_signed]
    if not signed:
        return points

    def agrees(one: Point) -> bool:
        near = min(signed, key=lambda other: abs(other.mono - one.mono))
        apart = abs((one.utc - near.utc) - (one.mono - near.mono))
        return apart <= one.error + near.error + abs(one.mono - near.mono) * 2 * DRIFT + CONTRADICTION_S

    return [one for one in points if one.is_signed or agrees(one)]


def _thinned(points: Sequence[Point]) -> list[Point]:
    kept: list[Point] = []
    for one in points:
        if not kept or one.mono - kept[-1].mono >= APART_S:
            kept.append(one)
        elif one.error < kept[-1].error:
            kept[-1] = one
    return kept


def _rate(points: Sequence[Point]) -> tuple[float, float]:
    """Seconds of true time per second of the box's, and how fast the error grows with the distance.

    Only signed points tell: a time daemon changes the rate when it begins its work, so what it keeps afterwards says
    nothing of the time before.
    """
    first, last = points[0], points[-1]
    if not (first.is_signed and last.is_signed) or first is last:
        return 1.0, DRIFT
    unsure = (first.error + last.error) / (last.mono - first.mono) + WANDER
    rate = (last.utc - first.utc) / (last.mono - first.mono)
    if unsure >= DRIFT or abs(rate - 1.0) > 2 * DRIFT:
        return 1.0, DRIFT
    return rate, unsure


def _between(left: Point, right: Point) -> list[Piece]:
    span = right.mono - left.mono
    rate = (right.utc - left.utc) / span
    error = max(left.error, right.error)
    if abs(rate - 1.0) <= 2 * DRIFT + (left.error + right.error) / span:
        slope = WANDER if left.is_signed and right.is_signed else DRIFT
        return [Piece(left.mono, right.mono, left.mono, left.utc, rate, error, slope)]
    # They contradict each other: to each the half that is nearer, and an error that holds for both.
    middle = left.mono + span / 2
    error += abs((right.utc - left.utc) - span)
    return [
        Piece(left.mono, middle, left.mono, left.utc, 1.0, error, DRIFT),
        Piece(middle, right.mono, right.mono, right.utc, 1.0, error, DRIFT),
    ]


def is_usable(point: Point) -> bool:
    """Whether the numbers of a point can be reckoned with."""
    return all(math.isfinite(one) for one in point[:3]) and abs(point.mono) < FOREVER and point.error >= 0
