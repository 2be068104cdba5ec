"""The only clock: seconds since the box started, wall time, and how far that wall time is trusted (law 7).

Every moment is two readings: CLOCK_BOOTTIME, which nobody can set and which counts on while the machine sleeps, and
the system's wall clock, which may say anything. Between two steps of the wall clock their difference is constant
(adjtime and NTP's slewing move both alike), so a step shows as a change of it. docs/clock.md is the whole story.
"""

import ctypes
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from drivers.observation import Clock as ClockRecord
from drivers.observation import ClockQuality, ClockTrust, ClockWhy
from gateway.floor import LATEST_S, Floor, read_seen, write_seen

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
TRUST_REFRESH_S = 10.0
STEP_S = 0.5
"""Below it nobody is told: a time daemon's own small corrections, and readings taken apart on a busy machine."""
READ_APART_S = 0.05
DRIFT = 100e-6
"""What a box's oscillator may be wrong by: the boards' data sheets say 20 to 50 ppm, heat and age come on top."""
AGREE_MS = 1000
"""NTP and a signed time that differ by more than this and their own errors contradict each other."""
REGULAR_S = 3600.0
"""A trusted clock leaves a point in the platform's clock map at least this often."""
RECORDS, RECORDS_S = 10, 100.0
"""At most so many clock records in so long: the event lane is never evicted, and a clock may be turned for ever."""
TRUSTED: frozenset[ClockQuality] = frozenset({"ntp", "signed"})


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


def since_boot() -> float:
    """Seconds since the machine started, sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def system_wall() -> float:
    """The system's own wall clock, right or wrong, in seconds since 1970."""
    return time.time()


def utc_text(seconds: float) -> str:
    """Seconds since 1970 as `YYYY-MM-DDTHH:MM:SS.mmmZ`."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def system_text() -> str:
    """The machine's own wall time, right or wrong: what the journal's lines carry."""
    return utc_text(system_wall())


class Source(Struct, frozen=True):
    """Where the readings come from; tests turn these by hand."""

    mono: Callable[[], float] = since_boot
    wall: Callable[[], float] = system_wall
    sync: Callable[[], int | None] = kernel_sync


class Reading(Struct, frozen=True):
    """What the machine says at one moment; `sync_ms` is None where no time daemon keeps the wall clock."""

    mono_s: float
    wall_s: float
    sync_ms: int | None = None


class Fix(Struct, frozen=True):
    """At `mono_s` it was `utc_s`, by the platform's signed word, give or take `error_ms`."""

    mono_s: float
    utc_s: float
    error_ms: int

    def at(self, mono_s: float) -> float:
        """The time at another moment of this boot."""
        return self.utc_s + mono_s - self.mono_s

    def error_at(self, mono_s: float) -> int:
        """The error it may have grown to."""
        return self.error_ms + round(abs(mono_s - self.mono_s) * DRIFT * 1000)


class Verdict(Struct, frozen=True):
    """What time it is, and how far to trust that."""

    utc_s: float
    quality: ClockQuality
    error_ms: int | None = None
    is_contradicted: bool = False
    """The time server says one thing, the platform's signature another."""


def judge(reading: Reading, floor: Floor, fix: Fix | None) -> Verdict:
    """NTP where the platform does not contradict it, else the signed time, else the wall clock, else the floor."""
    mono, wall = reading.mono_s, reading.wall_s
    is_contradicted = False
    if reading.sync_ms is not None and floor.proven_s <= wall < LATEST_S:
        apart_ms = 0.0 if fix is None else abs(wall - fix.at(mono)) * 1000
        is_contradicted = fix is not None and apart_ms > reading.sync_ms + fix.error_at(mono) + AGREE_MS
        if not is_contradicted:
            return Verdict(wall, "ntp", reading.sync_ms)
    if fix is not None:
        return Verdict(fix.at(mono), "signed", fix.error_at(mono), is_contradicted)
    lowest = floor.at(mono)
    return Verdict(wall, "none") if lowest <= wall < LATEST_S else Verdict(lowest, "floor")


class Told(Struct, frozen=True):
    """What the last clock record said."""

    mono_s: float
    quality: ClockQuality
    fix: Fix | None = None


def why_now(told: Told | None, now: Told, step_s: float) -> ClockWhy | None:
    """Why a clock record is due, or None."""
    if told is None:
        return "start"
    if now.quality == "signed" and now.fix != told.fix:
        return "signed"
    if now.quality == "ntp" != told.quality:
        return "sync"
    if abs(step_s) >= STEP_S:
        return "step"
    if now.quality != told.quality:
        return "lost"
    return "regular" if now.quality == "ntp" and now.mono_s - told.mono_s >= REGULAR_S else None


class Clock:
    """The machine's clock. `memory` is the file in which the floor outlives a power cut."""

    def __init__(self, memory: Path | None = None, source: Source | None = None, floor: Floor | None = None) -> None:
        self._source = source or Source()
        self._boot = BOOT_ID.read_text(encoding="ascii").strip() if BOOT_ID.exists() else ""
        self._memory = memory
        self.floor = floor or Floor(self._source.mono(), read_seen(memory) if memory else 0.0)
        self._fix: Fix | None = None
        self._sync_ms: int | None = None
        self._refresh_at = float("-inf")
        self._offset_s: float | None = None
        self._step_s = 0.0
        self._told: Told | None = None
        self._records: deque[float] = deque(maxlen=RECORDS)

    def mono(self) -> float:
        """Seconds since the machine started, sleep included."""
        return self._source.mono()

    def now(self) -> Instant:
        """This moment, with the trust it deserves (the kernel is asked again every ten seconds, and after a step)."""
        return self._instant(*self._look())

    def wall(self) -> float:
        """The best time there is, in seconds since 1970."""
        return self._look()[1].utc_s

    @property
    def quality(self) -> ClockQuality:
        """How far it is trusted."""
        return self._look()[1].quality

    @property
    def proven_s(self) -> float:
        """It cannot be before this, in seconds since 1970."""
        return self.floor.proven_s

    @property
    def is_contradicted(self) -> bool:
        """Whether the time server says something else than the platform."""
        return self._look()[1].is_contradicted

    def accept(self, fix: Fix) -> bool:
        """Take the platform's signed word; False where an earlier one, grown old, is still the better one."""
        mono = self.mono()
        if self._fix is not None:
            apart_ms = abs(fix.at(mono) - self._fix.at(mono)) * 1000
            is_better = fix.error_at(mono) <= self._fix.error_at(mono)
            if not is_better and apart_ms <= fix.error_at(mono) + self._fix.error_at(mono):
                return False
        self._fix = fix
        return True

    def record(self) -> ClockRecord | None:
        """A clock record for the event lane, if one is due."""
        reading, verdict = self._look()
        now = Told(reading.mono_s, verdict.quality, self._fix)
        why = why_now(self._told, now, self._step_s)
        is_flood = len(self._records) == RECORDS and reading.mono_s - self._records[0] < RECORDS_S
        if why is None or is_flood:
            return None
        step_s, self._step_s, self._told = self._step_s, 0.0, now
        self._records.append(reading.mono_s)
        instant = self._instant(reading, verdict)
        return ClockRecord(
            validity="valid" if verdict.quality in TRUSTED else "questionable",
            boot=self._boot,
            mono_s=instant.trust.mono_s,
            utc=instant.at,
            quality=verdict.quality,
            error_ms=verdict.error_ms,
            why=why,
            step_ms=round(step_s * 1000),
            at=instant.at,
            clock=instant.trust,
        )

    def remember(self) -> None:
        """Write down how late it is at least; return once it is on the medium. Raises OSError."""
        if self._memory is not None:
            write_seen(self._memory, self.floor.at(self.mono()))

    def _instant(self, reading: Reading, verdict: Verdict) -> Instant:
        trust = ClockTrust(verdict.quality, verdict.error_ms, self._boot, round(reading.mono_s, 3))
        return Instant(reading.mono_s, utc_text(verdict.utc_s), trust)

    def _look(self) -> tuple[Reading, Verdict]:
        mono_s, wall_s = self._read()
        offset_s = wall_s - mono_s
        if self._offset_s is None or abs(offset_s - self._offset_s) >= STEP_S:
            self._step_s += 0.0 if self._offset_s is None else offset_s - self._offset_s
            self._offset_s, self._refresh_at = offset_s, mono_s
        if mono_s >= self._refresh_at:
            self._sync_ms, self._refresh_at = self._source.sync(), mono_s + TRUST_REFRESH_S
        reading = Reading(mono_s, wall_s, self._sync_ms)
        verdict = judge(reading, self.floor, self._fix)
        if verdict.quality in TRUSTED:
            self.floor.see(verdict.utc_s, mono_s)
        return reading, verdict

    def _read(self) -> tuple[float, float]:
        """Both clocks at one moment: on a busy machine a pause can fall between two readings."""
        for _again in range(5):
            before, wall, after = self._source.mono(), self._source.wall(), self._source.mono()
            if after - before < READ_APART_S:
                break
        return after, wall
