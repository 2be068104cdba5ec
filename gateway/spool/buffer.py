"""What was put and is not yet on disk, one buffer a lane. Numbers follow from the place in the buffer."""

import asyncio
from collections.abc import Iterable

from msgspec import Struct

from drivers.observation import AnyObservation, Gap, Lane, stamp, to_json
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
    gaps: list[Gap]


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

    def take(self, gaps: list[Gap]) -> Batch:
        """Everything, for one commit; `gaps` are owed records that travel behind it."""
        batch = Batch(self.first, self._items + [item(each) for each in gaps], self._waiters, gaps)
        self.first += len(batch.items)
        self._items, self._waiters, self.bytes = [], [], 0
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


class OwedGaps:
    """Gap records for the event lane that are not on disk yet."""

    def __init__(self) -> None:
        self._gaps: list[Gap] = []

    def __bool__(self) -> bool:
        return bool(self._gaps)

    def add(self, fresh: Gap) -> None:
        """One more; what adjoins the last one of its lane, or finds no place of its own, widens that one."""
        for at in range(len(self._gaps) - 1, -1, -1):
            last = self._gaps[at]
            if (last.gap_lane, last.gap_epoch) == (fresh.gap_lane, fresh.gap_epoch):
                adjoins = last.last + 1 == fresh.first and last.reason == fresh.reason
                if adjoins or len(self._gaps) >= OWED_GAPS:
                    self._gaps[at] = stamp_range(last, min(last.first, fresh.first), max(last.last, fresh.last))
                    return
                break
        self._gaps.append(fresh)

    def take(self) -> list[Gap]:
        """All of them, for one commit."""
        gone, self._gaps = self._gaps, []
        return gone

    def give_back(self, gaps: list[Gap]) -> None:
        """They were not stored."""
        later, self._gaps = self._gaps, list(gaps)
        for each in later:
            self.add(each)


def stamp_range(gap: Gap, first: int, last: int) -> Gap:
    """The same gap over another range."""
    return Gap(
        validity=gap.validity,
        reason=gap.reason,
        gap_lane=gap.gap_lane,
        gap_epoch=gap.gap_epoch,
        first=first,
        last=last,
    )
