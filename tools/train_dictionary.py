"""Train the dictionary of the compact encoding on what simulators say through the drivers, and on nothing else.

    python -m tools.train_dictionary            writes gateway/uplink/dictionaries/<id>.zdict and prints the id
    python -m tools.train_dictionary --check    writes nothing; 1 if another one than the newest would come out

No recording of a real device takes part, so nothing of a patient or a hospital can be in a dictionary. Everything is
drawn from fixed seeds and the clock is turned by hand: the same drivers, simulators and zstd library give the same
bytes. Names of boxes, places and devices are new in each sample, so that none of them is learned.

A new dictionary is worth its rollout when drivers were added or the encoding says more. The old files stay for ever:
what was sent with them must remain readable.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import zstandard
from msgspec import UNSET, Raw

from drivers import catalog
from drivers.contract import Block, Output, Read
from drivers.observation import AnyObservation, ClockTrust, Lane, lane_of, stamp
from gateway.clock import utc_text
from gateway.uplink.compact import document_of
from gateway.uplink.dictionary import FOLDER, NEWEST, Dictionary
from gateway.uplink.envelope import FrameEnvelope
from simulators.devices.astm import Astm
from simulators.devices.draeger_medibus import DraegerMedibus
from simulators.devices.registers import Registers
from simulators.devices.simulator import Simulator

SIZE_BYTES = 16 << 10
SECONDS = 75.0
BOXES = 60
FRAMES = 12
"""Taken of each box."""
SPANS_S = (1.0, 10.0, 10.0, 60.0)
"""How long the frames of a box are: on a good link, on a slow one, back-fill."""
TURNS = 200_000
"""More steps than any of them takes."""
_ENCODER = msgspec.json.Encoder(decimal_format="number")


class Said(NamedTuple):
    """What one device said at a moment."""

    at: float
    seen: tuple[AnyObservation, ...]


class Device(NamedTuple):
    """A simulator, the driver that hears it, and what the driver is told."""

    driver: str
    profile: str
    simulator: Callable[[int], Simulator]
    options: dict[str, Any]


DEVICES = (
    Device("draeger_medibus", "evita_4", DraegerMedibus, {"curves": ["00", "01"]}),
    Device("registers", "dse_73xx", Registers, {}),
    Device("astm", "erba_xl", lambda seed: Astm(seed, options={"profile": "erba_xl"}), {}),
    Device("astm", "sysmex_xp", lambda seed: Astm(seed, options={"profile": "sysmex_xp"}), {}),
)


def play_stream(driver: Any, simulator: Simulator) -> Iterator[Said]:
    """Turn one clock for both until the time is over."""
    now = 0.0
    output: Output = driver.start(now)
    simulator.connected(now)
    for _turn in range(TURNS):
        if output.observations:
            yield Said(now, output.observations)
        wake_at = output.wake_at
        heard = simulator.receive(output.send, now) if output.send else simulator.wake(now)
        if not heard:
            now = min((at for at in (wake_at, simulator.wake_at) if at is not None and at > now), default=SECONDS)
            if now >= SECONDS:
                return
            heard = simulator.wake(now)
        output = driver.receive(heard, now) if heard else driver.wake(now)
    raise RuntimeError("the clock does not move")


def play_registers(driver: Any, simulator: Registers) -> Iterator[Said]:
    """Every read is answered at once."""
    now = 0.0
    output: Output = driver.start(now)
    for _turn in range(TURNS):
        if output.observations:
            yield Said(now, output.observations)
        if output.reads:
            output = driver.receive(_answer(simulator, output.reads[0], now), now)
            continue
        now = max(output.wake_at or SECONDS, now + 0.001)
        if now >= SECONDS:
            return
        output = driver.wake(now)
    raise RuntimeError("the clock does not move")


def _answer(simulator: Registers, read: Read, now: float) -> Block:
    held = simulator.registers(now)
    span = range(read.address, read.address + read.count)
    if read.table not in ("holding", "input") or not all(address in held for address in span):
        return Block(read, error="exception_2")
    return Block(read, tuple(held[address] for address in span))


def said_by(device: Device, seed: int) -> list[Said]:
    """All that a device's driver says in the time of a sample."""
    profile = catalog.profile(device.driver, device.profile)
    driver: Any = catalog.create(profile, device.options)
    simulator = device.simulator(seed)
    if isinstance(simulator, Registers):
        return list(play_registers(driver, simulator))
    return list(play_stream(driver, simulator))


class Box:
    """A box that nobody has seen: its own names, times and boot."""

    def __init__(self, seed: int) -> None:
        self._rng = rng = Random(seed)  # noqa: S311
        self._boot = str(UUID(int=rng.getrandbits(128), version=4))
        self._start = 1_700_000_000 + rng.randrange(200_000_000)
        self._booted = self._start - rng.uniform(10, 4_000_000)
        self._names = (self._word(), self._word(), f"{rng.getrandbits(64):016x}")
        self._epoch = rng.randrange(1, 500)
        self._tells_boot = rng.random() < 0.5

    def _word(self) -> str:
        return "".join(self._rng.choices("abcdefghijklmnopqrstuvwxyz-", k=self._rng.randrange(5, 12)))

    def stamped(self, device: str, said: list[Said]) -> list[tuple[float, AnyObservation]]:
        """What a device said, as the agent stamps it, with its time."""
        place, phase = f"{self._word()}/{self._rng.randrange(30)}", self._rng.random()
        common: dict[str, Any] = {
            "device": self._word(),
            "place": place if self._rng.random() < 0.8 else "",
            "driver": f"{device}/1",
            "mode": self._rng.choice(("real", "real", "test")),
            "source_auth": self._rng.choice(("point_to_point", "network_unauthenticated")),
        }
        found: list[tuple[float, AnyObservation]] = []
        for at, seen in said:
            came = self._start + at + phase
            clock = ClockTrust("ntp", 10 + int(at / 10), self._boot, round(came - self._booted, 3))
            found += [(at, stamp(one, **common, at=utc_text(came), clock=clock)) for one in seen]
        return found

    def frames(self, found: list[tuple[float, AnyObservation]], span_s: float) -> Iterator[FrameEnvelope]:
        """Frames of one lane each, so many seconds long."""
        found = sorted(found, key=lambda each: each[0])
        groups: dict[tuple[Lane, int], list[AnyObservation]] = {}
        for at, one in found:
            groups.setdefault((lane_of(one), int(at / span_s)), []).append(one)
        for (lane, _number), group in groups.items():
            yield FrameEnvelope(
                *self._names,
                epoch=self._epoch,
                lane=lane,
                first=self._rng.randrange(1, 10**7),
                count=len(group),
                observations=Raw(_ENCODER.encode(group)),
                boot=self._boot if self._tells_boot else UNSET,
            )


def samples(boxes: int = BOXES) -> list[bytes]:
    """Documents of many boxes, as they are before compression."""
    found: list[bytes] = []
    for number in range(boxes):
        rng = Random(number)  # noqa: S311
        box = Box(number)
        heard: list[tuple[float, AnyObservation]] = []
        for at in range(rng.randrange(1, 7)):
            device = rng.choice(DEVICES)
            heard += box.stamped(device.driver, said_by(device, 100 * number + at))
        frames = list(box.frames(heard, SPANS_S[number % len(SPANS_S)]))
        found += [document_of(frame) for frame in rng.sample(frames, min(FRAMES, len(frames)))]
    return found


def train(boxes: int = BOXES, size: int = SIZE_BYTES) -> Dictionary:
    """The dictionary of so many boxes' documents."""
    return Dictionary(zstandard.train_dictionary(size, [*samples(boxes)]).as_bytes())


def main(arguments: list[str] | None = None) -> int:
    """Write the dictionary, or compare it with the newest."""
    parser = argparse.ArgumentParser(prog="python -m tools.train_dictionary")
    parser.add_argument("--check", action="store_true", help="write nothing, compare with the newest")
    found = train()
    if parser.parse_args(arguments).check:
        sys.stdout.write(f"trained {found.name}, newest {NEWEST}\n")
        return int(found.name != NEWEST)
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{found.name}.zdict").write_bytes(found.content)
    sys.stdout.write(f'NEWEST = "{found.name}" belongs into gateway/uplink/dictionary.py\n')
    return 0


if __name__ == "__main__":
    sys.exit(main())
