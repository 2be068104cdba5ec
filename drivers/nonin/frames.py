"""DF8 and DF13, and the lines of text.

    DF8    ┌─────────────────────────────────────┬──────────┬────────┬─────────────────────────┐   no sum: bit 7
           │ 1 R OOT LPRF MPRF ARTF HR8 HR7      │ 0 HR6..0 │ 0 SpO2 │ 0 R SPA R SNSA R R LOWBAT │   marks the first
           └─────────────────────────────────────┴──────────┴────────┴─────────────────────────┘
    DF13   ┌─────────────┬────────┬──────────────┬──────┬────────┬────┬──────────┬──────┬───┬─────┬────┐
           │ 00 02 00 0D │ length │ BCD CCYYMMDD │ frac │ STATUS │ PR │ reserved │ SpO2 │ … │ sum │ 03 │
           │             │ 2      │ hhmmss, 7    │ 1    │ 2      │ 2  │ 1        │ 1    │   │     │    │
           └─────────────┴────────┴──────────────┴──────┴────────┴────┴──────────┴──────┴───┴─────┴────┘
    text   [HH:MM:SS ]SPO2=ddd HR=ddd[ F][*][B] CR LF

Nonin, Onyx II 9560 OEM specification, sections on data formats 8 and 13; operator's manuals of the 2500, 7500FO,
8500, 8600, 9600 and Avant oximeters, sections on the serial output.
"""

import re

from msgspec import Struct

from drivers.contract import NOISE, Fault
from drivers.framing.lines import Lines, no_frame
from drivers.nonin.reading import (
    ARTEFACT,
    EVENT,
    FAST,
    LOW_BATTERY,
    LOW_PERFUSION,
    MARGINAL_PERFUSION,
    MEMORY,
    NO_MEASUREMENT,
    OUT_OF_TRACK,
    SENSOR_ALARM,
    SMARTPOINT,
    Reading,
    rate,
)

MAX_LINE_BYTES = 80
_DF8 = re.compile(rb"[\x80-\xff][\x00-\x7f]{3}")
_DF8_TAIL = re.compile(rb"[\x80-\xff][\x00-\x7f]{0,2}\Z")
_DF8_FIRST = {OUT_OF_TRACK: 0x20, LOW_PERFUSION: 0x10, MARGINAL_PERFUSION: 0x08, ARTEFACT: 0x04}
_DF8_LAST = {SMARTPOINT: 0x20, SENSOR_ALARM: 0x08, LOW_BATTERY: 0x01}
_DF8_RESERVED = (0x40, 0x56)
_START = b"\x00\x02\x00\x0d"
_ETX = 0x03
_HEAD, _LEAST, _MOST = 6, 14, 64
"""Bytes before the data; fewest bytes of data; most that are believed."""
_TEXT = re.compile(rb"(?:([0-9]{2}:[0-9]{2}:[0-9]{2}) )?SPO2=([0-9]{3}|---) HR=([0-9]{3}|---)((?: ?[F*B]){0,3}) *\r")
_LIKE_TEXT = re.compile(rb"SPO2|HR=")

Item = Reading | Fault


class Text:
    """The lines of text, one a second."""

    def __init__(self) -> None:
        self._lines = Lines(MAX_LINE_BYTES)

    def drop(self) -> None:
        """Forget what was half received."""
        self._lines.drop()

    def feed(self, data: bytes) -> list[Item]:
        """What the bytes hold, in order."""
        return [_line(raw) for raw in self._lines.feed(data)]


def _line(raw: bytes) -> Item:
    whole = _TEXT.fullmatch(raw)
    if whole is None:
        return Fault("framing", rejected=True) if _LIKE_TEXT.search(raw) else no_frame(raw)
    letters = "".join(sorted(whole[4].decode().replace(" ", "")))
    if len(set(letters)) != len(letters):
        return Fault("count", rejected=True)
    return Reading(
        values=(("SPO2", whole[2].decode()), ("HR", whole[3].decode())),
        flags=frozenset({EVENT, FAST} & set(letters)),
        others=(("FLAGS", "".join(letter for letter in letters if letter not in (EVENT, FAST))),),
        time=(whole[1] or b"").decode(),
    )


class Df8Frame(Struct, frozen=True):
    """Four bytes, one set a second."""

    data: bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> "Df8Frame | Fault":
        """Only the first byte has bit 7."""
        return cls(data) if _DF8.fullmatch(data) else Fault("framing", rejected=True)

    def to_bytes(self) -> bytes:
        """The frame as it is sent."""
        return self.data

    def reading(self) -> Reading:
        """All that the frame says."""
        first, low, spo2, last = self.data
        flags = {name for name, mask in _DF8_FIRST.items() if first & mask}
        flags |= {name for name, mask in _DF8_LAST.items() if last & mask}
        reserved = bytes((first & _DF8_RESERVED[0], last & _DF8_RESERVED[1]))
        return Reading(
            values=(("HR", str(rate(first, low))), ("SpO2", str(spo2))),
            flags=frozenset(flags),
            others=(("RESERVED", reserved.hex(" ").upper()),),
        )


class Df8:
    """Finds frames of DF8. One that does not follow another one directly is not read: there is no sum."""

    def __init__(self) -> None:
        self.drop()

    def drop(self) -> None:
        """Forget what was half received."""
        self._rest = b""
        self._is_locked = False

    def feed(self, data: bytes) -> list[Item]:
        """What the bytes hold, in order."""
        data = self._rest + data
        items: list[Item] = []
        end = 0
        for found in _DF8.finditer(data):
            if found.start() > end:
                self._gap(items)
            if self._is_locked:
                items.append(Df8Frame(found[0]).reading())
            self._is_locked, end = True, found.end()
        tail = _DF8_TAIL.search(data, end)
        self._rest = tail[0] if tail else b""
        if len(data) - len(self._rest) > end:
            self._gap(items)
        return items

    def _gap(self, items: list[Item]) -> None:
        if self._is_locked:
            items.append(Fault("framing", rejected=True))
        elif not items or not isinstance(items[-1], Fault):
            items.append(Fault(NOISE))
        self._is_locked = False


class Spot(Struct, frozen=True):
    """One measurement of DF13."""

    data: bytes
    """What stands between length and sum."""

    @classmethod
    def from_bytes(cls, frame: bytes) -> "Spot | Fault":
        """A whole frame; a fault says why it is none."""
        data = frame[_HEAD:-2]
        if not frame.startswith(_START) or frame[-1:] != bytes((_ETX,)):
            return Fault("framing", rejected=True)
        if not _LEAST <= len(data) <= _MOST or int.from_bytes(frame[4:6], "big") != len(data):
            return Fault("length", rejected=True)
        return cls(data) if sum(data) & 0xFF == frame[-2] else Fault("checksum", rejected=True)

    def to_bytes(self) -> bytes:
        """The frame as it is sent."""
        return _START + len(self.data).to_bytes(2, "big") + self.data + bytes((sum(self.data) & 0xFF, _ETX))

    def reading(self) -> Reading:
        """All that the measurement says. The rate has nine bits here too, but in whole bytes."""
        msb, lsb = self.data[8], self.data[9]
        named = {SMARTPOINT: msb & 0x02, NO_MEASUREMENT: msb & 0x01, MEMORY: lsb & 0x10, LOW_BATTERY: lsb & 0x01}
        digits = self.data[:7].hex()
        is_time = digits.isdecimal()
        time = f"{digits[:4]}-{digits[4:6]}-{digits[6:8]} {digits[8:10]}:{digits[10:12]}:{digits[12:14]}"
        pulse = (self.data[10] & 0x01) << 8 | self.data[11]
        return Reading(
            values=(("PR", str(pulse)), ("SpO2", str(self.data[13]))),
            flags=frozenset(name for name, value in named.items() if value),
            others=(("STATUS.other", f"{msb & 0xFC:02X} {lsb & 0xEE:02X}"),),
            time=time if is_time else "",
        )


class Df13:
    """Finds frames of DF13 by their four first bytes."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def drop(self) -> None:
        """Forget what was half received."""
        self._buffer.clear()

    def feed(self, data: bytes) -> list[Item]:
        """What the bytes hold, in order."""
        self._buffer += data
        items: list[Item] = []
        while self._step(items):
            pass
        return items

    def _step(self, items: list[Item]) -> bool:
        at = self._buffer.find(_START)
        if at < 0:
            kept = next((n for n in (3, 2, 1) if self._buffer.endswith(_START[:n])), 0)
            self._noise(len(self._buffer) - kept, items)
            return False
        self._noise(at, items)
        if len(self._buffer) < _HEAD:
            return False
        length = int.from_bytes(self._buffer[4:6], "big")
        if not _LEAST <= length <= _MOST:
            return self._refuse("length", items)
        size = _HEAD + length + 2
        if len(self._buffer) < size:
            return False
        spot = Spot.from_bytes(bytes(self._buffer[:size]))
        if isinstance(spot, Fault):
            return self._refuse(spot.reason, items)
        items.append(spot.reading())
        del self._buffer[:size]
        return True

    def _noise(self, size: int, items: list[Item]) -> None:
        if size:
            items.append(Fault(NOISE))
            del self._buffer[:size]

    def _refuse(self, reason: str, items: list[Item]) -> bool:
        items.append(Fault(reason, rejected=True))
        del self._buffer[: len(_START)]
        return True
