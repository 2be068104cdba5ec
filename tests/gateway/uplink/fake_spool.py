"""An in-memory spool with the API of the real one, as far as the uplink needs it."""

import bisect
import itertools
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from drivers.observation import LANES, Alert, AnyObservation, Lane, Numeric, Vendor, Waveform, lane_of
from gateway.spool.spool import Frame, Position
from simulators.central.store import add_range

_ENCODER = msgspec.json.Encoder(decimal_format="number")


def numeric(value: str, code: str = "SPO2") -> Numeric:
    return Numeric(
        vendor=Vendor(code, value),
        validity="valid",
        value=Decimal(value),
        unit="%",
        category="measurement",
        device="monitor",
        mode="test",
        at="2026-11-24T09:15:02.120Z",
    )


def alert(text: str) -> Alert:
    return Alert(
        vendor=Vendor("A1", text),
        validity="valid",
        alert="technical",
        priority="low",
        presence="on",
        device="monitor",
    )


def wave(count: int = 10) -> Waveform:
    return Waveform(
        vendor=Vendor("ECG"),
        validity="valid",
        samples=tuple(range(count)),
        interval_us=4000,
        scale=Decimal(1),
        offset=Decimal(0),
        unit="mV",
        category="measurement",
        device="monitor",
    )


class FakeSpool:
    """Each `put` commits at once, one frame a lane."""

    def __init__(self, epoch: int = 1, spool_id: str = "00ff00ff00ff00ff") -> None:
        self.id = spool_id
        self.epoch = epoch
        self.frames: dict[Lane, list[Frame]] = {lane: [] for lane in LANES}
        self.done: dict[Lane, dict[int, list[tuple[int, int]]]] = {lane: {} for lane in LANES}
        """Acknowledged ranges of each epoch, sorted and disjoint."""
        self.calls: list[tuple[Lane, int, int, tuple[tuple[int, int], ...]]] = []
        self._next: dict[Lane, int] = dict.fromkeys(LANES, 1)
        self._released: dict[Lane, Position] = dict.fromkeys(LANES, Position(0, 0))
        self._listeners: list[Callable[[Lane, int, tuple[Any, ...]], None]] = []

    def reopen(self) -> None:
        self.epoch += 1
        self._next = dict.fromkeys(LANES, 1)

    def put(self, *observations: AnyObservation) -> None:
        lanes: dict[Lane, list[AnyObservation]] = {}
        for one in observations:
            lanes.setdefault(lane_of(one), []).append(one)
        for lane, group in lanes.items():
            self.put_raw(lane, len(group), _ENCODER.encode(group))

    def put_raw(self, lane: Lane, count: int, payload: bytes, content: int = 1) -> None:
        first = self._next[lane]
        self._next[lane] += count
        self.frames[lane].append(Frame(lane, self.epoch, first, count, content, payload))
        for listener in self._listeners:
            listener(lane, first, ())

    def listen(self, callback: Callable[[Lane, int, tuple[Any, ...]], None]) -> None:
        self._listeners.append(callback)

    def _from(self, lane: Lane, after: Position) -> int:
        return bisect.bisect_right(self.frames[lane], after, key=lambda frame: Position(frame.epoch, frame.last))

    def frames_after(self, lane: Lane, after: Position, limit: int) -> list[Frame]:
        at = self._from(lane, after)
        return self.frames[lane][at : at + limit]

    def head(self, lane: Lane) -> Position:
        frames = self.frames[lane]
        return Position(frames[-1].epoch, frames[-1].last) if frames else Position(0, 0)

    def released(self, lane: Lane) -> Position:
        at = self._released[lane]
        for frame in itertools.islice(self.frames[lane], self._from(lane, at), None):
            start = at.seq + 1 if at.epoch == frame.epoch else frame.first
            ends = [last for first, last in self.done[lane].get(frame.epoch, []) if first <= start <= last]
            if ends:
                at = Position(frame.epoch, min(ends[0], frame.last))
            if not ends or at.seq < frame.last:
                break
        self._released[lane] = at
        return at

    def is_acknowledged(self, lane: Lane, epoch: int, first: int, last: int) -> bool:
        return any(low <= first and last <= high for low, high in self.done[lane].get(epoch, []))

    def acknowledge(self, lane: Lane, epoch: int, upto: int, holes: Sequence[tuple[int, int]] = ()) -> int:
        self.calls.append((lane, epoch, upto, tuple(holes)))
        before = self._done(lane)
        last = self.frames_after(lane, Position(epoch, upto - 1), 1)
        if not last or last[0].epoch != epoch:
            at = self._from(lane, Position(epoch, 1 << 62))
            last = self.frames[lane][at - 1 : at]
        if last and last[0].epoch == epoch:
            ranges, first = self.done[lane].get(epoch, []), 1
            for low, high in [*sorted(holes), (min(upto, last[0].last) + 1, 0)]:
                if low > first:
                    ranges = add_range(ranges, first, low - 1)
                first = high + 1
            self.done[lane][epoch] = ranges
        return self._done(lane) - before

    def _done(self, lane: Lane) -> int:
        return sum(last - first + 1 for ranges in self.done[lane].values() for first, last in ranges)

    def waiting(self) -> int:
        return sum(frame.count for lane in LANES for frame in self.frames[lane]) - sum(map(self._done, LANES))
