r"""What MSH says, and whether and how an answer is wanted.

    MSH │ ^~\& │ application 3 │ facility 4 │ 5 │ 6 │ time 7 │ │ ORU^R01 9 │ id 10 │ P 11 │ 2.3.1 12 │ │ │ 15 │ 16

HL7 2.5, chapter 2, 2.9 "Message processing rules": original mode where MSH-15 and MSH-16 are empty, enhanced mode
where one of them holds a word of table 0155. Mindray's chemistry analyzers put the kind of results into MSH-16 (0, 1,
2); such a digit is no word of that table, and their messages are answered in original mode.
"""

import re
from typing import Literal, Self

from msgspec import Struct

from drivers.framing.hl7 import Message

Verdict = Literal["accept", "error", "reject"]

PRINTABLE = r"[ -%'-\[\]_-{}]"
r"""A character of an answer's field: printable, and none of the delimiters `|^~\&`."""
_CONTROL_ID = re.compile(PRINTABLE + "{0,64}")
_NAME = re.compile(rf"(?:{PRINTABLE}|\^){{0,64}}")
_TIME = re.compile(r"[0-9]{4,14}(?:\.[0-9]{1,4})?(?:[+-][0-9]{4})?")
_CHARSET = re.compile(r"[0-9A-Z /-]{1,20}")
_VERSION = re.compile(r"2(?:\.[0-9]{1,2}){0,2}")
_KIND = re.compile(r"[A-Z]{3}(?:\^[A-Z][0-9]{2})?")
_MODES = frozenset(("AL", "NE", "ER", "SU"))
_ORIGINAL: dict[Verdict, str] = {"accept": "AA", "error": "AE", "reject": "AR"}
_COMMIT: dict[Verdict, str] = {"accept": "CA", "error": "CE", "reject": "CR"}


class Header(Struct, frozen=True):
    """MSH, as far as an answer and the results need it; what does not have its form is empty."""

    application: str
    facility: str
    receiver: str
    receiver_facility: str
    time: str
    sent: str
    """MSH-7 as it was sent, whatever its form."""
    kind: str
    """Message and event, `ORU^R01`; empty where they have not their form."""
    control_id: str
    has_control_id: bool
    """The control id can be echoed: no other characters than those of an answer."""
    processing: str
    version: str
    is_version_known: bool
    accept: str
    """MSH-15 as sent."""
    application_mode: str
    """MSH-16 as sent."""
    charset: str

    @classmethod
    def from_message(cls, message: Message) -> Self:
        """Total: every message has one."""
        marks, msh = message.delimiters, message.header

        def first(number: int) -> str:
            return marks.components(msh[number])[0]

        def named(number: int) -> str:
            text = msh[number].replace(marks.component, "^") if marks.component else msh[number]
            return text if _NAME.fullmatch(text) else ""

        kind = "^".join(marks.components(msh[9])[:2])
        version = first(12)
        control_id = msh[10] if _CONTROL_ID.fullmatch(msh[10]) else ""
        return cls(
            application=named(3),
            facility=named(4),
            receiver=named(5),
            receiver_facility=named(6),
            time=first(7) if _TIME.fullmatch(first(7)) else "",
            sent=first(7).strip(),
            kind=kind if _KIND.fullmatch(kind) else "",
            control_id=control_id,
            has_control_id=control_id == msh[10],
            processing=first(11).strip().upper(),
            version=version if _VERSION.fullmatch(version) else "2.3.1",
            is_version_known=not version or _VERSION.fullmatch(version) is not None,
            accept=msh[15],
            application_mode=msh[16],
            charset=first(18) if _CHARSET.fullmatch(first(18)) else "",
        )

    @property
    def event(self) -> str:
        """The trigger event alone: `R01`."""
        return self.kind[4:]

    @property
    def is_enhanced(self) -> bool:
        """Whether the sender names the acknowledgements that it wants."""
        return self.accept in _MODES or self.application_mode in _MODES

    def codes(self, verdict: Verdict) -> list[str]:
        """The acknowledgement codes that are due: none, one, or commit and application."""
        if not self.has_control_id:
            return []
        if not self.is_enhanced:
            return [_ORIGINAL[verdict]]
        asked = ((self.accept, _COMMIT), (self.application_mode, _ORIGINAL))
        return [table[verdict] for mode, table in asked if _is_due(mode, verdict)]


def _is_due(mode: str, verdict: Verdict) -> bool:
    """HL7 table 0155. A failed commit is told also to who wants to hear of success alone: its `CA` must not stand."""
    return mode == "AL" or (mode == "ER" and verdict != "accept") or (mode == "SU" and verdict != "reject")
