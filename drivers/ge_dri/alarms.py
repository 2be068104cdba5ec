"""The five alarm lines of the monitor's screen.

    │ 2 │ sound 2 │ 4 │ silence 2 │ 5 × { text 80 │ changed 2 │ colour 2 │ changed 2 │ 12 }

Datex-Ohmeda Record Interface specification (8005313), section on alarms. A text is localised and has no code: it is
the alarm's name as it stands, and what is urgent is told by its colour alone.
"""

import struct
from typing import Literal

from msgspec import Struct

from drivers.observation import Alert, Vendor
from drivers.profile import Metric

PREFIX = "ALARM."
LINES = 5
_HEAD = struct.Struct("<hhhhh")
_LINE = struct.Struct("<80shhh12x")
LEAST_BYTES = _HEAD.size + LINES * _LINE.size
Priority = Literal["high", "medium", "low", "none", "unknown"]
_COLOURS: dict[int, tuple[Priority, str]] = {
    0: ("none", "none"),
    1: ("low", "white"),
    2: ("medium", "yellow"),
    3: ("high", "red"),
}


class Line(Struct, frozen=True):
    """One alarm as it is shown."""

    text: str
    colour: int


class Screen(Struct, frozen=True):
    """All that is shown at one moment."""

    sound: int
    silence: int
    lines: tuple[Line, ...]

    @classmethod
    def from_bytes(cls, data: bytes) -> "Screen":
        """The lines that hold a text; `data` has `LEAST_BYTES` or more."""
        _reserved, sound, _two, _three, silence = _HEAD.unpack_from(data)
        lines = []
        for number in range(LINES):
            text, _changed, colour, _too = _LINE.unpack_from(data, _HEAD.size + number * _LINE.size)
            said = _printable(text.partition(b"\0")[0])
            if said:
                lines.append(Line(said, colour))
        return cls(sound, silence, tuple(lines))


def _printable(text: bytes) -> str:
    """Latin-1 (the document that we have read names no character set), without control characters."""
    return "".join(sign if sign.isprintable() else " " for sign in text.decode("latin-1")).strip()


def alerts(screen: Screen, row: Metric, device_time: str) -> dict[str, Alert]:
    """What is on, by the text; a text that stands twice is one alert, with the more urgent colour."""
    found: dict[str, Alert] = {}
    for line in sorted(screen.lines, key=lambda line: line.colour):
        priority, colour = _COLOURS.get(line.colour, ("unknown", str(line.colour)))
        code = PREFIX + line.text
        found[code] = Alert(
            metric=row.mdc,
            code=row.mdc_code,
            vendor=Vendor(code, line.text),
            validity="valid",
            device_time=device_time,
            alert="unknown",
            priority=priority,
            vendor_priority=colour,
            presence="on",
        )
    return found
