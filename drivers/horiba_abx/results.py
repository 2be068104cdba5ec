"""Results out of the fields of a message: what is a number, what is not, and whose it is.

Missing is not 0 and not normal. The name of the patient is read into nothing.
"""

import re
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from drivers.contract import Fault
from drivers.horiba_abx.frames import Message, Value
from drivers.horiba_abx.options import Options
from drivers.observation import Result, Vendor
from drivers.profile import Metric, Profile
from drivers.results import content_identity, judge, read_number, status_untold

Purpose = Literal["patient", "qc"]
_PURPOSES: dict[str, Purpose] = {"RESULT": "patient", "RES-RR": "patient", "QC-RES": "qc"}
_PLAIN_FLAGS = "lLhH "
"""Below and above the limits; what any other flag means is not known, and a damaged asterisk looks like one."""
_ABOUT_THE_SAMPLE = re.compile(r"[PSWXY\]_-\xff]")
"""Identifiers that are no results in the messages seen in public: the sample, its patient, alarms, curves, limits."""
_RAW = re.compile(r" {0,4}[0-9.]*[0-9][0-9.]*")
_FLAG_WIDTH = 2


class About(Struct, frozen=True):
    """What all results of a message have in common."""

    specimen: str
    when: str
    moment: str
    """What tells the message from the next: its time, or all of it."""
    kind: str
    purpose: Purpose


def read_results(message: Message, profile: Profile, options: Options) -> list[Result] | Fault:
    """All results of a message, or why it has none: its type is not known, or one of its results is no result."""
    purpose = _PURPOSES.get(message.kind)
    if purpose is None:
        return Fault("unknown_type")
    told = message.fields.get(options.specimen_field)
    specimen = (told or "").strip()
    when = message.fields.get(options.time_field, "").strip()
    about = About(specimen, when, when or "\r".join(message.fields.values()), message.kind, purpose)
    found: list[Result] = []
    met: set[str] = set()
    for code, text in message.fields.items():
        metric, value = profile.by_code.get(code), Value.from_field(text)
        if value is None:
            if metric is not None:
                return Fault("layout", code, rejected=True)
            continue
        if metric is not None or _is_result(code, value):
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


def _observe(code: str, metric: Metric | None, value: Value, about: About, loinc: str, met: set[str]) -> Result:
    number = read_number(value.text)
    content = "\r".join((about.specimen, code, about.moment, about.kind, value.text, value.flags))
    validity, reason = judge(number, value.flags, _PLAIN_FLAGS, has_unit=metric is not None)
    return Result(
        metric=metric.mdc if metric else "",
        code=metric.mdc_code if metric else 0,
        vendor=Vendor(code, value.text),
        validity=validity,
        reason=reason,
        device_time=about.when,
        specimen=about.specimen,
        test=code,
        value=None if validity == "not_available" else number.value,
        text=value.text,
        unit=metric.unit if metric else "",
        flags=tuple(value.flags.split()),
        status=status_untold(validity, reason),
        vendor_status=about.kind,
        purpose=about.purpose,
        loinc=loinc,
        identity=content_identity(content, met),
    )
