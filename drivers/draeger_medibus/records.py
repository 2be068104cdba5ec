"""What stands in a response: records of fixed width, all of them or none.

    measured, limits   │code 2 hex│value 4│              24 25 26 2B 2C 2D
    settings           │code 2 hex│value 5│              29
    alarms             │priority 1│code 2 hex│phrase 12│ 27 2E
    text               │code 2 hex│length 1│text│ETX│    2A
    date               │HH:MM:SS│DD-MMM-YY│             28
    identification     │id 4│'name'│DD.DD:MM.MM│         52
    real-time          │code 2 hex│interval 8│min 5│max 5│maxbin 3 hex│ 53

Dräger, MEDIBUS protocol definition rev 4.03 (90 28 258, 7th ed. 2003), "Commands and responses". A value the device
does not have is a record that is not there.
"""

import re
from decimal import Decimal

from msgspec import Struct

MEASURED_WIDTH, SETTING_WIDTH = 4, 5
_ALARM_BYTES = 15
_CURVE_BYTES = 23
_CODE = re.compile(r"[0-9A-Fa-f ]{2}")
_VALUES = {width: re.compile(rb"(?:[0-9A-Fa-f ]{2}[ -~]{%d})*" % width) for width in (MEASURED_WIDTH, SETTING_WIDTH)}
_NUMBER = re.compile(r" *(-?) *([0-9]+(?:\.[0-9]*)?|\.[0-9]+) *")
_WHOLE = re.compile(r" *(-?) *([0-9]+) *")
_MAXBIN = re.compile(r"[0-9A-Fa-f ]{3}")
_IDENTITY = re.compile(r"(.{4})'([^']{0,32})'([ 0-9]{2}\.[ 0-9]{2}):([ 0-9]{2}\.[ 0-9]{2})")
_CLOCK = re.compile(
    r" ?(\d{1,2}): ?(\d{1,2})(?:: ?(\d{1,2}))? ?(\d{1,2})-([A-Z]{3})-(\d{2})",
    re.ASCII | re.IGNORECASE,
)
_MONTHS = frozenset(
    (
        *("JAN", "FEB", "MAR", "APR", "MAI", "JUN", "JUL", "AUG", "SEP", "OKT", "NOV", "DEZ"),
        *("MAY", "OCT", "DEC"),
    )
)
"""German, as the document has them; one device was seen to write English ones."""
_PHRASES = (("$&", "LOW"), ('"#', "HIGH"), ("'@", "ALARM"))


class Value(Struct, frozen=True):
    """One measured value, limit or setting: its code, and the value as it was sent."""

    code: str
    text: str


class AlarmRecord(Struct, frozen=True):
    """One active alarm; priority 1 … 31, 31 the highest."""

    code: str
    priority: int
    phrase: str


class Identity(Struct, frozen=True):
    """Who the device says it is."""

    id: str
    name: str
    revision: str
    medibus: str


class CurveConfig(Struct, frozen=True):
    """How one real-time stream is scaled: value = low + x * (high - low) / maxbin."""

    code: str
    interval_us: int
    low: int
    high: int
    maxbin: int
    text: str = ""
    """The record as it was sent."""


def number(text: str) -> Decimal | None:
    """The number as printed, without its padding (` -  10` is -10); None where it is none."""
    found = _NUMBER.fullmatch(text)
    return Decimal(found[1] + found[2]) if found else None


def expand(phrase: str) -> str:
    """An alarm phrase with its three two-character codes written out."""
    for short, word in _PHRASES:
        phrase = phrase.replace(short, word)
    return phrase.rstrip()


def _code(text: str) -> str | None:
    """Two hexadecimal digits; some devices send a space for 0, or lower case."""
    return text.replace(" ", "0").upper() if _CODE.fullmatch(text) else None


def _records(data: bytes, width: int) -> list[str] | None:
    if len(data) % width or not data.isascii():
        return None
    text = data.decode("ascii")
    return [text[at : at + width] for at in range(0, len(text), width)]


def parse_values(data: bytes, width: int) -> list[Value] | None:
    """Measured values, limits or settings; `width` is that of the value. None where the layout is not kept."""
    if not _VALUES[width].fullmatch(data):
        return None
    text, size = data.decode("ascii"), 2 + width
    return [
        Value(text[at : at + 2].replace(" ", "0").upper(), text[at + 2 : at + size])
        for at in range(0, len(text), size)
    ]


def parse_alarms(data: bytes) -> list[AlarmRecord] | None:
    """The alarms that are active now. None where the layout is not kept."""
    found: list[AlarmRecord] = []
    records = _records(data, _ALARM_BYTES)
    for record in records or ():
        code = _code(record[1:3])
        if code is None or not record.isprintable():
            return None
        found.append(AlarmRecord(code, ord(record[0]) - 0x30, record[3:]))
    return None if records is None else found


def parse_texts(data: bytes) -> list[Value] | None:
    """Text messages: the code tells, the string is for people. None where the layout is not kept."""
    found: list[Value] = []
    text, at = data.decode("latin-1"), 0
    while at < len(text):
        code, size = _code(text[at : at + 2]), ord(text[at + 2 : at + 3] or "0") - 0x30
        content, end = text[at + 3 : at + 3 + size], text[at + 3 + size : at + 4 + size]
        if code is None or not 1 <= size <= 32 or end != "\x03" or not content.isprintable():
            return None
        found.append(Value(code, content))
        at += 4 + size
    return found


def parse_identity(data: bytes) -> Identity | None:
    """The answer to 52H. None where the layout is not kept."""
    found = _IDENTITY.fullmatch(data.decode("latin-1"))
    return Identity(found[1], found[2].strip(), found[3], found[4]) if found else None


def parse_clock(data: bytes) -> str | None:
    """The device's time as it sent it, once it is a time and a date; None where it is not.

    Accepted beside `08:06:0504-MAI-26`: no seconds, no leading zeros, a space before the date, English months.
    """
    text = data.decode("latin-1")
    found = _CLOCK.fullmatch(text.strip())
    if not found or found[5].upper() not in _MONTHS:
        return None
    hour, minute, second, day = int(found[1]), int(found[2]), int(found[3] or 0), int(found[4])
    return text.strip() if hour < 24 and minute < 60 and second < 60 and 1 <= day <= 31 else None


def parse_curves(data: bytes) -> list[CurveConfig] | None:
    """The answer to 53H: how each stream the device has is scaled. None where the layout is not kept."""
    found: list[CurveConfig] = []
    records = _records(data, _CURVE_BYTES)
    for record in records or ():
        code, maxbin = _code(record[:2]), record[20:]
        whole = [_WHOLE.fullmatch(part) for part in (record[2:10], record[10:15], record[15:20])]
        numbers = [int(part[1] + part[2]) for part in whole if part]
        if code is None or len(numbers) != 3 or not _MAXBIN.fullmatch(maxbin):
            return None
        interval_us, low, high = numbers
        curve = CurveConfig(code, interval_us, low, high, int(maxbin.replace(" ", "0"), 16), record)
        if curve.interval_us <= 0 or curve.maxbin <= 0 or curve.low >= curve.high:
            return None
        found.append(curve)
    return None if records is None else found
