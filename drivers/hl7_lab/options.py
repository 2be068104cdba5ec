"""What differs between the analyzers of this protocol, as data: a profile sets it, the configuration may too.

A *place* names what a message holds, as the standard numbers it: `OBR-3` a field, `SPM-2.1` a component of it,
`OBX-3.1.2` a subcomponent.
"""

import re
from typing import Annotated, Literal, Self

from msgspec import Meta, Struct, field

from drivers.framing.hl7 import Delimiters, Segment
from drivers.results import Absence, is_loinc, require_patterns

PLACE = r"^[A-Z][A-Z0-9]{2}-[1-9][0-9]?(\.[1-9][0-9]?){0,2}$"
PlaceName = Annotated[str, Meta(pattern=PLACE)]
Words = tuple[str, ...] | str


class Place(Struct, frozen=True):
    """A place, taken apart; component and subcomponent 0: all of it."""

    segment: str
    field: int
    component: int = 0
    subcomponent: int = 0

    @classmethod
    def from_name(cls, name: str) -> Self:
        """Of a name that has the form of `PLACE`."""
        segment, *numbers = re.split(r"[-.]", name)
        return cls(segment, *map(int, numbers))

    def read(self, segment: Segment, marks: Delimiters) -> str:
        """What stands there, meant and without padding; empty where there is nothing."""
        text = segment[self.field]
        if text and self.component:
            text = _part(marks.components(text), self.component)
            if text and self.subcomponent:
                text = _part(marks.subcomponents(text), self.subcomponent)
        return marks.unescape(text).strip() if text else ""


def _part(parts: tuple[str, ...], number: int) -> str:
    return parts[number - 1] if number <= len(parts) else ""


def words(found: Words) -> tuple[str, ...]:
    """Several words; the command line gives a single one as a text."""
    return (found,) if isinstance(found, str) else found


def _identity() -> dict[str, PlaceName]:
    return {"application": "MSH-3.1", "facility": "MSH-4.1"}


def _qc() -> dict[PlaceName, Words]:
    return {"MSH-11.1": ("Q",), "SPM-11.1": ("B", "C", "E", "F", "O", "Q", "V")}


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """Engine options of the `hl7_lab` driver."""

    encoding: Literal["", "utf-8", "iso-8859-1", "cp1252", "gb18030"] = ""
    """Of the messages; empty: UTF-8 where the bytes are that, else ISO 8859-1."""
    senders: Words = ()
    """Words of MSH-3 or MSH-4; a message that names another sender is refused. Empty: anybody."""
    answer: Literal["hl7", "mindray_chemistry"] = "hl7"
    """The form of the acknowledgement; Mindray's chemistry analyzers count its fields."""
    plain_ack: bool = False
    """MSH-9 of the acknowledgement is `ACK` alone, without the event."""
    query: Literal["none", "orr", "qck", "rsp"] = "none"
    """How this family is told that there is no order for it: `ORR^O02`, `QCK^Q02` or an empty `RSP^Z02`."""

    code: tuple[PlaceName, ...] = ("OBX-3.1",)
    """Where the maker's test code stands; several are joined by `^`, but for one that repeats."""
    specimen: tuple[PlaceName, ...] = ("SPM-2.1", "SAC-3.1", "OBR-3.1", "OBR-2.1")
    """Where the specimen id stands; the first that is not empty counts."""
    specimen_type: tuple[PlaceName, ...] = ("SPM-4.1", "OBR-15.1")
    run: tuple[PlaceName, ...] = ()
    """The device's own number of the run; the first that is not empty counts."""
    started: tuple[PlaceName, ...] = ("OBR-7.1",)
    completed: tuple[PlaceName, ...] = ("OBX-19.1", "OBX-14.1")
    instrument: PlaceName = "OBX-18"
    lot_repetition: Annotated[int, Meta(ge=0, le=9)] = 0
    """Repetition of `instrument` that is the lot of the reagent; 0: there is none."""
    identity: dict[str, PlaceName] = field(default_factory=_identity)
    """What MSH tells of the device."""

    value_component: Annotated[int, Meta(ge=0, le=9)] = 0
    """Component of OBX-5 that holds the number, where the first holds a word; 0: OBX-5 is one value."""
    answer_types: Words = ("ST", "CE", "CWE")
    """Types (OBX-2) whose words are a result; of a code its name (second component), or else the code."""
    answers: Words = ()
    """Words that are a result: regular expressions, each for the whole word in any case; others are doubted.

    Where there are none, every word of these types is one.
    """
    decimal_comma: bool = False
    """The device prints `1,5`; then a point is not a decimal sign."""
    has_comparators: bool = True
    """`<` and `>` may stand before a number in a text (ST); false where the device tells them in OBX-8."""
    only_with_status: bool = False
    """An OBX without OBX-11 is a detail and no result."""
    status_optional: bool = False
    """The device leaves OBX-11 empty; that is no reason for doubt then."""
    words: dict[str, Absence] = {}
    """Texts in the place of a value, in the device's language, and what they mean."""
    masked_flags: Words = ()
    """OBX-8 flags with which the device withholds the result."""
    unreliable_flags: Words = ()
    """OBX-8 flags with which the device doubts the result."""
    order_notes: bool = False
    """Notes on the order (NTE after OBR) are the device's own messages and go with each of its results."""
    omit: Words = ()
    """Test codes that are never published, such as a patient's age or a free remark."""

    units: dict[str, str] = {}
    """The device's unit to UCUM; a unit that is not here is published as the device's word alone."""
    tests: Words = ()
    """Test codes, beside the profile's rows, that the laboratory has checked on this analyzer."""
    loinc: dict[str, str] = {}
    """The laboratory's own mapping: test code to LOINC."""

    qc: dict[PlaceName, Words] = field(default_factory=_qc)
    """Where a message says that its results are quality control, and with which words (HL7 tables 0103, 0369)."""
    qc_specimen_prefix: str = ""
    """Specimen ids that begin so are quality control."""
    qc_in_order: bool = False
    """A control has no OBX: test, value and unit stand in OBR-2, OBR-20 and OBR-21 (Mindray chemistry)."""
    unread: dict[PlaceName, Words] = {}
    """Messages that are refused unread, such as calibrations, and by what they are known."""

    def __post_init__(self) -> None:
        """Raises ValueError for a LOINC code that cannot be one, and for a pattern that is none."""
        require_patterns(words(self.answers))
        wrong = [code for code in self.loinc.values() if not is_loinc(code)]
        if wrong:
            raise ValueError(f"no LOINC code (form or check digit): {', '.join(wrong)}")
