"""What the configuration may say to the driver, and what a profile fixes: the data format, and the curve."""

from typing import Literal

from msgspec import Struct

PLETH = "PLETH"


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """Engine options of the `nonin` driver."""

    format: Literal["ascii", "df2", "df7", "df8", "df13"] = "ascii"
    """The profile's; the oximeter keeps it in its own memory, and the box does not change it."""
    curves: tuple[str, ...] | str = ()
    """`PLETH` publishes the plethysmogram. DF2 only: of no other format the rate is documented."""

    def __post_init__(self) -> None:
        if any(code != PLETH for code in self.curve_codes):
            raise ValueError(f"the only curve is {PLETH}")
        if self.curve_codes and self.format != "df2":
            raise ValueError("only data format DF2 has a curve")

    @property
    def curve_codes(self) -> tuple[str, ...]:
        """The curves as a tuple: the command line gives a single one as a word."""
        return (self.curves,) if isinstance(self.curves, str) else self.curves
