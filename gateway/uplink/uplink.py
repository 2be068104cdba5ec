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
from gateway.uplink.identity import TlsFiles, TlsPaths, read_ack_key
from gateway.uplink.mqtt import Connection
from gateway.uplink.schema import Birth, Health
from gateway.uplink.session import Backoff, Counters, Identity, Journal, Session, Store, Timing, Tools
from gateway.uplink.tls import connect, parse_broker
from gateway.uplink.topics import is_segment

__all__ = ["Counters", "Journal", "Link", "Spooled", "Timing", "TlsFiles", "Uplink", "UplinkSettings"]

SESSIONS_PER_EPOCH = 1_000_000


class UplinkSettings(Struct, frozen=True):
    """What the configuration says of the link. The files are read again at each connection (renewal)."""

    site: str
    gateway: str
    broker: str
    tls: TlsPaths
    ack: Literal["platform", "broker"] = "platform"
    encoding: Literal["json"] = "json"
    ack_key: str = ""
    """Path of the 32-byte key as hexadecimal text; required when `ack` is "platform"."""


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
        wall: Callable[[], float] = time.time,
        timing: Timing | None = None,
    ) -> None:
        self.link = Link(since=monotonic())
        self.counters = Counters()
        self._settings, self._spool, self._journal = settings, spool, journal
        self._monotonic, self._wall = monotonic, wall
        self._stopping, self._ended = asyncio.Event(), asyncio.Event()
        self._session: Session | None = None
        self._farewell_s = 1.0
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
        )
        spool.listen(self._committed)

    async def run(self) -> None:
        """Deliver until `stop`."""
        timing = self._tools.timing
        backoff = Backoff(timing.retry_first_s, timing.retry_last_s, self._tools.rng)
        self._is_running = True
        try:
            while not self._stopping.is_set():
                try:
                    await self._live()
                except errors.UplinkError as error:
                    self._note_error(error)
                if self.link.connected and self._monotonic() - self.link.since >= timing.steady_s:
                    backoff.reset()
                self._set_connected(False)
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

    async def _live(self) -> None:
        settings, timing = self._settings, self._tools.timing
        for name in (settings.site, settings.gateway):
            if not is_segment(name):
                raise errors.NameUnfit(name=name)
        broker = parse_broker(settings.broker)
        key = read_ack_key(settings.ack_key) if settings.ack == "platform" else b""
        secure = await connect(
            broker, settings.tls, gateway=settings.gateway, wall=self._wall(), timeout_s=timing.connect_s
        )
        number = self._spool.epoch * SESSIONS_PER_EPOCH + self.counters.connections + 1
        me = Identity(settings.site, settings.gateway, number, settings.ack, key)
        session = Session(me, self._tools)
        connection = Connection(secure, settings.gateway, session.will(), session)
        try:
            granted = await connection.start(timing.connack_s)
            self.counters.connections += 1
            self._session = session
            self._set_connected(True, number)
            self._journal.event("connected", session=number, window=granted.window, resumed=granted.session_present)
            session.begin(connection, granted)
            await session.work(self._stopping)
            await session.farewell(self._farewell_s)
        finally:
            self._session = None
            connection.drop()

    async def _pause(self, seconds: float) -> None:
        if self._stopping.is_set():
            return
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

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
