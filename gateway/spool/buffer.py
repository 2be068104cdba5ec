"""What was put and is not yet on disk, one buffer a lane. Numbers follow from the place in the buffer."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from drivers.observation import Alert, AnyObservation, Gap, Lane, stamp, to_json
from gateway.spool.frame import OBSERVATIONS_JSON, Frame

LIMIT_BYTES: dict[Lane, int] = {"event": 1 << 20, "numeric": 1 << 20, "wave": 2 << 20, "log": 256 << 10}
"""Encoded bytes held per lane, and one put more. Above it a put waits; where the disk refuses, the oldest go."""
FRAME_BYTES = 128 << 10
"""A larger commit becomes several frames, so that one of them never fills what may be in flight."""
OWED_GAPS = 256
"""Gap records that wait for the disk; above it those of one lane are joined into wider ones."""


class Item(Struct, frozen=True):
    """One observation and its JSON, without gateway, epoch, lane and seq: the frame says these."""

    observation: AnyObservation
    encoded: bytes


def item(observation: AnyObservation) -> Item:
    """Encode one observation for the spool."""
    if observation.gateway or observation.epoch or observation.lane or observation.seq:
        observation = stamp(observation, gateway="", epoch=0, lane=None, seq=0)
    return Item(observation, to_json(observation))


class Batch(Struct):
    """What one commit takes of one lane; `first` is the number of its first item."""

    first: int
    items: list[Item]
    waiters: list[asyncio.Future[None]]
    own: Sequence[Gap | Alert] = ()
    """Owed records among the items, to be given back where they are not stored."""


class Buffer:
    """First in, first out, bounded by `shed()`."""

    def __init__(self, lane: Lane) -> None:
        self.lane, self.limit = lane, LIMIT_BYTES[lane]
        self.bytes, self.first = 0, 1
        self._items: list[Item] = []
        self._waiters: list[asyncio.Future[None]] = []

    def __len__(self) -> int:
        return len(self._items)

    def add(self, items: Iterable[Item], waiter: asyncio.Future[None] | None = None) -> None:
        """Append; `waiter` is told when they are on disk or refused."""
        fresh = list(items)
        self._items += fresh
        self.bytes += sum(len(each.encoded) for each in fresh)
        if waiter is not None:
            self._waiters.append(waiter)

    def take(self, own: Sequence[Gap | Alert] = (), more: Sequence[Gap] = (), *, is_own_only: bool = False) -> Batch:
        """Everything, for one commit; `own` are owed records that travel behind it, `more` such as are not owed.

        With `is_own_only` what was put stays, and takes the numbers behind them.
        """
        records = [item(each) for each in (*own, *more)]
        if is_own_only:
            batch = Batch(self.first, records, [], own)
        else:
            batch = Batch(self.first, self._items + records, self._waiters, own)
            self._items, self._waiters, self.bytes = [], [], 0
        self.first += len(batch.items)
        return batch

    def give_back(self, batch: Batch) -> None:
        """The commit failed and nobody was told yet: the items stand in front again, with the same numbers."""
        self._items[:0] = batch.items
        self.first = batch.first
        self.bytes += sum(len(each.encoded) for each in batch.items)

    def forget(self, batch: Batch) -> None:
        """The commit failed and who put the items was told so: their numbers are free again."""
        self.first = batch.first

    def shed(self) -> tuple[int, int] | None:
        """Drop the oldest down to the limit. Returns their first and last number."""
        first, gone = self.first, 0
        while self.bytes > self.limit:
            self.bytes -= len(self._items[gone].encoded)
            gone += 1
        if not gone:
            return None
        del self._items[:gone]
        self.first += gone
        return first, self.first - 1


def frames_of(lane: Lane, epoch: int, batch: Batch, limit: int) -> list[Frame]:
    """The frames of one commit, none with more than `limit` payload unless a single observation is longer."""
    frames: list[Frame] = []
    parts: list[bytes] = []
    size, first = 2, batch.first

    def close() -> None:
        payload = b"[" + b",".join(parts) + b"]"
        frames.append(Frame(lane, epoch, first, len(parts), OBSERVATIONS_JSON, payload))

    for each in batch.items:
        if parts and size + len(each.encoded) + 1 > limit:
            close()
            first, parts, size = first + len(parts), [], 2
        parts.append(each.encoded)
        size += len(each.encoded) + 1
    if parts:
        close()
    return frames


class Owed:
    """The spool's own records for the event lane that are not on disk yet, with the box's time: gaps, and alerts."""

    def __init__(self, stamp: Callable[[], Mapping[str, Any]] = dict) -> None:
        self._gaps: list[Gap] = []
        self._alerts: list[Alert] = []
        self._stamp = stamp

    def __len__(self) -> int:
        return len(self._gaps) + len(self._alerts)

    def add(self, fresh: Gap | Alert) -> None:
        """One more. A gap that adjoins the last one of its lane, or finds no place of its own, widens that one; of
        alerts with one code the latest two stay.
        """
        if fresh.clock is None:
            fresh = msgspec.structs.replace(fresh, **self._stamp())
        if isinstance(fresh, Alert):
            self._add_alert(fresh)
            return
        for at in range(len(self._gaps) - 1, -1, -1):
            last = self._gaps[at]
            if (last.gap_lane, last.gap_epoch) == (fresh.gap_lane, fresh.gap_epoch):
                adjoins = last.last + 1 == fresh.first and last.reason == fresh.reason
                if adjoins or len(self._gaps) >= OWED_GAPS:
                    self._gaps[at] = msgspec.structs.replace(
                        last, first=min(last.first, fresh.first), last=max(last.last, fresh.last)
                    )
                    return
                break
        self._gaps.append(fresh)

    def _add_alert(self, fresh: Alert) -> None:
        """Where two of its code wait already, what the last one said is over before it was told."""
        code = fresh.vendor.code if fresh.vendor else ""
        same = [each for each in self._alerts if each.vendor and each.vendor.code == code]
        if len(same) >= 2:
            self._alerts.remove(same[-1])
        else:
            self._alerts.append(fresh)

    def take(self) -> list[Gap | Alert]:
        """All of them, for one commit."""
        gone: list[Gap | Alert] = [*self._gaps, *self._alerts]
        self._gaps, self._alerts = [], []
        return gone

    def give_back(self, records: Sequence[Gap | Alert]) -> None:
        """They were not stored."""
        gaps, alerts = self._gaps, self._alerts
        self._gaps = [each for each in records if isinstance(each, Gap)]
        self._alerts = [each for each in records if isinstance(each, Alert)]
        later: list[Gap | Alert] = [*gaps, *alerts]
        for each in later:
            self.add(each)
