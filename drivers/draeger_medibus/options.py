"""What the configuration may say to the driver, and what a profile fixes: cadence, curves, poll plan, device ids."""

import re
from typing import Annotated

from msgspec import Meta, Struct

from drivers.curves import TWO_DIGITS, BadCurves, CurveStream, check_curves

CURVE = re.compile(r"[0-9A-F]{2}")
PlanItem = Annotated[str, Meta(pattern=r"^(2[4-9A-E]|6A[2-5])$")]
DeviceId = Annotated[str, Meta(min_length=4, max_length=4)]
Period = Annotated[float, Meta(ge=1, le=60)]
SlowPeriod = Annotated[float, Meta(ge=5, le=600)]

MAX_CURVES = 4
"""Streams 1 to 4 stand in the sync byte itself; at 19200 baud four of them leave the polls half of the line."""


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """Engine options of the `draeger_medibus` driver."""

    poll_s: Period = 1.0
    """Measured values, each this many seconds."""
    alarms_s: Period = 2.0
    text_s: Annotated[float, Meta(ge=2, le=60)] = 5.0
    """Text messages: ventilation mode, patient range, units."""
    settings_s: SlowPeriod = 10.0
    limits_s: SlowPeriod = 10.0
    clock_s: SlowPeriod = 10.0
    curves: tuple[str, ...] | str = ()
    """Real-time curves to ask for, by their code, e.g. `["00", "01"]`; none unless named."""
    report: Annotated[str, Meta(pattern=r"^(2[4-79A-E][0-9A-F]{2})?$")] = ""
    """Limit what the device reports to one data code, e.g. `24EB`; empty: all it has."""
    plan: tuple[PlanItem, ...] = ("24",)
    """Commands that are polled, in this order; the profile's."""
    ids: tuple[DeviceId, ...] = ()
    """Device ids that the profile's table is right for; any, where empty."""

    def __post_init__(self) -> None:
        for code in self.curve_codes:
            if not CURVE.fullmatch(code):
                raise BadCurves(TWO_DIGITS, code=code)
        check_curves(self.curve_codes, most=MAX_CURVES)

    @property
    def curve_codes(self) -> tuple[str, ...]:
        """The curves as a tuple: the command line gives a single one as a word."""
        return (self.curves,) if isinstance(self.curves, str) else self.curves

    def curve_stream(self) -> CurveStream | None:
        """The answer to 53H tells the interval. A cycle is a sync byte, and two bytes of each stream."""
        codes = self.curve_codes
        return CurveStream(codes, line_bytes=(1 + 2 * len(codes)) / len(codes)) if codes else None

    def period_s(self, item: str) -> float:
        """How often one command of the plan is sent."""
        return {
            "24": self.poll_s,
            "2B": self.poll_s,
            "27": self.alarms_s,
            "2E": self.alarms_s,
            "2A": self.text_s,
            "28": self.clock_s,
            "29": self.settings_s,
        }.get(item, self.limits_s)
