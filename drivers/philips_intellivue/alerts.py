"""The alert monitor: lists of what is on now, and the state of the whole device, as alerts that go on and off.

    0902  patient alarms   │ count 2 │ length 2 │ alarm │ alarm │ …          0904  technical alarms: the same
    alarm                  │ source 2 │ code 2 │ type 2 │ state 2 │ object 6 │ form 2 │ length 2 │ … │
    form 0201, 0204        │ instance 2 │ text 4 │ priority 2 │ flags 2 │ [0204: length 2, text] │
    0916  device condition │ state 2 │ changes 2 │ highest types 2, 2, 2 │

Kind and priority are bits of the type, never taken from a text. Two entries of one source and code (of two objects)
are one alert. Philips, Data Export Interface Programming Guide, Alert Monitor; mdpnp, DevAlarmEntry and AlertType.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

from drivers.mds import Mds
from drivers.observation import Alert, AnyObservation, Vendor
from drivers.philips_intellivue.values import PATIENT_ALARMS, TECHNICAL_ALARMS, Alarm, Reading

Kind = Literal["physiological", "technical", "unknown"]
Priority = Literal["high", "medium", "low", "none", "unknown"]

TYPES: Mapping[int, tuple[Kind, Priority]] = {
    0x0001: ("technical", "low"),
    0x0002: ("technical", "medium"),
    0x0004: ("technical", "high"),
    0x0100: ("physiological", "low"),
    0x0200: ("physiological", "medium"),
    0x0400: ("physiological", "high"),
}
KINDS: Mapping[int, Kind] = {PATIENT_ALARMS: "physiological", TECHNICAL_ALARMS: "technical"}
_RANK: tuple[Priority, ...] = ("high", "medium", "low", "none", "unknown")
CONDITIONS: Mapping[int, str] = {0x8000: "alarms off", 0x4000: "alarms paused"}
"""Bits of the device's state that are alerts of their own."""
IN_TEST, IN_STANDBY, IN_DEMO = 0x0400, 0x0200, 0x0100
MOST = 256
"""Alarms of one list that are told; a monitor shows a handful."""


class Alerts:
    """What one alert monitor says, round by round: a list may come in several parts."""

    def __init__(self, mds: Mds) -> None:
        self._mds = mds
        self._round: dict[int, dict[str, Alert]] = {}
        self._texts: dict[tuple[str, str], str] = {}
        self.has_spoken = False
        """Whether a whole round came: alarms are then told from here, and not from the states of values."""
        self.condition = 0
        """State bits of the whole device."""

    def restart(self) -> None:
        """A new association: what it says of the alarms is not known yet."""
        self._round.clear()
        self.has_spoken, self.condition = False, 0

    def begin(self) -> None:
        """A new round: what was left of the one before is forgotten."""
        self._round.clear()

    def read(self, readings: tuple[Reading, ...]) -> None:
        """One part, or all, of a round."""
        for reading in readings:
            if reading.condition is not None:
                self.condition = reading.condition
            for listed, alarms in reading.alarms.items():
                active = self._round.setdefault(listed, {})
                for alarm in alarms:
                    self._add(active, listed, alarm)

    def end(self, *, is_silent: bool) -> list[AnyObservation]:
        """The round is whole: what went on, what went off. `is_silent`: nothing of it is of a patient."""
        self.has_spoken = True
        said: list[AnyObservation] = []
        for listed, active in sorted(self._round.items()):
            said += self._mds.alerts(f"{listed:04X}", {} if is_silent else active)
        self._texts = {
            (code, alert.vendor_priority): alert.vendor.text
            for active in self._round.values()
            for code, alert in active.items()
            if alert.vendor
        }
        self._round.clear()
        return said + self._mds.alerts("0916", {} if is_silent else self._conditions())

    def lost(self) -> list[AnyObservation]:
        """The alert monitor says no more, or a new one never spoke: whether they are on nobody can say.

        What it said last of the whole device (a demonstration) counts on: it takes values away, and gives none.
        """
        self.has_spoken = False
        sources = (*(f"{listed:04X}" for listed in KINDS), "0916")
        ended = [one for source in sources for one in self._mds.alerts(source, {})]
        return [msgspec.structs.replace(one, validity="not_available", reason="not_sent") for one in ended]

    def _conditions(self) -> dict[str, Alert]:
        on = {f"0916.{bit:04X}": text for bit, text in CONDITIONS.items() if self.condition & bit}
        return {code: self._alert(code, text, "technical", "none", "") for code, text in on.items()}

    def _add(self, active: dict[str, Alert], listed: int, alarm: Alarm) -> None:
        code = f"{alarm.source:04X}.{alarm.code:04X}"
        if code not in active and len(active) >= MOST:
            return
        kind, priority = TYPES.get(alarm.type, (KINDS[listed], "unknown" if alarm.type else "none"))
        raw = f"{alarm.type:04X}"
        text = self._texts.get((code, raw), alarm.text)  # with a number in it, it would be a new alert each second
        new = self._alert(code, text, kind, priority, raw)
        before = active.get(code)
        if before is None or _RANK.index(priority) < _RANK.index(before.priority):
            active[code] = new if before is None else msgspec.structs.replace(new, vendor=before.vendor)

    def _alert(self, code: str, text: str, kind: Kind, priority: Priority, raw: str) -> Alert:
        return Alert(
            vendor=Vendor(code, text),
            validity="valid",
            device_time=self._mds.device_time,
            alert=kind,
            priority=priority,
            presence="on",
            vendor_priority=raw,
        )
