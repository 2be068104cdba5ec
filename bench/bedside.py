"""What a monitor or ventilator at full load costs the box: the whole device task, curves and spool included.

The device task is the agent's own; only its port is replaced by the simulated device, and its clock is turned by
hand, so ten minutes pass in seconds. Bytes come in pieces, as a USB adapter hands them over. What was committed is
read back and encoded, compact, as the uplink does; TLS and MQTT are in another row. CPU time is of the whole process,
the spool's thread included, less what the simulated device took.
"""

import asyncio
import io
import time
from pathlib import Path
from typing import Any

from msgspec import Raw, Struct

from drivers import catalog
from drivers.mindray_pds.options import GROUPS
from drivers.observation import LANES, AnyObservation, Numeric, SourceAuth, Waveform
from gateway.clock import Clock, Source
from gateway.config import parse_line
from gateway.device import Setup, StreamDevice
from gateway.journal import Journal
from gateway.ports.gate import GatedPort, SendGate
from gateway.ports.port import PortLost
from gateway.spool.spool import TICK_S, Spool
from gateway.uplink.compact import encode_compact
from gateway.uplink.dictionary import newest
from gateway.uplink.envelope import FrameEnvelope
from simulators.devices.catalog import SIMULATORS
from simulators.devices.simulator import Simulator
from tests.pairs.devices import ALL_OF_MEDIBUS
from tests.pairs.pairing import NAP_S

SECONDS = 600.0
ADAPTER_S = 0.016
"""After so long a USB adapter hands over what it has; of a network a whole message comes."""
NETWORK_BYTES = 1 << 16
WALL_S = 1_790_000_000.0
MOST_TIMEOUT_S = 60.0
MOST_FRAMES = 64
LEAST_SHARE = 0.9
"""Of the samples that the options ask for; the beginning brings none."""

_GE = ("ECG1", "INVP1", "INVP2", "INVP3")


class Load(Struct, frozen=True):
    """A device, all that can be asked of it, and the samples a second that it then brings."""

    driver: str
    profile: str
    asks: dict[str, Any]
    samples_per_s: float = 0.0


BEDSIDE = (
    Load("ge_dri", "carescape", {"interval_s": 5, "trends": ("10s", "60s"), "curves": _GE}, 600),
    Load("draeger_medibus", "evita_4", ALL_OF_MEDIBUS, 3 * 62.5),
    Load("philips_intellivue", "intellivue", {"curves": ("0102", "4BB4", "4A14")}, 750),
    Load("mindray_pds", "monitor", {"groups": tuple(GROUPS)}),
)
"""GE: all 600 samples a second that the monitor gives. IntelliVue: an ECG and two curves. Mindray has none."""


class Cost(Struct, frozen=True):
    """What one device took, and what it brought for that."""

    cpu_s_per_hour: float
    samples_per_s: float
    numerics_per_s: float

    @property
    def percent(self) -> float:
        """Share of one core."""
        return self.cpu_s_per_hour / 36


class NotBrought(RuntimeError):
    """The simulated device did not bring what was asked for: the figure would be of something else."""


class _Line:
    """The simulated device as a port, and the time of both."""

    name = "simulated"
    source_auth: SourceAuth = "point_to_point"

    def __init__(self, simulator: Simulator, piece_bytes: int) -> None:
        self._simulator, self._piece_bytes = simulator, piece_bytes
        self._heard = b""
        self.now = 0.0
        self.cpu_s = 0.0
        """What the simulated device took."""

    async def open(self) -> None:
        """It is there."""

    async def close(self) -> None:
        """Nothing to let go of."""

    release = close

    async def write(self, data: bytes) -> None:
        """To the device."""
        self._heard += self._of_simulator(self._simulator.receive, data)

    async def read(self) -> bytes:
        """The end: nobody answers the goodbye."""
        raise PortLost(port=self.name, detail="end")

    async def until(self, wake_at: float | None) -> bytes:
        """Let time go on: the next piece, or nothing when the driver wants to be woken."""
        while not self._heard:
            device_at = self._simulator.wake_at
            if wake_at is not None and (device_at is None or wake_at < device_at):
                self.now = max(self.now, wake_at)
                return b""
            self.now = max(self.now + NAP_S, device_at or self.now)
            self._heard = self._of_simulator(self._simulator.wake)
        piece, self._heard = self._heard[: self._piece_bytes], self._heard[self._piece_bytes :]
        return piece

    def _of_simulator(self, call: Any, *given: Any) -> bytes:
        before = time.thread_time()
        said: bytes = call(*given, self.now)
        self.cpu_s += time.thread_time() - before
        return said


class _Task(StreamDevice):
    """The device task, waiting for the simulated device instead of the real time."""

    line: _Line
    spool: Spool
    ticks = sent_bytes = 0

    async def _read_until(self, wake_at: float | None) -> bytes:
        async with asyncio.timeout(MOST_TIMEOUT_S):  # what a real wait sets up and takes down
            data = await self.line.until(wake_at)
        while self.ticks * TICK_S < self.line.now:
            self.ticks += 1
            await self.spool.tick(self.ticks)
            self._encode()
        if self.line.now >= SECONDS:
            raise asyncio.CancelledError
        return data

    def _encode(self) -> None:
        for lane in LANES:
            for frame in self.spool.frames_after(lane, self.spool.released(lane), MOST_FRAMES):
                envelope = FrameEnvelope(
                    "gw", "site", self.spool.id, frame.epoch, lane, frame.first, frame.count, Raw(frame.payload)
                )
                self.sent_bytes += len(encode_compact(envelope, newest()))
                self.spool.acknowledge(lane, frame.epoch, frame.last)


class _Counted:
    """The spool, and how much was put into it."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self.samples = self.numerics = 0

    async def put(self, observations: tuple[AnyObservation, ...]) -> None:
        """As the spool does it."""
        for one in observations:
            if isinstance(one, Waveform):
                self.samples += len(one.samples)
            elif isinstance(one, Numeric):
                self.numerics += 1
        await self._spool.put(observations)


async def _measure(load: Load, folder: Path) -> Cost:
    profile = catalog.profile(load.driver, load.profile)
    piece = round(parse_line(profile.line).baud / 10 * ADAPTER_S) if profile.line else NETWORK_BYTES
    line = _Line(SIMULATORS[load.driver](1, frozenset(), {}), piece)
    clock = Clock(source=Source(lambda: line.now, lambda: WALL_S + line.now, lambda: 5))
    gate = SendGate(profile.allowed, profile.protocol.max_send_per_minute, may_send=True)
    spool = Spool.open(folder / load.driver)
    sink = _Counted(spool)
    setup = Setup("rea-lit4", profile, load.asks, place="REA/lit-4", mode="test")
    task = _Task(setup, GatedPort(line, gate), sink, clock, Journal(io.StringIO()))
    task.line, task.spool = line, spool
    before = time.process_time()
    work = asyncio.create_task(task.run())
    await asyncio.wait([work])
    cpu_s = time.process_time() - before - line.cpu_s
    await spool.close()
    if not work.cancelled():
        await work
    return Cost(3600 * cpu_s / SECONDS, sink.samples / SECONDS, sink.numerics / SECONDS)


def measure(folder: Path) -> dict[str, Cost]:
    """Each device at the fullest load that its protocol carries."""
    folder.mkdir()
    found = {}
    for load in BEDSIDE:
        cost = found[load.driver] = asyncio.run(_measure(load, folder))
        if cost.samples_per_s < LEAST_SHARE * load.samples_per_s or not cost.numerics_per_s:
            raise NotBrought(f"{load.driver}: {cost}")
    return found
