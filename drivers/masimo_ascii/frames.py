"""One line of ASCII-1, verified by its form: every width, every character, every key that a line must have.

02/22/16 22:47:45 SN=0000056661 SPO2=098% BPM=097 PI=03.60% … ALARM=0000 EXC=000800 CR LF
"""

import re
from typing import Final

from msgspec import Struct

from drivers.contract import Fault
from drivers.framing.lines import no_frame
from drivers.masimo_ascii.options import Options

MAX_LINE_BYTES = 256
ALARM, EXC, SERIAL = "ALARM", "EXC", "SN"
FORMS: Final = {
    "SN": re.compile(r"[0-9]{10}"),
    "SPO2": re.compile(r"[0-9]{3}%"),
    "BPM": re.compile(r"[0-9]{3}"),
    "PI": re.compile(r"[0-9]{2}\.[0-9]{2}%"),
    "SPCO": re.compile(r"[0-9]{2}\.[0-9]%"),
    "SPMET": re.compile(r"[0-9]{2}\.[0-9]%"),
    "DESAT": re.compile(r"[0-9]{2}"),
    "PIDELTA": re.compile(r"[+-][0-9]{2}"),
    "PVI": re.compile(r"[0-9]{3}"),
}
"""How the document prints a field that has a value. SPHB is named there, its form is not."""
REQUIRED = frozenset(("SPO2", "BPM", "PI", ALARM, EXC))
_TIME = r"([0-9]{2}/[0-9]{2}/[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2})"
_WHOLE = re.compile(_TIME + r"((?: +[A-Z][A-Z0-9]{0,11}=[!-<>-~]{1,16})+) *\r")
_DASHED = re.compile(r"[-+.%0-9]*-[-+.%0-9]*")
_DATA = re.compile(rb"SPO2|BPM=|ALARM=|EXC=|[0-9]{2}/[0-9]{2}/[0-9]{2} ")
"""What is so like a line of data that it is a damaged one."""


class Line(Struct, frozen=True):
    """One line: the device's time as sent, its fields in their order, and the two status words."""

    time: str
    fields: tuple[tuple[str, str], ...]
    alarm: int
    exc: int

    @classmethod
    def from_bytes(cls, data: bytes, digits: Options) -> "Line | Fault":
        """A line with its CR and without its LF; a fault says why it is no data."""
        if not _DATA.search(data):
            return no_frame(data)
        if len(data) > MAX_LINE_BYTES:
            return Fault("length", rejected=True)
        whole = _WHOLE.fullmatch(data.decode("latin-1"))
        if whole is None:
            return Fault("framing", rejected=True)
        fields = tuple((key, text) for key, _, text in (token.partition("=") for token in whole[2].split()))
        found = dict(fields)
        if len(found) != len(fields) or not found.keys() >= REQUIRED:
            return Fault("count", rejected=True)
        for word, count in ((ALARM, digits.alarm_digits), (EXC, digits.exc_digits)):
            if re.fullmatch(f"[0-9A-Fa-f]{{{count}}}", found[word]) is None:
                return Fault("width", word, rejected=True)
        for key, form in FORMS.items():
            if key in found and not form.fullmatch(found[key]) and not _DASHED.fullmatch(found[key]):
                return Fault("width", key, rejected=True)
        others = tuple((key, text) for key, text in fields if key not in (ALARM, EXC))
        return cls(whole[1], others, int(found[ALARM], 16), int(found[EXC], 16))

    def to_bytes(self, digits: Options) -> bytes:
        """The line as it is sent."""
        words = f"ALARM={self.alarm:0{digits.alarm_digits}X} EXC={self.exc:0{digits.exc_digits}X}"
        return f"{self.time} {' '.join(f'{k}={v}' for k, v in self.fields)} {words}\r\n".encode("latin-1")


def number(key: str, text: str) -> str:
    """The digits of a field without its sign of percent; empty where it has dashes instead."""
    form = FORMS.get(key)
    return text.rstrip("%") if form is not None and form.fullmatch(text) else ""
