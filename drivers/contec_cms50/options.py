"""What the configuration may say to the driver, and what a profile fixes: the format, the curve, the keep-alive."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from drivers.contec_cms50.frames import RATE_PER_S
from drivers.curves import NOT_HERE, BadCurves, CurveStream, check_curves

PLETH = "PLETH"


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """Engine options of the `contec_cms50` driver."""

    format: Literal["v5", "v7"] = "v5"
    """Five bytes that come unasked, or packets that must be started; the profile's."""
    curves: tuple[str, ...] | str = ()
    """`PLETH` publishes the plethysmogram of the five-byte format."""
    keep_alive_s: Annotated[float, Meta(ge=5, le=60)] = 5.0
    """V7.0: the keep-alive, each this many seconds. No document at hand gives the period."""

    def __post_init__(self) -> None:
        check_curves(self.curve_codes, most=1, known=(PLETH,))
        if self.curve_codes and self.format != "v5":
            raise BadCurves(NOT_HERE)

    @property
    def curve_codes(self) -> tuple[str, ...]:
        """The curves as a tuple: the command line gives a single one as a word."""
        return (self.curves,) if isinstance(self.curves, str) else self.curves

    def curve_stream(self) -> CurveStream | None:
        """A frame has one sample."""
        return CurveStream(self.curve_codes, RATE_PER_S) if self.curve_codes else None
