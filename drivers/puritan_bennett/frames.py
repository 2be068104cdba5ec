"""Reports of a Puritan Bennett ventilator, and the framer that finds them in the stream.

    ┌───────┬───┬────────┬───┬────────┬───┬─────┬─────────┬───┬─────┬───────────┬───┬─────┬────┐
    │ MISCF │ , │ length │ , │ count  │ , │ STX │ field 5 │ , │  …  │ field 173 │ , │ ETX │ CR │
    │       │   │ 1225   │   │ "169 " │   │ 02H │ 6 chars │   │     │  6 chars  │   │ 03H │0DH │
    └───────┴───┴────────┴───┴────────┴───┴─────┴─────────┴───┴─────┴───────────┴───┴─────┴────┘

Puritan Bennett 840, Operator's and Technical Reference Manual, section "RS-232 commands": fields are numbered from
the name (1); 4 is STX, so that the first one with data is 5. Each is padded with spaces to its width and ends with a
comma. There is no checksum: a report is believed when length, count, every width and every character fit.
"""

import re

from msgspec import Struct

from drivers.contract import NOISE, Fault

MISCF, MISCA = "MISCF", "MISCA"
FIRST = 5
"""Number of the first field with data."""
COUNTS = {MISCF: 169, MISCA: 97}
WIDTH = 6
_EXCEPTIONS = {6: 18, 7: 12, 8: 9, 50: 9, 53: 18, 55: 9, 66: 9}
_RECORDED = tuple(_EXCEPTIONS.get(number, WIDTH) for number in range(FIRST, FIRST + COUNTS[MISCF]))
_LEAK_WIDE = tuple(9 if number == 156 else width for number, width in enumerate(_RECORDED, FIRST))
LAYOUTS = {1225: _RECORDED, 1226: _RECORDED, 1229: _LEAK_WIDE}
"""MISCF by its declared length, each with the one layout that closes.

1225 counts what stands between STX and ETX; so do all recorded reports. 1226 is the same report counted to CR, as the
manual words it. 1229 is what the manual gives for a port set to Philips: counted to CR, it closes with the nine
characters which the manual prints for field 156 (leak compensation), and with nothing else known.
"""
_SHORT_WIDTHS = frozenset((WIDTH, 9, 12, 18))
_MAX_CONTENT = 1228
_MAX_HEADER = 18
MAX_FRAME_BYTES = _MAX_HEADER + _MAX_CONTENT + 2

_START = b"MISC"
_HEADER = re.compile(rb"(MISC[AF]),([0-9]{3,4}) ?,([0-9]{2,3}) ?,\x02")
_WHOLE = re.compile(_HEADER.pattern + rb"([\x20-\x7e]*,)\x03\r")
_STOP = re.compile(rb"[^\x20-\x7e]|MISC")
_ETX, _CR = 0x03, 0x0D


class Report(Struct, frozen=True):
    """One report: its name, the length it declared, and its fields as sent, padding included; [0] is field 5."""

    name: str
    declared: int
    fields: tuple[str, ...]

    @classmethod
    def from_bytes(cls, data: bytes) -> "Report | Fault":
        """A whole report with its CR; a fault says why it is none."""
        whole = _WHOLE.fullmatch(data)
        if whole is None:
            return _fault("framing", data[:5])
        name, declared = whole[1].decode(), int(whole[2])
        texts = whole[4][:-1].decode("ascii").split(",")
        if int(whole[3]) != len(texts) or len(texts) != COUNTS[name]:
            return _fault("count", whole[1])
        if name == MISCF:
            widths = LAYOUTS.get(declared)
            if widths is None or len(whole[4]) != sum(widths) + len(widths):
                return _fault("length", whole[1])
            fits = all(len(text) == width for text, width in zip(texts, widths, strict=True))
        else:  # its widths do not add up to what it declares, so commas and counts must do
            if declared not in (len(whole[4]), len(whole[4]) + 1):
                return _fault("length", whole[1])
            fits = all(len(text) in _SHORT_WIDTHS for text in texts)
        if not fits or any(text[0] == " " and not text.isspace() for text in texts):
            return _fault("width", whole[1])
        return cls(name, declared, tuple(texts))

    def to_bytes(self) -> bytes:
        """The report as it is sent."""
        content = "".join(f"{text}," for text in self.fields)
        return f"{self.name},{self.declared},{len(self.fields)} ,\x02{content}\x03\r".encode("ascii")

    def __getitem__(self, number: int) -> str:
        """A field by its number in the manual, as sent."""
        return self.fields[number - FIRST]


def _fault(reason: str, name: bytes) -> Fault:
    return Fault(reason, name.decode("ascii", "replace"), rejected=True)


class Framer:
    """Takes the stream apart. Its buffer holds one report at most: it begins with `MISC`, or could become that."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._checked = 0
        self._in_noise = False

    @property
    def is_inside(self) -> bool:
        """Whether a report has begun and not ended."""
        return self._buffer.startswith(_START)

    def drop(self) -> list[Fault]:
        """Forget what was half received."""
        faults = [_fault("truncated", bytes(self._buffer[:5]))] if self.is_inside else []
        self._buffer.clear()
        self._checked, self._in_noise = 0, False
        return faults

    def feed(self, data: bytes) -> list[Report | Fault]:
        """What the bytes hold, in order."""
        self._buffer += data
        items: list[Report | Fault] = []
        while self._read(items) if self.is_inside else self._hunt(items):
            pass
        return items

    def _hunt(self, items: list[Report | Fault]) -> bool:
        """Skip to the next beginning; what cannot be one is noise, said once for each stretch."""
        at = self._buffer.find(_START)
        skip = at
        if at < 0:
            size = len(self._buffer)
            skip = next((size - n for n in (3, 2, 1) if self._buffer.endswith(_START[:n])), size)
        if skip and not self._in_noise:
            self._in_noise = True
            items.append(Fault(NOISE))
        del self._buffer[:skip]
        return at >= 0

    def _read(self, items: list[Report | Fault]) -> bool:
        """The report that the buffer begins with. False: more bytes are needed."""
        header = _HEADER.match(self._buffer)
        size = len(self._buffer)
        if header is None:
            return size >= _MAX_HEADER and self._refuse("framing", len(_START), items)
        begin = header.end()
        stop = _STOP.search(self._buffer, max(begin, self._checked))
        if stop is None:
            self._checked = max(begin, size - len(_START) + 1)
            return self._checked - begin > _MAX_CONTENT and self._refuse("length", len(_START), items)
        at = stop.start()
        if at - begin > _MAX_CONTENT:
            return self._refuse("length", len(_START), items)
        if self._buffer[at] != _ETX:
            return self._refuse("framing", at if stop[0] == _START else at + 1, items)
        if size < at + 2:
            return False
        if self._buffer[at + 1] != _CR:
            return self._refuse("framing", at + 1, items)
        item = Report.from_bytes(bytes(self._buffer[: at + 2]))
        items.append(item)
        del self._buffer[: at + 2]
        self._checked, self._in_noise = 0, False
        return True

    def _refuse(self, reason: str, upto: int, items: list[Report | Fault]) -> bool:
        items.append(_fault(reason, bytes(self._buffer[:5])))
        del self._buffer[:upto]
        self._checked, self._in_noise = 0, True
        return True
