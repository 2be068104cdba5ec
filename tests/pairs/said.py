"""What a simulated device said, as (MDS, vendor code, text): each undamaged frame's words, from its own history."""

import re
from collections import deque
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, TypeVar

from simulators.devices.bbraun_bcc import BbraunBcc
from simulators.devices.draeger_medibus import DraegerMedibus
from simulators.devices.puritan_bennett import PuritanBennett
from simulators.devices.servo_cie import ServoCie
from simulators.devices.servo_sci import ServoSci
from simulators.devices.simulator import Simulator

Word = tuple[str, str, str]
MEDIBUS_WIDTHS = {0x24: 6, 0x25: 6, 0x26: 6, 0x29: 7, 0x2B: 6, 0x2C: 6, 0x2D: 6}
"""MEDIBUS 4.03, "Message format": code 2 and value 4, of a setting 5."""
MEDIBUS_TEXTS = 0x2A
"""Code 2, length 1, text, ETX."""
SERVO_NUMBERS = ("B", "S", "L")
"""SCI: tables whose answers are numbers of two bytes; alarms are not, nor are curves."""

_T = TypeVar("_T")


def words(simulator: Simulator) -> Iterator[Word]:
    """All that it said since this was asked the last time; its history is emptied."""
    return _READERS.get(type(simulator), _reporter)(simulator)


def number(text: str) -> Decimal | str:
    """The first number in a text; two hands write `82`, `082` and `82*` for one value."""
    found = re.search(r"-?[0-9]+(?:\.[0-9]+)?", text)
    return Decimal(found[0]) if found else text


def _medibus(simulator: DraegerMedibus) -> Iterator[Word]:
    for answer in _drained(simulator.history):
        width, text = MEDIBUS_WIDTHS.get(answer.code, 0), answer.data.decode("latin-1")
        for at in range(0, len(text), width) if width else ():
            yield "", f"{answer.code:02X}.{text[at : at + 2]}", text[at + 2 : at + width].strip()
        for record in text.split("\x03") if answer.code == MEDIBUS_TEXTS else ():
            yield "", f"{answer.code:02X}.{record[:2]}", record[3:].strip()


def _puritan_bennett(simulator: PuritanBennett) -> Iterator[Word]:
    for report in _drained(simulator.history):
        yield from (("", str(number), text.strip()) for number, text in report.values.items())


def _bbraun(simulator: BbraunBcc) -> Iterator[Word]:
    for block in _drained(simulator.history):
        yield from ((block.address[-2:], name, text.strip()) for name, text in block.values.items())


def _servo_cie(simulator: ServoCie) -> Iterator[Word]:
    for reading in _drained(simulator.history):
        for channel, raw in reading.values.items() if reading.table != "C" else ():
            yield "", channel, raw
            if raw.isdecimal():
                yield "", channel, f"{int(raw):04X}"  # in a stream it is two bytes, here as the driver shows them


def _servo_sci(simulator: ServoSci) -> Iterator[Word]:
    for reading in _drained(simulator.history):
        for channel, raw in reading.values.items() if reading.table in SERVO_NUMBERS else ():
            yield "", channel, f"{int(raw):04X}"


def _reporter(simulator: Any) -> Iterator[Word]:
    """Histories of entries with `values`, which most have; one without has no number that is read."""
    for sent in _drained(simulator.history):
        yield from (("", str(code), text.strip()) for code, text in getattr(sent, "values", {}).items())


def _drained(history: deque[_T]) -> Iterator[_T]:
    while history:
        yield history.popleft()


_READERS: dict[type[Simulator], Callable[[Any], Iterator[Word]]] = {
    BbraunBcc: _bbraun,
    DraegerMedibus: _medibus,
    PuritanBennett: _puritan_bennett,
    ServoCie: _servo_cie,
    ServoSci: _servo_sci,
}
