"""What stands behind every driver: the line-quality gate, the plausible range and the step rule (law 1).

An 8-bit checksum lets 0.4 % of damaged frames through (measured: sum-8 and xor-8, 200,000 trials), so a line that
damages frames is not believed, however good the next checksum looks.
"""

from collections import deque
from collections.abc import Iterable
from decimal import Decimal

import msgspec
from msgspec import Struct

from drivers.contract import Output
from drivers.observation import AnyObservation, Enumeration, Numeric, Result, Waveform
from drivers.profile import Profile

WINDOW_FRAMES = 300
WINDOW_S = 300.0
QUESTIONABLE_SHARE = 0.001
ABSENT_SHARE = 0.01
STEP_MEMORY_S = 60.0
"""A value older than this is no longer something to jump from."""


class LineQuality:
    """Share of rejected frames over the last 300 frames of the last five minutes.

    A window that is not full yet counts as if the missing frames had been good, so that one damaged frame after a
    start makes values questionable and not absent.
    """

    def __init__(self) -> None:
        self._frames: deque[tuple[float, bool]] = deque(maxlen=WINDOW_FRAMES)
        self._rejected = 0

    def count(self, now: float, verified: int, rejected: int) -> None:
        """Note frames of this moment; rejected ones last, the cautious order."""
        for bad in (False,) * min(verified, WINDOW_FRAMES) + (True,) * min(rejected, WINDOW_FRAMES):
            if len(self._frames) == WINDOW_FRAMES:
                self._rejected -= self._frames[0][1]
            self._frames.append((now, bad))
            self._rejected += bad
        while self._frames and self._frames[0][0] < now - WINDOW_S:
            self._rejected -= self._frames.popleft()[1]

    @property
    def share(self) -> float:
        """Rejected frames, as a share of the window."""
        return self._rejected / WINDOW_FRAMES


class _Last(Struct):
    value: Decimal
    at: float
    candidate: Decimal | None = None


class Gate:
    """Marks what a driver read as questionable or absent; never changes a number, never adds one."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._line = LineQuality()
        self._last: dict[tuple[str, str], _Last] = {}
        """By MDS and code: two pumps of one rack are no step."""

    @property
    def rejected_share(self) -> float:
        """Rejected frames, as a share of the window."""
        return self._line.share

    def check(self, output: Output, now: float) -> Output:
        """The same output with the validity of its values judged."""
        rejected = sum(fault.rejected for fault in output.faults)
        if output.frames or rejected:
            self._line.count(now, output.frames, rejected)
        if not output.observations:
            return output
        return msgspec.structs.replace(output, observations=tuple(self._judge(output.observations, now)))

    def _judge(self, observations: Iterable[AnyObservation], now: float) -> Iterable[AnyObservation]:
        share = self._line.share
        for seen in observations:
            if share > ABSENT_SHARE:  # nor is it remembered as something to jump from
                yield _absent(seen)
                continue
            judged: AnyObservation = seen
            if isinstance(seen, Numeric | Result) and seen.value is not None and seen.validity == "valid":
                judged = self._plausible(seen, seen.value, now)
            if share > QUESTIONABLE_SHARE:
                judged = _questionable(judged, "line_noise")
            yield judged

    def _plausible(self, seen: Numeric | Result, value: Decimal, now: float) -> AnyObservation:
        metric = self._profile.by_code.get(seen.vendor.code) if seen.vendor else None
        if metric is None or seen.unit != metric.unit:
            return seen
        low, high = metric.range
        if (low is not None and value < low) or (high is not None and value > high):
            return _questionable(seen, "implausible")
        if metric.step is not None and self._is_jump((seen.mds, metric.code), metric.step, value, now):
            return _questionable(seen, "step")
        return seen

    def _is_jump(self, key: tuple[str, str], step: Decimal, value: Decimal, now: float) -> bool:
        last = self._last.get(key)
        if last is None or now - last.at > STEP_MEMORY_S or abs(value - last.value) <= step:
            self._last[key] = _Last(value, now)
            return False
        if last.candidate is not None and abs(value - last.candidate) <= step:
            self._last[key] = _Last(value, now)
            return False
        last.candidate = value
        return True


def _questionable(seen: AnyObservation, reason: str) -> AnyObservation:
    carries_a_value = ("valid", "overflow", "underflow", "ongoing")
    if seen.validity not in carries_a_value or not isinstance(seen, Numeric | Result | Waveform | Enumeration):
        return seen
    doubted = msgspec.structs.replace(seen, validity="questionable", reason=reason)
    if isinstance(doubted, Result) and doubted.status == "final":
        return msgspec.structs.replace(doubted, status="questionable")
    return doubted


def _absent(seen: AnyObservation) -> AnyObservation:
    if isinstance(seen, Waveform):
        empty = (None,) * len(seen.samples)
        return msgspec.structs.replace(seen, samples=empty, validity="not_available", reason="line_noise")
    if isinstance(seen, Result):
        return _questionable(seen, "line_noise")  # it will not come again: docs/decisions/0006
    if isinstance(seen, Numeric | Enumeration) and seen.value is not None:
        return msgspec.structs.replace(seen, value=None, validity="not_available", reason="line_noise")
    return seen
