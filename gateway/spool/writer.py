"""The writing side of a lane: frames into the current segment, segments begun, recycled, given up.

Everything here runs in the spool's one worker thread; the index learns of it only after the flush.
"""

import contextlib
import errno
import os
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from drivers.observation import Lane
from gateway.spool.aside import set_aside
from gateway.spool.cipher import Sealer
from gateway.spool.disk import Disk
from gateway.spool.frame import LANE_CODE, OVERHEAD_BYTES, Frame, encode_end, encode_frame
from gateway.spool.segment import (
    HEAD_BYTES,
    Name,
    Run,
    SegmentHead,
    Tail,
    encode_head,
    named,
)

FREE_SEGMENTS = 4
"""Segments kept per lane to be used again; more are given back to the file system."""
RESERVE = "reserve"
"""One segment in the spool's folder, kept back for gap records on a disk that is full (`LaneWriter.reserve`)."""
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class _Open(Struct):
    """A segment being written; `run` says what of it is committed."""

    fd: int
    run: Run

    def has_room(self, size: int, segment_bytes: int) -> bool:
        return self.run.end + size <= segment_bytes


class LaneWriter:
    """Appends frames durably. `previous` is the tail of the last segment that earlier epochs left."""

    def __init__(  # noqa: PLR0913
        self, disk: Disk, folder: Path, lane: Lane, sealer: Sealer, *, segment_bytes: int, number: int, previous: Tail
    ) -> None:
        self._disk, self._folder, self._lane, self._sealer = disk, folder, lane, sealer
        self._segment_bytes, self._number, self._previous = segment_bytes, number, previous
        self._open: _Open | None = None
        self._free = [path for _, path in named(folder, "free") if path.stat().st_size == segment_bytes]
        self._reserve = folder.parent / RESERVE
        self._may_reserve = False
        self.removed = 0
        """Damaged files that made room for newer ones."""

    @property
    def room(self) -> int:
        """Bytes left in the segment being written."""
        return self._segment_bytes - self._open.run.end if self._open else 0

    @property
    def free(self) -> int:
        """Segments that wait to be used again."""
        return len(self._free)

    def write(self, frames: Sequence[Frame], *, may_reserve: bool = False) -> list[Run]:
        """Store the frames; returns the segments they stand in, as they are now, once all is flushed.

        One write and one flush, unless a segment ends. Raises OSError: then nothing of them counts as stored, and a
        segment on which a write or a flush failed is never written again. `may_reserve`: on a full disk the segment
        that is kept back may be used.
        """
        self._may_reserve = may_reserve
        segment, touched, began = self._open, dict[int, _Open](), list[_Open]()
        previous = self._previous
        try:
            rest = list(frames)
            while rest:
                size = OVERHEAD_BYTES + len(rest[0].payload)
                is_next = segment is not None and segment.run.last + 1 == rest[0].first
                if segment is None or not is_next or not segment.has_room(size, self._segment_bytes):
                    previous = segment.run.tail() if segment else previous
                    segment = self._begin(rest[0])
                    began.append(segment)
                segment = _Open(segment.fd, _copy(segment.run))
                touched[segment.fd] = segment
                rest = self._append(segment, rest, previous)
        except Exception:  # an OSError, or a defect of ours: either way nothing of it is stored
            self._give_up(began, touched)
            raise
        self._settle(segment, touched, previous)
        return [each.run for each in touched.values()]

    def release(self, runs: Sequence[Run]) -> None:
        """Take back segments whose frames are all released; damaged ones are set aside instead."""
        for run in runs:
            with contextlib.suppress(OSError):  # its file stays, and the next start finds it released
                if run.is_damaged or run.is_newer:
                    self.removed += set_aside(run.path, is_kept=run.is_newer)
                else:
                    self._take_back(run)

    def evict(self, runs: Sequence[Run], *, is_disk_short: bool) -> None:
        """Take back segments that were given up; on a disk that is short to the file system."""
        for run in runs:
            with contextlib.suppress(OSError):
                if is_disk_short:
                    run.path.unlink(missing_ok=True)
                else:
                    self._take_back(run)

    def drop_free(self) -> None:
        """Give the segments that wait to be used again back to the file system."""
        free, self._free = self._free, []
        for path in free:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def reserve(self) -> None:
        """Keep one segment back, if there is none and the disk has room for it."""
        if not self._reserve.exists():
            with contextlib.suppress(OSError):
                self._make(self._reserve)

    def close(self) -> None:
        """Let go of the current segment."""
        if self._open is not None:
            _close(self._open.fd)
            self._open = None

    def _take_back(self, run: Run) -> None:
        if len(self._free) < FREE_SEGMENTS and run.path.stat().st_size == self._segment_bytes:
            free = run.path.with_suffix(".free")
            run.path.rename(free)
            self._free.append(free)
        else:
            run.path.unlink(missing_ok=True)

    def _begin(self, frame: Frame) -> _Open:
        number, self._number = self._number, self._number + 1
        path = Name(number, frame.epoch, frame.first).path(self._folder)
        if self._free:
            self._free.pop(0).rename(path)
        else:
            try:
                self._make(path)
            except OSError as error:
                if not self._may_reserve or error.errno not in NO_ROOM:
                    raise
                self._reserve.rename(path)
        fd = os.open(path, os.O_RDWR)
        run = Run(self._folder, number, self._sealer.origin, frame.first, frame.first - 1, 0, self._segment_bytes)
        return _Open(fd, run)

    def _make(self, path: Path) -> None:
        """Named only once it has its full length: a shorter `.seg` without an end mark was cut by someone."""
        beside = path.with_suffix(".new")
        fd = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.posix_fallocate(fd, 0, self._segment_bytes)
            beside.rename(path)
        except OSError:
            beside.unlink(missing_ok=True)
            raise
        finally:
            os.close(fd)

    def _append(self, segment: _Open, frames: list[Frame], previous: Tail) -> list[Frame]:
        """Write what fits with one call, and flush it. Returns the frames that are left."""
        run, offset, parts = segment.run, segment.run.end, list[bytes]()
        if not offset:
            lane, size = LANE_CODE[self._lane], self._segment_bytes
            head = SegmentHead(self._sealer.spool, lane, run.number, run.origin, run.first, previous, size)
            parts.append(encode_head(head, self._sealer))
            run.end = HEAD_BYTES
        taken = 0
        for frame in frames:
            size = OVERHEAD_BYTES + len(frame.payload)
            if not segment.has_room(size, self._segment_bytes):
                break
            parts.append(encode_frame(frame, run.number, self._sealer))
            run.end, run.last, taken = run.end + size, frame.last, taken + 1
        if segment.has_room(OVERHEAD_BYTES, self._segment_bytes):
            parts.append(encode_end(self._lane, run.origin, run.number, run.last + 1, self._sealer))
        self._disk.write(segment.fd, b"".join(parts), offset)
        self._disk.flush(segment.fd)
        if not offset:
            self._disk.sync_folder(self._folder)
        return frames[taken:]

    def _settle(self, segment: _Open | None, touched: dict[int, _Open], previous: Tail) -> None:
        if self._open is not None and segment is not None and self._open.fd != segment.fd:
            _close(self._open.fd)
        for each in touched.values():
            if segment is not None and each.fd != segment.fd and (self._open is None or each.fd != self._open.fd):
                _close(each.fd)
        self._open, self._previous = segment, previous

    def _give_up(self, began: list[_Open], touched: dict[int, _Open]) -> None:
        for each in began:  # nothing of them was ever confirmed
            _close(each.fd)
            with contextlib.suppress(OSError):
                each.run.path.unlink(missing_ok=True)
        if self._open is not None and self._open.fd in touched:
            self._previous = self._open.run.tail()
            self.close()


def _copy(run: Run) -> Run:
    return Run(run.folder, run.number, run.origin, run.first, run.last, run.end, run.size)


def _close(fd: int) -> None:
    with contextlib.suppress(OSError):  # EIO at close tells of a write that was refused already
        os.close(fd)
