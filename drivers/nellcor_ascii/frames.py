"""Lines of the data port: values each two seconds, a title and headings each 25 lines or when something changes.

NPB-290 VERSION 1.0.0.1 CRC: XXXX SpO2 Limit: 30-100% PR Limit: 100-180BPM     title
ADULT 50SAT-S  SPO2 RESP MODE: NORMAL                                          mode (N-595, N-560)
TIME %SPO2 BPM PA Status                                                       headings
12-NOV-97 14:00:05 100 120 50                                                  values
12-NOV-97 14:00:07  88*  120   50 SL
"""

import re

from msgspec import Struct

from drivers.contract import Fault
from drivers.framing.lines import no_frame

MAX_LINE_BYTES = 160
SPO2, BPM, PA = "%SPO2", "BPM", "PA"
_MONTHS = "JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC"
_FIELD = r"([0-9]{1,3}|-{1,4})(\*?)"
_VALUES = re.compile(
    rf"([0-9]{{2}}-(?:{_MONTHS})-[0-9]{{2}} [0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}})"
    rf" +{_FIELD} +{_FIELD} +{_FIELD}((?: +[A-Z]{{2}})*) *\r"
)
_LIMIT = r"([0-9]{1,3})-([0-9]{1,3})"
_TITLE = re.compile(
    rf"([A-Z][A-Z0-9-]{{1,15}}) VERSION ([0-9.]{{1,16}}) +CRC: ?[0-9A-Z]{{4}} +SpO2 Limit: {_LIMIT}%"
    rf" +PR Limit: {_LIMIT}BPM *\r"
)
_MODE = re.compile(r"(ADULT|NEO) +([0-9]{1,3})SAT-S +SPO2 RESP MODE: (NORMAL|FAST) *\r")
_HEADINGS = re.compile(r"TIME +%SPO2 +BPM +PA +[Ss][Tt][Aa][Tt][Uu][Ss] *\r")
_LIKE_VALUES = re.compile(rb"-[A-Z]{3}-[0-9]|[0-9]{2}:[0-9]{2}:[0-9]{2}")


class Values(Struct, frozen=True):
    """One line of values."""

    time: str
    fields: tuple[tuple[str, str, bool], ...]
    """Code, digits or dashes, and whether it is marked as in alarm."""
    status: tuple[str, ...]

    def to_bytes(self) -> bytes:
        """The line as it is sent, with single spaces."""
        texts = [text + "*" * is_alarm for _code, text, is_alarm in self.fields]
        return f"{' '.join((self.time, *texts, *self.status))}\r\n".encode("ascii")


class Title(Struct, frozen=True):
    """Who prints, and the limits that are set: low and high of saturation, low and high of rate."""

    model: str
    software: str
    limits: tuple[str, str, str, str]


class Mode(Struct, frozen=True):
    """Settings of the N-595 and N-560."""

    patient: str
    seconds: str
    response: str


Line = Values | Title | Mode


def parse_line(data: bytes) -> Line | Fault:
    """A line with its CR and without its LF; a fault says why it is no data."""
    text = data.decode("latin-1")
    if values := _VALUES.fullmatch(text):
        return _values(values)
    if _LIKE_VALUES.search(data):
        return Fault("length" if len(data) > MAX_LINE_BYTES else "framing", rejected=True)
    if title := _TITLE.fullmatch(text):
        return Title(title[1], title[2], (title[3], title[4], title[5], title[6]))
    if mode := _MODE.fullmatch(text):
        return Mode(mode[1], mode[2], mode[3])
    return Fault("headings") if _HEADINGS.fullmatch(text) else no_frame(data)


def _values(found: re.Match[str]) -> Values | Fault:
    status = tuple(found[8].split())
    if len(set(status)) != len(status):
        return Fault("count", rejected=True)
    fields = tuple((code, found[at], bool(found[at + 1])) for code, at in ((SPO2, 2), (BPM, 4), (PA, 6)))
    return Values(found[1], fields, status)
