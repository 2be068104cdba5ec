r"""The cursor of a lane: how far the platform has it, in two slots of 4 KiB written in turn.

    0      4   5   6        8         16         24          32         48          64        72
    +------+---+---+--------+---------+----------+-----------+----------+-----------+---------+---------------------+
    | JSRC | v | l | ranges | counter | spool id | epoch now | released | committed | segment | epoch, first, last… |
    +------+---+---+--------+---------+----------+-----------+----------+-----------+---------+---------------------+
    then a MAC of 16 bytes and the CRC-32 of it all. The valid slot with the higher counter holds.

A slot is written again only after the other one was flushed: a torn write costs one update, never both. A lost
update means that frames are sent again, nothing more. A forged one would delete data: hence the MAC. `committed` and
`segment` tell a start that the newest file is gone. Format 1 had neither, nor the MAC; its ranges begin at 48.
"""

import contextlib
import os
import struct
import zlib
from pathlib import Path

from msgspec import Struct

from drivers.observation import Lane
from gateway.spool.acked import MAX_RANGES, Range
from gateway.spool.cipher import CURSOR_SLOT, TAG_BYTES, Keyring
from gateway.spool.disk import Disk
from gateway.spool.frame import CRC_VERSION, LANE_CODE, VERSION, Position
from gateway.spool.segment import read_bytes

MAGIC = b"JSRC"
SLOT_BYTES = 4096
_HEAD = struct.Struct("<4sBBHQ8sQQQ")
_NEWEST = struct.Struct("<QQQ")
_RANGE = struct.Struct("<QQQ")
_CRC = struct.Struct("<I")


class State(Struct, frozen=True):
    """What a cursor says of its lane."""

    released: Position = Position(0, 0)
    ranges: tuple[Range, ...] = ()
    committed: Position = Position(0, 0)
    """The last observation on disk, as of the last write; there may be more."""
    segment: int = 0
    """The newest segment."""


class Slot(Struct, frozen=True):
    """One state, and whose it is; of format 1 where `is_sealed` is False."""

    counter: int
    spool: str
    epoch: int
    state: State
    is_sealed: bool = True
    is_genuine: bool = True
    """Its MAC holds."""


def encode_slot(slot: Slot, lane: Lane, keyring: Keyring) -> bytes:
    """The bytes of a slot, MAC and CRC included."""
    state = slot.state
    ranges = state.ranges[:MAX_RANGES]
    head = _HEAD.pack(
        MAGIC,
        VERSION,
        LANE_CODE[lane],
        len(ranges),
        slot.counter,
        bytes.fromhex(slot.spool),
        slot.epoch,
        state.released.epoch,
        state.released.seq,
    )
    newest = _NEWEST.pack(state.committed.epoch, state.committed.seq, state.segment)
    body = head + newest + b"".join(_RANGE.pack(*each) for each in ranges)
    body += keyring.mac(CURSOR_SLOT, body)
    return body + _CRC.pack(zlib.crc32(body))


def parse_slot(data: bytes, lane: Lane, keyring: Keyring | None = None) -> Slot | None:
    """The slot in `data`, or None where it is blank, damaged or another lane's; genuine only with a keyring."""
    if len(data) < _HEAD.size or data[:4] != MAGIC:
        return None
    _, version, code, count, counter, spool, epoch, *released = _HEAD.unpack_from(data)
    is_sealed = version == VERSION
    at = _HEAD.size + (_NEWEST.size if is_sealed else 0)
    mac_at = at + count * _RANGE.size
    size = mac_at + (TAG_BYTES if is_sealed else 0)
    if version not in (VERSION, CRC_VERSION) or code != LANE_CODE[lane] or size + _CRC.size > len(data):
        return None
    if _CRC.unpack_from(data, size)[0] != zlib.crc32(data[:size]):
        return None
    ranges = tuple(_RANGE.unpack_from(data, at + number * _RANGE.size) for number in range(count))
    *committed, segment = _NEWEST.unpack_from(data, _HEAD.size) if is_sealed else (0, 0, 0)
    state = State(Position(*released), ranges, Position(*committed), segment)
    is_genuine = keyring is not None and is_sealed and keyring.verify(CURSOR_SLOT, data[:mac_at], data[mac_at:size])
    return Slot(counter, spool.hex(), epoch, state, is_sealed, is_genuine)


def read_slots(path: Path, lane: Lane, keyring: Keyring | None = None) -> list[tuple[int, Slot]]:
    """The slots that are whole, with their place (0 or 1), newest last; those of format 1 before all others."""
    data = read_bytes(path, 2 * SLOT_BYTES)
    halves = ((place, parse_slot(data[place * SLOT_BYTES :][:SLOT_BYTES], lane, keyring)) for place in (0, 1))
    return sorted(
        ((place, slot) for place, slot in halves if slot), key=lambda each: (each[1].is_sealed, each[1].counter)
    )


def believed(path: Path, lane: Lane, keyring: Keyring, sealed_from: int) -> list[tuple[int, Slot]]:
    """Slots of this spool that are genuine, or of format 1 from a time when that was what we wrote; newest last."""
    mine = [each for each in read_slots(path, lane, keyring) if each[1].spool == keyring.spool]
    return [each for each in mine if (each[1].is_genuine if each[1].is_sealed else each[1].epoch < sealed_from)]


class Cursor:
    """The cursor file of one lane, open for writing."""

    def __init__(  # noqa: PLR0913, PLR0917
        self, path: Path, lane: Lane, keyring: Keyring, epoch: int, sealed_from: int, disk: Disk
    ) -> None:
        """Raises OSError where the file cannot be made."""
        self._lane, self._keyring, self._epoch, self._disk = lane, keyring, epoch, disk
        known = believed(path, lane, keyring, sealed_from)
        self._place, newest = known[-1] if known else (1, Slot(0, keyring.spool, epoch, State()))
        self._counter = newest.counter
        self.state = newest.state
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._is_written = False
        if os.fstat(self._fd).st_size < 2 * SLOT_BYTES:
            self._fill()

    def write(self, state: State) -> None:
        """Put the state where a killed process leaves it behind; it survives a power cut after `flush()`."""
        self._counter += 1
        slot = Slot(self._counter, self._keyring.spool, self._epoch, state)
        self._disk.write(self._fd, encode_slot(slot, self._lane, self._keyring), (1 - self._place) * SLOT_BYTES)
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
