"""What the configuration may say to a driver of the SERVO family, and what a profile fixes."""

import re
from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from drivers.curves import NO_INTERVAL, BadCurves, CurveStream

_CODE = re.compile(r"[0-9]{3}")
Codes = tuple[str, ...] | str
"""Channels by their three digits, e.g. `["200", "205"]`; the command line gives a single one as a word."""


def codes_of(said: Codes) -> tuple[str, ...]:
    """The channels as a tuple."""
    return (said,) if isinstance(said, str) else said


class ServoOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """Engine options that CIE and SCI have in common."""

    poll_s: Annotated[float, Meta(ge=2, le=60)] = 2.0
    """Measured values of the breath, each this many seconds."""
    alarms_s: Annotated[float, Meta(ge=1, le=60)] = 2.0
    settings_s: Annotated[float, Meta(ge=5, le=600)] = 10.0
    clock_s: Annotated[float, Meta(ge=5, le=600)] = 10.0
    breath: Codes = ()
    """Measured channels to read; all of the profile's table unless named. So for settings and alarms."""
    settings: Codes = ()
    alarms: Codes = ()
    curves: Codes = ()
    """Curve channels to stream; none unless named. They need `interval_us`."""
    interval_us: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    """Time from one sample of a curve to the next, from the maker's manual or measured on the device."""
    ids: tuple[str, ...] = ()
    """Names, as the device gives itself one, that the profile's table is right for; the profile's."""

    RANGES: ClassVar[dict[str, tuple[int, int]]] = {}
    """First and last channel of each class."""
    MOST: ClassVar[dict[str, int]] = {}
    """Most channels of each class."""
    FIXED: ClassVar[frozenset[int]] = frozenset()
    """Channels that hold a fixed value for compatibility: never read."""

    def __post_init__(self) -> None:
        for letter, codes in self.chosen.items():
            self._check(letter, codes)
        if self.chosen["C"] and not self.interval_us:
            raise BadCurves(NO_INTERVAL)

    def _check(self, letter: str, codes: tuple[str, ...]) -> None:
        low, high = self.RANGES[letter]
        for code in codes:
            if not _CODE.fullmatch(code) or not low <= int(code) <= high:
                raise ValueError(f"{code}: a channel of this class is {low:03} to {high:03}")
            if int(code) in self.FIXED:
                raise ValueError(f"{code}: this channel holds a fixed value")
        if len(set(codes)) != len(codes):
            raise ValueError("a channel is named twice")
        if len(codes) > self.MOST[letter]:
            raise ValueError(f"at most {self.MOST[letter]} channels of this class")

    @property
    def chosen(self) -> dict[str, tuple[str, ...]]:
        """The channels that were named, by class: B measured, S settings, A alarms, C curves."""
        return {
            "B": codes_of(self.breath),
            "S": codes_of(self.settings),
            "A": codes_of(self.alarms),
            "C": codes_of(self.curves),
        }

    @property
    def periods_s(self) -> dict[str, float]:
        """How often each class is polled."""
        return {"B": self.poll_s, "S": self.settings_s, "A": self.alarms_s}

    def curve_stream(self) -> CurveStream | None:
        """One sample of each channel, at the interval that the configuration gives; polls interrupt the stream."""
        codes = self.chosen["C"]
        return CurveStream(codes, most_per_s=len(codes) * 1_000_000 / self.interval_us) if codes else None


class Options(ServoOptions, frozen=True, forbid_unknown_fields=True):
    """Engine options of the `servo_cie` driver."""

    RANGES: ClassVar[dict[str, tuple[int, int]]] = {
        "C": (100, 199),
        "B": (200, 299),
        "S": (300, 399),
        "A": (400, 499),
    }
    MOST: ClassVar[dict[str, int]] = {"C": 4, "B": 50, "S": 75, "A": 50}
    FIXED: ClassVar[frozenset[int]] = frozenset((*range(104, 113), *range(213, 222), 228, 237))
