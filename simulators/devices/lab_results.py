"""What laboratory simulators have in common: the ledger of what was sent, and small seeded panels of tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random
from typing import NamedTuple

HISTORY_KEPT = 20_000


class Result(NamedTuple):
    """One result as a ledger can hold it: padding stripped, nothing else changed."""

    specimen: str
    test: str
    value: str
    completed: str
    status: str = ""
    """As sent: F, W, X, C, R, V … or empty where the device sends none."""
    flags: str = ""
    unit: str = ""
    purpose: str = "patient"
    """patient | control | calibration | blank"""
    specimen_field: str = ""
    """The whole field that holds the specimen, as sent."""
    test_field: str = ""
    """The whole field that holds the test, as sent."""


class Told(NamedTuple):
    """A message that left the device undamaged."""

    at: float
    message: str
    """What it was: its control id or number, or the kind of message."""
    results: tuple[Result, ...]
    is_whole: bool = True
    """No: the device ended it before its end; its results may never be final."""


class Analyte(NamedTuple):
    """One test of a panel and the range its values are drawn from."""

    test: str
    low: float
    normal_low: float
    normal_high: float
    high: float
    decimals: int
    unit: str


class Row(NamedTuple):
    """One result before it is written in a device's own way."""

    test: str
    value: str
    unit: str
    flag: str = ""
    status: str = "F"
    note: str = ""


class Run(NamedTuple):
    """What one measurement of one specimen gave."""

    specimen: str
    rows: tuple[Row, ...]
    purpose: str = "patient"
    number: int = 0
    operator: str = ""
    attribute: str = ""


def drawn(rng: Random, analyte: Analyte, low: str = "L", high: str = "H", normal: str = "N") -> Row:
    """A value of the analyte and the flag that fits it."""
    number = rng.uniform(analyte.low, analyte.high)
    flag = low if number < analyte.normal_low else high if number > analyte.normal_high else normal
    return Row(analyte.test, f"{number:.{analyte.decimals}f}", analyte.unit, flag)


def panel(rng: Random, analytes: Iterable[Analyte], normal: str = "N") -> tuple[Row, ...]:
    """A value of each."""
    return tuple(drawn(rng, analyte, normal=normal) for analyte in analytes)


def chosen(text: str, known: Sequence[str], what: str) -> frozenset[str]:
    """A comma-separated choice of `known`, or `all`; ValueError names what is not known."""
    wanted = frozenset(part.strip() for part in text.split(",") if part.strip())
    if wanted == {"all"}:
        return frozenset(known)
    unknown = sorted(wanted - set(known))
    if unknown:
        raise ValueError(f"{what}: unknown habit {unknown[0]!r}; known: all, {', '.join(sorted(known))}")
    return wanted


BLOOD_COUNT = (
    Analyte("WBC", 2.0, 4.0, 10.0, 18.0, 1, "10*3/uL"),
    Analyte("RBC", 2.9, 3.8, 5.8, 6.4, 2, "10*6/uL"),
    Analyte("HGB", 5.5, 11.5, 17.0, 18.5, 1, "g/dL"),
    Analyte("HCT", 20.0, 35.0, 50.0, 55.0, 1, "%"),
    Analyte("MCV", 60.0, 80.0, 100.0, 112.0, 1, "fL"),
    Analyte("MCH", 17.0, 27.0, 34.0, 37.0, 1, "pg"),
    Analyte("MCHC", 26.0, 32.0, 36.0, 38.0, 1, "g/dL"),
    Analyte("PLT", 20, 150, 400, 620, 0, "10*3/uL"),
)
"""The eight that every blood counter has."""
