"""What the configuration may say to the driver, and what a profile fixes: cadence, report, curves, the model."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from drivers.curves import CurveStream, check_curves

CURVES = ("flow", "pressure")
"""The columns of the waveform port, in their order."""


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """Engine options of the `puritan_bennett` driver."""

    poll_s: Annotated[float, Meta(ge=2, le=10)] = 2.0
    """One report each this many seconds; at 9600 baud one takes 1.3 s on the line."""
    settings_s: Annotated[float, Meta(ge=2, le=30)] = 10.0
    """Settings and alarm limits that did not change are said again each this many seconds."""
    report: Literal["MISCF", "MISCA"] = "MISCF"
    """MISCA is the older, shorter report, for a ventilator that does not answer SNDF: all of it is published raw."""
    curves: tuple[str, ...] | str = ()
    """Waveform port only: the columns that are published, of `flow` and `pressure`."""
    model: str = ""
    """What the ventilator's id must begin with; the profile's."""
    stream: Literal["reports", "waveforms"] = "reports"
    """Which of the ventilator's two kinds of port this is; the profile's."""
    interval_us: Annotated[int, Meta(ge=0)] = 0
    """From one line of the waveform port to the next; the profile's."""

    def __post_init__(self) -> None:
        check_curves(self.curve_codes, most=len(CURVES), known=CURVES)
        if self.stream == "waveforms" and not self.interval_us:
            raise ValueError("waveforms need an interval")

    @property
    def curve_codes(self) -> tuple[str, ...]:
        """The curves as a tuple: the command line gives a single one as a word."""
        return (self.curves,) if isinstance(self.curves, str) else self.curves

    def curve_stream(self) -> CurveStream | None:
        """One sample of each column a line, at the profile's interval; breaths are marked, samples go on between."""
        codes = self.curve_codes
        if self.stream != "waveforms" or not codes:
            return None
        return CurveStream(codes, len(codes) * 1_000_000 / self.interval_us)
