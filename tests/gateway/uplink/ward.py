"""Commits of a monitored bed, by the size of their JSON, for a simulated link."""

from decimal import Decimal
from functools import cache
from random import Random

import msgspec

from drivers.observation import ClockTrust, Numeric, Vendor, Waveform

Commit = tuple[int, bytes]
"""How many observations, and their JSON array."""
_ENCODER = msgspec.json.Encoder(decimal_format="number")
_BOOT = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
_CODES = ("SPO2", "HR", "RR", "ART-S", "ART-D", "ART-M", "T1", "ETCO2", "PR", "CVP")


@cache
def numerics(size: int, seconds: int = 60) -> tuple[Commit, ...]:
    """Commits of one second with `size` bytes each, with a monitor's values."""
    rng = Random(size)
    commits = []
    for second in range(seconds):
        count = max(1, size // len(_numeric(second, 0, 60)))
        found = [_numeric(second, number, rng.randint(60, 99)) for number in range(count)]
        short = size - sum(map(len, found)) - count - 1
        found[0] = _numeric(second, 0, rng.randint(60, 99), "x" * max(0, short - 11))
        commits.append((count, b"[" + b",".join(found) + b"]"))
    return tuple(commits)


@cache
def waves(size: int, seconds: int = 5) -> tuple[Commit, ...]:
    """Commits of five seconds with about `size` bytes for each second: curves in pieces of one second."""
    rng = Random(size)
    commits = []
    for second in range(0, seconds * 4, seconds):
        found: list[bytes] = []
        while not found or sum(map(len, found)) + len(found[0]) // 2 < size * seconds:
            found.append(_wave(second, len(found) % 3, rng))
        commits.append((len(found), b"[" + b",".join(found) + b"]"))
    return tuple(commits)


def _stamps(second: int) -> dict[str, object]:
    at = f"2026-11-24T09:15:{second % 60:02d}.120Z"
    return {"at": at, "clock": ClockTrust("ntp", 12, _BOOT, 5000.0 + second)}


def _numeric(second: int, number: int, value: int, place: str = "") -> bytes:
    return _ENCODER.encode(
        Numeric(
            vendor=Vendor(_CODES[number % len(_CODES)], str(value)),
            validity="valid",
            value=Decimal(value),
            unit="%",
            category="measurement",
            device="lit4",
            place=place,
            **_stamps(second),  # type: ignore[arg-type]
        )
    )


def _wave(second: int, number: int, rng: Random) -> bytes:
    level, samples = 0, []
    for _ in range(250):
        level += rng.randint(-9, 9)
        samples.append(level)
    return _ENCODER.encode(
        Waveform(
            vendor=Vendor(("ECG-II", "PLETH", "ART")[number]),
            validity="valid",
            samples=tuple(samples),
            interval_us=4000,
            scale=Decimal("0.01"),
            offset=Decimal(0),
            unit="mV",
            category="measurement",
            device="rea-lit4-moniteur",
            place="REA/lit-4",
            driver="bench/1",
            **_stamps(second),  # type: ignore[arg-type]
        )
    )
