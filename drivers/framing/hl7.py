"""HL7 version 2 messages as text: segments, fields, components and escapes, and back again without loss.

    MSH │ ^~\\& │ … │ ORU^R01 │ 204 │ P │ 2.3.1 CR
    OBX │ … │ NM │ 101^HR │ 2101 │ 60 │ … CR

HL7 2.3.1, chapter 2, "Control": 2.7 delimiters, 2.9 escapes. MSH names its own delimiters; a field is counted from 1
behind the segment's name, in MSH the field separator itself is the first. Which fields mean what, the driver knows.
"""

import re

from msgspec import Struct

from drivers.contract import Fault

_HEADER = re.compile(r"MSH([!-/:-@\[-`{-~])([!-/:-@\[-`{-~]{1,5}?)(?:\1|\r|\n|\Z)")
_NAME = re.compile(r"[A-Z][A-Z0-9]{2}")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_ENDS = re.compile(r"\r\n?|\n")


class Delimiters(Struct, frozen=True):
    """The five characters that take a message apart, as its MSH names them; empty: it has none of that kind."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"

    def split(self, text: str, separator: str) -> tuple[str, ...]:
        """The parts of a text as sent; one part where the separator is empty or does not stand in it."""
        return tuple(text.split(separator)) if separator else (text,)

    def components(self, text: str) -> tuple[str, ...]:
        """The components of a field, as sent."""
        return self.split(text, self.component)

    def repetitions(self, text: str) -> tuple[str, ...]:
        """The repetitions of a field, as sent."""
        return self.split(text, self.repetition)

    def subcomponents(self, text: str) -> tuple[str, ...]:
        """The subcomponents of a component, as sent."""
        return self.split(text, self.subcomponent)

    def unescape(self, text: str) -> str:
        r"""The text that was meant. Escapes that are not known (`\H\`, `\Zxx\`) stay as they were sent."""
        if not self.escape or self.escape not in text:
            return text
        mark = re.escape(self.escape)
        return re.sub(f"{mark}([^{mark}]*){mark}", self._meant, text)

    def _meant(self, found: re.Match[str]) -> str:
        word = found[1]
        known = {
            "F": self.field,
            "S": self.component,
            "R": self.repetition,
            "E": self.escape,
            "T": self.subcomponent,
            ".br": "\n",
        }
        if word in known:
            return known[word]
        if re.fullmatch(r"X(?:[0-9A-Fa-f]{2})+", word):
            return bytes.fromhex(word[1:]).decode("latin-1")
        return found[0]

    def quote(self, text: str) -> str:
        """The text with every delimiter in it escaped. Raises ValueError where the message has no escape for one."""
        if not self.escape:
            if any(
                mark and mark in text for mark in (self.field, self.component, self.repetition, self.subcomponent)
            ):
                raise ValueError("a delimiter in the text, and no escape character")
            return text
        words = {
            self.escape: "E",
            self.field: "F",
            self.component: "S",
            self.repetition: "R",
            self.subcomponent: "T",
        }
        return "".join(f"{self.escape}{words[c]}{self.escape}" if c in words else c for c in text)


class Segment(Struct, frozen=True):
    """One segment: its fields as sent, [0] is its name. In MSH, [1] is the field separator."""

    fields: tuple[str, ...]

    @property
    def name(self) -> str:
        """Three letters."""
        return self.fields[0]

    def __getitem__(self, number: int) -> str:
        """A field by its number in the standard, as sent; empty where the segment ends before it."""
        return self.fields[number] if number < len(self.fields) else ""


class Message(Struct, frozen=True):
    """One message: its delimiters and its segments, MSH first."""

    delimiters: Delimiters
    segments: tuple[Segment, ...]

    @classmethod
    def from_bytes(cls, data: bytes, encoding: str = "") -> "Message | Fault":
        """A whole message, or the fault that says why it is none.

        Segments end in CR, as the standard wants it; CR LF and LF are read as well, and the last may have no end.
        `encoding` empty: UTF-8 where the bytes are that, else ISO 8859-1.
        """
        text = decode(data, encoding)
        header = _HEADER.match(text)
        if header is None or _CONTROL.search(text):
            return Fault("framing", "MSH" if header is None else "character", rejected=True)
        if header[1] in header[2] or len(set(header[2])) != len(header[2]):
            return Fault("framing", "delimiters", rejected=True)
        marks = Delimiters(header[1], *(header[2][n : n + 1] for n in range(4)))
        lines = text.split("\r") if "\n" not in text else _ENDS.split(text)
        segments = tuple([_segment(line, marks.field) for line in lines if line])
        if not all(map(_NAME.fullmatch, {segment.fields[0] for segment in segments})):
            return Fault("framing", "segment", rejected=True)
        return cls(marks, segments)

    def to_bytes(self, encoding: str = "utf-8") -> bytes:
        """The message as it is sent, each segment with its CR."""
        return "".join(f"{_line(segment, self.delimiters.field)}\r" for segment in self.segments).encode(encoding)

    @property
    def header(self) -> Segment:
        """MSH."""
        return self.segments[0]

    def named(self, name: str) -> tuple[Segment, ...]:
        """All segments of that name, in order."""
        return tuple(segment for segment in self.segments if segment.name == name)


def decode(data: bytes, encoding: str = "") -> str:
    """The text of some bytes; what does not fit the encoding is replaced."""
    if encoding:
        return data.decode(encoding, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _segment(line: str, separator: str) -> Segment:
    fields = line.split(separator)
    if fields[0] == "MSH":
        fields.insert(1, separator)
    return Segment(tuple(fields))


def _line(segment: Segment, separator: str) -> str:
    fields = segment.fields
    return separator.join((fields[0], *fields[2:]) if fields[0] == "MSH" else fields)
