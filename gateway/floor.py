"""The clock floor: a time before which it cannot be, for a box that starts without knowing the time.

Two things make it. *Proven*: this software was released on a day, and our certificate begins on one; the true time is
never below these, so a signed time or a certificate from before is refused. *Seen*: the last trusted time, written
down every ten minutes; a clock that starts below it is raised to it. What was seen can be wrong (NTP is not signed),
so nothing is refused by it, and the next trusted time takes its place.
"""

import contextlib
import math
import os
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

RELEASED_S = datetime(2026, 11, 24, tzinfo=UTC).timestamp()
"""Set with each release: not the time of a file, which an image or a package may set to anything."""
LATEST_S = datetime(2100, 1, 1, tzinfo=UTC).timestamp()
"""A clock beyond it is not believed."""
FILE_BYTES = 256


class Floor:
    """Seconds since 1970; `mono_s` is the moment from which both count on."""

    def __init__(self, mono_s: float, seen_s: float = 0.0, proven_s: float = RELEASED_S) -> None:
        self.proven_s = proven_s
        self._seen_s, self._mono_s = seen_s, mono_s

    def prove(self, utc_s: float) -> None:
        """It cannot be before this; a date that nobody can mean proves nothing."""
        if utc_s < LATEST_S:
            self.proven_s = max(self.proven_s, utc_s)

    def see(self, utc_s: float, mono_s: float) -> None:
        """The time is known now."""
        self._seen_s, self._mono_s = utc_s, mono_s

    def at(self, mono_s: float) -> float:
        """What time it is at least, as far as the box has seen, at `mono_s`."""
        return max(self.proven_s, self._seen_s) + max(0.0, mono_s - self._mono_s)


class _Line(Struct, frozen=True):
    seen_s: float


def read_seen(path: Path) -> float:
    """The last time that was written down, or 0.0 where there is none that can be believed."""
    try:
        with path.open("rb") as file:
            seen = msgspec.json.decode(file.read(FILE_BYTES), type=_Line).seen_s
    except (OSError, msgspec.DecodeError):
        return 0.0
    return seen if math.isfinite(seen) and 0.0 <= seen < LATEST_S else 0.0


def write_seen(path: Path, seen_s: float) -> None:
    """Return once it is on the medium; the old line stands until then. Raises OSError."""
    beside = path.with_name(f"{path.name}.new")
    with beside.open("wb") as file:
        file.write(msgspec.json.encode(_Line(round(seen_s, 3))) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    with contextlib.ExitStack() as undo:
        undo.callback(os.close, folder)
        os.fsync(folder)
