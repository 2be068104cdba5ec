"""Results out of the fields of a message: what is a number, what is not, and whose it is.

Missing is not 0 and not normal. The name of the patient is read into nothing.
"""

import re
from typing import Literal

from msgspec.structs import replace

from drivers.contract import Fault
from drivers.horiba_abx.frames import Message, Value
from drivers.horiba_abx.options import Options
from drivers.observation import Result, Validity, Vendor
from drivers.profile import Metric, Profile
from drivers.results import Number, content_identity, read_number

Purpose = Literal["patient", "qc"]
_PURPOSES: dict[str, Purpose] = {"RESULT": "patient", "RES-RR": "patient", "QC-RES": "qc"}
_DOUBTED = "*"
_PLAIN_FLAGS = frozenset("lLhH ")
"""Below and above the limits; what any other flag means is not known, and a damaged asterisk looks like one."""
_ABOUT_THE_SAMPLE = re.compile(r"[PSWXY\]_-\xff]")
"""Identifiers that are no results in the messages seen in public: the sample, its patient, alarms, curves, limits."""
_RAW = re.compile(r" {0,4}[0-9.]*[0-9][0-9.]*")
_FLAG_WIDTH = 2


def read_results(message: Message, profile: Profile, options: Options) -> list[Result] | Fault:
    """All results of a message, or why it has none: its type is not known, or one of its results is no result."""
    purpose = _PURPOSES.get(message.kind)
    if purpose is None:
        return Fault("unknown_type")
    told = message.fields.get(options.specimen_field)
    specimen = (told or "").strip()
    when = message.fields.get(options.time_field, "").strip()
    found: list[Result] = []
    met: set[str] = set()
    for code, text in message.fields.items():
        metric, value = profile.by_code.get(code), Value.from_field(text)
        if value is None:
            if metric is not None:
                return Fault("layout", code, rejected=True)
            continue
        if metric is not None or _is_result(code, value):
            about = specimen, when, message.kind, purpose
            found.append(_observe(code, metric, value, about, options.loinc.get(code, ""), met))
    return found if told is not None else [_doubt(result) for result in found]


def _doubt(result: Result) -> Result:
    """Whose it is was not told at all (an empty field is told): a damaged identifier looks like this."""
    if result.validity != "valid":
        return result
    return replace(result, validity="questionable", reason="no_specimen", status="questionable")


def _is_result(code: str, value: Value) -> bool:
    """An identifier without a row whose field is built like a result: it is published raw."""
    is_number = _RAW.fullmatch(value.text) is not None and len(value.flags) == _FLAG_WIDTH
    return is_number and not _ABOUT_THE_SAMPLE.fullmatch(code)


def _observe(
    code: str, metric: Metric | None, value: Value, about: tuple[str, str, str, Purpose], loinc: str, met: set[str]
) -> Result:
    specimen, when, kind, purpose = about
    number = read_number(value.text)
    validity, reason = _judge(number, value.flags, is_known=metric is not None)
    return Result(
        metric=metric.mdc if metric else "",
        code=metric.mdc_code if metric else 0,
        vendor=Vendor(code, value.text),
        validity=validity,
        reason=reason,
        device_time=when,
        specimen=specimen,
        test=code,
        value=None if validity == "not_available" else number.value,
        text=value.text,
        unit=metric.unit if metric else "",
        flags=tuple(value.flags.split()),
        status="questionable" if validity == "questionable" or reason == "masked" else "unknown",
        vendor_status=kind,
        purpose=purpose,
        loinc=loinc,
        identity=content_identity("\r".join((specimen, code, when, kind, value.text, value.flags)), met),
    )


def _judge(number: Number, flags: str, *, is_known: bool) -> tuple[Validity, str]:
    if number.value is None:
        return "not_available", number.reason
    if not is_known:
        return "not_available", "unit_unknown"
    if _DOUBTED in flags:
        return "questionable", "unreliable"
    return ("valid", "") if _PLAIN_FLAGS.issuperset(flags) else ("questionable", "unknown_flag")
