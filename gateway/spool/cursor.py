r"""The cursor of a lane: how far the platform has it, in two slots of 4 KiB written in turn.

    0      4   5   6        8         16         24            32              40             48
    +------+---+---+--------+---------+----------+-------------+---------------+--------------+---------------------+
    | JSRC | v | l | ranges | counter | spool id | epoch now   | released epoch| released seq | epoch, first, last… |
    +------+---+---+--------+---------+----------+-------------+---------------+--------------+---------------------+
    then CRC-32 of it all. The valid slot with the higher counter holds.

A slot is written again only after the other one was flushed: a torn write costs one update, never both. A lost
update means that frames are sent again, nothing more.
"""

import contextlib
import os
import struct
import zlib
from pathlib import Path

from msgspec import Struct

from drivers.observation import Lane
from gateway.spool.acked import MAX_RANGES, Range
from gateway.spool.disk import Disk
from gateway.spool.frame import LANE_CODE, VERSION, Position
from gateway.spool.segment import read_bytes

MAGIC = b"JSRC"
SLOT_BYTES = 4096
_HEAD = struct.Struct("<4sBBHQ8sQQQ")
_RANGE = struct.Struct("<QQQ")
_CRC = struct.Struct("<I")


class Slot(Struct, frozen=True):
    """One state of the cursor."""

    counter: int
    spool: str
    epoch: int
    released: Position
    ranges: tuple[Range, ...] = ()


def encode_slot(slot: Slot, lane: Lane) -> bytes:
    """The bytes of a slot, CRC included."""
    ranges = slot.ranges[:MAX_RANGES]
    head = _HEAD.pack(
        MAGIC,
        VERSION,
        LANE_CODE[lane],
        len(ranges),
        slot.counter,
        bytes.fromhex(slot.spool),
        slot.epoch,
        slot.released.epoch,
        slot.released.seq,
    )
    body = head + b"".join(_RANGE.pack(*each) for each in ranges)
    return body + _CRC.pack(zlib.crc32(body))


def parse_slot(data: bytes, lane: Lane) -> Slot | None:
    """The slot in `data`, or None where it is blank, damaged or another lane's."""
    if len(data) < _HEAD.size or data[:4] != MAGIC:
        return None
    _, version, code, count, counter, spool, epoch, *released = _HEAD.unpack_from(data)
    size = _HEAD.size + count * _RANGE.size
    if version != VERSION or code != LANE_CODE[lane] or size + _CRC.size > len(data):
        return None
    if _CRC.unpack_from(data, size)[0] != zlib.crc32(data[:size]):
        return None
    ranges = tuple(_RANGE.unpack_from(data, _HEAD.size + at * _RANGE.size) for at in range(count))
    return Slot(counter, spool.hex(), epoch, Position(*released), ranges)


def read_slots(path: Path, lane: Lane) -> list[tuple[int, Slot]]:
    """The valid slots with their place (0 or 1), newest last."""
    data = read_bytes(path, 2 * SLOT_BYTES)
    halves = ((place, parse_slot(data[place * SLOT_BYTES :][:SLOT_BYTES], lane)) for place in (0, 1))
    return sorted(((place, slot) for place, slot in halves if slot), key=lambda each: each[1].counter)


class Cursor:
    """The cursor file of one lane, open for writing."""

    def __init__(self, path: Path, lane: Lane, spool: str, epoch: int, disk: Disk) -> None:
        """Raises OSError where the file cannot be made."""
        self._lane, self._spool, self._epoch, self._disk = lane, spool, epoch, disk
        known = [each for each in read_slots(path, lane) if each[1].spool == spool]
        self._place, newest = known[-1] if known else (1, Slot(0, spool, epoch, Position(0, 0)))
        self._counter = newest.counter
        self.state = newest
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._is_written = False
        if os.fstat(self._fd).st_size < 2 * SLOT_BYTES:
            self._fill()

    def write(self, released: Position, ranges: tuple[Range, ...]) -> None:
        """Put the state where a killed process leaves it behind; it survives a power cut after `flush()`."""
        self._counter += 1
        slot = Slot(self._counter, self._spool, self._epoch, released, ranges)
        self._disk.write(self._fd, encode_slot(slot, self._lane), (1 - self._place) * SLOT_BYTES)
        self._is_written = True

    def flush(self) -> None:
        """Return once the last state written is on the medium."""
        if self._is_written:
            self._disk.flush(self._fd)
            self._place, self._is_written = 1 - self._place, False

    def close(self) -> None:
        """Let go of the file."""
        with contextlib.suppress(OSError):
            os.close(self._fd)

    def _fill(self) -> None:
        size = os.fstat(self._fd).st_size
        try:
            self._disk.write(self._fd, bytes(2 * SLOT_BYTES - size), size)
            self._disk.flush(self._fd)
        except OSError:
            os.close(self._fd)
            raise
