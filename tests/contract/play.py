"""Play bytes or blocks to a driver as the device task does, and keep all it said."""

import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from drivers.contract import Fault, Output, StreamDriver
from drivers.observation import AnyObservation, Device, Enumeration, Numeric, Result, Waveform
from drivers.profile import Profile
from tests.contract.cases import Step


@dataclass
class Said:
    """All that a driver said, in order; `sent` with the time of each."""

    observations: list[AnyObservation] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    sent: list[tuple[float, bytes]] = field(default_factory=list)
    refusals: list[bytes] = field(default_factory=list)
    frames: int = 0
    wake_at: float | None = None

    def take(self, output: Output, now: float) -> "Said":
        """Add one output."""
        self.observations += output.observations
        self.faults += output.faults
        self.frames += output.frames
        self.wake_at = output.wake_at
        if output.send:
            self.sent.append((now, output.send))
        if output.refusal:
            self.refusals.append(output.refusal)
        return self

    @property
    def rejected(self) -> Counter[str]:
        """Refused frames by reason."""
        return Counter(fault.reason for fault in self.faults if fault.rejected)

    @property
    def values(self) -> list[AnyObservation]:
        """The observations that hold values: no link events, no changes of state."""
        return [o for o in self.observations if isinstance(o, Numeric | Enumeration | Result)]


def feed(driver: StreamDriver, chunks: Iterable[bytes], now: float = 0.0, said: Said | None = None) -> Said:
    """A driver that was started (or is, here) and bytes that come at one moment."""
    if said is None:
        said = Said().take(driver.start(now), now)
    for chunk in chunks:
        said.take(driver.receive(chunk, now), now)
    return said


def wake_until(driver: Any, said: Said, t: float, *, limit: int = 10_000) -> Said:
    """Let time go on to `t`, waking the driver whenever it asked for it."""
    for _turn in range(limit):
        if said.wake_at is None or said.wake_at > t:
            return said
        now = said.wake_at
        said.take(driver.wake(now), now)
    raise AssertionError("the driver asks to be woken without end")


def walk(driver: Any, steps: Iterable[Step]) -> Said:
    """A case of test data at its own pace: due wake-ups first, then what came."""
    said: Said | None = None
    for step in steps:
        if said is None:
            said = Said().take(driver.start(step.t), step.t)
        wake_until(driver, said, step.t)
        said.take(driver.receive(step.data if step.block is None else step.block, step.t), step.t)
    return said or Said()


def cut(data: bytes, seed: int, longest: int = 40) -> Iterator[bytes]:
    """The same bytes in pieces of random length, empty ones among them."""
    chance = random.Random(seed)
    at = 0
    while at < len(data):
        size = chance.randint(0, longest)
        yield data[at : at + size]
        at += size


def pieces(data: bytes, size: int = 4096) -> Iterator[bytes]:
    """The bytes in pieces as a port hands them over."""
    return (data[at : at + size] for at in range(0, len(data), size))


def rules(profile: Profile) -> bytes:
    """One allowed frame, as a regular expression."""
    return b"|".join(rule.regex() for rule in profile.allowed) or b"(?!)"


def is_allowed(profile: Profile, data: bytes) -> bool:
    """Whether bytes are one or more whole allowed frames."""
    return re.fullmatch(b"(?:" + rules(profile) + b")+", data, re.DOTALL) is not None


def is_one_allowed(profile: Profile, data: bytes) -> bool:
    """Whether bytes are exactly one allowed frame, as a datagram must be."""
    return re.fullmatch(rules(profile), data, re.DOTALL) is not None


def busiest_minute(profile: Profile, sent: list[tuple[float, bytes]]) -> int:
    """The most frames sent within any 60 seconds."""
    one = re.compile(rules(profile), re.DOTALL)
    times = [t for t, data in sent for _frame in one.finditer(data)]
    first, most = 0, 0
    for last, t in enumerate(times):
        while times[first] <= t - 60.0:
            first += 1
        most = max(most, last - first + 1)
    return most


def content(observation: AnyObservation) -> str:
    """What an observation says, without the parts that count up (a waveform's sample number)."""
    if isinstance(observation, Waveform):
        observation = msgspec.structs.replace(observation, start=0)
    return repr(observation)


def stale(said: Said) -> list[Device]:
    """The device's own word that nothing comes any more."""
    return [o for o in said.observations if isinstance(o, Device) and o.connection == "stale"]
