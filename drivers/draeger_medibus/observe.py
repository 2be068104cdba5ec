"""From records to observations: what came, what stopped coming, which alarms went on and off.

Units and meaning differ from device to device, so they stand in the profile's table; a code that is not in it is
published as the device's own (Dräger, MEDIBUS documentation of the intensive care devices, "Data codes").
"""

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec
from msgspec import Struct

from drivers.draeger_medibus.records import AlarmRecord, Identity, Value, expand, number
from drivers.observation import Alert, AnyObservation, Category, Device, Enumeration, Vendor
from drivers.profile import Metric, Profile, unknown_numeric

Connection = Literal["connected", "disconnected", "stale", "unknown"]
Priority = Literal["high", "medium", "low", "unknown"]
STANDBY = "standby"
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

    def __init__(self, profile: Profile, *, has_standby: bool) -> None:
        self._by_code = profile.by_code
        self._has_standby = has_standby
        """Whether the device tells standby at all (2EH), so that its absence means in use."""
        self.is_mapped = True
        """False once the device has said that it is another one: its codes are then published raw."""
        self.device_time = ""
        self.connection: Connection = "unknown"
        self._identity: dict[str, str] = {}
        self._operating: Literal["in_use", "standby", "unknown"] = "unknown"
        self._standby: dict[int, bool] = {}
        self._present: dict[int, dict[str, _Present]] = {}
        self._alarms: dict[int, dict[str, AlarmRecord]] = {}

    def metric(self, code: str) -> Metric | None:
        """The profile's row of a vendor code, if it is right for this device."""
        return self._by_code.get(code) if self.is_mapped else None

    def restart(self) -> None:
        """The port was opened again, perhaps on another device: nothing is said of it before it has said so."""
        self.connection, self._operating = "unknown", "unknown"
        self._standby.clear()
        self._identity = {}

    def link(self, connection: Connection, reason: str = "") -> list[AnyObservation]:
        """The device, if its link changed."""
        if connection == self.connection:
            return []
        self.connection = connection
        if connection != "connected":
            self._operating = "unknown"
            self._standby.clear()
        return [self._device(reason)]

    def identify(self, identity: Identity, *, is_right: bool) -> list[AnyObservation]:
        """Who the device is; if it is not the profile's, what was read with the profile's units is withdrawn."""
        seen: list[AnyObservation] = []
        if self.is_mapped and not is_right:
            for echo in self._present:
                seen += self._missing(echo, {}, "wrong_device")
            self._present.clear()
        self.is_mapped = is_right
        told = msgspec.to_builtins(identity)
        if told != self._identity:
            self._identity = told
            seen.append(self._device("" if is_right else "wrong_device"))
        return seen

    def _device(self, reason: str) -> Device:
        return Device(
            validity="valid",
            reason=reason,
            device_time=self.device_time,
            connection=self.connection,
            operating=self._operating,
            identity=self._identity,
        )

    def values(self, echo: int, records: Sequence[Value]) -> list[AnyObservation]:
        """Measured values, limits or settings; one that was in the last answer and is not in this is absent."""
        seen: list[AnyObservation] = []
        present: dict[str, _Present] = {}
        for record in records:
            code = code_of(echo, record.code)
            metric = self.metric(code)
            if metric is None:
                category: Category = "measurement" if echo in _MEASURED else "setting"
                raw = unknown_numeric(code, record.text)
                seen.append(msgspec.structs.replace(raw, category=category, device_time=self.device_time))
                continue
            present[_key(metric)] = _Present(code, record.text)
            value = number(record.text)
            reason = "" if value is not None else "not_numeric"
            seen.append(metric.numeric(value, record.text, reason=reason, device_time=self.device_time))
        seen += self._missing(echo, present, "missing")
        self._present[echo] = present
        return seen

    def texts(self, echo: int, records: Sequence[Value]) -> list[AnyObservation]:
        """Text messages by their code; of those that exclude each other one is shown."""
        seen: list[AnyObservation] = []
        present: dict[str, _Present] = {}
        for record in records:
            code = code_of(echo, record.code)
            metric = self.metric(code)
            if metric is None:
                seen.append(self._unknown_text(code, record.text))
                continue
            present[_key(metric)] = _Present(code, record.text)
            seen.append(metric.enumeration(record.code, record.text, device_time=self.device_time))
        seen += self._missing(echo, present, "missing")
        self._present[echo] = present
        return seen + self._operate(echo, (code_of(echo, record.code) for record in records))

    def raw(self, echo: int, data: bytes) -> list[AnyObservation]:
        """An answer whose layout the document does not give: the device's own words."""
        return [self._unknown_text(f"{echo:02X}", data.decode("latin-1"))]

    def _unknown_text(self, code: str, text: str) -> Enumeration:
        return Enumeration(
            vendor=Vendor(code, text),
            validity="not_available",
            reason="unknown_code",
            device_time=self.device_time,
            value=None,
            category="measurement",
        )

    def _missing(self, echo: int, present: dict[str, _Present], reason: str) -> list[AnyObservation]:
        """Never carried forward: a value that is not sent any more is absent from now on, said once."""
        gone: list[AnyObservation] = []
        for key, last in self._present.get(echo, {}).items():
            metric = self._by_code[last.code]
            if key in present and (metric.mdc or present[key].code == last.code):
                continue  # without an IEEE name a pair's other half is another metric to whoever reads it
            if metric.kind == "numeric":
                gone.append(metric.numeric(None, "", reason=reason, device_time=self.device_time))
            else:
                absent = metric.enumeration("", "", device_time=self.device_time)
                gone.append(msgspec.structs.replace(absent, reason=reason))
        return gone

    def alarms(self, echo: int, records: Sequence[AlarmRecord]) -> list[AnyObservation]:
        """Alarms that went on, changed or went off since the last answer to the same command."""
        active = {record.code: record for record in records if not self._tells_standby(echo, record.code)}
        before = self._alarms.get(echo, {})
        self._alarms[echo] = active
        seen: list[AnyObservation] = []
        for code, record in before.items():
            if code not in active:
                seen.append(self._alert(echo, record, "off"))
        for code, record in active.items():
            if before.get(code) != record:
                seen.append(self._alert(echo, record, "on"))
        return seen + self._operate(echo, (code_of(echo, record.code) for record in records))

    def _alert(self, echo: int, record: AlarmRecord, presence: Literal["on", "off"]) -> Alert:
        code = code_of(echo, record.code)
        metric = self.metric(code)
        return Alert(
            metric=metric.mdc if metric else "",
            code=metric.mdc_code if metric else 0,
            vendor=Vendor(code, expand(record.phrase)),
            validity="valid",
            device_time=self.device_time,
            alert=metric.extra.get("alert", "unknown") if metric else "unknown",
            priority=priority_of(record.priority),
            presence=presence,
            vendor_priority=str(record.priority),
        )

    def _tells_standby(self, echo: int, code: str) -> bool:
        metric = self.metric(code_of(echo, code))
        return metric is not None and metric.extra.get("operating") == STANDBY and metric.kind == "alert"

    def _operate(self, echo: int, codes: Iterable[str]) -> list[AnyObservation]:
        """Standby comes as an alarm (95H) or a text (1EH); it is a state of the device."""
        metrics = [self.metric(code) for code in codes]
        self._standby[echo] = any(m is not None and m.extra.get("operating") == STANDBY for m in metrics)
        operating = self._operating
        if any(self._standby.values()):
            operating = "standby"
        elif operating == "standby" or (self._has_standby and self.is_mapped and 0x2E in self._standby):
            operating = "in_use"
        if operating == self._operating:
            return []
        self._operating = operating
        return [self._device("")]


def _key(metric: Metric) -> str:
    """Metrics of one pair (minute volume below and above 1 L/min) or group (modes) are one thing."""
    return str(metric.extra.get("one_of", metric.code))
