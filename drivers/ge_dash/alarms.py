"""Alarms: the level that stands beside the parameters, and what is broadcast. Text decides nothing and is not read.

mdpnp, `GESerial.java`, the constants ALARM_LEVEL_... (crisis is the red light, warning the amber one: GE, Dash
3000/4000/5000 service manual 2000966-542, section "Speaker"; the two lower ones follow in order).
"""

from typing import Literal

import msgspec

from drivers.ge_dash.frames import Broadcast
from drivers.mds import Mds
from drivers.observation import Alert, AnyObservation, Vendor
from drivers.profile import Metric, Profile

LEVEL, PREFIX = "LEVEL", "ALARM."
REPEATED_S = 30.0
"""A broadcast has no end: the public client shows an alarm for so long after the last one."""
NO_LEVEL = 0
NOT_SAID = (0x80, 0x81)
"""GESerial.java: INVALID_BYTE and MISSING_BYTE."""
Kind = Literal["physiological", "technical", "unknown"]
Priority = Literal["high", "medium", "low", "none", "unknown"]
_LEVELS: dict[int, tuple[Kind, Priority, str]] = {
    1: ("technical", "none", "system message"),
    2: ("technical", "low", "system advisory"),
    3: ("technical", "medium", "system warning"),
    4: ("physiological", "none", "message"),
    5: ("physiological", "low", "advisory"),
    6: ("physiological", "medium", "warning"),
    7: ("physiological", "high", "crisis"),
}


class Alarms:
    """What is on; bounded by the codes of one octet."""

    def __init__(self, profile: Profile, mds: Mds) -> None:
        self._rows = profile.by_code
        self._mds = mds
        self._until: dict[str, float] = {}

    def level(self, level: int) -> list[AnyObservation]:
        """The highest alarm, as its level goes up and down."""
        if level in NOT_SAID:
            return []
        if level == NO_LEVEL:
            return self._mds.alerts(LEVEL, {})
        kind, priority, word = _LEVELS.get(level, ("unknown", "unknown", ""))
        said = _alert(LEVEL, str(level), self._rows.get(LEVEL), kind, priority, word)
        return self._mds.alerts(LEVEL, {LEVEL: said})

    def broadcast(self, seen: Broadcast, now: float) -> list[AnyObservation]:
        """An alarm of a parameter is on, or still on."""
        self._until[f"{PREFIX}{seen.code:02X}"] = now + REPEATED_S
        return self._tell()

    def expire(self, now: float) -> list[AnyObservation]:
        """Alarms that were not broadcast again: whether they have ended, the monitor did not say."""
        if now < self.expires_at:
            return []
        self._until = {code: until for code, until in self._until.items() if until > now}
        return [msgspec.structs.replace(one, validity="questionable", reason="not_repeated") for one in self._tell()]

    @property
    def expires_at(self) -> float:
        """When the next one is over; never, if none is on."""
        return min(self._until.values(), default=float("inf"))

    def end(self, reason: str) -> list[AnyObservation]:
        """Nobody can say any more which are on."""
        self._until.clear()
        return self._mds.end_alerts(reason)

    def _tell(self) -> list[AnyObservation]:
        active = {code: _alert(code, "", self._rows.get(code), "unknown", "unknown", "") for code in self._until}
        return self._mds.alerts(PREFIX, active)


def _alert(code: str, text: str, row: Metric | None, kind: Kind, priority: Priority, word: str) -> Alert:
    return Alert(
        metric=row.mdc if row else "",
        code=row.mdc_code if row else 0,
        vendor=Vendor(code, text),
        validity="valid",
        alert=kind,
        priority=priority,
        vendor_priority=word,
        presence="on",
    )
