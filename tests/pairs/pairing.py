"""A driver and a simulator on one line, with the port's gate between them and a clock that is turned by hand.

The two were written by different hands from the same document. Everything the device task does with bytes is here:
the allow-list, the rate, the silence after bytes that could not be verified, the line-quality gate.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from drivers import catalog
from drivers.contract import Output, StreamDriver
from drivers.observation import AnyObservation, Enumeration, Numeric, Waveform
from drivers.profile import Profile
from drivers.quality import Gate
from gateway.device import BACKOFF_S
from gateway.ports.gate import SendGate
from gateway.ports.trust import LineTrust
from simulators.devices.catalog import SIMULATORS
from simulators.devices.simulator import NO_OPTIONS, Simulator

TURNS = 200
"""Most exchanges at one moment."""
NAP_S = 0.001
"""Time goes on at least so much: two clocks that wake each other at one moment must not stop it."""


@dataclass(frozen=True)
class Device:
    """A simulator with its options, and the profiles (`driver/profile`) that are right for it."""

    simulator: str
    right: tuple[str, ...]
    options: dict[str, str] = field(default_factory=dict)
    asks: dict[str, Any] = field(default_factory=dict)
    """Options of the driver for all that can be asked: the shortest periods, and curves."""

    def __str__(self) -> str:
        return "-".join((self.simulator, *self.options.values()))

    def make(self, options: Mapping[str, str] = NO_OPTIONS) -> Simulator:
        """A fresh one, without faults."""
        return SIMULATORS[self.simulator](1, frozenset(), {**self.options, **options})


def stream_profiles() -> Iterator[Profile]:
    """Every profile of a driver on a byte stream."""
    for name in catalog.DRIVERS:
        for profile in catalog.profiles(name).values():
            if "modbus" not in profile.ports:
                yield profile


class Talk:
    """One session; `until()` lets time go on."""

    def __init__(self, profile: Profile, simulator: Simulator, options: dict[str, object] | None = None) -> None:
        self.profile, self.simulator = profile, simulator
        self.driver = cast(StreamDriver, catalog.create(profile, options))
        self.seen: list[tuple[float, AnyObservation]] = []
        self.faults: Counter[str] = Counter()
        self.sent: list[tuple[float, bytes]] = []
        self.unsent: Counter[str] = Counter()
        self.frames = self.rejected = 0
        self.now = self.last_frame_at = 0.0
        self._port = SendGate(profile.allowed, profile.protocol.max_send_per_minute, may_send=True)
        self.gate = Gate(profile)
        self._wake_at: float | None = None
        self._trust = LineTrust(self._port, profile.protocol)
        self._plugs_back_at: float | None = None
        self._is_tcp = not {"serial", "udp"} & set(profile.ports)
        self._to_device(self._take(self.driver.start(0.0)))

    def until(self, end: float) -> "Talk":
        """Both sides act whenever they are due."""
        while self.now < end:
            due = [at for at in (self._wake_at, self.simulator.wake_at, self._plugs_back_at) if at is not None]
            self.now = min(end, max(self.now + NAP_S, min(due, default=end)))
            heard = self.simulator.wake(self.now)
            if self._plugs_back_at is not None and self._plugs_back_at <= self.now:
                self._plug_back()
            elif heard and self._plugs_back_at is None:
                self._from_device(heard)
            if self.simulator.is_hung_up:
                self._call_again()
            if self._wake_at is not None and self._wake_at <= self.now:
                self._to_device(self._take(self.driver.wake(self.now)))
        return self

    def unplug(self, seconds: float) -> None:
        """Pull the cable for so long: what is said is lost; a TCP connection ends, on a line neither side sees it."""
        self._plugs_back_at = self.now + seconds
        if self._is_tcp:
            self.simulator.disconnected(self.now)

    def _plug_back(self) -> None:
        self._plugs_back_at = None
        if self._is_tcp:
            self.simulator.connected(self.now)
            self._to_device(self._take(self.driver.start(self.now)))

    def _call_again(self) -> None:
        """The device has ended the TCP connection: the box comes back after its pause."""
        self.simulator.disconnected(self.now)
        self.now += max(BACKOFF_S[-1], self.profile.protocol.reconnect_s)
        self.simulator.connected(self.now)
        self._to_device(self._take(self.driver.start(self.now)))

    def stop(self) -> "Talk":
        """The box leaves."""
        self._to_device(self._take(self.driver.stop(self.now)))
        return self

    def valid(self) -> Iterator[AnyObservation]:
        """What was published as a value that may be believed, under the profile's own table."""
        for _at, one in self.seen:
            is_absent = isinstance(one, Numeric | Enumeration) and one.value is None
            is_value = isinstance(one, Numeric | Enumeration | Waveform) and one.validity == "valid"
            if is_value and not is_absent and one.vendor and one.vendor.code in self.profile.by_code:
                yield one

    def _from_device(self, data: bytes) -> None:
        for _turn in range(TURNS):
            answer = self._take(self.driver.receive(data, self.now))
            data = self._judged(answer)
            if not data:
                return
            data = self.simulator.receive(data, self.now)
            if not data:
                return
        raise AssertionError("the two talk without end at one moment")

    def _to_device(self, data: bytes) -> None:
        data = self._judged(data)
        heard = self.simulator.receive(data, self.now) if data and self._plugs_back_at is None else b""
        if heard:
            self._from_device(heard)

    def _judged(self, data: bytes) -> bytes:
        if not data:
            return b""
        self._trust.about_to_send(self.now)
        verdict = self._port.judge(data, self.now)
        if verdict != "sent":
            self.unsent[verdict] += 1
            return b""
        self.sent.append((self.now, data))
        return data

    def _take(self, output: Output) -> bytes:
        self._wake_at = output.wake_at
        self.seen += [(self.now, one) for one in self.gate.check(output, self.now).observations]
        self.faults.update(fault.reason for fault in output.faults)
        self.frames += output.frames
        self.rejected += sum(fault.rejected for fault in output.faults)
        if output.frames:
            self.last_frame_at = self.now
        self._trust.heard(output, self.now)
        return output.send
