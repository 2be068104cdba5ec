"""An in-memory spool with the API of the real one, as far as the uplink needs it."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from drivers.observation import LANES, Alert, AnyObservation, Lane, Numeric, Vendor, Waveform, lane_of
from gateway.spool.spool import Frame, Position

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
        self.done: dict[Lane, set[tuple[int, int]]] = {lane: set() for lane in LANES}
        self.calls: list[tuple[Lane, int, int, tuple[tuple[int, int], ...]]] = []
        self._next: dict[Lane, int] = dict.fromkeys(LANES, 1)
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

    def frames_after(self, lane: Lane, after: Position, limit: int) -> list[Frame]:
        found = [f for f in self.frames[lane] if Position(f.epoch, f.first + f.count - 1) > after]
        return found[:limit]

    def head(self, lane: Lane) -> Position:
        frames = self.frames[lane]
        return Position(frames[-1].epoch, frames[-1].first + frames[-1].count - 1) if frames else Position(0, 0)

    def released(self, lane: Lane) -> Position:
        at = Position(0, 0)
        for frame in self.frames[lane]:
            for seq in range(frame.first, frame.first + frame.count):
                if (frame.epoch, seq) not in self.done[lane]:
                    return at
                at = Position(frame.epoch, seq)
        return at

    def is_acknowledged(self, lane: Lane, epoch: int, first: int, last: int) -> bool:
        return all((epoch, seq) in self.done[lane] for seq in range(first, last + 1))

    def acknowledge(self, lane: Lane, epoch: int, upto: int, holes: Sequence[tuple[int, int]] = ()) -> int:
        self.calls.append((lane, epoch, upto, tuple(holes)))
        before = len(self.done[lane])
        committed = [
            (frame.epoch, seq)
            for frame in self.frames[lane]
            if frame.epoch == epoch
            for seq in range(frame.first, frame.first + frame.count)
        ]
        for name in committed:
            if name[1] <= upto and not any(first <= name[1] <= last for first, last in holes):
                self.done[lane].add(name)
        return len(self.done[lane]) - before

    def waiting(self) -> int:
        return sum(frame.count for lane in LANES for frame in self.frames[lane]) - sum(map(len, self.done.values()))
