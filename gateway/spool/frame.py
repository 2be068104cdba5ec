r"""One frame: what one commit of one lane stored. Little endian; docs/spool.md draws the whole file.

    0      4   5   6   7   8   12      20        28      36      40       44        52         56            56+length
    +------+---+---+---+---+---+-------+---------+-------+-------+--------+---------+----------+-------------+
    | JSRF | v | s | l | c | 0 | epoch | segment | first | count | length | counter | head CRC | sealed body |
    +------+---+---+---+---+---+-------+---------+-------+-------+--------+---------+----------+-------------+
    v format version, 2   s suite   l lane   c content (0: end of segment, 1: JSON observations)

The body is the payload and its tag of 16 bytes, sealed with the head as associated data (cipher.py). The head has a
CRC of its own, so that a segment can be walked without reading payloads, and so that a damaged payload still tells
which observations it held. Format 1 has no counter; a CRC-32 over head and payload stands behind the payload. It is
read and no longer written, but for the end mark of a segment that it left open.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from drivers.observation import Lane
from gateway.spool.cipher import END_MARK, SEALED_SUITES, SUITE_CRC, TAG_BYTES, Keyring, Opener, Origin, Sealer

MAGIC = b"JSRF"
VERSION = 2
CRC_VERSION = 1
END_OF_SEGMENT = 0
OBSERVATIONS_JSON = 1
LANE_CODE: dict[Lane, int] = {"event": 0, "numeric": 1, "wave": 2, "log": 3}

_CRC_HEAD = struct.Struct("<4sBBBBIQQQII")
_HEAD = struct.Struct("<4sBBBBIQQQIIQ")
_CRC = struct.Struct("<I")
HEAD_BYTES = _HEAD.size + _CRC.size
OVERHEAD_BYTES = HEAD_BYTES + TAG_BYTES
"""What a frame takes beside its payload."""
_CRC_OVERHEAD_BYTES = _CRC_HEAD.size + 2 * _CRC.size


class Position(Struct, frozen=True, order=True):
    """A point in a lane: after observation `seq` of `epoch`; (0, 0) is before everything."""

    epoch: int
    seq: int


class Frame(Struct, frozen=True):
    """A committed frame; `payload` of content 1 is a JSON array of observations without gateway, epoch, lane, seq.

    `boot` is the boot id of the machine when it was stored; empty where nothing tells it.
    """

    lane: Lane
    epoch: int
    first: int
    count: int
    content: int
    payload: bytes
    boot: str = ""

    @property
    def last(self) -> int:
        """Sequence number of the last observation in it."""
        return self.first + self.count - 1


class FrameHead(Struct, frozen=True):
    """The head as it stands on disk, its own CRC verified."""

    suite: int
    lane: int
    content: int
    epoch: int
    segment: int
    first: int
    count: int
    length: int
    """Bytes behind the head."""
    counter: int
    size: int
    """Bytes of the head."""

    @property
    def last(self) -> int:
        """Sequence number of the last observation in it."""
        return self.first + self.count - 1


def encode_frame(frame: Frame, segment: int, sealer: Sealer) -> bytes:
    """The bytes of one frame as they stand in `segment`; each call seals under a counter of its own."""
    counter = sealer.take()
    head = _head(frame, segment, sealer.origin.suite, len(frame.payload) + TAG_BYTES, counter)
    return head + sealer.seal(counter, head, frame.payload)


def encode_end(lane: Lane, origin: Origin, segment: int, first: int, keyring: Keyring | Sealer) -> bytes:
    """The end mark, written behind every commit and overwritten by the next: `first` is the number that would follow.

    Where it is missing something was torn, cut or damaged; where it stands nothing behind it counts, whatever an
    earlier life of the segment left there.
    """
    if not origin.is_sealed:
        fixed = _CRC_HEAD.pack(
            MAGIC, CRC_VERSION, SUITE_CRC, LANE_CODE[lane], END_OF_SEGMENT, 0, origin.epoch, segment, first, 0, 0
        )
        body = fixed + _CRC.pack(zlib.crc32(fixed))
        return body + _CRC.pack(zlib.crc32(body))
    head = _head(Frame(lane, origin.epoch, first, 0, END_OF_SEGMENT, b""), segment, origin.suite, TAG_BYTES, 0)
    return head + keyring.mac(END_MARK, head)


def _head(frame: Frame, segment: int, suite: int, length: int, counter: int) -> bytes:
    fixed = _HEAD.pack(
        MAGIC,
        VERSION,
        suite,
        LANE_CODE[frame.lane],
        frame.content,
        0,
        frame.epoch,
        segment,
        frame.first,
        frame.count,
        length,
        counter,
    )
    return fixed + _CRC.pack(zlib.crc32(fixed))


def parse_head(data: bytes, at: int) -> FrameHead | None:
    """The head at `at`, or None where there is none of a known version and suite, or its CRC does not hold."""
    if data[at : at + 4] != MAGIC or at + _CRC_HEAD.size + _CRC.size > len(data):
        return None
    is_sealed = data[at + 4] == VERSION
    layout = _HEAD if is_sealed else _CRC_HEAD
    if at + layout.size + _CRC.size > len(data):
        return None
    _, version, suite, lane, content, _, epoch, segment, first, count, length, *counter = layout.unpack_from(data, at)
    (crc,) = _CRC.unpack_from(data, at + layout.size)
    is_known = suite in SEALED_SUITES if is_sealed else (version, suite) == (CRC_VERSION, SUITE_CRC)
    if not is_known or crc != zlib.crc32(data[at : at + layout.size]) or (is_sealed and length < TAG_BYTES):
        return None
    length += 0 if is_sealed else _CRC.size
    size = layout.size + _CRC.size
    return FrameHead(suite, lane, content, epoch, segment, first, count, length, sum(counter), size)


def is_unknown(version: int, suite: int) -> bool:
    """Of a later version of this software, or sealed in a way that this one does not know."""
    return version > VERSION or suite > max(SEALED_SUITES) or (version == CRC_VERSION and suite != SUITE_CRC)


def overhead_bytes(origin: Origin) -> int:
    """What a frame of that origin takes beside its payload."""
    return OVERHEAD_BYTES if origin.is_sealed else _CRC_OVERHEAD_BYTES


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
    names, else 0), or `unfinished` (trouble, and `data` is only a window). `is_newer`: a frame of a version that this
    software does not know stands where one of ours should.
    """

    def __init__(self, data: bytes, lane: Lane, segment: int, origin: Origin, opener: Opener, last: int) -> None:  # noqa: PLR0913, PLR0917
        self._data, self._lane, self._segment = data, LANE_CODE[lane], segment
        self._origin, self._opener, self._room = origin, opener, overhead_bytes(origin)
        self.last = last
        self.end, self.torn_last, self.mark_end, self.ended_at = 0, 0, 0, 0
        self.is_newer = False
        self.state: Literal["full", "ended", "torn", "unfinished"] = "full"

    def frames(self, *, is_whole: bool = True, may_stop: bool = True) -> Iterator[Seen]:
        """The good frames in order. `may_stop`: the data may end behind a frame without an end mark."""
        at, is_damaged = 0, False
        while True:
            head = self._ours(at)
            payload = self._opened(head, at) if head else None
            if head is None or payload is None:
                if may_stop and not is_damaged and len(self._data) - at < self._room:
                    return
                self._note(head, at)
                following = self._find(at + 1) if is_whole else None
                if following is None:
                    self.state = "torn" if is_whole else "unfinished"
                    return
                at, is_damaged = following, True
                continue
            at += head.size + head.length
            if head.content == END_OF_SEGMENT:
                self.state, self.mark_end, self.ended_at = "ended", at, head.first
                return
            self.last, self.end, self.torn_last = head.last, at, 0
            yield Seen(at, head, payload, is_damaged)
            is_damaged = False

    def _ours(self, at: int) -> FrameHead | None:
        head = parse_head(self._data, at)
        if head is None or (head.lane, head.segment) != (self._lane, self._segment):
            return None
        if (head.suite, head.epoch) != (self._origin.suite, self._origin.epoch) or head.first <= self.last:
            return None
        return head

    def _opened(self, head: FrameHead, at: int) -> bytes | None:
        start, stop = at + head.size, at + head.size + head.length
        if stop > len(self._data):
            return None
        return self._opener.open(head.counter, self._data[at:start], self._data[start:stop])

    def _note(self, head: FrameHead | None, at: int) -> None:
        """What the bytes at `at`, which are no frame, tell all the same."""
        if head and head.last - self.last <= len(self._data):  # more do not fit: such a head is not one we wrote
            self.torn_last = max(self.torn_last, head.last)
        is_frame = self._data[at : at + 4] == MAGIC and len(self._data) > at + 5
        self.is_newer = self.is_newer or (is_frame and is_unknown(self._data[at + 4], self._data[at + 5]))

    def _find(self, at: int) -> int | None:
        while (at := self._data.find(MAGIC, at)) >= 0:
            if self._ours(at) is not None:
                return at
            at += 1
        return None
