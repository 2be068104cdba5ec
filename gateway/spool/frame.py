r"""One frame: what one commit of one lane stored. Little endian; docs/spool.md draws the whole file.

    0      4   5   6   7   8        12      20       28      36      40       44         48           48+length
    +------+---+---+---+---+--------+-------+--------+-------+-------+--------+----------+------------+---------+
    | JSRF | v | s | l | c | 0      | epoch | segment| first | count | length | head CRC | payload    | CRC     |
    +------+---+---+---+---+--------+-------+--------+-------+-------+--------+----------+------------+---------+
    v format version   s suite (0: CRC-32 only)   l lane   c content (0: end of segment, 1: JSON observations)

The second CRC covers head and payload. The head has its own, so that a segment can be walked without reading
payloads, and so that a damaged payload still tells which observations it held.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from drivers.observation import Lane

MAGIC = b"JSRF"
VERSION = 1
SUITE_CRC = 0
END_OF_SEGMENT = 0
OBSERVATIONS_JSON = 1
LANE_CODE: dict[Lane, int] = {"event": 0, "numeric": 1, "wave": 2, "log": 3}

_HEAD = struct.Struct("<4sBBBBIQQQII")
_CRC = struct.Struct("<I")
HEAD_BYTES = _HEAD.size + _CRC.size
OVERHEAD_BYTES = HEAD_BYTES + _CRC.size


class Position(Struct, frozen=True, order=True):
    """A point in a lane: after observation `seq` of `epoch`; (0, 0) is before everything."""

    epoch: int
    seq: int


class Frame(Struct, frozen=True):
    """A committed frame; `payload` of content 1 is a JSON array of observations without gateway, epoch, lane, seq."""

    lane: Lane
    epoch: int
    first: int
    count: int
    content: int
    payload: bytes

    @property
    def last(self) -> int:
        """Sequence number of the last observation in it."""
        return self.first + self.count - 1


class FrameHead(Struct, frozen=True):
    """The head as it stands on disk, its own CRC verified."""

    lane: int
    content: int
    epoch: int
    segment: int
    first: int
    count: int
    length: int

    @property
    def last(self) -> int:
        """Sequence number of the last observation in it."""
        return self.first + self.count - 1


def encode_frame(frame: Frame, segment: int) -> bytes:
    """The bytes of one frame as they stand in `segment`."""
    fixed = _HEAD.pack(
        MAGIC,
        VERSION,
        SUITE_CRC,
        LANE_CODE[frame.lane],
        frame.content,
        0,
        frame.epoch,
        segment,
        frame.first,
        frame.count,
        len(frame.payload),
    )
    body = fixed + _CRC.pack(zlib.crc32(fixed)) + frame.payload
    return body + _CRC.pack(zlib.crc32(body))


def parse_head(data: bytes, at: int) -> FrameHead | None:
    """The head at `at`, or None where there is none of this version and suite, or its CRC does not hold."""
    if data[at : at + 4] != MAGIC or at + HEAD_BYTES > len(data):
        return None
    _, version, suite, lane, content, _, epoch, segment, first, count, length = _HEAD.unpack_from(data, at)
    (crc,) = _CRC.unpack_from(data, at + _HEAD.size)
    if (version, suite) != (VERSION, SUITE_CRC) or crc != zlib.crc32(data[at : at + _HEAD.size]):
        return None
    return FrameHead(lane, content, epoch, segment, first, count, length)


def encode_end(lane: Lane, epoch: int, segment: int, first: int) -> bytes:
    """The end mark, written behind every commit and overwritten by the next: `first` is the number that would follow.

    Where it is missing something was torn, cut or damaged; where it stands nothing behind it counts, whatever an
    earlier life of the segment left there.
    """
    return encode_frame(Frame(lane, epoch, first, 0, END_OF_SEGMENT, b""), segment)


class Seen(Struct, frozen=True):
    """A good frame met on a walk; `end` is the offset behind it in the walked bytes."""

    end: int
    head: FrameHead
    payload: bytes
    is_after_damage: bool


class Walk:
    """A walk over the frames of one segment: good ones are yielded, damage is stepped over.

    Frames of another segment number, of another epoch or out of order are leftovers of a recycled file, not ours.
    After the walk: `end` is the offset behind the last good frame, `last` its sequence number, and `state` says how
    it ended: `ended` (end mark up to offset `mark_end`, `ended_at` = the number it expects next), `full` (no room for
    another frame), `torn` (bytes that are no frame; `torn_last` = the last observation a readable head among them
    names, else 0), or `unfinished` (trouble, and `data` is only a window).
    """

    def __init__(self, data: bytes, lane: Lane, segment: int, epoch: int, last: int) -> None:
        self._data, self._lane, self._segment = data, LANE_CODE[lane], segment
        self.epoch, self.last = epoch, last
        self.end, self.torn_last, self.mark_end, self.ended_at = 0, 0, 0, 0
        self.state: Literal["full", "ended", "torn", "unfinished"] = "full"

    def frames(self, *, is_whole: bool = True, may_stop: bool = True) -> Iterator[Seen]:
        """The good frames in order. `may_stop`: the data may end behind a frame without an end mark."""
        at, is_damaged = 0, False
        while True:
            head = self._ours(at)
            if head is None or not self._is_intact(head, at):
                if may_stop and not is_damaged and len(self._data) - at < OVERHEAD_BYTES:
                    return
                self.torn_last = max(self.torn_last, head.last if head else 0)
                following = self._find(at + 1) if is_whole else None
                if following is None:
                    self.state = "torn" if is_whole else "unfinished"
                    return
                at, is_damaged = following, True
                continue
            at += OVERHEAD_BYTES + head.length
            if head.content == END_OF_SEGMENT:
                self.state, self.mark_end, self.ended_at = "ended", at, head.first
                return
            self.last, self.end, self.torn_last = head.last, at, 0
            yield Seen(at, head, self._data[at - 4 - head.length : at - 4], is_damaged)
            is_damaged = False

    def _ours(self, at: int) -> FrameHead | None:
        head = parse_head(self._data, at)
        if head is None or (head.lane, head.segment) != (self._lane, self._segment):
            return None
        return head if self.epoch == head.epoch and head.first > self.last else None

    def _is_intact(self, head: FrameHead, at: int) -> bool:
        stop = at + HEAD_BYTES + head.length
        if stop + _CRC.size > len(self._data):
            return False
        (crc,) = _CRC.unpack_from(self._data, stop)
        return bool(crc == zlib.crc32(memoryview(self._data)[at:stop]))

    def _find(self, at: int) -> int | None:
        while (at := self._data.find(MAGIC, at)) >= 0:
            if self._ours(at) is not None:
                return at
            at += 1
        return None
