"""Records of ASTM E1394-97 / CLSI LIS02-A2: delimiters, fields, escapes; positional, trailing empties dropped."""

import re
from typing import Self

from msgspec import Struct

from drivers.astm.options import Options

COMPLETE = frozenset(("", "N", "F"))
"""L-3 of a message that is whole; any other code (T, R, E, Q, I) says that it is not."""


class Delimiters(Struct, frozen=True):
    r"""H-1 and H-2: `H|\^&` by the standard; Erba devices have a back-tick, GeneXpert `@`, for the repeat."""

    field: str
    repeat: str
    component: str
    escape: str
    """Empty where the header gives none."""

    @classmethod
    def from_header(cls, record: str) -> Self | None:
        """The delimiters of an H record; None where three different ones cannot be read."""
        signs = record[1:5]
        if len(set(signs[:3])) < 3 or any(sign.isalnum() or sign.isspace() for sign in signs):
            return None
        escape = signs[3:]
        return cls(signs[0], signs[1], signs[2], "" if escape in signs[:3] else escape)

    def unescape(self, text: str) -> str:
        r"""Read `&F& &S& &R& &E&`; an escape sequence that is not one of these stays as it was sent."""
        if not self.escape or self.escape not in text:
            return text
        signs = {"F": self.field, "S": self.component, "R": self.repeat, "E": self.escape}
        mark = re.escape(self.escape)
        return re.sub(f"{mark}([FSRE]){mark}", lambda found: signs[found[1]], text)

    def component_of(self, text: str, number: int) -> str:
        """Component `number` (from 1) of a field, read and without padding; empty where there is none."""
        parts = text.split(self.component)
        return self.unescape(parts[number - 1]).strip() if number <= len(parts) else ""


def field_of(fields: list[str], number: int) -> str:
    """Field `number` (from 1, the type letter) of a record; empty where the record ends before it."""
    return fields[number - 1] if number <= len(fields) else ""


class Header(Struct, frozen=True):
    """What an H record says: how to read the message, when it was sent, by whom, and whether it is in earnest."""

    delimiters: Delimiters
    sent: str
    """H-14, as sent."""
    processing: str
    """H-12: P production, T training, D debugging, Q quality control."""
    identity: dict[str, str]

    @classmethod
    def from_record(cls, record: str, options: Options) -> Self | None:
        """None where the delimiters cannot be read."""
        delimiters = Delimiters.from_header(record)
        if delimiters is None:
            return None
        fields = record.split(delimiters.field)
        sender = field_of(fields, 5)
        told = {name: delimiters.component_of(sender, number) for name, number in options.identity.items()}
        return cls(
            delimiters=delimiters,
            sent=field_of(fields, 14).strip(),
            processing=field_of(fields, 12).strip().upper(),
            identity={name: word for name, word in told.items() if word},
        )


class Order(Struct, frozen=True):
    """What an O record says of the results under it."""

    specimen: str = ""
    specimen_type: str = ""
    is_qc: bool = False
    report_type: str = ""
    """O-26."""

    @classmethod
    def from_record(cls, record: str, delimiters: Delimiters, options: Options) -> Self:
        """Total: a field that is not there is empty."""
        fields = record.split(delimiters.field)
        specimen = delimiters.component_of(field_of(fields, options.specimen_field), options.specimen_component)
        prefix = options.qc_specimen_prefix
        return cls(
            specimen=specimen,
            specimen_type=delimiters.unescape(field_of(fields, 16)).strip(),
            is_qc=field_of(fields, 12).strip().upper() == "Q" or bool(prefix and specimen.startswith(prefix)),
            report_type=field_of(fields, 26).strip().upper(),
        )


def parse_comment(record: str, delimiters: Delimiters) -> str:
    """C-4, the text of a comment; its components stay as they are."""
    return delimiters.unescape(field_of(record.split(delimiters.field), 4)).strip()


def parse_completion(record: str, delimiters: Delimiters) -> str:
    """L-3, the termination code."""
    return field_of(record.split(delimiters.field), 3).strip().upper()
