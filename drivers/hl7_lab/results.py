"""Results out of OBX segments (HL7 2.5, chapter 7, 7.4.2): what is a number, what a word, how far it is believed.

    OBX │ 1 │ NM 2 │ 6690-2^WBC^LN 3 │ sub id 4 │ 7.2 5 │ 10*3/uL 6 │ range 7 │ flags 8 │ │ │ F 11 │ … │ time 14 │ …

There is no checksum. A number is believed where the OBX holds together: a type of the standard that can be a number,
a status of table 0085 in its place, a unit that is none of the numbers beside it, and a test code that a row of the
profile or the laboratory vouches for; a word likewise, in a type that says that words are the result. Missing is not
0 and not normal, said in words is not missing.
"""

import re
from collections.abc import Iterator
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from drivers.framing.hl7 import Delimiters, Segment
from drivers.hl7_lab.envelope import Header
from drivers.hl7_lab.options import Options, Place, words
from drivers.hl7_lab.reports import Group, Order
from drivers.observation import Result, Validity, Vendor
from drivers.profile import Profile
from drivers.results import Answers, Comparator, Number, Numbers, Status, content_identity, read_number

CACHE_ENTRIES = 1024
CACHE_KEY_LENGTH = 256
"""A longer combination is read anew each time, so that the memory is bounded too."""
MAX_TEXT = 1000
"""A longer value is a blob by another name: it is named with its size."""
CONTROL = "\r"
"""In the place of OBX-11, where no OBX was sent: a control whose form was verified (no field can hold a CR)."""
_FIELDS = 19
_EMPTY = ("",) * _FIELDS

_TEXTS = frozenset(("ST", "TX", "FT"))
"""Types whose text may be a number."""
_WORDS = frozenset(
    ("CE", "CWE", "CNE", "CF", "ID", "IS", "CK", "CN", "CP", "CX", "DR", "DT", "DTM", "EI", "MO", "TM", "TS")
)
_BLOBS = frozenset(("ED", "RP", "AD", "PN", "TN", "XAD", "XCN", "XON", "XPN", "XTN"))
"""Images and pointers, and what names a person or an address: never read, named with its size."""
_BARE_NUMBER = re.compile(r"[-+]?[0-9.,]+")
_SIGNS: dict[str, Comparator] = {"": "", "=": "", "<": "<", ">": ">", "<=": "<=", ">=": ">="}
_NOTHING = Number(None, "", "")
_NOT_NUMERIC = Number(None, "", "not_numeric")
_NULL = '""'
"""HL7's word for a value that is to be deleted."""

_STATUS: dict[str, tuple[Status, Validity, str]] = {
    "F": ("final", "valid", ""),
    "C": ("corrected", "valid", ""),
    "P": ("preliminary", "valid", ""),
    "S": ("preliminary", "valid", ""),
    "R": ("preliminary", "valid", ""),
    "I": ("preliminary", "ongoing", "pending"),
    "D": ("cancelled", "not_available", "deleted"),
    "W": ("cancelled", "not_available", "posted_wrong"),
    "X": ("cancelled", "not_available", "cancelled"),
    "N": ("unknown", "not_available", "not_measured"),
    "O": ("unknown", "not_available", "no_result"),
    "U": ("final", "not_available", "status_change"),
    "": ("unknown", "questionable", "no_status"),
    CONTROL: ("unknown", "valid", ""),
}
"""OBX-11 (table 0085) to status, validity and reason. R: entered, not verified. U: only the status changes."""
_STATUS_OTHER: tuple[Status, Validity, str] = ("unknown", "questionable", "unknown_status")
_BY_PROCESSING = {"T": "training", "D": "debugging"}
_IN_EARNEST = frozenset(("P", "Q", ""))


class Traits(Struct, frozen=True):
    """What type, test, unit, flags and status of an OBX say together; a device repeats few combinations."""

    result: Result
    """All of the result that follows from them; the rest is filled in for each OBX."""
    kind: str
    beyond: Literal["", "overflow", "underflow"]
    """OBX-8 `>` or `<`: beyond what the device can measure."""
    is_bare: bool
    """NM: a number and nothing else."""
    is_whole: bool
    """The whole of OBX-5 is that number."""
    is_plain: bool
    """Nothing in them stands against a number or an answer."""
    is_worded: bool
    """The type says that words are the result."""
    comments: tuple[str, ...]
    """The test as it was sent, where no row knows it."""
    is_shown: bool
    """False: not published at all."""


class ResultReader:
    """Reads OBX segments for one device; keeps nothing of them but the combinations it has met."""

    def __init__(self, profile: Profile, options: Options) -> None:
        self._rows, self._options = profile.by_code, options
        self._known = {*self._rows, *words(options.tests), *options.loinc}
        self._omitted = frozenset(words(options.omit))
        self._masked, self._unreliable = words(options.masked_flags), words(options.unreliable_flags)
        self._code = tuple(Place.from_name(name) for name in options.code)
        self._instrument = Place.from_name(options.instrument)
        own = (Place.from_name(name) for name in options.completed)
        self._completed = tuple(place for place in own if place.segment == "OBX")
        self._words = {_NULL: "not_measured", **{word.upper(): reason for word, reason in options.words.items()}}
        self._component = options.value_component
        self._answers, self._answer_types = (
            Answers(words(options.answers), any_word=True),
            words(options.answer_types),
        )
        self._numbers = Numbers(self._read_bare)
        self._traits: dict[tuple[str, ...], Traits] = {}
        self._marks = Delimiters()

    def observe(
        self, group: Group, header: Header, order: Order, marks: Delimiters, met: set[str]
    ) -> Iterator[Result]:
        """The results of one order, but for the codes that are left out.

        `met` holds the identities of the message so far, and gets these.
        """
        self._use(marks)
        is_rehearsal = header.processing not in _IN_EARNEST
        for place, obx in enumerate(group.rows):
            fields = obx.fields
            if len(fields) < _FIELDS:
                fields += _EMPTY[len(fields) :]
            _, _, kind, test, sub_id, text, unit, limits, flags, _, _, letter, _, _, _, _, _, _, instrument, *_ = (
                fields
            )
            key = (kind, test, sub_id, unit, limits, flags, letter, instrument)
            traits = self._traits.get(key) or self._learn(key)
            if not traits.is_shown:
                continue
            seen = traits.result
            number = self._numbers.read(text) if traits.is_whole else self._number(text, traits, marks)
            is_plain = traits.is_plain and number.value is not None and not number.reason
            if not is_plain or is_rehearsal or (number.comparator and traits.is_bare):
                seen, number = _doubt(traits, number, header.processing)
            completed = (self._when(obx, marks) if self._completed else "") or order.completed
            when = completed or order.started or header.sent
            content = f"{order.specimen}\r{test}|{sub_id}\r{when}\r{text}\r{unit}\r{flags}\r{seen.status}"
            comments = traits.comments + order.comments
            if place in group.row_notes:
                comments += tuple(group.row_notes[place])
            if traits.kind == "blob" or len(text) > MAX_TEXT:
                comments += (f"{kind}, {len(text)} characters",)
                text = ""
            yield replace(
                seen,
                vendor=Vendor(seen.test, text),
                device_time=completed or header.sent,
                specimen=order.specimen,
                value=number.value,
                text=text,
                answer=number.answer,
                comparator=number.comparator,
                specimen_type=order.specimen_type,
                started=order.started,
                completed=completed,
                run=order.run,
                comments=comments,
                purpose="qc" if order.is_qc else "patient",
                identity=content_identity(content, met),
            )

    def _use(self, marks: Delimiters) -> None:
        """Fields are read by these marks from now on; what was learnt by others is forgotten."""
        if marks != self._marks:
            self._traits.clear()
            self._numbers.forget()
        self._marks = marks

    def _when(self, obx: Segment, marks: Delimiters) -> str:
        return next((found for place in self._completed if (found := place.read(obx, marks))), "")

    def _learn(self, key: tuple[str, ...]) -> Traits:
        type_name, test, sub_id, unit, limits, flags, letter, instrument = key
        marks = self._marks
        obx = Segment(("OBX", "", type_name, test, sub_id, "", unit, limits, flags, "", "", letter))
        parts = [text for place in self._code if (text := place.read(obx, marks))]
        code = "^".join(part for n, part in enumerate(parts) if n == 0 or part != parts[n - 1])
        unit = marks.unescape(marks.components(unit)[0]).strip()
        told = tuple(flag for flag in (marks.unescape(part).strip() for part in marks.repetitions(flags)) if flag)
        told_type = type_name.strip().upper()
        kind = _kind(told_type)
        status, validity, reason = self._judge(code, kind, letter.strip().upper() or letter, unit, told)
        beyond: Literal["", "overflow", "underflow"]
        beyond = "overflow" if ">" in told else "underflow" if "<" in told else ""
        row = self._rows.get(code)
        result = Result(
            metric=row.mdc if row else "",
            code=row.mdc_code if row else 0,
            validity=validity,
            reason=reason,
            specimen="",
            test=code,
            value=None,
            unit=self._options.units.get(unit, ""),
            vendor_unit=unit,
            reference_range=marks.unescape(limits).strip(),
            flags=told,
            status=status,
            vendor_status="" if letter == CONTROL else letter,
            instrument=self._instrument.read(Segment(("",) * self._instrument.field + (instrument,)), marks),
            reagent_lot=self._lot(instrument),
            loinc=self._options.loinc.get(code, ""),
            identity="",
        )
        sent = f"{test}|{sub_id}" if sub_id else test
        is_known = code in self._known or len(sent) > MAX_TEXT
        traits = Traits(
            result=result,
            kind=kind,
            beyond=beyond,
            is_bare=kind == "NM",
            is_whole=kind == "NM" and not self._component,
            is_plain=validity == "valid" and not beyond,
            is_worded=told_type in self._answer_types,
            comments=() if is_known else (f"OBX-3 {marks.unescape(sent)}",),
            is_shown=code not in self._omitted,
        )
        if len(self._traits) >= CACHE_ENTRIES:
            self._traits.clear()
        if sum(map(len, key)) <= CACHE_KEY_LENGTH:
            self._traits[key] = traits
        return traits

    def _judge(
        self, code: str, kind: str, letter: str, unit: str, flags: tuple[str, ...]
    ) -> tuple[Status, Validity, str]:
        """Status, validity and reason before the value is looked at: the most cautious word counts."""
        status, validity, reason = _STATUS.get(letter, _STATUS_OTHER)
        if not letter and self._options.only_with_status:
            return status, "not_available", "not_a_result"
        if not letter and self._options.status_optional:
            validity, reason = "valid", ""
        if validity == "not_available":
            return status, validity, reason
        if kind == "blob":
            return status, "not_available", "not_decoded"
        if kind == "unknown":
            return status, "not_available", "unknown_type"
        if any(flag in self._masked for flag in flags):
            return "questionable", "not_available", "masked"
        if any(flag in self._unreliable for flag in flags):
            return "questionable", "questionable", "unreliable"
        if _BARE_NUMBER.fullmatch(unit):  # the fields have moved
            return status, "questionable", "unit"
        if not code:
            return status, "questionable", "no_test_code"
        if validity == "valid" and code not in self._known:
            return status, "questionable", "unknown_test"
        return status, validity, reason

    def _lot(self, instrument: str) -> str:
        """The lot of the reagent, where it is one of the repetitions."""
        parts, at = self._marks.repetitions(instrument), self._options.lot_repetition
        return self._marks.unescape(parts[at - 1]).strip() if 0 < at <= len(parts) else ""

    def _number(self, text: str, traits: Traits, marks: Delimiters) -> Number:
        kind = traits.kind
        if kind in ("blob", "unknown") or len(text) > MAX_TEXT:
            return _NOTHING
        if kind == "SN":
            return self._structured(text, marks)
        number = self._two_parts(text, marks) if self._component else self._numbers.read(text)
        is_foreign = (kind == "words" and number.value is not None) or (
            number.comparator and not self._options.has_comparators
        )
        if is_foreign:
            return Number(None, "", "not_numeric", number.answer)
        return self._said(text, number, kind, marks) if traits.is_worded and not self._component else number

    def _two_parts(self, text: str, marks: Delimiters) -> Number:
        """A word, and a number in a component of its own."""
        parts = marks.components(text)
        figure = parts[self._component - 1] if self._component <= len(parts) else ""
        said = self._numbers.read(parts[0])
        word = marks.unescape(parts[0])
        return self._answers.read_beside(word, said, self._numbers.read(figure) if figure.strip() else None)

    def _said(self, text: str, number: Number, kind: str, marks: Delimiters) -> Number:
        """The words of a text of one part, or the name of a code; several values in one are no answer."""
        parts = marks.components(text)
        if len(marks.repetitions(text)) > 1 or (kind == "text" and len(parts) > 1):
            return number
        word = (parts[1:2] + parts)[0] if kind == "words" else text
        return self._answers.read(marks.unescape(word or parts[0]), number)

    def _read_bare(self, text: str) -> Number:
        text = self._marks.unescape(text)
        number = read_number(text, decimal_comma=self._options.decimal_comma)
        if number.value is None and (reason := self._words.get(text.strip().upper())):
            return Number(None, "", reason)
        return number

    def _structured(self, text: str, marks: Delimiters) -> Number:
        """SN: comparator, number, separator, second number. A range or a ratio is no number."""
        sign, figure, *rest = (*marks.components(text), "", "")
        sign = marks.unescape(sign).strip()
        if any(rest):
            return _NOT_NUMERIC
        if sign not in _SIGNS:
            return _NOT_NUMERIC
        number = self._numbers.read(figure)
        if number.comparator:
            return _NOT_NUMERIC
        return Number(number.value, _SIGNS[sign], number.reason) if number.value is not None else number


def _kind(name: str) -> str:
    """How a type (OBX-2) is read: `NM`, `SN`, `text`, `words`, `blob`, or `unknown`."""
    if name in ("NM", "SN"):
        return name
    if name in _TEXTS:
        return "text"
    if name in _WORDS:
        return "words"
    return "blob" if name in _BLOBS else "unknown"


def _doubt(traits: Traits, number: Number, processing: str) -> tuple[Result, Number]:
    """The most cautious word about a number or an answer, or the reason why there is neither."""
    seen = traits.result
    rehearsal = "" if processing in _IN_EARNEST else _BY_PROCESSING.get(processing, "unknown_processing")
    is_doubted = bool(number.reason) and not number.is_absent and seen.validity != "not_available"
    if seen.status != "cancelled" and (rehearsal or number.reason == "masked" or is_doubted):
        seen = replace(seen, status="questionable")
    if seen.validity == "not_available":
        return seen, _NOTHING
    if number.is_absent:
        return replace(seen, validity="not_available", reason=number.reason or "not_decoded"), _NOTHING
    if rehearsal:
        return replace(seen, validity="questionable", reason=rehearsal), number
    if is_doubted and seen.validity in ("valid", "ongoing"):
        return replace(seen, validity="questionable", reason=number.reason), number
    if seen.validity != "valid":
        return seen, number
    if number.comparator and traits.is_bare:  # no NM has one: a damaged digit, or a device that bends the type
        return replace(seen, validity="questionable", reason="comparator_in_number"), number
    if traits.beyond and number.value is not None and not number.comparator:
        reason = "out_of_range_high" if traits.beyond == "overflow" else "out_of_range_low"
        return replace(seen, validity=traits.beyond, reason=reason), number
    return seen, number
