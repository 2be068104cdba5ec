"""From the fields of a report to observations.

A value is published with a unit only where the source gives one; every other listed field is published as sent. A
field of spaces (V60, SNDA) or of four dashes (VRPT of a V200) is a value the ventilator does not have.
"""

import re
from decimal import Decimal

import msgspec

from drivers.mds import Mds
from drivers.observation import Alert, AnyObservation, Enumeration, Numeric, Vendor
from drivers.profile import Metric, Profile, unknown_numeric
from drivers.respironics_v60.options import Options
from drivers.respironics_v60.reports import Report

WIDTH = 6
TIME = 1
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_BROKEN_NUMBER = re.compile(r"-?[0-9]+\.[0-9]+")
"""Where the source gives decimals they must be there: a blank is one bit from a 0."""
_CLOCK = re.compile(r"[0-2][0-9]:[0-5][0-9](?::[0-5][0-9])?")
NORMAL, ALARM, RESET = "NORMAL", "ALARM", "RESET"


def is_missing(text: str) -> bool:
    """Six spaces, or four dashes and two spaces."""
    return text.strip() in ("", "----")


class Observer:
    """Remembers which alarms are on."""

    def __init__(self, profile: Profile, options: Options, mds: Mds) -> None:
        self.mds = mds
        self._answer = options.answer
        self._rows = [(int(metric.code.partition(".")[2]), metric) for metric in profile.metric]
        self._raw = [number for number in options.raw if self._code(number) not in profile.by_code]
        self._active: dict[str, Alert] = {}

    def _code(self, number: int) -> str:
        return f"{self._answer}.{number}"

    def numbers(self) -> list[int]:
        """The fields that are read; each must have the width the document gives."""
        return [TIME, *(number for number, _metric in self._rows), *self._raw]

    def read(self, report: Report) -> list[AnyObservation]:
        """All that one report says. Its fields have the right widths."""
        time = report.field(TIME).strip()
        self.mds.device_time = time if _CLOCK.fullmatch(time) else ""
        values: list[Numeric | Enumeration] = []
        seen: list[AnyObservation] = []
        for number, metric in self._rows:
            text = report.field(number)
            if metric.kind == "alert":
                values += self._watch(metric, text.rstrip())
            elif metric.kind == "enumeration":
                values.append(self._word(metric, text))
            else:
                values.append(self._number(metric, text))
        seen += self.mds.operate("in_use" if self._agree_on_breaths(values) else "unknown")
        values += [self._as_sent(number, report.field(number)) for number in self._raw]
        return seen + self.mds.values(values) + self.mds.alerts(self._answer, self._active)

    def _agree_on_breaths(self, values: list[Numeric | Enumeration]) -> bool:
        """The fields that are blank in standby are blank together: one alone is damage, and none of them is read."""
        codes = {metric.code for _number, metric in self._rows if metric.extra.get("breaths")}
        at = [n for n, one in enumerate(values) if one.vendor and one.vendor.code in codes]
        is_number = [values[n].value is not None for n in at]
        if any(is_number) and not all(is_number):
            for n in at:
                if values[n].value is not None:
                    values[n] = msgspec.structs.replace(
                        values[n], value=None, validity="not_available", reason="inconsistent"
                    )
        return bool(at) and all(is_number)

    def _number(self, metric: Metric, text: str) -> Numeric:
        if is_missing(text):
            return metric.numeric(None, text, reason="missing", device_time=self.mds.device_time)
        pattern = _BROKEN_NUMBER if metric.extra.get("decimals") else _NUMBER
        value = Decimal(text.rstrip()) if pattern.fullmatch(text.rstrip()) else None
        reason = "" if value is not None else "not_numeric"
        return metric.numeric(value, text, reason=reason, device_time=self.mds.device_time)

    def _word(self, metric: Metric, text: str) -> Enumeration:
        word = metric.enumeration(text.rstrip(), text, device_time=self.mds.device_time)
        return msgspec.structs.replace(word, reason="missing") if is_missing(text) else word

    def _as_sent(self, number: int, text: str) -> Numeric:
        raw = unknown_numeric(self._code(number), text)
        reason = "missing" if is_missing(text) else raw.reason
        return msgspec.structs.replace(raw, reason=reason, device_time=self.mds.device_time)

    def _watch(self, metric: Metric, text: str) -> list[Enumeration]:
        """NORMAL is off, ALARM on; RESET, which no source explains, is on and doubted; else it stays as it was."""
        if text == NORMAL:
            self._active.pop(metric.code, None)
        elif text in (ALARM, RESET):
            is_sure = text == ALARM
            self._active[metric.code] = Alert(
                metric=metric.mdc,
                code=metric.mdc_code,
                vendor=Vendor(metric.code, text),
                validity="valid" if is_sure else "questionable",
                reason="" if is_sure else "meaning_unknown",
                device_time=self.mds.device_time,
                alert=metric.extra.get("alert", "unknown"),
                priority="unknown",
                presence="on",
            )
        else:
            return [self._word(metric, text)]
        return []

    def withdraw(self, reason: str) -> list[AnyObservation]:
        """Another device answers: nothing that was read with this table holds."""
        self.mds.operating = "unknown"
        rows = (metric for _number, metric in self._rows if metric.kind == "numeric")
        self._active.clear()
        gone = self.mds.withdraw(reason, [metric.numeric(None, "", reason=reason) for metric in rows])
        return gone + self.mds.end_alerts(reason)
