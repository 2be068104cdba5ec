"""From records to observations: what came, what stopped coming, which alarms went on and off.

Units and meaning differ from device to device, so they stand in the profile's table; a code that is not in it is
published as the device's own (Dräger, MEDIBUS documentation of the intensive care devices, "Data codes").
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Literal

import msgspec
from msgspec import Struct

from drivers.draeger_medibus.records import AlarmRecord, Identity, Value, expand, number
from drivers.mds import Connection, Mds
from drivers.observation import Alert, AnyObservation, Category, Enumeration, Numeric, Vendor
from drivers.profile import Metric, Profile, unknown_numeric

Priority = Literal["high", "medium", "low", "unknown"]
STANDBY = "standby"
OF_THE_PATIENT = ("29.4A", "29.4B")
"""Age and weight in both public code maps: that they came is said, what they are is not."""
_PREFIXES = [f"{echo:02X}." for echo in range(256)]
_MEASURED = (0x24, 0x2B)


class _Present(Struct, frozen=True):
    """What was in the last answer to one command: the code that came, under the key of its pair or group."""

    code: str
    text: str


def code_of(echo: int, code: str) -> str:
    """The vendor code of a record, unique over all commands: `24.B9`."""
    return _PREFIXES[echo] + code


def priority_of(priority: int) -> Priority:
    """What the device's 1 … 31 means, as far as its documentation says.

    29 to 31 are failures and patient alarms, up to 10 advisories; for what lies between nothing is said.
    """
    if 29 <= priority <= 31:
        return "high"
    return "low" if 1 <= priority <= 10 else "unknown"


class Observer:
    """Remembers, per command, what the last answer held; bounded by the 256 codes each can have."""

    def __init__(self, profile: Profile, mds: Mds, plan: Collection[str]) -> None:
        self._by_code = profile.by_code
        self._mds = mds
        self._standby_alarms = {code for code in plan if any(_is_standby_alarm(code, m) for m in profile.metric)}
        """Commands of the plan whose answer would hold the standby alarm: without it there, the device is in use."""
        self.is_mapped = True
        """False once the device has said that it is another one: its codes are then published raw."""
        self._standby: dict[int, bool] = {}
        self._present: dict[int, dict[str, _Present]] = {}

    def metric(self, code: str) -> Metric | None:
        """The profile's row of a vendor code, if it is right for this device."""
        return self._by_code.get(code) if self.is_mapped else None

    def restart(self) -> None:
        """The port was opened again, perhaps on another device: nothing is said of it before it has said so."""
        self._mds.restart()
        self._standby.clear()

    def link(self, connection: Connection, reason: str = "") -> list[AnyObservation]:
        """The device, if its link changed."""
        if connection != "connected":
            self._standby.clear()
        return self._mds.link(connection, reason)

    def identify(self, identity: Identity | None, *, is_right: bool) -> list[AnyObservation]:
        """Who the device is; if it is not the profile's, what was read with the profile's units is withdrawn."""
        seen: list[AnyObservation] = []
        if self.is_mapped and not is_right:
            for echo in self._present:
                seen += self._mds.values(self._missing(echo, {}, "wrong_device"))
            self._present.clear()
            self._standby.clear()
            seen += self._mds.operate("unknown") + self._mds.end_alerts("wrong_device")
        self.is_mapped = is_right
        told = msgspec.to_builtins(identity) if identity else {}
        return seen + self._mds.identify(told, "" if is_right else "wrong_device")

    def values(self, echo: int, records: Sequence[Value]) -> list[AnyObservation]:
        """Measured values, limits or settings; one that was in the last answer and is not in this is absent."""
        seen: list[Numeric | Enumeration] = []
        present: dict[str, _Present] = {}
        for record in records:
            code = code_of(echo, record.code)
            metric = self.metric(code)
            if metric is None:
                seen.append(self._unknown_value(echo, code, record.text))
                continue
            present[_key(metric)] = _Present(code, record.text)
            value = number(record.text)
            reason = "" if value is not None else "not_numeric"
            seen.append(metric.numeric(value, record.text, reason=reason, device_time=self._mds.device_time))
        seen += self._missing(echo, present, "missing")
        self._present[echo] = present
        return self._mds.values(seen)

    def _unknown_value(self, echo: int, code: str, text: str) -> Numeric:
        category: Category = "measurement" if echo in _MEASURED else "setting"
        raw = unknown_numeric(code, "" if code in OF_THE_PATIENT else text)
        reason = "patient_data" if code in OF_THE_PATIENT else raw.reason
        return msgspec.structs.replace(raw, category=category, reason=reason, device_time=self._mds.device_time)

    def texts(self, echo: int, records: Sequence[Value]) -> list[AnyObservation]:
        """Text messages by their code; of those that exclude each other one is shown."""
        seen: list[Numeric | Enumeration] = []
        present: dict[str, _Present] = {}
        for record in records:
            code = code_of(echo, record.code)
            metric = self.metric(code)
            if metric is None:
                seen.append(self._unknown_text(code, record.text))
                continue
            present[_key(metric)] = _Present(code, record.text)
            seen.append(metric.enumeration(record.code, record.text, device_time=self._mds.device_time))
        seen += self._missing(echo, present, "missing")
        self._present[echo] = present
        states = self._operate(echo, (code_of(echo, record.code) for record in records))
        return self._mds.values(seen) + states

    def raw(self, echo: int, data: bytes) -> list[AnyObservation]:
        """An answer whose layout the document does not give: the device's own words."""
        return [self._unknown_text(f"{echo:02X}", data.decode("latin-1"))]

    def _unknown_text(self, code: str, text: str) -> Enumeration:
        return Enumeration(
            vendor=Vendor(code, text),
            validity="not_available",
            reason="unknown_code",
            device_time=self._mds.device_time,
            value=None,
            category="measurement",
        )

    def _missing(self, echo: int, present: dict[str, _Present], reason: str) -> list[Numeric | Enumeration]:
        """Never carried forward: a value that is not sent any more is absent from now on, said once."""
        gone: list[Numeric | Enumeration] = []
        for key, last in self._present.get(echo, {}).items():
            metric = self._by_code[last.code]
            if key in present and (metric.mdc or present[key].code == last.code):
                continue  # without an IEEE name a pair's other half is another metric to whoever reads it
            if metric.kind == "numeric":
                gone.append(metric.numeric(None, "", reason=reason, device_time=self._mds.device_time))
            else:
                absent = metric.enumeration("", "", device_time=self._mds.device_time)
                gone.append(msgspec.structs.replace(absent, reason=reason))
        return gone

    def alarms(self, echo: int, records: Sequence[AlarmRecord]) -> list[AnyObservation]:
        """Alarms that went on, changed or went off since the last answer to the same command."""
        active: dict[str, Alert] = {}
        for record in records:
            code = code_of(echo, record.code)
            if not _is_standby(self.metric(code)):
                active[code] = self._alert(code, record)
        states = self._operate(echo, (code_of(echo, record.code) for record in records))
        return self._mds.alerts(f"{echo:02X}", active) + states

    def _alert(self, code: str, record: AlarmRecord) -> Alert:
        metric = self.metric(code)
        return Alert(
            metric=metric.mdc if metric else "",
            code=metric.mdc_code if metric else 0,
            vendor=Vendor(code, expand(record.phrase)),
            validity="valid",
            device_time=self._mds.device_time,
            alert=metric.extra.get("alert", "unknown") if metric else "unknown",
            priority=priority_of(record.priority),
            presence="on",
            vendor_priority=str(record.priority),
        )

    def _operate(self, echo: int, codes: Iterable[str]) -> list[AnyObservation]:
        """Standby comes as an alarm (95H) or a text (1EH); it is a state of the device."""
        self._standby[echo] = any(_is_standby(self.metric(code)) for code in codes)
        if any(self._standby.values()):
            return self._mds.operate("standby")
        has_told = self.is_mapped and any(f"{told:02X}" in self._standby_alarms for told in self._standby)
        return self._mds.operate("in_use") if has_told or self._mds.operating == "standby" else []


def _is_standby(metric: Metric | None) -> bool:
    return metric is not None and metric.extra.get("operating") == STANDBY


def _is_standby_alarm(command: str, metric: Metric) -> bool:
    return metric.kind == "alert" and _is_standby(metric) and metric.code.startswith(f"{command}.")


def _key(metric: Metric) -> str:
    """Metrics of one pair (minute volume below and above 1 L/min) or group (modes) are one thing."""
    return str(metric.extra.get("one_of", metric.code))
