"""The device as its own messages show it (IEEE 11073: MDS): link, identity, in use or standby, alerts, absent values.

Each is told when it changes, not each time it is polled. A driver says what it has just seen; what is new comes out.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from drivers.observation import Alert, AnyObservation, Device, Enumeration, Numeric

Connection = Literal["connected", "disconnected", "stale", "unknown"]
Operating = Literal["in_use", "standby", "off", "unknown"]


class Mds:
    """What is remembered of one device; bounded by what the protocol can name."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        """Its slot, where one line carries several; it stands on everything that is said here."""
        self.device_time = ""
        """The device's own time as last sent; it stands beside everything that is said here."""
        self.connection: Connection = "unknown"
        self.operating: Operating = "unknown"
        self.identity: dict[str, str] = {}
        self._alerts: dict[str, dict[str, Alert]] = {}
        self._absent: dict[str, str] = {}

    def restart(self) -> None:
        """The port was opened again, perhaps on another device: nothing is said of it before it has said so.

        Alerts stay: the first answer shows which of them are still on.
        """
        self.connection, self.operating, self.identity, self.device_time = "unknown", "unknown", {}, ""
        self._absent.clear()

    def link(self, connection: Connection, reason: str = "") -> list[AnyObservation]:
        """The device, if its link changed; only a connected device is in use or in standby."""
        if connection == self.connection:
            return []
        self.connection = connection
        if connection != "connected":
            self.operating = "unknown"
        return [self.told(reason)]

    def identify(self, identity: Mapping[str, str], reason: str = "") -> list[AnyObservation]:
        """Who it is, if that changed."""
        if dict(identity) == self.identity:
            return []
        self.identity = dict(identity)
        return [self.told(reason)]

    def operate(self, operating: Operating) -> list[AnyObservation]:
        """In use, standby or off, if that changed."""
        if operating == self.operating:
            return []
        self.operating = operating
        return [self.told()]

    def told(self, reason: str = "") -> Device:
        """The device as it is known now."""
        return Device(
            validity="valid",
            reason=reason,
            mds=self.name,
            device_time=self.device_time,
            connection=self.connection,
            operating=self.operating,
            identity=self.identity,
        )

    def alerts(self, source: str, active: Mapping[str, Alert]) -> list[AnyObservation]:
        """Alerts that went on, changed, or went off since `source` last told which are on.

        `active` holds every condition that is on now, by its vendor code.
        """
        before = self._alerts.get(source, {})
        self._alerts[source] = dict(active)
        seen: list[AnyObservation] = []
        for code, alert in before.items():
            if code not in active:
                seen.append(
                    msgspec.structs.replace(alert, presence="off", mds=self.name, device_time=self.device_time)
                )
        for code, alert in active.items():
            if code not in before or _timeless(before[code]) != _timeless(alert):
                seen.append(msgspec.structs.replace(alert, mds=self.name))
        return seen

    def values(self, observations: Iterable[Numeric | Enumeration]) -> list[AnyObservation]:
        """The same without what was absent before for the same reason: an absence is said once, not each poll."""
        seen: list[AnyObservation] = []
        for said in observations:
            one = msgspec.structs.replace(said, mds=self.name) if self.name else said
            key = one.vendor.code if one.vendor else one.metric
            if one.value is not None:
                self._absent.pop(key, None)
                seen.append(one)
            elif self._absent.get(key) != (why := f"{one.reason} {one.vendor.text if one.vendor else ''}"):
                self._absent[key] = why
                seen.append(one)
        return seen

    def withdraw(self, reason: str, observations: Iterable[Numeric | Enumeration]) -> list[AnyObservation]:
        """Values that must not be believed any more (another device answers): absent, for this reason."""
        gone = [
            msgspec.structs.replace(
                one, value=None, validity="not_available", reason=reason, device_time=self.device_time
            )
            for one in observations
        ]
        return self.values(gone)

    def end_alerts(self, reason: str) -> list[AnyObservation]:
        """Whether they are on nobody can say any more (another device answers): off, and why."""
        ended = [alert for active in self._alerts.values() for alert in active.values()]
        self._alerts.clear()
        return [
            msgspec.structs.replace(
                alert, presence="off", validity="not_available", reason=reason, device_time=self.device_time
            )
            for alert in ended
        ]


def _timeless(alert: Alert) -> Alert:
    return msgspec.structs.replace(alert, device_time="")
