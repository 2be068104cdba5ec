"""Observations made from a number alone, so that whoever reads one later knows what it must be, byte for byte."""

import random
from decimal import Decimal
from typing import Literal

import msgspec

from drivers.observation import Alert, AnyObservation, Numeric, Result, Vendor, Waveform, from_json, to_json

NOBODY = -1
"""The number of what was not made here."""
_RAW = msgspec.json.Decoder(list[msgspec.Raw])


def make(number: int) -> AnyObservation:
    """The observation of this number; about half are events, as many numerics, a few waves, some of them large."""
    dice = random.Random(number)
    kind = dice.random()
    vendor = Vendor(str(number), "x" * dice.choice((0, 3, 40, 40, 200, 900)))
    if kind < 0.25:
        presence: Literal["on", "off"] = "on" if dice.random() < 0.5 else "off"
        return Alert(alert="technical", priority="low", presence=presence, validity="valid", vendor=vendor)
    if kind < 0.45:
        value = Decimal(dice.randrange(10**6)) / 1000
        specimen, identity = f"S{number}", f"{dice.getrandbits(64):016x}"
        return Result(
            specimen=specimen,
            test="GLU",
            value=value,
            status="final",
            identity=identity,
            validity="valid",
            vendor=vendor,
        )
    if kind < 0.9:
        value = Decimal(dice.randrange(10**4)) / 10
        return Numeric(value=value, unit="%", category="measurement", validity="valid", vendor=vendor)
    return Waveform(
        samples=tuple(dice.randrange(-2048, 2048) for _ in range(dice.choice((10, 100, 500)))),
        interval_us=4000,
        scale=Decimal("0.1"),
        offset=Decimal(0),
        unit="mV",
        category="measurement",
        validity="valid",
        vendor=vendor,
    )


def split(payload: bytes) -> list[bytes]:
    """A frame's payload as the texts of its observations."""
    return [bytes(each) for each in _RAW.decode(payload)]


def number_of(text: bytes) -> int:
    """The number it was made from; NOBODY where it was made by the spool (a gap), or is garbage."""
    try:
        observation = from_json(text)
        number = int(observation.vendor.code) if observation.vendor else NOBODY
    except (msgspec.MsgspecError, ValueError):
        return NOBODY
    return number


def is_whole(text: bytes) -> bool:
    """Byte for byte what was put under its number."""
    number = number_of(text)
    return number != NOBODY and to_json(make(number)) == text
