"""Frames of the ABX format: STX, fields that end with CR, ETX. Whether one is well formed is decided as a whole.

There is a checksum field, and its rule is in no document at hand. So a frame is read only if every field has its
shape: one identifier, a blank, text that can be printed (a curve: no control character), no identifier twice; the
number of characters that a first field of five digits tells must be right; and a result is five characters that are a
number, dashes, asterisks or blanks, then flags. One field that is not so, and nothing of the frame is read.
"""

import re
from typing import Self

from msgspec import Struct

from drivers.contract import NOISE, Fault

MAX_FRAME_BYTES = 4096
"""Frames with all three curves that were seen in public have 771 bytes."""
CURVES = "WXY"
TYPE, VERSION, CHECKSUM, NAME = "\xff", "\xfe", "\xfd", "\xfb"

_MARK = re.compile(rb"\x02+|\x03")
_BETWEEN = re.compile(rb"[\x01\x04\r\n]*")
"""SOH before a frame and EOT after it are optional."""
_COUNT = re.compile(rb"[0-9]{5}")
_FIELD = re.compile(rb"([\x21-\x7e\x80-\xff]) ([\x20-\x7e]*)|([WXY])( [\x20-\xff]*)")
_CHECKSUM = re.compile(r" *[0-9A-Fa-f]{1,8} *")
"""Four digits in the messages seen in public; the document at hand tells neither rule nor length."""
_VALUE = re.compile(r" {0,4}(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)|[-.]{5}|[*.]{5}| {5}")
_FLAGS = re.compile(r"[ -/:-~]*")
_WIDTH = 5


class Value(Struct, frozen=True):
    """A result field: five characters as sent, and the flags after them."""

    text: str
    flags: str

    @classmethod
    def from_field(cls, text: str) -> Self | None:
        """None where the field is no result."""
        value, flags = text[:_WIDTH], text[_WIDTH:]
        is_whole = len(value) == _WIDTH and _VALUE.fullmatch(value) and _FLAGS.fullmatch(flags)
        return cls(value, flags) if is_whole else None


class Message(Struct, frozen=True):
    """The fields of one well-formed frame by their identifiers."""

    fields: dict[str, str]

    @classmethod
    def from_bytes(cls, text: bytes) -> Self | Fault:
        """What stood between STX and ETX; a fault says why nothing of it is read."""
        lines = text.removesuffix(b"\r").split(b"\r")
        if _COUNT.fullmatch(lines[0]):
            if int(lines[0]) != len(text):
                return Fault("length", rejected=True)
            del lines[0]
        fields: dict[str, str] = {}
        for line in lines:
            found = _FIELD.fullmatch(line)
            if found is None:
                return Fault("layout", rejected=True)
            name, content = found[1] or found[3], found[2] if found[1] else found[4]
            key = name.decode("latin-1")
            if key in fields:
                return Fault("repeated_field", rejected=True)
            fields[key] = "" if key in CURVES else content.decode("ascii")
        if not _CHECKSUM.fullmatch(fields.get(CHECKSUM, "0")):
            return Fault("layout", rejected=True)
        return cls(fields)

    def to_bytes(self) -> bytes:
        """The frame as it is sent, without count and curves."""
        lines = (f"{name} {text}\r" for name, text in self.fields.items() if name not in CURVES)
        return b"\x02" + "".join(lines).encode("latin-1") + b"\x03"

    @property
    def kind(self) -> str:
        """`RESULT`, `RES-RR`, `QC-RES`, or another word; empty where the frame does not say."""
        return self.fields.get(TYPE, "").strip()


Item = Message | Fault


class Framer:
    """Bytes in any split; messages and faults out. Holds one unfinished frame at most."""

    def __init__(self) -> None:
        self._is_noise = False
        self._close()

    def _close(self) -> None:
        self._body = bytearray()
        self._is_open = self._is_too_long = False

    def drop(self) -> None:
        """Forget what was half received."""
        self._close()
        self._is_noise = False

    def feed(self, data: bytes) -> list[Item]:
        """What became whole with these bytes."""
        items: list[Item] = []
        at = 0
        while at < len(data):
            found = _MARK.search(data, at)
            stop = found.start() if found else len(data)
            if self._is_open:
                self._keep(data[at:stop])
            elif stop > at:
                self._pass_over(data, at, stop, items)
            if found is None:
                break
            self._mark(found[0][0], items)
            at = found.end()
        return items

    def _keep(self, piece: bytes) -> None:
        if len(self._body) + len(piece) > MAX_FRAME_BYTES:
            self._is_too_long = True
            self._body.clear()
        if not self._is_too_long:
            self._body += piece

    def _pass_over(self, data: bytes, at: int, stop: int, items: list[Item]) -> None:
        """What belongs to no frame is told once, up to the next STX."""
        between = _BETWEEN.match(data, at, stop)
        if not self._is_noise and (between is None or between.end() < stop):
            self._is_noise = True
            items.append(Fault(NOISE))

    def _mark(self, mark: int, items: list[Item]) -> None:
        if mark == 0x02:
            if self._is_open and (self._body or self._is_too_long):
                items.append(Fault("truncated", rejected=True))
            self._close()
            self._is_open, self._is_noise = True, False
        elif self._is_open:
            too_long = Fault("length", rejected=True)
            items.append(too_long if self._is_too_long else Message.from_bytes(bytes(self._body)))
            self._close()
        elif not self._is_noise:
            self._is_noise = True
            items.append(Fault(NOISE))
