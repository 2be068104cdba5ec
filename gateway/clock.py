"""The only clock: monotonic seconds, wall time, and how far that wall time is trusted (law 7)."""

import ctypes
import time
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from drivers.observation import ClockTrust

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
TRUST_REFRESH_S = 10.0


class Instant(Struct, frozen=True):
    """One moment as the box saw it."""

    mono_s: float
    at: str
    trust: ClockTrust


class _Timex(ctypes.Structure):
    """struct timex of adjtimex(2), as far as `maxerror`; the rest is padding."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("rest", ctypes.c_char * 256),
    )


_TIME_ERROR = 5
"""adjtimex(2): the clock is not synchronised to a reliable server."""


def kernel_sync() -> int | None:
    """The kernel's own bound of the clock's error in ms if a time daemon keeps it, else None."""
    timex = _Timex()
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    return None if state < 0 or state == _TIME_ERROR else timex.maxerror // 1000


def utc_text(seconds: float) -> str:
    """Seconds since 1970 as `YYYY-MM-DDTHH:MM:SS.mmmZ`."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


class Clock:
    """The machine's clock. Tests hand the agent another object with the same two methods."""

    def __init__(self) -> None:
        self._boot = BOOT_ID.read_text(encoding="ascii").strip() if BOOT_ID.exists() else ""
        self._trust = ClockTrust("none")
        self._refresh_at = 0.0

    def mono(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    def now(self) -> Instant:
        """This moment, with the trust the kernel gives it (asked again every ten seconds)."""
        mono = time.monotonic()
        if mono >= self._refresh_at:
            error_ms = kernel_sync()
            self._trust = ClockTrust("none" if error_ms is None else "ntp", error_ms)
            self._refresh_at = mono + TRUST_REFRESH_S
        trust = ClockTrust(self._trust.quality, self._trust.error_ms, self._boot, round(mono, 3))
        return Instant(mono, utc_text(time.time()), trust)
