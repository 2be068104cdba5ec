"""One lane's way to the platform, live or hist: where it stands, what was read ahead, what is waited for.

Spool frames are joined to larger ones here, or cut between two observations where a link or a broker takes only
little at once: what is published is any run of consecutive observations, each with its own number.
"""

from collections import deque
from typing import Protocol

import msgspec
from msgspec import Raw, Struct

from drivers.observation import Lane
from gateway.spool.spool import Frame, Position
from gateway.uplink.topics import Era

FETCH_FRAMES = 4
FETCH_MOST = 32
"""What is read ahead, by the size of what was read before: some hundred kilobytes."""
AHEAD_BYTES = 64 << 10
SKIP_FETCHES = 4
STRETCHES = 64
CONTENT_JSON = 1

_ARRAY = msgspec.json.Decoder(list[Raw])


class Source(Protocol):
    """The part of the spool that is read here."""

    def frames_after(self, lane: Lane, after: Position, limit: int) -> list[Frame]:
        """Committed frames, in order."""
        ...

    def head(self, lane: Lane) -> Position:
        """The last committed observation."""
        ...

    def released(self, lane: Lane) -> Position:
        """The last observation before which nothing is kept."""
        ...

    def is_acknowledged(self, lane: Lane, epoch: int, first: int, last: int) -> bool:
        """Whether all of these were acknowledged."""
        ...


class Sent(Struct, eq=False):
    """One frame that was handed to the broker."""

    lane: Lane
    era: Era
    epoch: int
    first: int
    last: int
    size: int
    turn: int
    """Of its lane: what was sent before a rewind is no longer waited for."""
    confirmed_at: float | None = None
    """When its PUBACK came."""


def position_of(frame: Frame) -> Position:
    """Behind its last observation."""
    return Position(frame.epoch, frame.last)


def joined(frames: tuple[Frame, ...]) -> bytes:
    """The observations of consecutive frames as one JSON array."""
    if len(frames) == 1:
        return frames[0].payload
    return b"[" + b",".join(frame.payload.strip()[1:-1] for frame in frames) + b"]"


def cut(frame: Frame, limit: int) -> list[Frame]:
    """The same observations in pieces of at most `limit` bytes, or of one observation; itself if it is no array."""
    each = _observations(frame)
    if len(each) < 2:
        return [frame]
    pieces: list[Frame] = []
    first, size = 0, 2
    for at, one in enumerate(each):
        if at > first and size + len(bytes(one)) + 1 > limit:
            pieces.append(_piece(frame, each, first, at))
            first, size = at, 2
        size += len(bytes(one)) + 1
    pieces.append(_piece(frame, each, first, len(each)))
    return pieces


def behind(frame: Frame, seq: int) -> Frame:
    """What of it comes after number `seq`; all of it where it cannot be cut."""
    each = _observations(frame)
    at = seq - frame.first + 1
    return _piece(frame, each, at, len(each)) if 0 < at < len(each) else frame


def _observations(frame: Frame) -> list[Raw]:
    if frame.content != CONTENT_JSON or frame.count < 2:
        return []
    try:
        each = _ARRAY.decode(frame.payload)
    except (msgspec.DecodeError, ValueError):
        return []
    return each if len(each) == frame.count else []


def _piece(frame: Frame, each: list[Raw], start: int, stop: int) -> Frame:
    payload = b"[" + b",".join(bytes(one) for one in each[start:stop]) + b"]"
    return msgspec.structs.replace(frame, first=frame.first + start, count=stop - start, payload=payload)


class Way:
    """`hist` goes through stretches of the lane, oldest first; `live` has one that ends at the lane's head."""

    def __init__(self, lane: Lane, era: Era, source: Source) -> None:
        self.lane: Lane = lane
        self.era: Era = era
        self._source = source
        self.cursor = self.end = Position(0, 0)
        self.later: deque[tuple[Position, Position]] = deque()
        self.ahead: deque[Frame] = deque()
        self.unacked: deque[Sent] = deque()
        self.unacked_bytes = 0
        self.ratio = 1.0
        """Bytes of a published frame per byte of its JSON, as seen lately."""

    def restart(self, cursor: Position, end: Position) -> None:
        """Go from `cursor` to `end`; what was sent is waited for no longer."""
        self.unacked_bytes = 0
        self.unacked.clear()
        self.later.clear()
        self._go(cursor, end)

    def jump(self, head: Position) -> Position:
        """Live leaves what it has not sent, and goes on behind `head`. Returns where it stood."""
        stood = self.cursor
        self._go(head, head)
        return stood

    def append(self, start: Position, end: Position) -> bool:
        """One more stretch of history; False if there are too many. Next ones join where nothing waits between."""
        last = self.later[-1] if self.later else (self.cursor, self.end)
        if self._is_joined(last[1], start):
            if self.later:
                self.later[-1] = (last[0], end)
            else:
                self.end = end
        elif len(self.later) >= STRETCHES:
            return False
        else:
            self.later.append((start, end))
        return True

    def fetch(self) -> bool:
        """Read ahead if nothing is; True if it stopped in a stretch that is already acknowledged."""
        if self.ahead:
            return False
        for _ in range(SKIP_FETCHES):
            if self.era == "live":
                self.end = self._source.head(self.lane)
            self.cursor = max(self.cursor, self._source.released(self.lane))
            while self.cursor >= self.end and self.later:
                self.cursor, self.end = self.later.popleft()
            if self.cursor >= self.end:
                return False
            found = self._source.frames_after(self.lane, self.cursor, FETCH_FRAMES)
            stop = self._take_in(found)
            if self.ahead:
                return False
            if not found or stop:
                self.cursor = self.end  # what stood between was evicted, or belongs to the other way
        return True

    def gather(self, limit: int, most: int) -> tuple[tuple[Frame, ...], bool]:
        """Consecutive frames of one epoch, at most `most` with `limit` bytes; whether the bytes set the limit."""
        taken: list[Frame] = []
        size = 2
        while len(taken) < most:
            if len(taken) == len(self.ahead) and not self._top_up(limit):
                return tuple(taken), False
            frame = self.ahead[len(taken)]
            if taken and not _follows(taken[-1], frame):
                return tuple(taken), False
            if size + len(frame.payload) - 1 > limit and taken:
                return tuple(taken), True
            taken.append(frame)
            size += len(frame.payload) - 1
        return tuple(taken), size >= limit

    def split(self, limit: int) -> bool:
        """Cut the next frame into pieces of at most `limit` bytes; False if it cannot be cut."""
        pieces = cut(self.ahead[0], limit)
        if len(pieces) < 2:
            return False
        self.ahead.popleft()
        self.ahead.extendleft(reversed(pieces))
        return True

    def leave(self, frames: tuple[Frame, ...]) -> None:
        """They were taken, or cannot go."""
        for _ in frames:
            self.ahead.popleft()
        self.cursor = position_of(frames[-1])

    def _go(self, cursor: Position, end: Position) -> None:
        self.cursor, self.end = cursor, end
        self.ahead.clear()

    def _is_joined(self, end: Position, start: Position) -> bool:
        if end == start:
            return True
        inside = end.epoch == start.epoch and end.seq < start.seq
        return inside and self._source.is_acknowledged(self.lane, end.epoch, end.seq + 1, start.seq)

    def _top_up(self, limit: int) -> bool:
        """Read more behind what is read ahead, up to the end of this stretch."""
        if self.era == "live":
            self.end = self._source.head(self.lane)
        last = self.ahead[-1]
        if position_of(last) >= self.end:
            return False
        few = min(limit, AHEAD_BYTES) // max(1, len(last.payload)) + 1
        before = len(self.ahead)
        found = self._source.frames_after(self.lane, position_of(last), max(FETCH_FRAMES, min(FETCH_MOST, few)))
        self._take_in(found)
        return len(self.ahead) > before

    def _take_in(self, found: list[Frame]) -> bool:
        """Append what is not acknowledged; True if some of it lies beyond the end."""
        for frame in found:
            if position_of(frame) > self.end:
                return True
            fresh = self._unacknowledged(frame)
            if fresh is not None:
                self.ahead.append(fresh)
            elif not self.ahead:
                self.cursor = position_of(frame)
            else:
                return False  # what follows is read again once the cursor has passed
        return False

    def _unacknowledged(self, frame: Frame) -> Frame | None:
        """The frame without what was sent already or is acknowledged at its beginning; None if that is all."""
        is_next = frame.epoch == self.cursor.epoch and not self.ahead
        start = max(frame.first, self.cursor.seq + 1) if is_next else frame.first
        low, high = start - 1, frame.last
        if not self._source.is_acknowledged(self.lane, frame.epoch, start, start):
            high = low
        while low < high:  # all up to a number are acknowledged, or the one that is not is among them
            middle = (low + high + 1) // 2
            if self._source.is_acknowledged(self.lane, frame.epoch, start, middle):
                low = middle
            else:
                high = middle - 1
        if low == frame.last:
            return None
        return behind(frame, low) if low >= frame.first else frame


def _follows(one: Frame, other: Frame) -> bool:
    is_same = one.epoch == other.epoch and one.content == other.content == CONTENT_JSON
    return is_same and other.first == one.last + 1
