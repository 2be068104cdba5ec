"""From quadruples to observations: the ComDevice and each pump of the rack, which is an MDS of its own by its slot.

What is not known is published as the device's own word; what is the patient's is dropped. B.Braun, Technical
Interface Specification BCC 3.25/3.26, section on parameters.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from drivers.bbraun_bcc.records import NO_VALUE, SYSTEM, Quadruple, is_pump, number
from drivers.contract import Fault
from drivers.mds import Mds, Operating
from drivers.observation import Alert, AnyObservation, Enumeration, Numeric, Vendor
from drivers.profile import Metric, Profile, unknown_numeric

Value = Numeric | Enumeration
OFF, ON = "00050", "00051"
MISSES = 2
"""A pump has left once it is missing from so many whole answers in a row: one may have begun in the middle."""
MAX_UNKNOWN = 128
"""Parameters of one pump that no table has; the document names about as many in all."""
_IDENTITY = {"GNMODEL": "model", "GNNEW": "name", "INSERNUM": "serial"}
_ALARM = re.compile(r"INA[0-9]{1,3}", re.ASCII)
_PRIVATE = frozenset(
    (
        *("PATID", "PATIDBADGE", "PATIDDRUG", "PATW", "PATH", "PATAGE", "PATSEX"),
        *("NURSEID", "DRUGORDERNO", "FMBANY"),
    )
)
"""The patient's, a nurse's, a prescription's; FMBANY is the last barcode that was scanned, perhaps a wristband."""
_BIT = re.compile(r"[0-9A-F]", re.ASCII)


def is_private(parameter: str) -> bool:
    """Whether a parameter is or may be a person's."""
    return parameter in _PRIVATE or parameter.startswith("PAT")


def operating_of(told: Mapping[str, str]) -> Operating:
    """In use, standby or off out of what the pump said in one block; what contradicts itself is unknown."""
    status, standby, pumping = told.get("DSSTATUS"), told.get("INM6"), told.get("INM3")
    if status == OFF:
        return "unknown" if pumping == "1" else "off"
    if standby == "1":
        return "unknown" if pumping == "1" else "standby"
    if pumping == "1" or (status == ON and standby == "0"):
        return "in_use"
    return "unknown"


class _Unit:
    """What is remembered of one MDS."""

    def __init__(self, metrics: Mapping[str, Metric], slot: str) -> None:
        self.mds = Mds(slot)
        self._metrics = metrics
        self._present: dict[str, Value] = {}
        self._unknown: set[str] = set()
        self.missed = 0
        self.faults: list[Fault] = []

    def take(self, quadruples: Iterable[Quadruple]) -> list[AnyObservation]:
        """Values and alerts of one block; what was in the last one and is not in this is absent."""
        self.missed = 0
        values: dict[str, Value] = {}
        flags: dict[str, Quadruple] = {}
        for quadruple in quadruples:
            self.mds.device_time = quadruple.time
            code = quadruple.parameter
            if is_private(code):
                self.faults.append(Fault("patient_data", code if code in _PRIVATE else "PAT"))
            elif _ALARM.fullmatch(code) and quadruple.value in ("0", "1"):
                flags[code] = quadruple
            elif code not in _IDENTITY and self._may_tell(code):
                values[code] = self._value(quadruple)
        gone = [one for code, one in self._present.items() if code not in values]
        self._present = {code: one for code, one in values.items() if one.value is not None}
        seen = self.mds.values(values.values()) + self.mds.withdraw("missing", map(_textless, gone))
        return seen + self._alerts(flags, "missing")

    def leave(self, reason: str, time: str) -> list[AnyObservation]:
        """It is not there any more: nothing that it said holds."""
        self.mds.device_time = time
        gone, self._present = map(_textless, self._present.values()), {}
        seen = self.mds.withdraw(reason, gone) + self._alerts({}, reason)
        return seen + self.mds.link("disconnected", reason)

    def _may_tell(self, code: str) -> bool:
        if code in self._metrics or code in self._unknown:
            return True
        if len(self._unknown) >= MAX_UNKNOWN:
            self.faults.append(Fault("too_many_codes"))
            return False
        self._unknown.add(code)
        return True

    def _value(self, quadruple: Quadruple) -> Value:
        code, text, time = quadruple.parameter, quadruple.value, quadruple.time
        metric = self._metrics.get(code)
        if metric is None or metric.kind == "alert":
            return _raw(quadruple)
        if text is None or not text or text in NO_VALUE:
            return _absent(metric, text or "", "not_utf8" if text is None else "missing", time)
        if metric.kind == "numeric":
            value = number(text)
            reason = "not_numeric" if value is None else metric.extra.get("absent", {}).get(text, "")
            if metric.extra.get("raw"):
                reason = "unit_unknown"
            return metric.numeric(None if reason else value, text, reason=reason, device_time=time)
        if metric.extra.get("text"):
            return msgspec.structs.replace(
                metric.enumeration("", text, device_time=time), value=text, validity="valid", reason=""
            )
        bits = metric.extra.get("bits")
        return _state(metric, bits, text, time) if bits else metric.enumeration(text, text, device_time=time)

    def _alerts(self, flags: Mapping[str, Quadruple], reason: str) -> list[AnyObservation]:
        """Alarms that went on or off. One that is not told any more is off, and nobody knows whether it is over."""
        active = {code: self._alert(one) for code, one in flags.items() if one.value == "1"}
        seen = self.mds.alerts("INA", active)
        return [
            msgspec.structs.replace(one, validity="not_available", reason=reason)
            if isinstance(one, Alert) and one.vendor and one.vendor.code not in flags
            else one
            for one in seen
        ]

    def _alert(self, quadruple: Quadruple) -> Alert:
        metric = self._metrics.get(quadruple.parameter)
        return Alert(
            metric=metric.mdc if metric else "",
            code=metric.mdc_code if metric else 0,
            vendor=Vendor(quadruple.parameter, quadruple.value or ""),
            validity="valid",
            device_time=quadruple.time,
            alert=metric.extra.get("alert", "unknown") if metric else "unknown",
            priority="unknown",  # the document gives none
            presence="on",
        )


class Rack:
    """The ComDevice and its pumps by slot; bounded by the addresses there are."""

    def __init__(self, profile: Profile) -> None:
        self._metrics = profile.by_code
        self._system = _Unit(self._metrics, "")
        self._units: dict[str, _Unit] = {}

    @property
    def line(self) -> Mds:
        """The ComDevice, whose link is the line's."""
        return self._system.mds

    def leave(self, reason: str) -> list[AnyObservation]:
        """The line is silent or ends: of no pump is it known any more whether it is in use."""
        there = [unit.mds for unit in self._units.values() if unit.mds.connection == "connected"]
        return [one for mds in there for one in mds.link("disconnected", reason)]

    def forget(self) -> None:
        """The line was opened anew: each pump is told again when it speaks."""
        for unit in self._units.values():
            unit.mds.restart()

    def take(self, quadruples: Sequence[Quadruple]) -> tuple[list[AnyObservation], list[Fault], set[str]]:
        """What one block says, what was met, and the slots it speaks of."""
        by_slot: dict[str, list[Quadruple]] = {}
        faults: list[Fault] = []
        for quadruple in quadruples:
            if quadruple.slot:
                by_slot.setdefault(quadruple.slot, []).append(quadruple)
            else:
                faults.append(Fault("unknown_address", quadruple.address))
        seen: list[AnyObservation] = []
        for slot, mine in by_slot.items():
            unit = self._system if slot == SYSTEM else self._units.setdefault(slot, _Unit(self._metrics, slot))
            if is_pump(slot):
                seen += _introduce(unit.mds, mine)
            seen += unit.take(mine)
            faults += unit.faults
            unit.faults = []
        return seen, faults, by_slot.keys() - {SYSTEM}

    def miss(self, there: set[str], time: str) -> list[AnyObservation]:
        """A whole rack was told, at this time of the ComDevice: pumps that are not in it again have left."""
        seen: list[AnyObservation] = []
        for slot, unit in self._units.items():
            if slot in there or not is_pump(slot) or unit.mds.connection == "disconnected":
                continue
            unit.missed += 1
            if unit.missed >= MISSES:
                seen += unit.leave("gone", time)
        return seen


def _introduce(mds: Mds, quadruples: Sequence[Quadruple]) -> list[AnyObservation]:
    """Who the pump is and whether it is in use; a new one is told of once, with all of it."""
    told = {one.parameter: one.value for one in quadruples if one.value and one.value not in NO_VALUE}
    identity = {key: told[code] for code, key in _IDENTITY.items() if code in told}
    operating = operating_of(told)
    mds.device_time = quadruples[-1].time
    if mds.connection != "connected":
        mds.identity, mds.operating = identity, operating
        return mds.link("connected")
    return mds.identify(identity) + mds.operate(operating)


def _raw(quadruple: Quadruple) -> Value:
    """A parameter without a row: the device's own word. Without a unit a number is no value."""
    code, text = quadruple.parameter, quadruple.value or ""
    if number(text) is not None:
        return msgspec.structs.replace(unknown_numeric(code, text), device_time=quadruple.time)
    return Enumeration(
        vendor=Vendor(code, text),
        validity="not_available",
        reason="missing" if text in NO_VALUE else "unknown_code",
        device_time=quadruple.time,
        value=None,
        category="measurement",
    )


def _absent(metric: Metric, text: str, reason: str, time: str) -> Value:
    if metric.kind == "numeric":
        return metric.numeric(None, text, reason=reason, device_time=time)
    return msgspec.structs.replace(metric.enumeration("", text, device_time=time), value=None, reason=reason)


def _state(metric: Metric, names: Sequence[str], text: str, time: str) -> Enumeration:
    """A bit field of one digit. Of more digits the document's copy does not say in which base they are written."""
    if not _BIT.fullmatch(text):
        return metric.enumeration("", text, device_time=time)
    words = [name for bit, name in enumerate(names) if int(text, 16) >> bit & 1]
    told = metric.enumeration("", text, device_time=time)
    return msgspec.structs.replace(told, value=" ".join(words) or "none", validity="valid", reason="")


def _textless(one: Value) -> Value:
    code = one.vendor.code if one.vendor else ""
    return msgspec.structs.replace(one, vendor=Vendor(code))
