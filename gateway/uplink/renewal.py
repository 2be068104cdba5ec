"""Whether our own files were replaced, so that a renewed certificate is used at once and not at the next misfortune.

The files are two or more, so no replacement of all of them is atomic: a new state counts once it stayed the same from
one look to the next and the files fit each other.
"""

from pathlib import Path

from gateway.uplink import identity
from gateway.uplink.errors import LocalError
from gateway.uplink.identity import TlsPaths

LOOK_S = 2.0
"""How often the files are looked at."""
_State = tuple[tuple[int, int, int] | None, ...]


class Renewal:
    """Looks at modification time, inode and size of the files; `ack_key` is empty where there is none."""

    def __init__(self, files: TlsPaths, ack_key: str, gateway: str) -> None:
        self._files, self._ack_key, self._gateway = files, ack_key, gateway
        self._paths = [Path(path) for path in (files.ca, files.certificate, files.key, files.crl, ack_key) if path]
        self._used = self._seen = self._state()

    def note(self) -> None:
        """The files are about to be read, for a connection."""
        self._used = self._seen = self._state()

    def is_due(self) -> bool:
        """The files are others than those in use, at rest, and a pair of ours."""
        now, before = self._state(), self._seen
        self._seen = now
        if now == self._used or now != before or None in now:
            return False
        try:
            identity.check_identity(self._files, self._gateway, None)
            if self._ack_key:
                identity.read_ack_key(self._ack_key)
        except LocalError:
            return False  # half replaced, or wrong: the connection that stands is the better one
        return True

    def _state(self) -> _State:
        return tuple(_of(path) for path in self._paths)


def _of(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
