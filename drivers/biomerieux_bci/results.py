"""Messages `mtrsl`: fields of a two-letter code and a text, parted by `|`, into a result.

Read are the sample id, the test, time and date, the results, unit and calibration state, the instrument. Whose the
sample is (`pi`, `pn`, `pb`, `ps`, `so`), and who was at the device (`m4`), is read into nothing.
"""

import re
from typing import Self

from msgspec import Struct

from drivers.biomerieux_bci.options import Options
from drivers.contract import Fault
from drivers.observation import Result, Validity, Vendor
from drivers.profile import Profile
from drivers.results import Answers, Number, content_identity, read_number, status_untold

RESULT = "mtrsl"
_READ = frozenset(("ci", "rt", "rn", "tt", "td", "ql", "qn", "y3", "qd", "nc", "id", "sn"))
_NAME = "pn"
_NAME_LENGTH = 3
"""A shorter one is in many an id."""
_MEASURED = re.compile(r"((?:<=|>=|<|>)? *[+-]?[0-9][0-9.,]*) *(.*)", re.DOTALL)
_DATE = re.compile(r"([0-9]{1,4})[^0-9]([0-9]{1,2})[^0-9]([0-9]{1,4})")
_TIME = re.compile(r"([0-9]{1,2})[^0-9]([0-9]{2})")
_CENTURY_FROM = 70
"""Years of two digits from 70 are of the last century: a clock that was never set."""

_ANSWERS = Answers((), any_word=True)
"""`ql` is the result in the words of the device's language: any word is one."""
_CALIBRATION = {
    "": "",
    "valid": "",
    "lotexp": "reagent_expired",
    "calexp": "calibration_expired",
    "calinc": "calibration_incomplete",
    "contneff": "control_not_run",
    "conthnor": "control_out_of_range",
    "conthwst": "control_out_of_range",
}
"""`nc`, the state of calibration and controls, to the reason why a result is not plainly valid."""


class Record(Struct, frozen=True):
    """The fields of one result that are read."""

    fields: dict[str, str]
    is_named: bool
    """The sample id is the name of the patient."""
    flaw: str = ""
    """Why the result is not plainly one: `repeated_field`, `no_test_code`."""

    @classmethod
    def from_text(cls, text: str) -> Self | Fault:
        """The text of a message; a fault says why it holds no result."""
        kind, *parts = text.split("|")
        if kind != RESULT:
            return Fault("unknown_record", kind if re.fullmatch(r"mt[a-z]{1,6}", kind) else "")
        fields: dict[str, str] = {}
        name = flaw = ""
        for part in parts:
            code, content = part[:2], part[2:].strip()
            if code == _NAME:
                name = content
            elif code in fields:
                fields[code] += f"|{content}"
                flaw = "repeated_field"
            elif code in _READ:
                fields[code] = content
        if not fields.get("rt"):
            flaw = flaw or "no_test_code"
        return cls(fields, _holds_name(fields.get("ci", ""), name), flaw)

    def get(self, code: str) -> str:
        """A field, or nothing."""
        return self.fields.get(code, "")


def _holds_name(specimen: str, name: str) -> bool:
    """Laboratories type the name as sample id, or the sample's number as name: a number is no name."""
    if not any(letter.isalpha() for letter in name):
        return False
    folded = specimen.casefold()
    return folded == name.casefold() or (len(name) >= _NAME_LENGTH and name.casefold() in folded)


def read_result(record: Record, profile: Profile, options: Options) -> Result:
    """The result of a record."""
    test, words, told, state = (record.get(code) for code in ("rt", "ql", "qn", "nc"))
    specimen = "" if record.is_named else record.get("ci")
    number, unit = _read_value(told, decimal_comma=options.decimal_comma)
    if words:
        number = _ANSWERS.read_beside(words, read_number(words), number if told else None)
    vendor_unit = record.get("y3") or unit
    validity, reason = _judge(record, number, is_unit_clear=not unit or vendor_unit == unit)
    when = f"{record.get('td')} {record.get('tt')}".strip()
    metric = profile.by_code.get(test)
    return Result(
        metric=metric.mdc if metric else "",
        code=metric.mdc_code if metric else 0,
        vendor=Vendor(test, record.get("rn")),
        validity=validity,
        reason=reason,
        device_time=when,
        specimen=specimen,
        test=test,
        value=None if validity == "not_available" else number.value,
        answer="" if validity == "not_available" else number.answer,
        text=told or words,
        comparator=number.comparator,
        unit=options.units.get(vendor_unit, ""),
        vendor_unit=vendor_unit,
        flags=(words,) if words else (),
        status=status_untold(validity, reason),
        vendor_status=state,
        completed=_read_time(record, options.date_order),
        instrument=record.get("id"),
        comments=(f"qd{record.get('qd')}",) if record.get("qd") else (),
        purpose="qc" if specimen in options.qc_specimens or test in options.qc_tests else "patient",
        loinc=options.loinc.get(test, ""),
        identity=content_identity("\r".join((specimen, test, when, words, told, vendor_unit, state)), set()),
    )


def _read_value(text: str, *, decimal_comma: bool) -> tuple[Number, str]:
    """The number in `28.94 mUI/ml`, and the unit after it."""
    found = _MEASURED.fullmatch(text)
    figure, unit = (found[1], found[2].strip()) if found else (text, "")
    number = read_number(figure, decimal_comma=decimal_comma)
    return number, unit if number.value is not None else ""


def _judge(record: Record, number: Number, *, is_unit_clear: bool) -> tuple[Validity, str]:
    if record.flaw == "repeated_field":
        return "not_available", record.flaw
    if number.is_absent:
        return "not_available", number.reason
    if record.flaw:
        return "questionable", record.flaw
    calibration = _CALIBRATION.get(record.get("nc"), "unknown_status")
    if calibration:
        return "questionable", calibration
    if record.is_named:
        return "questionable", "specimen_is_a_name"
    if number.reason:
        return "questionable", number.reason
    return ("valid", "") if is_unit_clear else ("questionable", "unit_conflict")


def _read_time(record: Record, order: str) -> str:
    """`YYYYMMDDhhmm` where the order of the date is known; else empty, the text as sent stands in `device_time`."""
    date, time = _DATE.fullmatch(record.get("td")), _TIME.fullmatch(record.get("tt"))
    if not order or date is None or time is None:
        return ""
    parts = dict(zip(order, date.groups(), strict=True))
    year, month, day = (int(parts[letter]) for letter in "ymd")
    if year < 100:
        year += 1900 if year >= _CENTURY_FROM else 2000
    is_date = 1000 <= year <= 9999 and 1 <= month <= 12 and 1 <= day <= 31
    return f"{year:04d}{month:02d}{day:02d}{int(time[1]):02d}{time[2]}" if is_date else ""
