r"""One segment file: a head of 128 bytes, then frames. It holds one lane, one epoch, one unbroken run of numbers.

    0      4   5   6   7   8    16       24      32      40    48      56     64    68     72     88     104   120
    +------+---+---+---+---+----+--------+-------+-------+-----+-------+------+-----+------+------+------+-----+-----+
    | JSRS | v | s | l | 0 | id | number | epoch | first | no. | epoch | last | end | size | salt | boot | MAC | CRC |
    +------+---+---+---+---+----+--------+-------+-------+-----+-------+------+-----+------+------+------+-----+-----+
    v format version   s suite   l lane   id of the spool  |<- of the segment before ->|

A head tells where its predecessor ends, so that a start reads heads only; and frames behind that point, which the
disk refused and perhaps stored all the same, are never taken for committed ones. Salt, suite and epoch tell with
which key its frames are sealed (cipher.py). Format 1 ends with the CRC at 72: no salt, no boot, no MAC.
"""

import os
import struct
import zlib
from pathlib import Path

from msgspec import Struct

from drivers.observation import Lane
from gateway.spool.cipher import SEALED_SUITES, SEGMENT_HEAD, SUITE_CRC, Keyring, Origin, Sealer
from gateway.spool.disk import Disk
from gateway.spool.frame import CRC_VERSION, VERSION, Position, Walk, encode_end, is_unknown

MAGIC = b"JSRS"
HEAD_BYTES = 128
"""Where the first frame begins."""
SCAN_BYTES = 16 << 20
"""No segment is longer, whatever the file's length says."""
_HEAD = struct.Struct("<4sBBBx8sQQQQQQII")
_SEAL = struct.Struct("<16s16s")
_MAC = struct.Struct("<16s")
_CRC = struct.Struct("<I")
_MAC_AT = _HEAD.size + _SEAL.size
_CRC_AT = _MAC_AT + _MAC.size


class Tail(Struct, frozen=True):
    """Where a segment ends: what its successor's head tells about it."""

    number: int = 0
    epoch: int = 0
    last: int = 0
    end: int = 0


class SegmentHead(Struct, frozen=True):
    """The head of a segment, its CRC verified; whether it is genuine only `is_genuine()` tells."""

    spool: str
    lane: int
    number: int
    origin: Origin
    first: int
    previous: Tail
    size: int

    @property
    def epoch(self) -> int:
        """Of every frame in it."""
        return self.origin.epoch


class Run(Struct):
    """A segment in the index: observations `first` to `last` of an epoch, in the bytes up to `end`."""

    folder: Path
    number: int
    origin: Origin
    first: int
    last: int
    end: int
    size: int = 0
    """What the file takes."""
    is_damaged: bool = False
    is_leaving: bool = False
    """It is being evicted: nobody reads it any more."""
    is_newer: bool = False
    """Something in it is of a later version of this software."""

    @property
    def path(self) -> Path:
        """Its file. Not kept: there may be ten thousand of them."""
        return Name(self.number, self.origin.epoch, self.first).path(self.folder)

    @property
    def epoch(self) -> int:
        """Of every observation in it."""
        return self.origin.epoch

    @property
    def start(self) -> Position:
        """Before its first observation."""
        return Position(self.epoch, self.first - 1)

    @property
    def stop(self) -> Position:
        """At its last observation."""
        return Position(self.epoch, self.last)

    @property
    def observations(self) -> int:
        """How many it holds."""
        return self.last - self.first + 1

    def tail(self) -> Tail:
        """What the next segment's head says about this one."""
        return Tail(self.number, self.epoch, self.last, self.end)


def boot_bytes(boot: str) -> bytes:
    """A boot id as 16 bytes; zeros where there is none, or it is not of that form."""
    try:
        data = bytes.fromhex(boot.replace("-", ""))
    except ValueError:
        data = b""
    return data if len(data) == 16 else bytes(16)


def boot_text(data: bytes) -> str:
    """The boot id as the kernel writes it; empty for zeros."""
    digits = data.hex()
    parts = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
    return "-".join(parts) if any(data) else ""


def encode_head(head: SegmentHead, sealer: Sealer) -> bytes:
    """The 128 bytes a segment begins with."""
    before = head.previous
    fixed = _HEAD.pack(
        MAGIC,
        VERSION,
        head.origin.suite,
        head.lane,
        bytes.fromhex(head.spool),
        head.number,
        head.epoch,
        head.first,
        before.number,
        before.epoch,
        before.last,
        before.end,
        head.size,
    )
    fixed += _SEAL.pack(head.origin.salt, boot_bytes(head.origin.boot))
    fixed += sealer.mac(SEGMENT_HEAD, fixed)
    return (fixed + _CRC.pack(zlib.crc32(fixed))).ljust(HEAD_BYTES, b"\0")


def parse_head(data: bytes) -> SegmentHead | None:
    """The head of a segment, or None where it is damaged or of a version that is not known."""
    if len(data) < HEAD_BYTES or data[:4] != MAGIC:
        return None
    is_sealed = data[4] == VERSION
    _, version, suite, lane, spool, number, epoch, first, *previous, size = _HEAD.unpack_from(data)
    crc_at = _CRC_AT if is_sealed else _HEAD.size
    is_known = suite in SEALED_SUITES if is_sealed else (version, suite) == (CRC_VERSION, SUITE_CRC)
    if not is_known or _CRC.unpack_from(data, crc_at)[0] != zlib.crc32(data[:crc_at]):
        return None
    origin = Origin(epoch)
    if is_sealed:
        salt, boot = _SEAL.unpack_from(data, _HEAD.size)
        origin = Origin(epoch, suite, salt, boot_text(boot))
    return SegmentHead(spool.hex(), lane, number, origin, first, Tail(*previous), size)


def is_genuine(data: bytes, head: SegmentHead, keyring: Keyring, sealed_from: int) -> bool:
    """Written with our secret; or of format 1, from a time when that was what we wrote."""
    if not head.origin.is_sealed:
        return head.epoch < sealed_from
    return keyring.verify(SEGMENT_HEAD, data[:_MAC_AT], _MAC.unpack_from(data, _MAC_AT)[0])


def is_newer(data: bytes) -> bool:
    """A segment that a later version of this software wrote."""
    return len(data) > 5 and data[:4] == MAGIC and is_unknown(data[4], data[5])


class Name(Struct, frozen=True, order=True):
    """What a file's name says: it still tells what the file held when nothing in it can be read."""

    number: int
    epoch: int
    first: int

    def path(self, folder: Path, kind: str = "seg") -> Path:
        """`seg` holds frames, `free` waits to be used again, `bad` and `kept` are set aside."""
        return folder / self.text(kind)

    def text(self, kind: str = "seg") -> str:
        """The file's name."""
        return f"{self.number:010d}-{self.epoch}-{self.first}.{kind}"


def names(folder: Path, kind: str) -> list[Name]:
    """What the names of the files of one kind say, by number; a file that is named otherwise is none of ours."""
    found = []
    try:
        with os.scandir(folder) as entries:
            listed = [entry.name for entry in entries]
    except OSError:
        return []
    for text in listed:
        stem, dot, end = text.rpartition(".")
        parts = stem.split("-")
        if dot and end == kind and len(parts) == 3 and all(part.isdecimal() and len(part) < 19 for part in parts):
            name = Name(*map(int, parts))
            if name.text(kind) == text:
                found.append(name)
    return sorted(found)


def named(folder: Path, kind: str) -> list[tuple[Name, Path]]:
    """The same, with the files."""
    return [(name, name.path(folder, kind)) for name in names(folder, kind)]


def read_bytes(path: Path, size: int, offset: int = 0, *, is_fresh: bool = False) -> bytes:
    """Up to `size` bytes at `offset`; what the medium cannot read counts as not there.

    `is_fresh`: from the medium itself, not from what the kernel remembers of it.
    """
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        return b""
    try:
        if is_fresh:
            os.posix_fadvise(fd, offset, size, os.POSIX_FADV_DONTNEED)
        return os.pread(fd, size, offset)
    except OSError:
        return b""
    finally:
        os.close(fd)


class Scan(Struct):
    """What a full reading of a segment found; `frames` 0 means that it holds nothing."""

    run: Run
    frames: int = 0
    lost: tuple[tuple[int, int], ...] = ()
    """Observations whose frames are damaged, with good frames or the end mark behind them."""
    torn_bytes: int = 0
    torn_last: int = 0
    """The last observation that the torn bytes name; 0 if they name none."""
    mark_end: int = 0
    """Offset behind the end mark; 0 if there is none."""
    is_blank: bool = False
    """It never held a frame of this number: made or recycled, then the power went."""
    is_newer: bool = False
    """Something in it is of a later version."""


def scan(  # noqa: PLR0913, PLR0917
    path: Path,
    lane: Lane,
    name: Name,
    origin: Origin,
    keyring: Keyring,
    segment_bytes: int,
    before: Position | None = None,
) -> Scan:
    """Read a whole segment, its head being damaged or it being the last. Frames from `before` on stand in another."""
    data = read_bytes(path, min(max(segment_bytes, path.stat().st_size), SCAN_BYTES))
    head = parse_head(data)
    is_ours = head is not None and head.number == name.number
    walk = Walk(data[HEAD_BYTES:], lane, name.number, origin, keyring.opener(origin), name.first - 1)
    run = Run(path.parent, name.number, origin, name.first, name.first - 1, HEAD_BYTES, len(data))
    found = 0
    lost: list[tuple[int, int]] = []
    for seen in walk.frames(may_stop=len(data) >= (head.size if head and is_ours else segment_bytes)):
        if before is not None and Position(seen.head.epoch, seen.head.last) > before:
            return Scan(run, found, tuple(lost))
        if seen.head.first > run.last + 1:
            lost.append((run.last + 1, seen.head.first - 1))
        run.last, run.end = seen.head.last, HEAD_BYTES + seen.end
        found += 1
    run.is_damaged = bool(lost)
    if walk.state == "ended" and walk.ended_at > run.last + 1:
        lost.append((run.last + 1, walk.ended_at - 1))
        run.last, run.is_damaged = walk.ended_at - 1, True
    is_blank = not found and _is_blank(data, head, is_ours=is_ours)
    torn = max(1, len(data.rstrip(b"\0")) - run.end) if walk.state == "torn" and not is_blank else 0
    mark_end = HEAD_BYTES + walk.mark_end if walk.mark_end else 0
    newer = walk.is_newer or is_newer(data)
    return Scan(run, found, tuple(lost), torn, walk.torn_last, mark_end, is_blank, newer)


def _is_blank(data: bytes, head: SegmentHead | None, *, is_ours: bool) -> bool:
    if is_ours:
        return not any(data[HEAD_BYTES:])  # its head landed and no frame did, before the power went
    return head is not None or (len(data) >= HEAD_BYTES and not any(data[:HEAD_BYTES]))


def seal(seen: Scan, lane: Lane, keyring: Keyring, disk: Disk) -> None:
    """Close a segment that is not written any more: an end mark behind its last frame, and no room kept after it.

    Raises OSError.
    """
    run = seen.run
    mark = b"" if seen.mark_end else encode_end(lane, run.origin, run.number, run.last + 1, keyring)
    end = seen.mark_end or run.end + len(mark)
    if run.path.stat().st_size != end:
        fd = os.open(run.path, os.O_RDWR)
        try:
            if mark:
                disk.write(fd, mark, run.end)
            os.ftruncate(fd, end)
            disk.flush(fd)
        finally:
            os.close(fd)
    run.size = end
