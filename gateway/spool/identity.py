"""Whose frames these are: the spool's id, the epoch (one more at each open), and the lock on the folder.

`identity` is one line of text, `{"epoch":7,"format":1,"id":"9f…"} 1a2b3c4d`, its CRC-32 behind it, padded to a fixed
length. Epoch and sequence number together are never given twice: a tail that was lost in a power cut can not be
re-numbered onto other data (design, section 6).
"""

import contextlib
import errno
import fcntl
import os
import secrets
import zlib
from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec import Struct

from gateway.spool.disk import Disk, SpoolLocked

FORMAT = 1
LINE_BYTES = 256
NAME = "identity"


class Identity(Struct, frozen=True, forbid_unknown_fields=True):
    """The spool's id (16 hex digits), and the epoch."""

    id: str
    epoch: int
    format: int = FORMAT


def lock_folder(folder: Path) -> int:
    """Hold the folder alone until the descriptor is closed. Raises SpoolLocked, OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise SpoolLocked(path=folder) from error
        raise
    return fd


def parse_identity(data: bytes) -> Identity | None:
    """The identity in the line, or None where it is damaged."""
    text, _, crc = data.strip().rpartition(b" ")
    try:
        identity = msgspec.json.decode(text, type=Identity)
        is_good = int(crc, 16) == zlib.crc32(text) and len(bytes.fromhex(identity.id)) == 8
    except (msgspec.MsgspecError, ValueError):
        return None
    return identity if is_good and identity.format == FORMAT else None


def encode_identity(identity: Identity) -> bytes:
    """The line, always of the same length."""
    text = msgspec.json.encode(identity, order="sorted")
    return b"%s %08x" % (text, zlib.crc32(text)) + b" " * (LINE_BYTES - len(text) - 10) + b"\n"


def next_identity(stored: Identity | None, witnesses: Iterable[tuple[str, int]]) -> Identity:
    """This open's identity. `witnesses` are the (id, epoch) that segment heads and cursors tell.

    Where the file is damaged, the newest witness says whose spool it is; without any it is a new spool. The epoch is
    above every one seen.
    """
    seen = sorted((epoch, spool) for spool, epoch in witnesses)
    known = stored.id if stored else next((spool for _, spool in reversed(seen) if spool), secrets.token_hex(8))
    epochs = [epoch for epoch, spool in seen if spool in (known, "")]
    return Identity(known, max([stored.epoch if stored else 0, *epochs]) + 1)


def write_identity(folder: Path, identity: Identity, disk: Disk) -> None:
    """Return once it is on the medium. Raises OSError.

    Written beside and renamed; where a full disk has no room for that, the old file is overwritten, which needs none:
    torn, it is rebuilt from the witnesses.
    """
    data, path, beside = encode_identity(identity), folder / NAME, folder / f"{NAME}.new"
    try:
        _write(beside, data, disk)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not path.exists():
            raise
        _write(path, data, disk)
        return
    beside.rename(path)
    disk.sync_folder(folder)


def _write(path: Path, data: bytes, disk: Disk) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        disk.write(fd, data, 0)
        disk.flush(fd)
    finally:
        os.close(fd)
