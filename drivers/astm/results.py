"""Results out of R records (E1394-97 section 9, R): what is a number, what is not, and how far it may be believed.

Missing is not 0 and not normal; what the device withholds, doubts or could not do is never final.
"""

import re
from decimal import Decimal
from hashlib import sha256
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from drivers.astm.options import Options
from drivers.astm.records import Delimiters, Header, Order
from drivers.observation import Result, Validity, Vendor
from drivers.profile import Profile

Comparator = Literal["", "<", ">", "<=", ">="]
Status = Literal["final", "preliminary", "corrected", "cancelled", "questionable", "unknown"]

CACHE_ENTRIES = 1024
CACHE_KEY_BYTES = 256
"""A longer combination is read anew each time, so that the memory is bounded too."""
_FIELDS = 14
_IDENTITY_DIGITS = 32

_DIGITS = r"[0-9]{1,20}(?:%s[0-9]{1,20})?"
_NUMBER = r"(<=|>=|<|>)? *([+-]?(?:%s)(?:[eE][+-]?[0-9]{1,2})?)"
_POINT = re.compile(_NUMBER % (_DIGITS % r"\." + r"|\.[0-9]{1,20}"))
_COMMA = re.compile(_NUMBER % (_DIGITS % ","))
_SIGNS: dict[str, Comparator] = {"": "", "<": "<", ">": ">", "<=": "<=", ">=": ">="}
_DASHES = re.compile(r"[-. ]*-[-. ]*")
_WORDS = {
    "": "not_measured",
    "NA": "not_measured",
    "N/A": "not_measured",
    "NO RESULT": "no_result",
    "INVALID": "invalid",
    "ERROR": "invalid",
}

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


class Number(Struct, frozen=True):
    """What a value field holds: a number, or None and the reason."""

    value: Decimal | None
    comparator: Comparator
    reason: str


def read_number(text: str, *, decimal_comma: bool = False) -> Number:
    """Read a value field; whatever is not plainly one number has none."""
    bare = text.strip()
    found = (_COMMA if decimal_comma else _POINT).fullmatch(bare)
    if found:
        sign, digits = found.groups("")
        return Number(Decimal(digits.replace(",", ".")), _SIGNS[sign], "")
    if "*" in bare:
        return Number(None, "", "masked")
    if _DASHES.fullmatch(bare):
        return Number(None, "", "not_measured")
    return Number(None, "", _WORDS.get(bare.upper(), "not_numeric"))


class Traits(Struct, frozen=True):
    """What test, unit, flags and status of an R record say together; a device repeats few combinations."""

    result: Result
    """All of the result that follows from them; the rest is filled in for each record."""
    beyond: Literal["", "overflow", "underflow"]
    """R-7 `>` or `<`: beyond what the device can measure."""
    is_plain: bool
    """Nothing in them stands against a number."""


class ResultReader:
    """Reads R records for one device; keeps nothing of them but the combinations it has met."""

    def __init__(self, profile: Profile, options: Options) -> None:
        self._profile, self._options = profile, options
        self._traits: dict[tuple[str, str, str, str], Traits] = {}
        self._signs: Delimiters | None = None

    def observe_result(
        self, record: str, header: Header, order: Order, comments: tuple[str, ...], met: set[str]
    ) -> Result:
        """The result of one R record. `met` holds the identities of its message so far, and gets this one."""
        signs = header.delimiters
        fields = record.split(signs.field)
        if len(fields) < _FIELDS:
            fields += [""] * (_FIELDS - len(fields))
        _, _, test, text, unit, reference_range, flags, _, letter, _, _, started, completed, instrument, *_ = fields
        status_word = letter.strip() or (order.report_type if self._options.status_from_order else "")
        traits = self._recall(test, unit, flags, status_word, signs)
        number = read_number(signs.unescape(text), decimal_comma=self._options.decimal_comma)
        seen = traits.result
        if number.value is None or not traits.is_plain or header.processing in _BY_PROCESSING:
            seen, number = _doubt(traits, number, header.processing)
        completed, started = completed.strip(), started.strip()
        when = completed or started or header.sent
        return replace(
            seen,
            device_time=completed or header.sent,
            specimen=order.specimen,
            value=number.value,
            text=text,
            comparator=number.comparator,
            reference_range=reference_range,
            vendor_status=letter,
            specimen_type=order.specimen_type,
            started=started,
            completed=completed,
            instrument=signs.unescape(instrument).strip(),
            comments=comments,
            purpose="qc" if order.is_qc or header.processing == "Q" else "patient",
            identity=_identity(f"{order.specimen}\r{test}\r{when}\r{text}\r{seen.status}", met),
        )

    def _recall(self, test: str, unit: str, flags: str, letter: str, signs: Delimiters) -> Traits:
        if signs != self._signs:
            self._signs = signs
            self._traits.clear()
        key = (test, unit, flags, letter)
        known = self._traits.get(key)
        if known is None:
            known = self._learn(test, unit, flags, letter, signs)
            if len(self._traits) >= CACHE_ENTRIES:
                self._traits.clear()
            if sum(map(len, key)) <= CACHE_KEY_BYTES:
                self._traits[key] = known
        return known

    def _learn(self, test: str, unit: str, flags: str, letter: str, signs: Delimiters) -> Traits:
        code = _test_code(test, self._options.test_component, signs)
        metric = self._profile.by_code.get(code)
        unit = signs.unescape(unit).strip()
        marks = tuple(mark for mark in (signs.unescape(part).strip() for part in flags.split(signs.repeat)) if mark)
        status, validity, reason = _STATUS.get(letter.strip().upper(), _STATUS_OTHER)
        if status != "cancelled":
            if not code:
                validity, reason = "questionable", "no_test_code"
            if any(mark in self._options.unreliable_flags for mark in marks):
                status, validity, reason = "questionable", "questionable", "unreliable"
            if any(mark in self._options.masked_flags for mark in marks):
                status, validity, reason = "questionable", "not_available", "masked"
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
            unit=self._options.units.get(unit, ""),
            vendor_unit=unit,
            flags=marks,
            status=status,
            loinc=str(metric.extra.get("loinc", "")) if metric else "",
            identity="",
        )
        return Traits(result, beyond, is_plain=validity == "valid" and not beyond)


def _doubt(traits: Traits, number: Number, processing: str) -> tuple[Result, Number]:
    """The most cautious word about a number, or the reason why there is none."""
    seen, nothing = traits.result, Number(None, "", "")
    rehearsal = _BY_PROCESSING.get(processing, "")
    if seen.status != "cancelled" and (rehearsal or number.reason == "masked"):
        seen = replace(seen, status="questionable")
    if seen.validity == "not_available":
        return seen, nothing
    if number.value is None:
        return replace(seen, validity="not_available", reason=number.reason), nothing
    if rehearsal:
        return replace(seen, validity="questionable", reason=rehearsal), number
    if traits.beyond and not number.comparator and seen.validity == "valid":
        reason = "out_of_range_high" if traits.beyond == "overflow" else "out_of_range_low"
        return replace(seen, validity=traits.beyond, reason=reason), number
    return seen, number


def _test_code(test: str, number: int, signs: Delimiters) -> str:
    """The maker's code in R-3; where its component is empty, the first that is not."""
    code = signs.component_of(test, number)
    if code:
        return code
    parts = (signs.unescape(part).strip() for part in test.split(signs.component))
    return next((part for part in parts if part), "")


def _identity(content: str, met: set[str]) -> str:
    """Digest of what makes a result this one. Equal results of one message (replicates) are told apart by count."""
    digest = sha256(content.encode()).hexdigest()[:_IDENTITY_DIGITS]
    count = 1
    while digest in met:
        count += 1
        digest = sha256(f"{content}\r{count}".encode()).hexdigest()[:_IDENTITY_DIGITS]
    met.add(digest)
    return digest
