"""One device: port → driver → gate → spool, and back only the bytes that may follow a commit."""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol, cast

import msgspec
from msgspec import Struct

from drivers import catalog
from drivers.contract import Block, Output, Read, RegisterDriver, StreamDriver
from drivers.observation import AnyObservation, Device, Mode, SourceAuth, lane_of, stamp
from drivers.profile import Profile
from drivers.quality import Gate
from gateway.clock import Clock
from gateway.commissioning import doubted, never
from gateway.errors import JisrError
from gateway.journal import Journal
from gateway.language import N_
from gateway.ports.gate import GatedPort
from gateway.ports.port import PortError
from gateway.ports.trust import QUIET_S, LineTrust
from gateway.spool.spool import CommitRefused, TooLarge

BACKOFF_S = (0.5, 1.0, 2.0, 4.0, 5.0)
"""A cable that comes back is found within ten seconds; a port that stays away costs one try each five."""
GOODBYE_S = 1.5
"""How long the answer to a goodbye is awaited; the whole box must end within five seconds."""
OWED_EVENTS = 256
"""Events that the disk refused and that the device will not say again; beyond it the oldest go, and are counted."""
OWED_S = 5.0
"""How long they wait at most before the disk is asked again."""
IDLE_S = 1.0
"""For a register driver that asks for nothing: never a loop without a pause."""


class Silenced(JisrError):
    """Law 3: bytes that cannot be verified in answer to a request end the sending."""

    sentence = N_(
        "{device}: what came back could not be verified, so nothing more is sent. "
        "Check the make, the line settings and the cable; sending goes on after the next good frame, "
        "or when jisr is started again."
    )


class NotAllowed(JisrError):
    """A driver wanted to send what its profile does not allow: a defect, never sent."""

    sentence = N_("{device}: {count} bytes that the profile does not allow were held back. Please report this.")


class LinkState(Struct):
    """What health, birth and the live view tell of a device."""

    connection: str = "disconnected"
    why: str = ""
    observations: int = 0
    faults: Counter[str] = msgspec.field(default_factory=Counter)
    unsent: Counter[str] = msgspec.field(default_factory=Counter)
    rejected_share: float = 0.0


class Setup(Struct, frozen=True):
    """What the configuration says of one device, resolved."""

    name: str
    profile: Profile
    options: dict[str, Any]
    place: str = ""
    mode: Mode = "real"
    is_commissioned: Callable[[], bool] = never
    """Until it says yes, laboratory results are questionable."""


class Sink(Protocol):
    """Where observations are committed: the spool, or what stands in for it in a test."""

    async def put(self, observations: tuple[AnyObservation, ...]) -> None:
        """Return once event observations are on disk; raise `CommitRefused` when they cannot be."""
        ...


class ReadPort(Protocol):
    """A port that reads register blocks (Modbus)."""

    name: str
    source_auth: SourceAuth

    async def open(self) -> None:
        """Be connected."""
        ...

    async def read(self, request: Read) -> Block:
        """One block, or the error that came instead."""
        ...

    async def close(self) -> None:
        """Let go; `open()` may follow."""
        ...


class _DeviceTask(ABC):
    """What both kinds of device do alike. `run()` never ends by itself; cancelling it is the orderly stop."""

    _port: GatedPort | ReadPort

    def __init__(self, setup: Setup, sink: Sink, clock: Clock, journal: Journal) -> None:
        self.setup, self.state = setup, LinkState()
        self._sink, self._clock, self._journal = sink, clock, journal
        self._gate = Gate(setup.profile)
        self._told = "disconnected"
        self._has_verified = False
        self._owed: deque[AnyObservation] = deque(maxlen=OWED_EVENTS)

    async def run(self) -> None:
        """Open, read, commit, answer; reopen with back-off for ever."""
        self._renew()
        attempt = 0
        try:
            while True:
                self._has_verified = False
                try:
                    await self._port.open()
                    self._found()
                    await self._session()
                except PortError as error:
                    await self._lost(error)
                if self._has_verified:  # a port that opens and falls away again is not called twice a second
                    attempt = 0
                await self._port.close()
                pause = BACKOFF_S[min(attempt, len(BACKOFF_S) - 1)]
                await asyncio.sleep(max(pause, self.setup.profile.protocol.reconnect_s))
                attempt += 1
        finally:
            await self._release()

    @abstractmethod
    def _renew(self) -> None:
        """A driver that has seen nothing: after a failure the old one may believe safe what was never stored."""

    @abstractmethod
    async def _session(self) -> None:
        """The port is open: work until it is lost."""

    async def _release(self) -> None:
        await self._port.close()
        await self._commit_or_owe(Output())

    def _found(self) -> None:
        self.state.connection, self.state.why = "unknown", ""
        self._journal.settle(self.setup.name)
        self._journal.event("port_open", device=self.setup.name, port=self._port.name)

    async def _lost(self, error: PortError) -> None:
        self._journal.say(error, self.setup.name)
        self.state.why = error.text()
        gone = Device(connection="disconnected", validity="valid", reason="port")
        await self._commit_or_owe(Output(observations=(gone,) if self._told != "disconnected" else ()))
        self.state.connection = "disconnected"

    async def _commit(self, output: Output) -> None:
        """Judge and stamp what the driver read, and commit it; raises `CommitRefused`."""
        await self._store(self._stamped(output))

    async def _commit_or_owe(self, output: Output) -> None:
        """The same for what no device repeats: events that the disk refuses are held, and go before what follows."""
        fresh = self._stamped(output)
        try:
            await self._store(fresh)
        except CommitRefused as error:
            self._journal.say(error, "spool")
            if not isinstance(error, TooLarge):
                await self._owe(fresh)

    async def _owe(self, fresh: tuple[AnyObservation, ...]) -> None:
        events = tuple(seen for seen in fresh if lane_of(seen) == "event")
        dropped = len(self._owed) + len(events) - OWED_EVENTS
        if dropped > 0:
            self.state.faults["event_dropped"] += dropped
        self._owed.extend(events)
        self._note(events)
        others = tuple(seen for seen in fresh if lane_of(seen) != "event")
        if others:  # the spool holds these while the disk refuses, and tells by a gap what it could not hold
            with contextlib.suppress(CommitRefused):
                await self._sink.put(others)

    def _stamped(self, output: Output) -> tuple[AnyObservation, ...]:
        instant = self._clock.now()
        self._has_verified = self._has_verified or output.frames > 0
        judged = self._gate.check(output, instant.mono_s)
        self.state.rejected_share = self._gate.rejected_share
        self.state.faults.update(fault.reason for fault in output.faults)
        profile = self.setup.profile
        return tuple(
            stamp(
                seen,
                device=self.setup.name,
                place=self.setup.place,
                driver=f"{profile.driver}/{profile.protocol.version}",
                mode=self.setup.mode,
                source_auth=self._port.source_auth,
                at=instant.at,
                clock=instant.trust,
            )
            for seen in doubted(judged.observations, self.setup.is_commissioned)
        )

    async def _store(self, fresh: tuple[AnyObservation, ...]) -> None:
        if not fresh and not self._owed:
            return
        owed = tuple(self._owed)
        self._owed.clear()  # not after the commit: cancelled in the middle of it, the spool has them
        whole = owed + fresh
        try:
            await self._sink.put(whole)
        except CommitRefused:
            self._owed.extend(owed)
            raise
        self.state.observations += len(whole)
        if any(lane_of(seen) == "event" for seen in whole):  # the others are only buffered yet
            self._journal.settle("spool")
        self._note(whole)

    def _note(self, stamped: Iterable[AnyObservation]) -> None:
        for seen in stamped:
            if isinstance(seen, Device) and not seen.mds:  # a pump that leaves its rack is not the line
                self.state.connection = self._told = seen.connection


class StreamDevice(_DeviceTask):
    """A device on a byte stream."""

    def __init__(self, setup: Setup, port: GatedPort, sink: Sink, clock: Clock, journal: Journal) -> None:
        super().__init__(setup, sink, clock, journal)
        self._port: GatedPort = port
        self._trust = LineTrust(port.gate, setup.profile.protocol)
        self._renew()

    def _renew(self) -> None:
        self._driver = cast(StreamDriver, catalog.create(self.setup.profile, self.setup.options))

    async def _session(self) -> None:
        self._trust.reopened(self._clock.mono())
        try:
            wake_at = await self._step(self._driver.start(self._clock.mono()))
            while True:
                data = await self._read_until(wake_at)
                now = self._clock.mono()
                output = self._driver.receive(data, now) if data else self._driver.wake(now)
                wake_at = await self._step(output)
                await asyncio.sleep(0)  # bytes that are already here are read without waiting: others have a turn
        except asyncio.CancelledError:
            await self._goodbye()
            raise

    async def _read_until(self, wake_at: float | None) -> bytes:
        if self._owed:  # what the disk refused is tried again, however silent the device is
            again = self._clock.mono() + OWED_S
            wake_at = again if wake_at is None else min(wake_at, again)
        if wake_at is None:
            return await self._port.read()
        try:
            async with asyncio.timeout(max(0.0, wake_at - self._clock.mono())):
                return await self._port.read()
        except TimeoutError:
            return b""

    async def _step(self, output: Output) -> float | None:
        """Commit, then speak (law 4). Returns when the driver wants to be woken."""
        self._listen_or_speak(output)
        if not output.refusal:  # nothing that is sent says "I have it": the link goes on whatever the disk does
            await self._commit_or_owe(output)
        elif not await self._is_promise_kept(output):
            # The driver believes the observations are safe; a fresh one takes them again when they are re-sent.
            self._renew()
            return (await self._restart()).wake_at
        if output.send:
            await self._write(output.send)
        return output.wake_at

    async def _is_promise_kept(self, output: Output) -> bool:
        try:
            await self._commit(output)
        except CommitRefused as error:
            self._journal.say(error, "spool")
            await self._write(output.refusal)
            return False
        return True

    async def _restart(self) -> Output:
        output = self._driver.start(self._clock.mono())
        if output.send:
            await self._write(output.send)
        return output

    def _listen_or_speak(self, output: Output) -> None:
        name = self.setup.name
        match self._trust.heard(output, self._clock.mono()):
            case "verified":
                self._journal.settle(f"sending to {name}")
            case "unverified":
                self._journal.say(Silenced(device=name), f"sending to {name}")

    async def _write(self, data: bytes) -> None:
        self._trust.about_to_send(self._clock.mono())
        verdict = await self._port.write(data, self._clock.mono())
        if verdict == "sent":
            return
        self.state.unsent[verdict] += 1
        if verdict == "not_allowed":
            self._journal.say(NotAllowed(device=self.setup.name, count=len(data)), f"send of {self.setup.name}")

    async def _goodbye(self) -> None:
        """Tell the device that the box leaves, commit what is still read, and await the answer a moment.

        A device that was verified on this connection is the one that was named: it is told also while nothing else
        is sent, for it raises a communication error at the bed if nobody says goodbye.
        """
        if self._has_verified:
            self._port.gate.resume()
        try:
            async with asyncio.timeout(GOODBYE_S):
                farewell = self._driver.stop(self._clock.mono())
                await self._step(farewell)
                while farewell.send:
                    answer = self._driver.receive(await self._port.read(), self._clock.mono())
                    await self._commit(answer)
                    if answer.frames:
                        break
        except (TimeoutError, PortError, CommitRefused) as error:
            self._journal.event("goodbye_unanswered", device=self.setup.name, why=type(error).__name__)

    async def _release(self) -> None:
        await self._port.release()
        await self._commit_or_owe(Output())


class RegisterDevice(_DeviceTask):
    """A device read by registers."""

    def __init__(
        self,
        setup: Setup,
        port: ReadPort,
        sink: Sink,
        clock: Clock,
        journal: Journal,
        show: Callable[[Block], None] | None = None,
    ) -> None:
        super().__init__(setup, sink, clock, journal)
        self._port: ReadPort = port
        self._show = show
        self._unverified = 0
        self._renew()

    def _renew(self) -> None:
        self._driver = cast(RegisterDriver, catalog.create(self.setup.profile, self.setup.options))

    async def _session(self) -> None:
        output = self._driver.start(self._clock.mono())
        while True:
            await self._commit_or_owe(output)
            due, wake_at = deque(output.reads), output.wake_at
            while due:
                block = await self._port.read(due.popleft())
                if self._show:
                    self._show(block)
                answer = self._driver.receive(block, self._clock.mono())
                await self._commit_or_owe(answer)
                await self._rest_if_unverified(block.error)
                due.extend(answer.reads)
                wake_at = answer.wake_at if answer.wake_at is not None else wake_at
            await asyncio.sleep(IDLE_S if wake_at is None else max(0.0, wake_at - self._clock.mono()))
            output = self._driver.wake(self._clock.mono())

    async def _rest_if_unverified(self, error: str) -> None:
        subject = f"sending to {self.setup.name}"
        if error != "unverified":
            if not error:
                self._unverified = 0
                self._journal.settle(subject)
            return
        self._journal.say(Silenced(device=self.setup.name), subject)
        pause = QUIET_S[min(self._unverified, len(QUIET_S) - 1)]
        self._unverified += 1
        await asyncio.sleep(pause)
