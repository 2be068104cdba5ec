"""Talking to a SERVO-i simulator by hand: requests with their check, blocks taken apart, a fixed patient."""

import re

from simulators.devices import servo_frames as wire
from simulators.devices.servo_cie import ServoCie

EOT = b"\x04"
ESC = b"\x1b"
OK = b"*2A\x04"
RCTY = bytes.fromhex("52 43 54 59 31 43 04")
BREATH_CODES = ("200", "201", "202", "203", "204", "205", "206", "207", "208", "209")
STEADY = {"alarm_every_s": "0", "absent_rate": "0"}


def xored(text: str) -> bytes:
    check = 0
    for byte in text.encode("ascii"):
        check ^= byte
    return f"{text}{check:02X}".encode("ascii") + EOT


def device_of(seed: int = 1, faults: frozenset[str] = frozenset(), **options: str) -> ServoCie:
    device = ServoCie(seed, faults, STEADY | options)
    assert device.wake(100.0) == b""
    return device


def ask(device: ServoCie, command: str | bytes, now: float) -> bytes:
    data = command if isinstance(command, bytes) else xored(command)
    return device.receive(data, now) + device.wake(now + 0.6)


def extended(seed: int = 1, faults: frozenset[str] = frozenset(), **options: str) -> tuple[ServoCie, float]:
    """A device in extended mode at its highest version, and the time."""
    device = device_of(seed, frozenset(), **options)
    assert ask(device, RCTY, 100.0).startswith(b"Servo-")
    assert ask(device, f"SPVE{int(device.options['version']):03d}", 101.0) == OK
    device.faults = faults
    return device, 102.0


class FixedPatient(wire.Patient):
    """A patient whose values are given."""

    def __init__(self, values: dict[str, float], alarms: dict[str, int]) -> None:
        super().__init__(1, 0.0)
        self.fixed = values
        self.active = alarms

    def values(self, now: float) -> dict[str, float]:
        return self.fixed

    def alarms(self, now: float) -> dict[str, int]:
        return self.active


def values_block(data: bytes, letter: bytes, size: int) -> bytes:
    """The value block `letter` with `size` bytes of values at its first place in `data`."""
    for found in re.finditer(re.escape(letter), data):
        block = data[found.start() : found.start() + 1 + size + 2]
        if len(block) == size + 3 and block[-2] == 0x7F and wire.xor(block) == 0:
            return block
    raise AssertionError(f"no block {letter!r}")


def take_curves(data: bytes, width: int) -> tuple[list[tuple[int, list[int]]], bytes]:
    """Decode the curve block at the start of `data`: (phase, raws) of each sample, and what follows the block."""
    samples: list[tuple[int, list[int]]] = []
    row: list[int] = []
    last, phase, i = [0] * width, 0, 0
    while data[i] != 0x7F:
        if data[i] == 0x81:
            phase, i = data[i + 1], i + 2
            continue
        at = len(row)
        if data[i] == 0x80:
            last[at], i = data[i + 1] << 8 | data[i + 2], i + 3
        else:
            last[at] += data[i] - 256 if data[i] > 0x80 else data[i]
            i += 1
        row.append(last[at])
        if len(row) == width:
            samples.append((phase, row))
            row = []
    assert not row
    check = wire.xor(data[: i + 1])
    assert data[i + 1] == check
    return samples, data[i + 2 :]


def streaming(seed: int = 1, faults: frozenset[str] = frozenset(), **options: str) -> tuple[ServoCie, float]:
    device, now = extended(seed, frozenset(), **options)
    ask(device, "SDADC100101114", now)
    device.faults = faults
    device.receive(xored("RADC"), now + 1)
    return device, now + 1
