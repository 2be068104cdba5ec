"""From reports to observations: which report is believed, what is said again and when, which alarms are on.

What a field means and in which unit stands in the profile's table; a field without a row there is published as sent.
"""

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Literal

import msgspec
from msgspec import Struct

from drivers.contract import Fault
from drivers.mds import Mds
from drivers.observation import Alert, AnyObservation, Enumeration, Numeric, Validity, Vendor
from drivers.profile import Metric, Profile, unknown_numeric
from drivers.puritan_bennett.frames import FIRST, Report
from drivers.puritan_bennett.options import Options

Priority = Literal["high", "medium", "low", "unknown"]
TIME, IDENTITY, DATE = 5, 6, 7
PRIORITIES: dict[str, Priority] = {"HIGH": "high", "MEDIUM": "medium", "LOW": "low", "ALERT": "unknown"}
"""Words of an alarm that is on, with the urgency they name."""
QUIET = ("", "NORMAL", "RESET")
"""Words of one that is not."""
OFF = "OFF"
_BLANK = re.compile(r" +")
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)? *")
_SETTING = re.compile(r"(?:-?[0-9]+(?:\.[0-9]+)?|OFF) *")
_FORMS = {
    TIME: re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9] "),
    IDENTITY: re.compile(r"[0-9]{3} [0-9A-Z-]+ *"),
    DATE: re.compile(r"(?:JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC) [0-3][0-9] [0-9]{4} "),
}
_NAMED = 3
"""At most so many fields are named in a fault."""


class _Told(Struct):
    """A setting as last published, how often since it changed, and when."""

    text: str
    times: int
    at: float


def _form(metric: Metric) -> re.Pattern[str] | None:
    """How a field with a row is printed; None where the document does not say."""
    if metric.kind == "numeric":
        return _SETTING if metric.category == "setting" else _NUMBER
    words = [word for word in (*PRIORITIES, *QUIET) if word] if metric.kind == "alert" else list(metric.values)
    return re.compile(f"(?:{'|'.join(map(re.escape, words))}) *") if words else None


class Observer:
    """What is remembered of one ventilator; bounded by the number of its fields."""

    def __init__(self, profile: Profile, options: Options, mds: Mds) -> None:
        self.mds = mds
        self._model, self._settings_s = options.model, options.settings_s
        self._rows = {int(metric.code): metric for metric in profile.metric if metric.code.isdecimal()}
        forms = {number: form for number, metric in self._rows.items() if (form := _form(metric))} | _FORMS
        self._fits: list[tuple[int, Callable[[str], object]]] = [(n, form.fullmatch) for n, form in forms.items()]
        self._shown: dict[str, Numeric | Enumeration] = {}
        self._told: dict[str, _Told] = {}
        self._last: Report | None = None
        self._raw_shown: set[str] = set()
        self._free: set[int] = set()
        self._doubted: set[int] = set()
        self._id = self._other_id = ""

    def restart(self) -> None:
        """The port was opened again, perhaps on another ventilator."""
        self._forget()
        self._raw_shown.clear()
        self._free.clear()
        self._doubted.clear()
        self._id = self._other_id = ""

    def _forget(self) -> None:
        """What was read is not of this ventilator any more."""
        self._shown.clear()
        self._told.clear()
        self._last = None

    def doubt(self, report: Report) -> Fault | None:
        """Why a whole report is not believed yet: a word its field never has, or another ventilator's id.

        There is no checksum, so either may be one damaged bit. It is believed when the next report has it as well; a
        field with text of its own is then read as far as it can be.
        """
        strange = {n for n, fits in self._fits if not fits(report[n]) and not report[n].isspace()} - self._free
        self._free |= strange & self._doubted
        self._doubted = strange - self._free
        if self._doubted:
            named = ",".join(map(str, sorted(self._doubted)[:_NAMED]))
            return Fault("text", f"field {named}", rejected=True)
        found = report[IDENTITY]
        if self._id and found not in (self._id, self._other_id):
            self._other_id = found
            return Fault("identity", rejected=True)
        self._id, self._other_id = found, ""
        return None

    def observe(self, report: Report, now: float) -> tuple[list[AnyObservation], list[Fault]]:
        """All that a believed MISCF report says."""
        self.mds.device_time = f"{report[DATE].strip()} {report[TIME].strip()}".strip()
        model, _, serial = report[IDENTITY].strip().partition(" ")
        is_right = not self._model or model == self._model
        seen = self.mds.link("connected")
        told = self.mds.identify({"model": model, "serial": serial}, "" if is_right else "wrong_device")
        seen += told
        if not is_right:
            seen += self.mds.withdraw("wrong_device", self._shown.values()) + self.mds.end_alerts("wrong_device")
            self._forget()
            seen += self.mds.values(self._raw_fields(report, "", "wrong_device"))
            return seen, [Fault("wrong_device", model)] if told else []
        values = list(self._values(report, now))
        self._last = report
        self._shown |= {one.vendor.code: one for one in values if one.vendor and one.value is not None}
        seen += self.mds.values(values)
        return seen + self.mds.alerts("alarms", self._alarms(report)), []

    def observe_short(self, report: Report) -> list[AnyObservation]:
        """A MISCA report: as sent, for the meaning of its fields is not documented well enough."""
        return [*self.mds.link("connected"), *self.mds.values(self._raw_fields(report, f"{report.name}."))]

    def _values(self, report: Report, now: float) -> Iterator[Numeric | Enumeration]:
        for number, text in enumerate(report.fields, FIRST):
            metric = self._rows.get(number)
            if number in _FORMS or (metric is not None and metric.kind == "alert"):
                continue
            if metric is None:
                yield from self._raw(str(number), text)
            elif metric.category != "setting" or self._is_due(metric.code, text, now):
                yield self._value(number, metric, text)

    def _is_due(self, code: str, text: str, now: float) -> bool:
        """Settings are said when they change, once more by the next report, which confirms them, and now and then."""
        told = self._told.get(code)
        if told is None or told.text != text:
            self._told[code] = _Told(text, 1, now)
            return True
        if told.times > 1 and now < told.at + self._settings_s:
            return False
        told.times, told.at = told.times + 1, now
        return True

    def _value(self, number: int, metric: Metric, text: str) -> Numeric | Enumeration:
        word = text.rstrip()
        if metric.kind == "enumeration":
            told = metric.enumeration(word, text, device_time=self.mds.device_time)
            return told if word else msgspec.structs.replace(told, reason="missing")
        value = Decimal(word) if _NUMBER.fullmatch(text) else None
        reason = ""
        if value is None:
            reason = "off" if word == OFF else "not_numeric" if word else "missing"
        validity: Validity | None = None
        if word == "0" and (self._last is None or not _NUMBER.fullmatch(self._last[number])):
            # One damaged bit makes 0 of a blank, and absent must never become 0: the next report decides.
            validity, reason = "questionable", "unconfirmed"
        return metric.numeric(value, text, reason=reason, validity=validity, device_time=self.mds.device_time)

    def _raw_fields(self, report: Report, prefix: str, reason: str = "") -> Iterator[Numeric | Enumeration]:
        for number, text in enumerate(report.fields, FIRST):
            if prefix or number not in _FORMS:
                yield from self._raw(f"{prefix}{number}", text, reason)

    def _raw(self, code: str, text: str, reason: str = "") -> Iterator[Numeric | Enumeration]:
        """A field as sent. A blank one is said only where there was something before."""
        if text.isspace():
            if code not in self._raw_shown:
                return
            self._raw_shown.discard(code)
            reason = "missing"
        else:
            self._raw_shown.add(code)
        if _NUMBER.fullmatch(text):
            raw: Numeric | Enumeration = unknown_numeric(code, text)
        else:
            raw = Enumeration(
                vendor=Vendor(code, text),
                validity="not_available",
                reason="unknown_code",
                value=None,
                category="measurement",
            )
        yield msgspec.structs.replace(raw, reason=reason or raw.reason, device_time=self.mds.device_time)

    def _alarms(self, report: Report) -> dict[str, Alert]:
        """Alarms that are on. A word that is neither known as on nor as off is taken for on, and marked."""
        active: dict[str, Alert] = {}
        for number, metric in self._rows.items():
            word = report[number].rstrip() if metric.kind == "alert" else ""
            if word in QUIET:
                continue
            active[metric.code] = Alert(
                metric=metric.mdc,
                code=metric.mdc_code,
                vendor=Vendor(metric.code, report[number]),
                validity="valid" if word in PRIORITIES else "questionable",
                reason="" if word in PRIORITIES else "unknown_code",
                device_time=self.mds.device_time,
                alert=metric.extra.get("alert", "unknown"),
                priority=PRIORITIES.get(word, "unknown"),
                presence="on",
                vendor_priority=word,
            )
        return active
