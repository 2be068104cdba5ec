"""What the configuration may say to the driver, and what a profile fixes: the data format, and the curve."""

from typing import Literal

from msgspec import Struct

from drivers.curves import NOT_HERE, BadCurves, CurveStream, check_curves

PLETH = "PLETH"
RATE_PER_S = 75
"""DF2: frames a second, each with one sample."""


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """Engine options of the `nonin` driver."""

    format: Literal["ascii", "df2", "df7", "df8", "df13"] = "ascii"
    """The profile's; the oximeter keeps it in its own memory, and the box does not change it."""
    curves: tuple[str, ...] | str = ()
    """`PLETH` publishes the plethysmogram. DF2 only: of no other format the rate is documented."""

    def __post_init__(self) -> None:
        check_curves(self.curve_codes, most=1, known=(PLETH,))
        if self.curve_codes and self.format != "df2":
            raise BadCurves(NOT_HERE)

    @property
    def curve_codes(self) -> tuple[str, ...]:
        """The curves as a tuple: the command line gives a single one as a word."""
        return (self.curves,) if isinstance(self.curves, str) else self.curves

    def curve_stream(self) -> CurveStream | None:
        """Only DF2 has one, and its rate is documented."""
        return CurveStream(self.curve_codes, RATE_PER_S) if self.curve_codes else None
