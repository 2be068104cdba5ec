"""From numerics and enumerations to observations: validity out of the state word, units out of the unit code.

Alarms are told from the alert monitor (alerts.py); where it has not spoken, from the bits of a value's state.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal

import msgspec

from drivers.framing.ieee11073 import Special, float32
from drivers.mds import Mds
from drivers.observation import Alert, AnyObservation, Enumeration, Numeric, Validity, Vendor
from drivers.philips_intellivue.alerts import IN_DEMO, IN_STANDBY, IN_TEST, Alerts
from drivers.philips_intellivue.pdus import FIRST, PollResult, time_of
from drivers.philips_intellivue.values import Reading, State, Value
from drivers.profile import Metric, Profile, unknown_numeric

UNITS: Mapping[int, str] = {
    0x0200: "1",
    0x0220: "%",
    0x09E0: "/min",
    0x0AA0: "/min",
    0x0AC0: "/min",
    0x0AE0: "/min",
    0x0F02: "hPa",
    0x0F20: "mm[Hg]",
    0x0F03: "kPa",
    0x0F40: "cm[H2O]",
    0x0F72: "mbar",
    0x17A0: "Cel",
    0x1140: "[degF]",
    0x0511: "cm",
    0x0512: "mm",
    0x0640: "L",
    0x0652: "mL",
    0x06C3: "kg",
    0x0840: "g/dL",
    0x0880: "s",
    0x0892: "ms",
    0x09C0: "Hz",
    0x0B20: "L/min/m2",
    0x0BE0: "L/s",
    0x0C00: "L/min",
    0x0C12: "mL/min",
    0x10B2: "mV",
    0x10B3: "uV",
    0x10C0: "Ohm",
    0x1712: "mL/cm[H2O]",
    0x1920: "dB",
}
"""Unit codes (IEEE 11073-10101, partition 4) to UCUM; a number in any other unit is not published as one."""
ABSENT = ((0x8000, "invalid"), (0x2000, "unavailable"), (0x1000, "calibrating"), (0x0800, "test"), (0x0400, "demo"))
"""State bits with which there is no value of the patient, the gravest first."""
QUESTIONABLE, EARLY, ONGOING = 0x4000, 0x0040, 0x0020
IN_ALARM, INHIBITED = 0x0002, 0x0001
_UNDEFINED = 0x0300
"""A value is valid if the whole upper byte of its state is zero, and nobody says what these two bits mean."""
DEMO, STANDBY = 0x2000, 0x0002
"""Bits of the operating mode of the MDS."""
_SPECIAL = frozenset((0x7FFFFF, 0x800000, 0x7FFFFE, 0x800002, 0x800001))
CUFF = frozenset((0x4A05, 0x4A06, 0x4A07, 0xF0E5))
"""Measured now and then, and shown until the next time: without its own time a number may be of any age."""
GONE_TICKS = 60 * 8000
"""Of the monitor's time: a value that was not sent for so long says nothing of its alerts any more."""
_WRAP = 1 << 32
MOST_CODES = 512
"""Physio ids whose alarms and time stamps are remembered."""


def absence(state: int) -> str:
    """Why there is no value; empty where there is one."""
    return next((reason for bit, reason in ABSENT if state & bit), "")


class Observer:
    """One monitor's numerics as observations; what is remembered stands in its MDS."""

    def __init__(self, profile: Profile) -> None:
        self.mds = Mds()
        self.alerts = Alerts(self.mds)
        self._mode = 0
        self._rows = profile.by_code
        self._stamped: dict[str, tuple[bytes, int, int, int]] = {}
        self._codes: set[int] = set()
        self._alerting: dict[int, int] = {}
        """Physio ids with an alert out of their state, and when they last came."""
        self._usable, self._is_linked = 0, False

    def restart(self) -> None:
        """The port was opened again."""
        self.mds.restart()
        self.forget()

    def forget(self) -> None:
        """A new association: what the one before said of mode and round is over."""
        self.alerts.restart()
        self._stamped.clear()
        self._mode, self._usable, self._is_linked = 0, 0, False

    @property
    def no_patient(self) -> str:
        """Why nothing of this monitor is of a patient now; empty where it is."""
        if self._mode & DEMO or self.alerts.condition & IN_DEMO:
            return "demo"
        return "test" if self.alerts.condition & IN_TEST else ""

    @property
    def _in_standby(self) -> bool:
        return bool(self._mode & STANDBY or self.alerts.condition & IN_STANDBY)

    def turn(self, mode: int | None) -> list[AnyObservation]:
        """The operating mode that the MDS says."""
        if mode is not None:
            self._mode = mode
        return self.mds.operate("standby") if self._in_standby and self.mds.connection == "connected" else []

    def alarm(self, result: PollResult, readings: tuple[Reading, ...], *, is_broken: bool) -> list[AnyObservation]:
        """What the alert monitor says; a round of which a part is missing says nothing."""
        self.mds.device_time = time_of(result.absolute)
        if result.part == FIRST:
            self.alerts.begin()
        self.alerts.read(readings)
        if result.part:
            return []
        if is_broken:
            self.alerts.begin()
            return []
        return [*self.alerts.end(is_silent=bool(self.no_patient)), *self.turn(None)]

    def states(self, result: PollResult, readings: tuple[Reading, ...]) -> list[AnyObservation]:
        """Enumerations. No table gives their codes a word: the code stands in the vendor's text."""
        self.mds.device_time = time_of(result.absolute)
        return self.mds.values([self._state(state) for reading in readings for state in reading.states])

    def _state(self, state: State) -> Enumeration:
        code = f"{state.physio:04X}"
        row = self._rows.get(code)
        metric = row if row is not None and row.kind == "enumeration" else Metric(code=code, kind="enumeration")
        reason = absence(state.state) or self.no_patient
        text = f"{state.state:04X} {state.raw}".strip()
        if reason:
            return Enumeration(
                vendor=Vendor(code, text),
                validity="not_available",
                reason=reason,
                value=None,
                category="measurement",
                device_time=self.mds.device_time,
            )
        return metric.enumeration(f"{state.code:04X}", text, device_time=self.mds.device_time)

    def observe(
        self, result: PollResult, readings: tuple[Reading, ...], *, is_broken: bool = False
    ) -> list[AnyObservation]:
        """All that a result of numerics, or one part of it, says; `is_broken`: a part of it is missing."""
        self.mds.device_time = time_of(result.absolute)
        unfinished = self._begin(result)
        numerics: list[Numeric] = []
        alerts: list[AnyObservation] = []
        for reading in readings:
            for value in reading.values:
                numerics += self._numeric(value, reading.stamp)
                self._usable += not (absence(value.state) or self.no_patient)
                alerts += self._alerts(value, result.relative)
        alerts += self._end_gone(result.relative)
        use = self._end(is_broken=is_broken) if result.part == 0 else self._in_use() if self._usable else []
        return [*unfinished, *self.mds.values(numerics), *alerts, *use]

    def _begin(self, result: PollResult) -> list[AnyObservation]:
        """A first part closes the round before it, if that never had its final result."""
        if result.part != FIRST:
            return []
        unfinished = self._end(is_broken=True) if self._is_linked else []
        self._is_linked, self._usable = True, 0
        return unfinished

    def _end(self, *, is_broken: bool) -> list[AnyObservation]:
        usable, self._usable, self._is_linked = self._usable, 0, False
        if usable:
            return self._in_use()
        return [] if is_broken else self.mds.operate("standby" if self._in_standby else "unknown")

    def _in_use(self) -> list[AnyObservation]:
        return self.mds.operate("standby" if self._in_standby else "in_use")

    def _numeric(self, value: Value, stamp: bytes) -> Iterator[Numeric]:
        code = f"{value.physio:04X}"
        text = f"{value.state:04X} {value.unit:04X} {value.word:08X}"
        is_cuff = value.physio in CUFF
        if (stamp or is_cuff) and self._is_told(code, stamp, value):
            return
        one = self._read(value, code, text, time_of(stamp) or self.mds.device_time)
        if is_cuff and not time_of(stamp) and one.value is not None:
            one = msgspec.structs.replace(one, validity="questionable", reason=one.reason or "no_time")
        yield one

    def _is_told(self, code: str, stamp: bytes, value: Value) -> bool:
        """A measurement with its own time (a cuff's) is sent again and again until there is a new one."""
        said = (stamp, value.state & ~(IN_ALARM | INHIBITED), value.unit, value.word)
        if self._stamped.get(code) == said:
            return True
        if code in self._stamped or len(self._stamped) < MOST_CODES:
            self._stamped[code] = said
        return False

    def _read(self, value: Value, code: str, text: str, time: str) -> Numeric:
        unit = UNITS.get(value.unit)
        if unit is None:
            return unknown_numeric(code, text)
        metric = self._row(code, value.unit, unit)
        reason = absence(value.state) or self.no_patient
        number = _float(value.word)
        if isinstance(number, Special):
            return metric.numeric(None, text, reason=reason or number.value, device_time=time)
        if reason:
            return metric.numeric(None, text, reason=reason, device_time=time)
        validity, why = _validity(value.state)
        if validity == "ongoing" and not _is_plausible(metric, number):
            validity, why = "questionable", "implausible"
        return metric.numeric(number, text, reason=why, validity=validity, device_time=time)

    def _row(self, code: str, unit_code: int, unit: str) -> Metric:
        """The row of a physio id in this unit. Without one the monitor's own code and unit stand, without a name."""
        for key in (code, f"{code}:{unit_code:04X}"):
            row = self._rows.get(key)
            if row is not None and row.kind == "numeric" and row.unit == unit:
                return row
        return Metric(code=code, unit=unit)

    def _alerts(self, value: Value, relative: int) -> list[AnyObservation]:
        """Bits of the state: the value is in alarm, its alarms are inhibited. There is no priority in them."""
        if value.physio not in self._codes and len(self._codes) >= MOST_CODES:
            return []
        self._codes.add(value.physio)
        code = f"{value.physio:04X}"
        active = {}
        if value.state & IN_ALARM and not self.alerts.has_spoken and not self.no_patient:
            active[f"{code}.0002"] = self._alert(f"{code}.0002", "in alarm", is_alarm=True)
        if value.state & INHIBITED:
            active[f"{code}.0001"] = self._alert(f"{code}.0001", "alarm inhibited", is_alarm=False)
        self._alerting.pop(value.physio, None)
        if active:
            self._alerting[value.physio] = relative
        return self.mds.alerts(code, active)

    def _end_gone(self, relative: int) -> list[AnyObservation]:
        """Alerts of values that are not sent any more: whether they have ended, the monitor did not say."""
        gone = [physio for physio, at in self._alerting.items() if (relative - at) % _WRAP >= GONE_TICKS]
        ended = [one for physio in gone for one in self.mds.alerts(f"{physio:04X}", {}) if isinstance(one, Alert)]
        for physio in gone:
            del self._alerting[physio]
        return [msgspec.structs.replace(one, validity="questionable", reason="not_sent") for one in ended]

    def _alert(self, code: str, text: str, *, is_alarm: bool) -> Alert:
        return Alert(
            vendor=Vendor(code, text),
            validity="valid",
            device_time=self.mds.device_time,
            alert="unknown" if is_alarm else "technical",
            priority="unknown" if is_alarm else "none",
            presence="on",
        )


def _float(word: int) -> Decimal | Special:
    """A mantissa that is a special one is no number, whatever the exponent (guide, FLOAT type)."""
    return float32(word & 0xFFFFFF if word & 0xFFFFFF in _SPECIAL else word)


def _validity(state: int) -> tuple[Validity, str]:
    """Of a value that is there."""
    if state & QUESTIONABLE:
        return "questionable", "questionable"
    if state & _UNDEFINED:
        return "questionable", "unknown_state"
    if state & EARLY:
        return "ongoing", "early"
    return ("ongoing", "") if state & ONGOING else ("valid", "")


def _is_plausible(metric: Metric, number: Decimal) -> bool:
    """The gate judges valid values only; one that is still being measured is judged here."""
    low, high = metric.range
    return (low is None or number >= low) and (high is None or number <= high)
