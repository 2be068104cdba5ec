"""A driver that only listens, played by hand: what it saw and counted. Used by the tests of all oximeters."""

import re
from dataclasses import dataclass, field
from typing import Any, cast

from drivers import catalog
from drivers.contract import Fault, Output, StreamDriver
from drivers.observation import Alert, AnyObservation, Device, Enumeration, Numeric

Value = tuple[str, str, str]
"""Code, value (or empty) and validity with its reason."""


@dataclass
class Port:
    """A driver and a clock."""

    driver: StreamDriver
    now: float = 100.0
    seen: list[AnyObservation] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    sent: bytes = b""
    frames: int = 0
    wake_at: float | None = None

    def take(self, output: Output) -> list[AnyObservation]:
        """Keep one output."""
        self.seen += output.observations
        self.faults += output.faults
        self.sent += output.send + output.refusal
        self.frames += output.frames
        self.wake_at = output.wake_at
        return list(output.observations)

    def rx(self, data: bytes, after: float = 0.0) -> list[AnyObservation]:
        """Bytes so much later; returns what they showed."""
        self.until(self.now + after)
        return self.take(self.driver.receive(data, self.now))

    def until(self, when: float) -> None:
        """Turn the clock."""
        for _turn in range(10_000):
            if self.wake_at is None or self.wake_at > when:
                break
            self.now = max(self.now, self.wake_at)
            self.take(self.driver.wake(self.now))
        else:
            raise AssertionError("woken without end")
        self.now = when

    def reasons(self) -> list[str]:
        """Faults by reason, `!` where a frame was refused; taken once."""
        found, self.faults = [f.reason + "!" * f.rejected for f in self.faults], []
        return found


def port(driver: str, profile: str, **options: Any) -> Port:
    """A fresh driver, started."""
    made = Port(cast(StreamDriver, catalog.create(catalog.profile(driver, profile), options)))
    made.take(made.driver.start(made.now))
    return made


def values(seen: list[AnyObservation]) -> list[Value]:
    """Numbers and words: code, value, validity or reason."""
    return [
        (o.vendor.code, "" if o.value is None else str(o.value), o.reason or o.validity)
        for o in seen
        if isinstance(o, Numeric | Enumeration) and o.vendor
    ]


def alerts(seen: list[AnyObservation]) -> list[tuple[str, str]]:
    """Alerts: code and presence."""
    return [(o.vendor.code, o.presence) for o in seen if isinstance(o, Alert) and o.vendor]


def devices(seen: list[AnyObservation]) -> list[tuple[str, str, str]]:
    """Device records: link, operating, reason."""
    return [(o.connection, o.operating, o.reason) for o in seen if isinstance(o, Device)]


def is_allowed(driver: str, data: bytes) -> bool:
    """Whether any profile of the driver lets these bytes through."""
    rules = [rule for profile in catalog.profiles(driver).values() for rule in profile.allowed]
    return any(re.fullmatch(rule.regex(), data, re.DOTALL) for rule in rules)
