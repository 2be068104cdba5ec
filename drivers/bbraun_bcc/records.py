"""What stands in a block: whose it is, and its quadruples `time,address,parameter,value`, all of them or none.

    │bedId/1/1>│time,address,parameter,value│RS 1E│time,address,parameter,value│RS│…

Time is in seconds since the ComDevice was switched on. Address 501xy is the pump in pillar x (1 to 3) and slot y (1
to 9, A to O, from below); 50100 is the ComDevice itself. The version's answer has no value. Text is UTF-8. B.Braun,
Technical Interface Specification BCC 3.25/3.26, sections on addresses and values.
"""

import re
from decimal import Decimal

from msgspec import Struct

RS = b"\x1e"
NO_VALUE = ("_NV", "_NA")
"""No value; `_NA` is what protocol 3.36 and later say."""
SYSTEM = "00"
_BED = re.compile(rb"([^\x00-\x20/>\x7f-\xff]{1,64})/1/1>")
_QUADRUPLE = re.compile(
    rb"([0-9]{1,10}),([0-9]{3}[0-9A-Z]{2}),([A-Z][A-Za-z0-9._]{0,31})(?:,([^\x00-\x1f\x7f]{0,512}))?"
)
_UNIT = re.compile(r"501([1-3][0-9A-O]|00)")
_VERSION = re.compile(r"V[0-9]{1,3}(?:\.[0-9]{1,3}){1,3}", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,12}(?:\.[0-9]{1,6})?", re.ASCII)


class Quadruple(Struct, frozen=True):
    """One parameter of the ComDevice or of a pump."""

    time: str
    address: str
    parameter: str
    value: str | None
    """As sent; None where it was no UTF-8."""

    @property
    def slot(self) -> str:
        """`11` for 50111, `00` for the ComDevice; empty where the address is of another kind."""
        found = _UNIT.fullmatch(self.address)
        return found[1] if found else ""

    @property
    def is_version(self) -> bool:
        """The answer to VERSION, `50100,V3.30`: the only quadruple without a value."""
        return self.slot == SYSTEM and not self.value and _VERSION.fullmatch(self.parameter) is not None


class Answer(Struct, frozen=True):
    """A block of the device."""

    bed: str
    quadruples: tuple[Quadruple, ...]


def is_pump(slot: str) -> bool:
    """Whether it is the slot of a pump: those begin with 1. What a slot 0 is the document does not say."""
    return slot[1:] not in ("", "0")


def number(text: str) -> Decimal | None:
    """The number as printed, None where it is none: a comma for the decimal point is not read."""
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def parse_answer(info: bytes) -> Answer | None:
    """Whose block it is and what it says. None where the layout is not kept."""
    bed = _BED.match(info)
    if not bed:
        return None
    found: list[Quadruple] = []
    for part in info[bed.end() :].split(RS) if len(info) > bed.end() else ():
        fields = _QUADRUPLE.fullmatch(part)
        if not fields:
            return None
        time, address, parameter = (field.decode("ascii") for field in fields.groups()[:3])
        found.append(Quadruple(time, address, parameter, _text(fields[4] or b"")))
    return Answer(bed[1].decode("ascii"), tuple(found))


def _text(value: bytes) -> str | None:
    """Pump fonts use private characters (U+E000 to U+F8FF): they are kept as they came."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return None
