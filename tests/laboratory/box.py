"""The box with its real device task and its real spool, and everything that can end it in the middle of a step.

    simulator ⇄ Line: bytes cut at random ⇄ StreamDevice ─▶ Sink ─▶ Spool on disk
                read ↑ pull ↑  answered ↑          unstored ↑  ↑ unsaid       flush ↑ refused

A kill is an exception that nothing in the box catches: what stands in memory is gone, what was written stays.
"""

import asyncio
import errno
import os
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import cast

import msgspec

from drivers.observation import AnyObservation, Result, SourceAuth
from gateway.clock import Clock, Source
from gateway.device import Setup, StreamDevice
from gateway.journal import Journal
from gateway.ports.gate import GatedPort, SendGate
from gateway.ports.port import PortLost, StreamPort
from gateway.spool.room import DiskUse
from gateway.spool.spool import Position, Spool
from simulators.devices.simulator import Simulator

SEGMENT_BYTES = 64 << 10
NAP_S = 0.001
CHUNKS = (40, 700, 700, 700)
"""A line cuts at random, every 1 to so many bytes."""
DOWN_S = (0.1, 1.0, 8.0, 40.0)
"""How long the box is away, at most: an analyzer notices nothing, or gives up its session."""
KILLS = {"read": 20, "unstored": 3, "unsaid": 3, "answered": 8}
"""Where it strikes, and at most after how many times of coming there. `read`: bytes have come, in the middle of a
frame as well; `unstored`: received and not committed; `unsaid`: committed and not acknowledged; `answered`."""
TROUBLES = {"pull": 30, "refused": 4}
"""The cable is pulled, the disk refuses: the box lives on."""
ALL = Position(0, 0)
_DECODER = msgspec.json.Decoder(list[AnyObservation])

Spoil = Callable[[AnyObservation], AnyObservation]


class Killed(BaseException):
    """kill -9."""


class Doom:
    """What strikes in one life of the box, and when: troubles, and one kill unless it is the last life."""

    def __init__(self, chance: random.Random, *, is_last: bool = False) -> None:
        self._left: dict[str, int] = {}
        self.struck: Counter[str] = Counter()
        if is_last:
            return
        for step, most in TROUBLES.items():
            if chance.random() < 0.3:
                self._left[step] = chance.randint(1, most)
        step = chance.choice(list(KILLS))
        self._left[step] = chance.randint(1, KILLS[step])

    def strikes(self, step: str) -> bool:
        """Whether it is now."""
        if step not in self._left:
            return False
        self._left[step] -= 1
        if self._left[step]:
            return False
        self.struck[step] += 1
        return True

    def kill(self, step: str) -> None:
        """End the box if it is now."""
        if self.strikes(step):
            raise Killed


class Line:
    """The port: a simulated analyzer behind a line that cuts bytes at random."""

    name = "line"
    source_auth: SourceAuth = "point_to_point"

    def __init__(self, simulator: Simulator, chance: random.Random, *, is_tcp: bool) -> None:
        self.simulator, self._chance, self._is_tcp = simulator, chance, is_tcp
        self.doom = Doom(chance, is_last=True)
        self.after: Callable[[], None] = lambda: None
        """Called whenever the simulator has acted."""
        self.chunk = chance.choice(CHUNKS)
        self._coming = b""
        self._is_open = False
        self.pulls: list[float] = []

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def open(self) -> None:
        if self._is_tcp and not self._is_open:
            self.simulator.connected(self.now)
        self._is_open = True

    async def read(self) -> bytes:
        while not self._coming:
            if self.simulator.is_hung_up:
                raise PortLost(port=self.name, detail="hang-up")
            due = self.simulator.wake_at
            await asyncio.sleep(max(NAP_S, (self.now + 1.0 if due is None else due) - self.now))
            self._coming += self.simulator.wake(self.now)
            self.after()
        await asyncio.sleep(self._chance.random() * 0.004)
        size = self._chance.randint(1, self.chunk)
        data, self._coming = self._coming[:size], self._coming[size:]
        if self.doom.strikes("pull"):
            self.pulls.append(self.now)
            self.drop()
            raise PortLost(port=self.name, detail="cable")
        self.doom.kill("read")
        return data

    async def write(self, data: bytes) -> None:
        self._coming += self.simulator.receive(data, self.now)
        self.after()
        self.doom.kill("answered")

    async def close(self) -> None:
        self.drop()

    release = close

    def drop(self) -> None:
        """The box is away: what is on its way is lost; over TCP the analyzer sees it."""
        self._coming = b""
        if self._is_tcp and self._is_open:
            self.simulator.disconnected(self.now)
        self._is_open = False

    async def nobody(self, seconds: float) -> None:
        """The analyzer speaks to nobody for so long."""
        end = self.now + seconds
        while self.now < end:
            due = self.simulator.wake_at
            await asyncio.sleep(max(NAP_S, min(end, end if due is None else due) - self.now))
            self.simulator.wake(self.now)
            self.after()


class Sink:
    """The spool, and the kills on both sides of a commit."""

    def __init__(self, spool: Spool, doom: Doom, spoil: Spoil | None) -> None:
        self._spool, self._doom, self._spoil = spool, doom, spoil

    async def put(self, observations: Sequence[AnyObservation]) -> None:
        self._doom.kill("unstored")
        spoil = self._spoil
        await self._spool.put([spoil(seen) for seen in observations] if spoil else observations)
        self._doom.kill("unsaid")


@dataclass
class Box:
    """One box over its lives; `live()` is one of them."""

    setup: Setup
    folder: Path
    line: Line
    chance: random.Random
    task: type[StreamDevice] = StreamDevice
    spoil: Spoil | None = None
    struck: Counter[str] = field(default_factory=Counter)
    """Kills and troubles by name."""
    unsent: set[str] = field(default_factory=set)
    """Why bytes were not sent: the gate let none go that the profile does not allow."""
    away: list[tuple[float, float]] = field(default_factory=list)
    """When nobody was on the line, or the disk refused: what no analyzer says again is then only in memory."""

    async def live(self, doom: Doom, until: Callable[[], bool], limit_s: float) -> bool:
        """From a start to a kill; or, where none strikes, until there is nothing more to do, or for so long."""
        loop = asyncio.get_running_loop()
        end, self.line.doom = loop.time() + limit_s, doom
        spool, device = self._start(doom)
        running = asyncio.create_task(device.run())
        try:
            while not running.done() and loop.time() < end and not until():
                await asyncio.sleep(0.5)
            if not running.done():
                running.cancel()
                await asyncio.wait({running})
                return False
            self._raise_unless_killed(running)
        finally:
            self.struck += doom.struck
            self.unsent.update(device.state.unsent)
            _let_go(spool)
        died_at = loop.time()
        self.line.drop()
        await self.line.nobody(self.chance.choice(DOWN_S) * self.chance.random())
        self.away.append((died_at, loop.time()))
        return True

    def _start(self, doom: Doom) -> tuple[Spool, StreamDevice]:
        is_open = False

        def flush(_fd: int) -> None:
            """What is written outlives a process; whether it outlives the current, tests/powercut asks."""
            if is_open and doom.strikes("refused"):
                self.away.append((loop.time(), loop.time()))
                raise OSError(errno.EIO, os.strerror(errno.EIO))

        profile, loop = self.setup.profile, asyncio.get_running_loop()
        spool = Spool.open(
            self.folder, flush=flush, segment_bytes=SEGMENT_BYTES, usage=lambda _: DiskUse(1 << 40, 1 << 39)
        )
        is_open = True
        gate = SendGate(profile.allowed, profile.protocol.max_send_per_minute, may_send=True)
        port = GatedPort(cast(StreamPort, self.line), gate)
        clock = Clock(source=Source(loop.time, lambda: 1.78e9 + loop.time(), lambda: None))
        return spool, self.task(self.setup, port, Sink(spool, doom, self.spoil), clock, Journal(StringIO()))

    @staticmethod
    def _raise_unless_killed(running: asyncio.Task[None]) -> None:
        error = running.exception()
        if not isinstance(error, Killed):
            raise AssertionError("the device task has ended by itself") from error

    def stored(self) -> list[Result]:
        """All results on the disk, as the platform would get them."""
        spool = Spool.open(self.folder, flush=lambda _: None, segment_bytes=SEGMENT_BYTES)
        try:
            frames = spool.frames_after("event", ALL, 1_000_000)
        finally:
            _let_go(spool)
        seen = [one for frame in frames for one in _DECODER.decode(frame.payload)]
        return [one for one in seen if isinstance(one, Result)]


def _let_go(spool: Spool) -> None:
    """What the kernel does with the files of a process that was killed; nothing is written."""
    for lane in spool._lanes.values():
        lane.writer.close()
        lane.cursor.close()
    os.close(spool._lock)
