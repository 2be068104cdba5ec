"""The folder that is carried: names, room, whole files or none, and what of this spool lies on it already."""

import contextlib
import errno
import os
import re
import shutil
from pathlib import Path

from msgspec import Struct

from drivers.observation import Lane
from gateway.errors import JisrError
from gateway.language import N_
from gateway.spool.acked import Acked
from gateway.uplink.schema import lane_named
from provisioning.courier import Recipient, Signer, own_header

SUFFIX = ".courier"
FILE_LIMIT_BYTES = 8 << 20
"""No courier file is longer; the platform refuses one that is."""
RESERVE_BYTES = 1 << 20
OWN_DISK_SHARE = 10
"""On the spool's own disk a tenth stays free, so that an export cannot stop the devices' data (design, section 6)."""


class StickUnusable(JisrError):
    """The folder cannot be written."""

    sentence = N_("{path}: cannot be written ({reason}).")


class StickAbsent(StickUnusable):
    """There is no such folder: perhaps nothing is plugged in."""

    exit_code = 2
    sentence = N_("{path}: there is no such folder. Is the USB stick plugged in and mounted?")


class StickFull(JisrError):
    """No room for one more file; those written are whole."""

    sentence = N_("{path} is full. What is on it is whole and can be carried.")


class Room(Struct, frozen=True):
    """Bytes that may still be written, and whether it is the spool's own disk."""

    free: int
    is_own_disk: bool


class Stick:
    """One folder, for one spool of one box."""

    def __init__(self, folder: Path, gateway: str, spool: str, spool_folder: Path) -> None:
        """Raises `StickUnusable`."""
        self.folder, self._spool_folder = folder, spool_folder
        self._stem = f"jisr-{gateway}-{spool}-"
        self._number = 0
        self.there = 0
        """Files of this spool that lie here already."""
        self.covered: dict[Lane, Acked] = {}
        """What they hold, as far as this box signed them for the same recipient."""
        if not folder.is_dir():
            raise StickAbsent(path=folder)
        try:
            for rest in folder.glob(f".{self._stem}*.part"):  # of an export that was interrupted
                rest.unlink()
            self._files = [path for path in sorted(folder.iterdir()) if self._number_of(path)]
        except OSError as error:
            raise self._refusal(error) from error
        self.there = len(self._files)
        self._number = max((self._number_of(path) for path in self._files), default=0)

    def look(self, signer: Signer, recipient: Recipient | None) -> None:
        """Read what lies here: an export that was interrupted goes on behind it."""
        for path in self._files:
            data = b""
            with contextlib.suppress(OSError):
                data = path.read_bytes() if path.stat().st_size <= FILE_LIMIT_BYTES else b""
            header = own_header(data, signer)
            if header is None or header.recipient != (recipient.fingerprint if recipient else ""):
                continue
            for each in header.ranges:
                if lane := lane_named(each.lane):
                    self.covered.setdefault(lane, Acked()).add(each.epoch, each.first, each.last)

    def has(self, lane: Lane, epoch: int, first: int, last: int) -> bool:
        """Whether a file here holds all of these."""
        return lane in self.covered and self.covered[lane].covers(epoch, first, last)

    @property
    def room(self) -> Room:
        """How much may be written."""
        usage = shutil.disk_usage(self.folder)
        is_own = self.folder.stat().st_dev == self._spool_folder.stat().st_dev
        reserve = usage.total // OWN_DISK_SHARE if is_own else RESERVE_BYTES
        return Room(max(0, usage.free - reserve), is_own)

    @property
    def next_number(self) -> int:
        """For the next file: never one that is there."""
        return self._number + 1

    def write(self, data: bytes, *, is_secret: bool) -> Path:
        """One file, on the medium and whole before it has its name. Raises `StickFull`, `StickUnusable`."""
        if len(data) > self.room.free:
            raise StickFull(path=self.folder)
        self._number += 1
        path = self.folder / f"{self._stem}{self._number:06d}{SUFFIX}"
        beside = self.folder / f".{path.name}.part"
        try:
            fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600 if is_secret else 0o644)
            try:
                rest = memoryview(data)
                while rest:
                    rest = rest[os.write(fd, rest) :]
                os.fsync(fd)
            finally:
                os.close(fd)
            beside.rename(path)
            self._sync()
        except OSError as error:
            raise self._refusal(error) from error
        finally:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
        return path

    def _sync(self) -> None:
        fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        except OSError as error:
            if error.errno != errno.EINVAL:  # some file systems of sticks cannot flush a folder
                raise
        finally:
            os.close(fd)

    def _number_of(self, path: Path) -> int:
        found = re.fullmatch(re.escape(self._stem) + r"(\d{6,})" + re.escape(SUFFIX), path.name)
        return int(found[1]) if found else 0

    def _refusal(self, error: OSError) -> JisrError:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return StickFull(path=self.folder)
        return StickUnusable(path=self.folder, reason=os.strerror(error.errno or 0))
