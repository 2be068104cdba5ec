"""The uplink task: connect, work, back off, for ever; the spool keeps everything meanwhile."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random, SystemRandom
from typing import Any, Literal, Protocol

from msgspec import Struct

from drivers.observation import Lane
from gateway.uplink import errors
from gateway.uplink.acknowledgement import Judge
from gateway.uplink.budget import Budget
from gateway.uplink.dial import Dialled, SystemTime, dial, watch
from gateway.uplink.identity import TlsFiles, TlsPaths, read_ack_key
from gateway.uplink.mqtt import Connection
from gateway.uplink.renewal import LOOK_S, Renewal
from gateway.uplink.schema import Birth, Health
from gateway.uplink.session import Backoff, Counters, Identity, Journal, Session, Store, Timing, Tools
from gateway.uplink.timekeeper import Timekeeper, Timepiece
from gateway.uplink.tls import parse_broker
from gateway.uplink.topics import is_segment, is_site
from gateway.uplink.wire import Encoding, Wire

__all__ = ["Counters", "Journal", "Link", "Spooled", "Timing", "TlsFiles", "Uplink", "UplinkSettings"]

SESSIONS_PER_EPOCH = 1_000_000


class UplinkSettings(Struct, frozen=True):
    """What the configuration says of the link. The files are read again at each connection (renewal)."""

    site: str
    gateway: str
    broker: str
    tls: TlsPaths
    ack: Literal["platform", "broker"] = "platform"
    encoding: Encoding = "json"
    ack_key: str = ""
    """Path of the 32-byte key as hexadecimal text; required when `ack` is "platform"."""
    budget: int = 0
    """Bytes per hour; 0: as many as the link carries."""


@dataclass
class Link:
    """How the link fares; times are monotonic seconds."""

    connected: bool = False
    since: float = 0.0
    last_error: str = ""
    """A sentence for a person; empty while all is well."""
    last_acknowledgement: float | None = None
    session: int = 0


class Spooled(Store, Protocol):
    """The spool: a store that tells when something new is on disk."""

    def listen(self, callback: Callable[[Lane, int, tuple[Any, ...]], None]) -> None:
        """Call after each flush."""
        ...


class Uplink:
    """Delivers what the spool holds. `run` is the task; it never raises for what a network or a file can do."""

    def __init__(  # noqa: PLR0913 - all of it is given by the agent, the second half only by tests
        self,
        settings: UplinkSettings,
        spool: Spooled,
        birth: Callable[[], Birth],
        health: Callable[[], Health],
        journal: Journal,
        *,
        rng: Random | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Timepiece | None = None,
        timing: Timing | None = None,
    ) -> None:
        self.link = Link(since=monotonic())
        self.counters = Counters()
        self._settings, self._spool, self._journal = settings, spool, journal
        self._monotonic = monotonic
        self.timekeeper = Timekeeper(settings.site, settings.gateway, clock or SystemTime(mono=monotonic))
        self._stopping, self._ended = asyncio.Event(), asyncio.Event()
        self._session: Session | None = None
        self._farewell_s = 1.0
        self._renewal = Renewal(settings.tls, settings.ack_key, settings.gateway)
        self._is_running = False
        self._tools = Tools(
            spool,
            Judge(settings.site, settings.gateway, spool),
            journal,
            self.counters,
            rng or SystemRandom(),
            monotonic,
            timing or Timing(),
            birth,
            health,
            self._heard,
            Wire(settings.encoding),
            Budget(settings.budget, monotonic()) if settings.budget else None,
            self.timekeeper if clock is not None and settings.ack == "platform" else None,
        )
        spool.listen(self._committed)

    async def run(self) -> None:
        """Deliver until `stop`."""
        timing = self._tools.timing
        backoff = Backoff(timing.retry_first_s, timing.retry_last_s, self._tools.rng)
        self._is_running = True
        try:
            while not self._stopping.is_set():
                is_renewing = False
                try:
                    is_renewing = await self._live()
                except errors.UplinkError as error:
                    self._note_error(error)
                if self.link.connected and self._monotonic() - self.link.since >= timing.steady_s:
                    backoff.reset()
                self._set_connected(False)
                if not is_renewing:
                    await self._pause(backoff.next())
        finally:
            self._is_running = False
            self._set_connected(False)
            self._ended.set()

    async def stop(self, deadline_s: float) -> None:
        """Orderly: state offline, DISCONNECT; at the latest after `deadline_s`."""
        self._farewell_s = deadline_s / 2
        self._stopping.set()
        if self._session is not None:
            self._session.wake.set()
        if self._is_running:
            try:
                async with asyncio.timeout(deadline_s):
                    await self._ended.wait()
            except TimeoutError:
                self._journal.event("uplink_stop_late")

    async def _live(self) -> bool:
        """One connection, to its end; True when it ended because our files were renewed."""
        settings, timing = self._settings, self._tools.timing
        self._renewal.note()
        for name, is_good in ((settings.site, is_site), (settings.gateway, is_segment)):
            if not is_good(name):
                raise errors.NameUnfit(name=name)
        broker = parse_broker(settings.broker)
        key = read_ack_key(settings.ack_key) if settings.ack == "platform" else b""
        to = Dialled(broker, settings.tls, settings.site, settings.gateway, key)
        secure = await dial(to, self.timekeeper, self._journal, timing)
        watch(secure, to, self.timekeeper)
        number = self._spool.epoch * SESSIONS_PER_EPOCH + self.counters.connections + 1
        me = Identity(settings.site, settings.gateway, number, settings.ack, key)
        session = Session(me, self._tools)
        connection = Connection(secure, settings.gateway, session.will(), session)
        try:
            asked_at = self._monotonic()
            granted = await connection.start(timing.connack_s)
            self.counters.connections += 1
            self._session = session
            self._set_connected(True, number)
            self._journal.event("connected", session=number, window=granted.window, resumed=granted.session_present)
            session.begin(connection, granted, self._monotonic() - asked_at)
            looking = asyncio.create_task(self._look(session))
            try:
                await session.work(self._stopping)
            finally:
                looking.cancel()
            if not self._stopping.is_set():
                await connection.close(self._farewell_s)  # the state stays "online": the next session follows at once
                return True
            await session.farewell(self._farewell_s)
            return False
        finally:
            self._session = None
            connection.drop()

    async def _look(self, session: Session) -> None:
        """Renewed files are used at once; the connection that stands on the old ones ends in order."""
        while not self._renewal.is_due():  # noqa: ASYNC110 - what is waited for happens on disk
            await asyncio.sleep(LOOK_S)
        self._journal.event("files_renewed")
        session.step_aside()

    async def _pause(self, seconds: float) -> None:
        """So long, but no longer than until the end is asked for or our files are renewed."""
        while not self._stopping.is_set() and seconds > 0 and not self._renewal.is_due():
            step = min(seconds, LOOK_S)
            seconds -= step
            try:
                async with asyncio.timeout(step):
                    await self._stopping.wait()
            except TimeoutError:
                continue

    def _set_connected(self, is_connected: bool, number: int = 0) -> None:
        link = self.link
        if link.connected == is_connected:
            return
        link.connected, link.since = is_connected, self._monotonic()
        if is_connected:
            link.session, link.last_error = number, ""
            self._journal.settle("uplink")
        else:
            self._journal.event("disconnected", session=link.session)

    def _note_error(self, error: errors.UplinkError) -> None:
        self.link.last_error = error.text()
        self._journal.say(error, "uplink")

    def _heard(self) -> None:
        self.link.last_acknowledgement = self._monotonic()

    def _committed(self, _lane: Lane, _first: int, _observations: tuple[Any, ...]) -> None:
        if self._session is not None:
            self._session.wake.set()
