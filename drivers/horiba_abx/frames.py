"""Frames of the ABX format: STX, fields that end with CR, ETX. Whether one is well formed is decided as a whole.

There is a checksum field, and its rule is in no document at hand. So a frame is read only if every field has its
shape: one identifier, a blank, text that can be printed (a curve: no control character), no identifier twice; the
number of characters that a first field of five digits tells must be right; and a result is five characters that are a
number, dashes, asterisks or blanks, then flags. One field that is not so, and nothing of the frame is read.
"""

import re
from typing import Self

from msgspec import Struct

from drivers.contract import Fault

MAX_FRAME_BYTES = 4096
"""Frames with all three curves that were seen in public have 771 bytes."""
CURVES = "WXY"
TYPE, VERSION, CHECKSUM, NAME = "\xff", "\xfe", "\xfd", "\xfb"

BETWEEN = b"\x01\x04\r\n"
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
