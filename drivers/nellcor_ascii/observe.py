"""From lines to observations: which digits are believed, which codes are on, whose title it is.

There is no checksum and no fixed width. So a value is valid when the line before had one with as many digits: a lost
digit, a grown one, and the first value after a code that took it away wait for the next line (`unconfirmed`).
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec

from drivers.contract import Fault
from drivers.mds import Mds
from drivers.nellcor_ascii.frames import Mode, Title, Values
from drivers.nellcor_ascii.options import Options
from drivers.observation import Alert, AnyObservation, Enumeration, Numeric, Vendor
from drivers.profile import Metric, Profile, unknown_numeric

LIMITS = ("SpO2 Limit low", "SpO2 Limit high", "PR Limit low", "PR Limit high")
_NOBODY = ("no_sensor", "sensor_off")


class Observer:
    """What is remembered of one oximeter; bounded."""

    def __init__(self, profile: Profile, options: Options, mds: Mds) -> None:
        self._mds = mds
        self._models = options.models
        self._rows = profile.by_code
        self.forget()

    def forget(self) -> None:
        """The port was opened again, or nothing came for long."""
        self._digits: dict[str, int] = {}
        self._status: tuple[str, ...] = ()
        self._shown: dict[str, Numeric] = {}
        self._title: Title | None = None
        self._is_wrong = False

    def observe_values(self, line: Values) -> list[AnyObservation]:
        """One line of values."""
        self._mds.device_time = line.time
        values = list(self._values(line))
        self._status = line.status
        seen = self._mds.values(values)
        if self._is_wrong:
            return seen
        self._shown |= {one.vendor.code: one for one in values if one.vendor and one.value is not None}
        spo2 = values[0]
        if spo2.validity == "valid":
            seen += self._mds.operate("in_use")
        elif spo2.reason in _NOBODY:
            seen += self._mds.operate("standby")
        return seen + self._mds.alerts("status", self._alerts(line))

    def _values(self, line: Values) -> Iterator[Numeric]:
        absent = "wrong_device" if self._is_wrong else self._effect(line, "absent")
        is_strange = bool(set(line.status) - self._rows.keys() - set(self._status))
        doubt = "unknown_code" if is_strange else self._effect(line, "questionable")
        before, self._digits = self._digits, {}
        for code, text, _is_alarm in line.fields:
            metric = self._rows[code]
            if absent or not text.isdecimal():
                yield metric.numeric(None, text, reason=absent or "missing", device_time=line.time)
                continue
            self._digits[code] = len(text)
            why = doubt or ("" if before.get(code) == len(text) else "unconfirmed")
            one = metric.numeric(Decimal(text), text, reason=why, device_time=line.time)
            yield msgspec.structs.replace(one, validity="questionable") if why else one

    def _effect(self, line: Values, what: str) -> str:
        """Why values are absent or questionable, by the first code of the line that makes them so."""
        rows = (self._rows[code] for code in line.status if code in self._rows)
        return next((str(row.extra[what]) for row in rows if what in row.extra), "")

    def _alerts(self, line: Values) -> dict[str, Alert]:
        marked = [f"{code}*" for code, _text, is_alarm in line.fields if is_alarm]
        return {code: _alert(code, self._rows.get(code), line.time) for code in (*line.status, *marked)}

    def observe_title(self, line: Title) -> tuple[list[AnyObservation], list[Fault]]:
        """Who it is. Another title than before is believed when it comes again."""
        before, self._title = self._title, line
        known = self._mds.identity.get("model", line.model)
        if known != line.model and (before is None or before.model != line.model):
            return [], []
        self._is_wrong = bool(self._models) and not line.model.startswith(self._models)
        identity = {"model": line.model, "software": line.software}
        told = self._mds.identify(identity, "wrong_device" if self._is_wrong else "")
        if self._is_wrong:
            gone = self._mds.withdraw("wrong_device", self._shown.values())
            gone += [*self._mds.operate("unknown"), *self._mds.end_alerts("wrong_device")]
            self._shown.clear()
            return [*told, *gone], [Fault("wrong_device")] if told else []
        limits = (
            self._rows[code].numeric(Decimal(text), text, device_time=self._mds.device_time)
            for code, text in zip(LIMITS, line.limits, strict=True)
        )
        return [*told, *self._mds.values(limits)], []

    def observe_mode(self, line: Mode) -> list[AnyObservation]:
        """Settings; the seconds of SAT-S have no documented meaning and are published raw."""
        time = self._mds.device_time
        words: list[Numeric | Enumeration] = [
            self._rows["PATIENT"].enumeration(line.patient, line.patient, device_time=time),
            self._rows["RESP MODE"].enumeration(line.response, line.response, device_time=time),
            msgspec.structs.replace(unknown_numeric("SAT-S", line.seconds), category="setting", device_time=time),
        ]
        return self._mds.values(words)


def _alert(code: str, metric: Metric | None, time: str) -> Alert:
    """A code without a row is on, and nobody knows what it says."""
    extra: dict[str, Any] = metric.extra if metric else {}
    return Alert(
        metric=metric.mdc if metric else "",
        code=metric.mdc_code if metric else 0,
        vendor=Vendor(code),
        validity="valid" if metric else "questionable",
        reason="" if metric else "unknown_code",
        device_time=time,
        alert=extra.get("alert", "unknown"),
        priority=extra.get("priority", "unknown"),
        presence="on",
    )
