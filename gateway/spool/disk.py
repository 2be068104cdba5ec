"""The only place where the spool writes and flushes, so that both are counted and can be made to fail in a test."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from gateway.errors import JisrError
from gateway.language import N_

PAGE = 4096
"""The unit in which the kernel writes to the card: what a commit costs is counted in whole pages."""


class SpoolUnusable(JisrError):
    """The folder of the spool cannot be used, for a reason of the operating system."""

    sentence: ClassVar[str] = N_("The spool folder {path} cannot be used: {reason}.")


class SpoolLocked(SpoolUnusable):
    """Another process has it."""

    sentence: ClassVar[str] = N_("The spool folder {path} is in use by another agent. Stop that one first.")


class SpoolForbidden(SpoolUnusable):
    """No rights."""

    sentence: ClassVar[str] = N_(
        "The spool folder {path} may not be written by this account. Check its owner and rights."
    )


class SpoolReadOnly(SpoolUnusable):
    """The file system is mounted read-only, as a worn card often is."""

    sentence: ClassVar[str] = N_(
        "The spool folder {path} is on a read-only file system. The card may be worn out: replace it."
    )


class SpoolNoSpace(SpoolUnusable):
    """There is no room even for a new spool's first files."""

    sentence: ClassVar[str] = N_("There is no room on the disk for a new spool in {path}. Free some space.")


class CommitRefused(JisrError):
    """What was put is not stored; whoever sent it must keep it."""

    sentence: ClassVar[str] = N_(
        "The disk refused to store what the devices sent ({reason}). Nothing was confirmed to them."
    )


class DiskFull(CommitRefused):
    """No space left; it goes on by itself when there is some."""

    sentence: ClassVar[str] = N_(
        "The disk is full: what the devices send is not stored and not confirmed to them. Free some space; "
        "it goes on by itself."
    )


class DiskNearlyFull(CommitRefused):
    """What is left of the disk is kept back, and nothing else may be given up for an event."""

    sentence: ClassVar[str] = N_(
        "The disk is {percent} % full and nothing is left that may be given up: results and alerts are not stored "
        "and not confirmed to the devices. Free some space, or bring the box back on line."
    )


class EventsFull(CommitRefused):
    """The cap of the event lane is reached; it is never evicted."""

    sentence: ClassVar[str] = N_(
        "The {limit} for results and alerts that the platform does not have yet are used up: further ones are not "
        "stored and not confirmed to the devices. Bring the box back on line, or raise caps.event in [spool]."
    )


class Evicted(JisrError):
    """Something was given up for want of room."""

    sentence: ClassVar[str] = N_(
        "For want of room on the disk the oldest data of the kind {lane} are given up; the platform is told which."
    )


class DamageFound(JisrError):
    """Something that was stored cannot be read any more."""

    sentence: ClassVar[str] = N_(
        "Stored data of the kind {lane} cannot be read any more; the platform is told which. "
        "The card may be worn out."
    )


class DamagedRemoved(JisrError):
    """More damaged files than are kept."""

    sentence: ClassVar[str] = N_(
        "More than {limit} damaged files of the kind {lane}: the oldest are removed. The card may be worn out: "
        "replace it."
    )


class SealedOtherwise(JisrError):
    """The spool's frames were sealed with a secret that is not the box's."""

    sentence: ClassVar[str] = N_(
        "The spool {path} was sealed with another secret and cannot be read with this one. Its {count} files are "
        "kept in {kept}, and a new spool is begun."
    )


class TooLarge(CommitRefused):
    """One observation that does not fit in a segment."""

    sentence: ClassVar[str] = N_("An observation of {size} bytes is larger than the spool can store ({limit} bytes).")


class SpoolClosed(CommitRefused):
    """The agent is stopping."""

    sentence: ClassVar[str] = N_("The box is stopping: what came last was not stored and not confirmed.")


_UNUSABLE = {
    errno.EACCES: SpoolForbidden,
    errno.EPERM: SpoolForbidden,
    errno.EROFS: SpoolReadOnly,
    errno.ENOSPC: SpoolNoSpace,
    errno.EDQUOT: SpoolNoSpace,
}


def unusable(path: Path, error: OSError) -> SpoolUnusable:
    """The sentence for an operating-system error met while opening the spool."""
    kind = _UNUSABLE.get(error.errno or 0, SpoolUnusable)
    return kind(path=path, reason=os.strerror(error.errno) if error.errno else str(error))


def refused(error: OSError) -> CommitRefused:
    """The sentence for an operating-system error met while committing."""
    kind = DiskFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else CommitRefused
    return kind(reason=os.strerror(error.errno) if error.errno else str(error))


class Disk:
    """Writes and flushes, counted."""

    def __init__(self, flush: Callable[[int], None] = os.fdatasync) -> None:
        self._flush = flush
        self.flushes = 0
        self.written_bytes = 0
        self._dirty: dict[int, set[int]] = {}

    def write(self, fd: int, data: bytes, offset: int) -> None:
        """All of `data` at `offset`, normally in one call; raises OSError."""
        pages = range(offset // PAGE, (offset + len(data) - 1) // PAGE + 1)
        self._dirty.setdefault(fd, set()).update(pages)
        rest = memoryview(data)
        while rest:
            done = os.pwrite(fd, rest, offset)
            rest, offset = rest[done:], offset + done

    def flush(self, fd: int) -> None:
        """Return once what was written to `fd` is on the medium; raises OSError."""
        self.flushes += 1
        self.written_bytes += PAGE * len(self._dirty.pop(fd, ()))
        self._flush(fd)

    def sync_folder(self, folder: Path) -> None:
        """Names made, changed or removed in `folder` are on the medium; for names only fsync promises that."""
        self.flushes += 1
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
