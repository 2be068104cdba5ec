"""What happened to a device, in order: the writes, the flushes, and marks that a program set between them.

kind   u8   1: write  2: flush  3: mark
offset u64  of a write
length u32  then that many bytes: what was written, or the mark
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

WRITE, FLUSH, MARK = 1, 2, 3
_HEAD = struct.Struct("<BQI")


class Entry(Struct, frozen=True):
    """One thing that happened."""

    kind: int
    offset: int = 0
    data: bytes = b""


class Counters(Struct, frozen=True):
    """What reached the block device, the file system's journal and metadata included."""

    writes: int = 0
    bytes: int = 0
    flushes: int = 0

    def __sub__(self, before: "Counters") -> "Counters":
        return Counters(self.writes - before.writes, self.bytes - before.bytes, self.flushes - before.flushes)


class Log:
    """The writing side. Without a file it only counts."""

    def __init__(self, file: BinaryIO | None) -> None:
        self._file = file
        self.writes = self.bytes = self.flushes = 0

    def add(self, kind: int, offset: int = 0, data: bytes = b"") -> None:
        """One more entry."""
        self.writes += kind == WRITE
        self.flushes += kind == FLUSH
        self.bytes += len(data) if kind == WRITE else 0
        if self._file is not None:
            self._file.write(_HEAD.pack(kind, offset, len(data)))
            self._file.write(data)

    def counters(self) -> Counters:
        """So far; what was added stands in the file too."""
        if self._file is not None:
            self._file.flush()
        return Counters(self.writes, self.bytes, self.flushes)


def read_log(path: Path) -> list[Entry]:
    """All entries that are complete."""
    return list(_entries(path.read_bytes()))


def _entries(data: bytes) -> Iterator[Entry]:
    at = 0
    while at + _HEAD.size <= len(data):
        kind, offset, length = _HEAD.unpack_from(data, at)
        at += _HEAD.size + length
        if at <= len(data):
            yield Entry(kind, offset, data[at - length : at])
