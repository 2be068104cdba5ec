"""The clock's own task: its records into the event lane, its floor onto the disk, and what a person should know."""

import asyncio
import contextlib
from collections import deque
from typing import Protocol

from drivers.observation import AnyObservation
from drivers.observation import Clock as ClockRecord
from gateway.clock import TRUSTED, Clock
from gateway.errors import JisrError
from gateway.journal import Journal
from gateway.language import N_
from gateway.spool.spool import CommitRefused

LOOK_S = 1.0
REMEMBER_S = 600.0
OWED = 64
"""Records that the disk refuses; beyond it the oldest go: the newest are worth more to the platform's map."""


class ClockNotSet(JisrError):
    """Nothing confirms the wall clock."""

    sentence = N_(
        "Nothing confirms this box's clock (it says {now}). Everything is recorded with the time since the start; "
        "the platform dates it once the time is known."
    )


class ClockMoved(JisrError):
    """Somebody set the system's clock."""

    sentence = N_("This machine's clock was moved by {seconds} s. What was recorded before keeps its right place.")


class TimeServerContradicted(JisrError):
    """NTP is not signed; the platform's word is."""

    sentence = N_("The time server and the platform disagree about the time; the platform's signed word counts.")


class FloorUnwritten(JisrError):
    """The disk refuses the few bytes of the clock floor."""

    sentence = N_("The time could not be written down ({detail}); after a power cut the clock begins further back.")


class Sink(Protocol):
    """Where records go: the spool."""

    async def put(self, observations: tuple[AnyObservation, ...]) -> None:
        """Return once they are on disk; raise `CommitRefused` when they cannot be."""
        ...


class Timekeeping:
    """`run` never ends by itself."""

    def __init__(self, clock: Clock, sink: Sink, journal: Journal) -> None:
        self._clock, self._sink, self._journal = clock, sink, journal
        self._owed: deque[ClockRecord] = deque(maxlen=OWED)
        self._remember_at = clock.mono() + REMEMBER_S

    async def run(self) -> None:
        """Look each second."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """One look at the clock."""
        record = self._clock.record()
        if record is not None:
            self._owed.append(record)
            self._tell(record)
        if self._clock.is_contradicted:
            self._journal.say(TimeServerContradicted(), "time server")
        else:
            self._journal.settle("time server")
        await self._store()
        if self._clock.mono() >= self._remember_at:
            self._remember_at = self._clock.mono() + REMEMBER_S
            await asyncio.to_thread(self.remember)

    def remember(self) -> None:
        """Write down how late it is; it takes a flush."""
        try:
            self._clock.remember()
        except OSError as error:
            self._journal.say(FloorUnwritten(detail=error.strerror or type(error).__name__), "clock floor")
        else:
            self._journal.settle("clock floor")

    async def _store(self) -> None:
        """A full disk says so elsewhere; the records wait, and keep the moment they were made at."""
        waiting = tuple(self._owed)
        if not waiting:
            return
        self._owed.clear()  # not after the commit: cancelled in the middle of it, the spool has them
        with contextlib.suppress(CommitRefused):
            await self._sink.put(waiting)
            return
        self._owed.extendleft(reversed(waiting))

    def _tell(self, record: ClockRecord) -> None:
        said = {name: getattr(record, name) for name in ("why", "quality", "utc", "error_ms", "step_ms")}
        self._journal.event("clock", **said)
        if record.quality in TRUSTED:
            self._journal.settle("clock")
            self._journal.settle("time")
        else:
            self._journal.say(ClockNotSet(now=record.utc[:10]), "time")
        if record.step_ms:
            self._journal.say(ClockMoved(seconds=round(record.step_ms / 1000)), "clock step")
