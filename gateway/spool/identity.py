"""Whose frames these are: the spool's id, the epoch (one more at each open), and the lock on the folder.

`identity` is one line of text, `{"check":"…","epoch":7,"format":2,"id":"9f…",…} 1a2b3c4d`, its CRC-32 behind it,
padded to a fixed length. Epoch and sequence number together are never given twice: a tail that was lost in a power
cut can not be re-numbered onto other data (design, section 6).
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

from gateway.spool.cipher import IDENTITY, Keyring, Origin
from gateway.spool.disk import Disk, SpoolLocked

FORMAT = 2
LINE_BYTES = 4096
NAME = "identity"
ORIGINS = 24
"""Salts of the newest opens that are kept here too, for a segment whose head is damaged."""


class Identity(Struct, frozen=True):
    """The spool's id (16 hex digits), the epoch, and what it takes to read segments whose head is damaged.

    `check` is a MAC over the rest: it tells whether the secret is the one that this spool was sealed with.
    """

    id: str
    epoch: int
    format: int = FORMAT
    sealed_from: int = 0
    """The first epoch of which everything is sealed; before it format 1 is believed."""
    origins: tuple[tuple[int, int, str, str], ...] = ()
    """Epoch, suite, salt and boot of the newest opens."""
    check: str = ""


def origins_of(identity: Identity) -> dict[int, Origin]:
    """The origins by epoch."""
    return {epoch: Origin(epoch, suite, bytes.fromhex(salt), boot) for epoch, suite, salt, boot in identity.origins}


def with_origin(identity: Identity, known: Iterable[Origin], fresh: Origin) -> Identity:
    """The identity that tells the newest of the known origins, and this open's."""
    rows = sorted({each.epoch: each for each in (*known, fresh)}.values(), key=lambda each: each.epoch)[-ORIGINS:]
    told = tuple((each.epoch, each.suite, each.salt.hex(), each.boot) for each in rows)
    return msgspec.structs.replace(identity, origins=told)


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
    """The identity in the line, or None where it is damaged. A later version's is read as far as it is known."""
    text, _, crc = data.strip().rpartition(b" ")
    try:
        identity = msgspec.json.decode(text, type=Identity)
        is_good = int(crc, 16) == zlib.crc32(text) and len(bytes.fromhex(identity.id)) == 8
        origins_of(identity)
    except (msgspec.MsgspecError, ValueError):
        return None
    return identity if is_good and identity.format >= 1 and identity.epoch >= 0 else None


def is_genuine(identity: Identity, keyring: Keyring) -> bool:
    """Written with this secret."""
    return bool(identity.check) and keyring.verify(IDENTITY, _said(identity), _digits(identity.check))


def encode_identity(identity: Identity, keyring: Keyring) -> bytes:
    """The line, always of the same length."""
    check = keyring.mac(IDENTITY, _said(identity)).hex()
    text = msgspec.json.encode(msgspec.structs.replace(identity, check=check), order="sorted")
    return b"%s %08x" % (text, zlib.crc32(text)) + b" " * (LINE_BYTES - len(text) - 10) + b"\n"


def _said(identity: Identity) -> bytes:
    return msgspec.json.encode(msgspec.structs.replace(identity, check=""), order="sorted")


def _digits(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


def next_identity(stored: Identity | None, witnesses: Iterable[tuple[str, int]]) -> Identity:
    """This open's identity. `witnesses` are the (id, epoch) that segment heads and cursors tell.

    Where the file is damaged, the newest witness says whose spool it is; without any it is a new spool. The epoch is
    above every one seen.
    """
    seen = sorted((epoch, spool) for spool, epoch in witnesses)
    known = stored.id if stored else next((spool for _, spool in reversed(seen) if spool), secrets.token_hex(8))
    epochs = [epoch for epoch, spool in seen if spool in (known, "")]
    sealed_from = stored.sealed_from if stored and stored.format >= FORMAT else 0
    return Identity(known, max([stored.epoch if stored else 0, *epochs]) + 1, sealed_from=sealed_from)


def write_identity(folder: Path, identity: Identity, keyring: Keyring, disk: Disk) -> None:
    """Return once it is on the medium. Raises OSError.

    Written beside and renamed; where a full disk has no room for that, the old file is overwritten, which needs none:
    torn, it is rebuilt from the witnesses.
    """
    data, path, beside = encode_identity(identity, keyring), folder / NAME, folder / f"{NAME}.new"
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
