"""What the configuration may say to the driver."""

import re
from typing import Annotated, Literal

from msgspec import Meta, Struct

_CODE = re.compile(r"[0-9A-F]{4}")


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """Engine options of the `philips_intellivue` driver."""

    poll: Literal["extended", "single"] = "extended"
    """Numerics: asked for once in nine minutes, and sent by the monitor at its own pace; or asked for each time."""
    poll_s: Annotated[float, Meta(ge=1, le=8)] = 2.0
    """Single polls: each this many seconds. A monitor gives up on a box that asks nothing for 10 s."""
    curves: tuple[str, ...] | str = ()
    """Curves by their physio id, four hex digits, e.g. `["4BB4"]`; none unless named."""

    def __post_init__(self) -> None:
        for code in self.curve_codes:
            if not _CODE.fullmatch(code):
                raise ValueError(f"{code}: a curve is named by four hexadecimal digits, e.g. 4BB4")

    @property
    def curve_codes(self) -> frozenset[str]:
        """The curves that were named; the command line gives a single one as a word."""
        return frozenset((self.curves,) if isinstance(self.curves, str) else self.curves)
