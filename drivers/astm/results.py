"""Results out of R records (E1394-97 section 9, R): what is a number, what is a word, how far it may be believed.

Missing is not 0 and not normal, said in words is not missing; what the device withholds, doubts or could not do is
never final.
"""

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from drivers.astm.options import Options
from drivers.astm.records import Delimiters, Header, Order
from drivers.observation import Result, Validity, Vendor
from drivers.profile import Metric, Profile
from drivers.results import Answers, Number, Numbers, Status, content_identity, read_number

CACHE_ENTRIES = 1024
CACHE_KEY_BYTES = 256
"""A longer combination is read anew each time, so that the memory is bounded too."""
_FIELDS = 14
"""Fields of an R record that are read; what was left out at its end is empty."""

_STATUS: dict[str, tuple[Status, Validity, str]] = {
    "": ("unknown", "valid", ""),
    "F": ("final", "valid", ""),
    "V": ("final", "valid", ""),
    "R": ("final", "valid", ""),
    "Q": ("final", "valid", ""),
    "C": ("corrected", "valid", ""),
    "P": ("preliminary", "valid", ""),
    "S": ("preliminary", "valid", ""),
    "I": ("preliminary", "ongoing", "pending"),
    "X": ("cancelled", "not_available", "cancelled"),
    "W": ("questionable", "questionable", "unreliable"),
}
"""R-9 to status, validity and reason. R and Q are results sent before: the same version, not a new one."""
_STATUS_OTHER: tuple[Status, Validity, str] = ("unknown", "questionable", "unknown_status")
_BY_PROCESSING: dict[str, str] = {"T": "training", "D": "debugging"}
_NOTHING = Number(None, "", "")
_STANDARD = Delimiters("|", "\\", "^", "&")


class Traits(Struct, frozen=True):
    """What all of an R record but value and times says; a device repeats few combinations."""

    result: Result
    """All of the result that follows from it; the rest is filled in for each record."""
    beyond: Literal["", "overflow", "underflow"]
    """R-7 `>` or `<`: beyond what the device can measure."""
    is_plain: bool
    """Nothing in it stands against a number or an answer."""


class ResultReader:
    """Reads R records for one device; keeps nothing of them but the combinations and numbers it has met."""

    def __init__(self, profile: Profile, options: Options) -> None:
        self._profile, self._options = profile, options
        self._traits: dict[tuple[str, ...], Traits] = {}
        self._numbers = Numbers(self._read_value)
        self._answers = Answers(options.answers)
        self._words = {word.upper(): reason for word, reason in options.words.items()}
        self._signs = _STANDARD
        self._padding = _STANDARD.field * _FIELDS

    def observe_result(
        self, record: str, header: Header, order: Order, comments: tuple[str, ...], met: set[str], above: str = ""
    ) -> Result:
        """The result of one R record. `met` holds the identities of its message so far, and gets this one.

        `above` is when the result was completed of which this record is a detail.
        """
        signs = header.delimiters
        if signs is not self._signs:
            self._use(signs)
        fields = (record + self._padding).split(signs.field, _FIELDS)
        _, _, test, text, unit, limits, flags, _, letter, _, _, started, completed, instrument, _ = fields
        key = (test, unit, limits, flags, letter, instrument, order.report_type)
        traits = self._traits.get(key) or self._learn(key)
        number = self._numbers.read(text)
        seen = traits.result
        is_plain = traits.is_plain and number.value is not None and not number.reason
        if not is_plain or order.is_unread or header.processing in _BY_PROCESSING:
            seen, number = _doubt(traits, number, order, header.processing)
        completed, started = completed.strip(), started.strip()
        reported = completed or above or order.reported or header.sent
        when = completed or started or reported
        content = f"{order.specimen}\r{test}\r{when}\r{text}\r{unit}\r{flags}\r{seen.status}"
        return replace(
            seen,
            device_time=reported,
            specimen=order.specimen,
            value=number.value,
            text=text,
            answer=number.answer,
            comparator=number.comparator,
            specimen_type=order.specimen_type,
            started=started,
            completed=completed,
            run=order.run,
            comments=comments,
            purpose="qc" if order.is_qc or header.processing == "Q" else "patient",
            identity=content_identity(content, met),
        )

    def _use(self, signs: Delimiters) -> None:
        """Fields are read by these signs from now on; what was learnt by others is forgotten."""
        if signs != self._signs:
            self._traits.clear()
            self._numbers.forget()
        self._signs, self._padding = signs, signs.field * _FIELDS

    def _read_value(self, text: str) -> Number:
        """R-4, by what the profile says that stands in it."""
        options, signs = self._options, self._signs
        first, *others = (signs.unescape(part) for part in text.split(signs.component))
        if options.image_prefix and first.strip().startswith(options.image_prefix):
            return Number(None, "", "image_name")
        if options.value == "whole":
            whole = signs.unescape(text)
            return self._answers.read(whole, self._read_part(whole))
        if len(others) > 1:
            return Number(None, "", "not_numeric")
        second = others[0] if others else ""
        if options.value == "number_message":
            return Number(None, "", "two_part") if second.strip() else self._read_part(first)
        return self._answers.read_beside(
            first, self._read_part(first), self._read_part(second) if second.strip() else None
        )

    def _read_part(self, text: str) -> Number:
        number = read_number(text, decimal_comma=self._options.decimal_comma)
        reason = self._words.get(text.strip().upper()) if number.value is None else None
        return Number(None, "", reason) if reason else number

    def _learn(self, key: tuple[str, ...]) -> Traits:
        test, unit, limits, flags, letter, instrument, report_type = key
        options, signs = self._options, self._signs
        code = _test_code(test, options, signs)
        metric = self._profile.by_code.get(code)
        unit = signs.unescape(unit).strip()
        marks = tuple(mark for mark in signs.repeats_of(flags) if mark)
        ucum = self._ucum(code, unit)
        word = letter.strip().upper()
        told = word or report_type * options.status_from_order
        status, validity, reason = self._judge(
            told, marks, code, is_message=self._is_message(code, metric, unit, marks)
        )
        if status != "cancelled":
            if unit in options.no_units and not ucum:
                validity, reason = "not_available", "unit_unknown"
            if options.status_required and not word:
                validity, reason = "not_available", "not_a_result"
        beyond: Literal["", "overflow", "underflow"]
        beyond = "overflow" if ">" in marks else "underflow" if "<" in marks else ""
        result = Result(
            metric=metric.mdc if metric else "",
            code=metric.mdc_code if metric else 0,
            vendor=Vendor(code, test),
            validity=validity,
            reason=reason,
            specimen="",
            test=code,
            value=None,
            unit=ucum,
            vendor_unit=unit,
            reference_range=limits,
            flags=marks,
            status=status,
            vendor_status=letter,
            instrument=signs.unescape(instrument).strip(),
            reagent_lot=signs.component_of(instrument, options.lot_component) if options.lot_component else "",
            loinc=options.loinc.get(code, ""),
            identity="",
        )
        return self._keep(key, Traits(result, beyond, is_plain=validity == "valid" and not beyond))

    def _ucum(self, code: str, unit: str) -> str:
        options = self._options
        known = options.units.get(unit, "")
        is_none = not unit or unit in options.no_units
        return known or (options.test_units.get(code, "") if is_none else "")

    def _is_message(self, code: str, metric: Metric | None, unit: str, marks: tuple[str, ...]) -> bool:
        """Not a measurement: no row in the table, and either the ending of a message or its flag without a unit."""
        ends_so = bool(self._options.message_suffix) and code.endswith(self._options.message_suffix)
        has_flag = not unit and any(mark in self._options.message_flags for mark in marks)
        return metric is None and (ends_so or has_flag)

    def _judge(
        self, word: str, marks: tuple[str, ...], code: str, *, is_message: bool
    ) -> tuple[Status, Validity, str]:
        """Status, validity and reason out of status and flags; the last rule that holds decides."""
        options = self._options
        status, validity, reason = _STATUS.get(word, _STATUS_OTHER)
        if status == "cancelled":
            return status, validity, reason
        if is_message:
            return status, "not_available", "message"
        if not code:
            validity, reason = "questionable", "no_test_code"
        if options.plain_flags and any(mark not in options.plain_flags for mark in marks):
            status, validity, reason = "questionable", "questionable", "unknown_flag"
        if any(mark in options.unreliable_flags for mark in marks):
            status, validity, reason = "questionable", "questionable", "unreliable"
        if any(mark in options.masked_flags for mark in marks):
            status, validity, reason = "questionable", "not_available", "masked"
        return status, validity, reason

    def _keep(self, key: tuple[str, ...], traits: Traits) -> Traits:
        if len(self._traits) >= CACHE_ENTRIES:
            self._traits.clear()
        if sum(map(len, key)) <= CACHE_KEY_BYTES:
            self._traits[key] = traits
        return traits


def withhold(seen: Result, reason: str, met: set[str]) -> Result:
    """The result as raw text: no value, never final, and another identity than the result itself."""
    return replace(
        seen,
        metric="",
        code=0,
        loinc="",
        unit="",
        value=None,
        answer="",
        comparator="",
        validity="not_available",
        reason=reason,
        status="questionable",
        identity=content_identity(f"{reason}\r{seen.identity}", met),
    )


def _doubt(traits: Traits, number: Number, order: Order, processing: str) -> tuple[Result, Number]:
    """The most cautious word about a number or an answer, or the reason why there is neither."""
    seen = traits.result
    rehearsal = _BY_PROCESSING.get(processing, "") or ("specimen_unread" if order.is_unread else "")
    is_doubted = bool(number.reason) and not number.is_absent and seen.validity != "not_available"
    if seen.status != "cancelled" and (rehearsal or number.reason == "masked" or is_doubted):
        seen = replace(seen, status="questionable")
    if seen.validity == "not_available":
        return seen, _NOTHING
    if number.is_absent:
        return replace(seen, validity="not_available", reason=number.reason), _NOTHING
    if rehearsal:
        return replace(seen, validity="questionable", reason=rehearsal), number
    if is_doubted:
        is_first = seen.validity in ("valid", "ongoing")
        return (replace(seen, validity="questionable", reason=number.reason) if is_first else seen), number
    if traits.beyond and number.value is not None and not number.comparator and seen.validity == "valid":
        reason = "out_of_range_high" if traits.beyond == "overflow" else "out_of_range_low"
        return replace(seen, validity=traits.beyond, reason=reason), number
    return seen, number


def _test_code(test: str, options: Options, signs: Delimiters) -> str:
    """The maker's code in R-3; where its components are empty, the first that is not."""
    parts = [signs.unescape(part).strip() for part in test.split(signs.component)]
    told = [parts[number - 1] for number in options.test_components if number <= len(parts)]
    code = "^".join(part for part in told if part) or next((part for part in parts if part), "")
    if not options.test_separator:
        return code
    pieces = code.split(options.test_separator)
    return pieces[options.test_part - 1].strip() if options.test_part <= len(pieces) else code
