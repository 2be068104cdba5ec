"""Records of ASTM E1394-97 / CLSI LIS02-A2: delimiters, fields, escapes; positional, trailing empties dropped."""

import re
from typing import Self

from msgspec import Struct

from drivers.astm.options import Options

COMPLETE = frozenset(("", "N", "F"))
"""L-3 of a message that is whole; any other code (T, R, E, Q, I) says that it is not."""
_OTHERS_COMMENTS = frozenset("PL")
"""C-3: from the practice or the host, so in words of people; I, the instrument's own, may be left out."""
_MAX_LOTS = 32


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

    def repeats_of(self, text: str) -> list[str]:
        """The repeats of a field, read and without padding."""
        return [self.unescape(part).strip() for part in text.split(self.repeat)]


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
    is_foreign: bool
    """The model that it names is none of the profile's."""

    @classmethod
    def from_record(cls, record: str, options: Options) -> Self | None:
        """None where the delimiters cannot be read."""
        delimiters = Delimiters.from_header(record)
        if delimiters is None:
            return None
        fields = record.split(delimiters.field)
        sender = field_of(fields, 5)
        told = {name: delimiters.component_of(sender, number) for name, number in options.identity.items()}
        identity: dict[str, str] = {name: word for name, word in told.items() if word}
        model = identity.get("model", "")
        return cls(
            delimiters=delimiters,
            sent=field_of(fields, 14).strip(),
            processing=field_of(fields, 12).strip().upper(),
            identity=identity,
            is_foreign=bool(options.senders and model and not model.startswith(options.senders)),
        )


class Order(Struct, frozen=True):
    """What an O record says of the results under it."""

    specimen: str = ""
    is_unread: bool = False
    """The device made the id up: it names nobody."""
    specimen_type: str = ""
    is_qc: bool = False
    run: str = ""
    """The device's own number of the run."""
    report_type: str = ""
    """O-26."""
    reported: str = ""
    """O-23: results reported or last modified, as sent."""
    flags: tuple[str, ...] = ()
    """Comments on the order that concern all of its results."""

    @classmethod
    def from_record(cls, record: str, delimiters: Delimiters, options: Options) -> Self:
        """Total: a field that is not there is empty."""
        fields = record.split(delimiters.field)
        holder = field_of(fields, options.specimen_field)
        is_alone = options.specimen_alone and delimiters.component not in holder
        specimen = delimiters.component_of(holder, 1 if is_alone else options.specimen_component)
        prefix, unread, sort = options.qc_specimen_prefix, options.unread_specimen, options.qc_component
        own = field_of(fields, 4)
        return cls(
            specimen=specimen,
            is_unread=bool(unread and specimen.startswith(unread)),
            specimen_type=delimiters.unescape(field_of(fields, 16)).strip(),
            is_qc="Q" in delimiters.repeats_of(field_of(fields, 12).upper())
            or bool(prefix and specimen.startswith(prefix))
            or bool(sort and delimiters.component_of(own, sort).upper() == "QC"),
            run=_run(own, delimiters, options),
            report_type=field_of(fields, 26).strip().upper(),
            reported=field_of(fields, 23).strip(),
        )


def _run(own: str, delimiters: Delimiters, options: Options) -> str:
    """A field that is not in components is another thing, such as the name of a rack."""
    is_there = options.run_component and delimiters.component in own
    return delimiters.component_of(own, options.run_component) if is_there else ""


def parse_comment(record: str, delimiters: Delimiters, options: Options) -> str | None:
    """C-4, the text of a comment, its components as they are; None for the words of a person: they may name one."""
    fields = record.split(delimiters.field)
    text = field_of(fields, 4)
    is_private = bool(options.private_comments) and delimiters.component_of(text, 1) in options.private_comments
    if is_private or field_of(fields, 3).strip().upper() in _OTHERS_COMMENTS:
        return None
    return delimiters.unescape(text).strip()


def is_device_flag(record: str, delimiters: Delimiters) -> bool:
    """C-5 is I: not a remark, of which a patient's name may be part, but the device's own flag."""
    return field_of(record.split(delimiters.field), 5).strip().upper() == "I"


def parse_completion(record: str, delimiters: Delimiters) -> str:
    """L-3, the termination code."""
    return field_of(record.split(delimiters.field), 3).strip().upper()


def parse_reagents(record: str, delimiters: Delimiters, options: Options) -> dict[str, str]:
    r"""Reagent to lot, out of `M|1|REAGENT|CLEANER\DILUENT|LOT1^…\LOT2^…`; nothing out of any other M record."""
    fields = record.split(delimiters.field, 5)
    if not options.reagent_record or field_of(fields, 3).strip() != options.reagent_record:
        return {}
    names = delimiters.repeats_of(field_of(fields, 4))
    lots = [delimiters.component_of(part, 1) for part in field_of(fields, 5).split(delimiters.repeat)]
    if not len(names) == len(lots) <= _MAX_LOTS:
        return {}
    return {f"lot {name}": lot for name, lot in zip(names, lots, strict=True) if name and lot}
