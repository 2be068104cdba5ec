"""Reports put together from the document's table of widths, not by the driver; a ventilator and a clock by hand."""

from dataclasses import dataclass, field
from typing import Any, cast

from drivers import catalog
from drivers.contract import Fault, Output
from drivers.observation import Alert, AnyObservation, Enumeration, Numeric
from drivers.puritan_bennett.driver import PuritanBennettDriver

SNDF, SNDA = b"SNDF\r", b"SNDA\r"
BLANK = ""
NORMAL = {number: "NORMAL" for number in range(106, 154)}
VC: dict[int, str] = {
    **{5: "09:41", 6: "840 3510012345", 7: "MAR 14 2024"},
    **{8: "INVASIVE", 9: "A/C", 10: "VC", 12: "V-Trig", 13: "14.0", 14: "0.450", 15: "55.0", 16: "40", 18: "5.0"},
    **{19: "0.0", 20: "20", 21: "0.500", 22: "12.0", 23: "50.0", 24: "100", 27: "RAMP", 28: "VC", 32: "SQUARE"},
    **{33: "OFF", 34: "40", 36: "12.000", 37: "4.500", 38: "1200", 39: "350", 40: "OFF", 41: "250", 42: "35"},
    **{44: "4.5", 45: "3.0", 53: "HME", 55: "Enabled", 56: "75", 59: "25", 60: "65.0", 66: "ADULT"},
    **{69: "18.0", 70: "14.0", 71: "0.438", 72: "6.130", 73: "21.0", 74: "9.6", 75: "2.30", 76: "1:2.30"},
    **{77: "40", 78: "0.452", 87: "5.1", 105: "OFF"},
    **NORMAL,
}
"""An 840 in volume control, all well."""


def width(number: int, length: int = 1225) -> int:
    """Characters of a field of MISCF; the longest of the three reports has a wide field 156."""
    if length == 1229 and number == 156:
        return 9
    return {6: 18, 7: 12, 8: 9, 50: 9, 53: 18, 55: 9, 66: 9}.get(number, 6)


def content(values: dict[int, str], length: int = 1225) -> bytes:
    """What stands between STX and ETX."""
    return "".join(values.get(n, BLANK).ljust(width(n, length)) + "," for n in range(5, 174)).encode()


def miscf(values: dict[int, str] | None = None, length: int = 1225, **changed: str) -> bytes:
    """A whole report; `f14="0.500"` changes one field."""
    fields = {**(VC if values is None else values), **{int(key[1:]): text for key, text in changed.items()}}
    return b"MISCF,%d,169 ,\x02" % length + content(fields, length) + b"\x03\r"


def misca(*values: str) -> bytes:
    """The shorter report: 97 fields, their widths as they come."""
    texts = [*values, *[BLANK] * (97 - len(values))]
    body = "".join(text.ljust(6) + "," for text in texts).encode()
    return b"MISCA,%d,97 ,\x02" % len(body) + body + b"\x03\r"


PB_980: dict[int, str] = {
    **VC,
    **{
        6: "980 35B1200777",
        9: "BILEVL",
        10: "PC",
        11: "PS",
        12: "P-Trig",
        17: "2.0",
        62: "25.0",
        63: "8.0",
        64: "1.50",
    },
    **dict.fromkeys(range(146, 154), BLANK),
    **{153: "NORMAL", 156: "OFF", 160: "NORMAL", 161: "38", 163: "0.400", 164: "1.900", 172: "BREATH"},
}
"""A 980 with etCO2; 163, 164 and 172 are filled, nobody knows with what."""


@dataclass
class Bench:
    """A driver, what it sent with the time of each, and what it saw."""

    driver: PuritanBennettDriver
    now: float = 100.0
    sent: list[tuple[float, bytes]] = field(default_factory=list)
    seen: list[AnyObservation] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    wake_at: float | None = None
    frames: int = 0

    def take(self, output: Output) -> bytes:
        """Keep one output; returns what it sends."""
        self.seen += output.observations
        self.faults += output.faults
        self.wake_at = output.wake_at
        self.frames += output.frames
        if output.send:
            self.sent.append((self.now, output.send))
        return output.send

    def start(self) -> bytes:
        """The port opens."""
        return self.take(self.driver.start(self.now))

    def rx(self, data: bytes, after: float = 0.0) -> list[AnyObservation]:
        """Bytes a moment later, due wake-ups before them; returns what they showed."""
        self.until(self.now + after)
        first = len(self.seen)
        self.take(self.driver.receive(data, self.now))
        return self.seen[first:]

    def until(self, when: float) -> list[bytes]:
        """Turn the clock; returns what was sent meanwhile."""
        first = len(self.sent)
        for _turn in range(20_000):
            if self.wake_at is None or self.wake_at > when:
                break
            self.now = max(self.now, self.wake_at)
            self.take(self.driver.wake(self.now))
        else:
            raise AssertionError("woken without end")
        self.now = when
        return [data for _t, data in self.sent[first:]]

    def reasons(self) -> list[str]:
        """Faults by reason, taken once."""
        found, self.faults = [fault.reason for fault in self.faults], []
        return found


def bench(profile: str = "pb_840", **options: Any) -> Bench:
    """A fresh driver, started."""
    made = Bench(cast(PuritanBennettDriver, catalog.create(catalog.profile("puritan_bennett", profile), options)))
    made.start()
    return made


def by_code(seen: list[AnyObservation]) -> dict[str, Numeric | Enumeration]:
    """Values by vendor code, the last of each."""
    return {o.vendor.code: o for o in seen if isinstance(o, Numeric | Enumeration) and o.vendor}


def alerts(seen: list[AnyObservation]) -> list[tuple[str, str, str, str]]:
    """Alerts: code, presence, priority, the device's word."""
    return [
        (o.vendor.code, o.presence, o.priority, o.vendor_priority) for o in seen if isinstance(o, Alert) and o.vendor
    ]
