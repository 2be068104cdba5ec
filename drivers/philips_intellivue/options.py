"""What the configuration may say to the driver."""

import re
from typing import Annotated, Literal

from msgspec import Meta, Struct

from drivers.curves import CurveStream

_ECG = range(0x0100, 0x0150)
_ECG_PER_S, _OTHER_PER_S, _ARRAY_S = 500.0, 125.0, 0.256
"""The most that the guide has for a curve of an ECG lead and for another (page 286), and the time of one array."""
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

    def curve_stream(self) -> CurveStream | None:
        """What the named curves bring at most; the monitor states the interval of each at run time."""
        codes = tuple(sorted(self.curve_codes))
        if not codes:
            return None
        most = sum(_ECG_PER_S if int(code, 16) in _ECG else _OTHER_PER_S for code in codes)
        return CurveStream(codes, most_per_s=most, waveforms_per_s=len(codes) / _ARRAY_S)
