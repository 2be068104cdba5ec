"""What the configuration may say to this driver, and what a profile fixes."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from drivers.curves import TOO_FAST, BadCurves, CurveStream, check_curves
from drivers.ge_dri.requests import MOST_WAVES

CURVES: dict[str, tuple[int, int]] = {
    "ECG1": (1, 300),
    "ECG2": (2, 300),
    "ECG3": (3, 300),
    "INVP1": (4, 100),
    "INVP2": (5, 100),
    "INVP3": (6, 100),
    "INVP4": (7, 100),
    "CO2": (9, 25),
    "GAS10": (10, 25),
    "GAS11": (11, 25),
    "GAS12": (12, 25),
    "AWP": (13, 25),
    "FLOW": (14, 25),
    "INVP5": (16, 100),
    "INVP6": (17, 100),
    "EEG1": (18, 100),
    "EEG2": (19, 100),
    "EEG3": (20, 100),
    "EEG4": (21, 100),
    "VOL": (23, 25),
}
"""Curves whose scale is known: the type of the request, and samples a second."""
BUDGET_PER_S = 600
"""Samples a second, all curves together."""
Trend = Literal["10s", "60s"]


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """Engine options of the `ge_dri` driver."""

    interval_s: Literal[5, 10] = 10
    """Displayed values each this many seconds; the monitor takes no less than 5."""
    trends: tuple[Trend, ...] | Trend = ()
    """Trends that are asked for too: `10s`, `60s`."""
    curves: tuple[str, ...] | str = ()
    """Curves to stream; none unless named."""
    alarms: bool = False
    """Whether the family tells its alarms on the serial line; the profile's."""
    alarms_s: Annotated[float, Meta(ge=6, le=60)] = 6.0
    """Alarms are asked for each this many seconds."""

    def __post_init__(self) -> None:
        check_curves(self.chosen, most=MOST_WAVES, known=CURVES)
        if sum(CURVES[curve][1] for curve in self.chosen) > BUDGET_PER_S:
            raise BadCurves(TOO_FAST, most=BUDGET_PER_S)
        if len(set(self.chosen_trends)) != len(self.chosen_trends):
            raise ValueError("a trend is named twice")

    @property
    def chosen(self) -> tuple[str, ...]:
        """The curves as a tuple; the command line gives a single one as a word."""
        return (self.curves,) if isinstance(self.curves, str) else self.curves

    @property
    def chosen_trends(self) -> tuple[str, ...]:
        """The trends as a tuple."""
        return (self.trends,) if isinstance(self.trends, str) else self.trends

    def curve_stream(self) -> CurveStream | None:
        """Each curve has its own rate."""
        return CurveStream(self.chosen, sum(CURVES[code][1] for code in self.chosen)) if self.chosen else None
