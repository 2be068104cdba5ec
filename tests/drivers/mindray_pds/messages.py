"""Messages put together from the document's text, not by the driver; a monitor and a clock by hand."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, cast

from drivers import catalog
from drivers.contract import Fault, Output
from drivers.mindray_pds.driver import MindrayPdsDriver
from drivers.observation import Alert, AnyObservation, Enumeration, Numeric
from drivers.profile import Profile

ECHO = b"\x0bMSH|^~\\&|||||||ORU^R01|106|P|2.3.1|\r\x1c\r"
QUERY = (
    b"\x0bMSH|^~\\&|||||||QRY^R02|1203|P|2.3.1\r"
    b"QRD|20060731145557|R|I|Q895211|||||RES\r"
    b"QRF|MON||||0&0^1^1^0^101&151&160&161\r"
    b"QRF|MON||||0&0^1^1^0^170&171&172&200\r"
    b"QRF|MON||||0&0^3^1^1^\r"
    b"QRF|MON||||0&0^4^1^1^\r"
    b"\x1c\r"
)
"""The query as the document prints it."""
PATIENT = (
    "PID|||0a1b2c||Lovelace^Ada||18151210|F\r"
    "PV1||I|^^ICU&7&3232237756&4601&&1\r"
    "OBX||NM|52^||165.0||||||F\r"
    "OBX||NM|51^||61.5||||||F\r"
    "OBX||ST|2301^||MRN-4711||||||F\r"
    "OBX||CE|2302^||2^A||||||F\r"
    "OBX||ST|2308^||BED-7||||||F\r"
)
SECRETS = ("Lovelace", "Ada", "18151210", "0a1b2c", "165", "61.5", "4711", "BED-7", "3232237756", "ICU")


def message(kind: int | str, *rows: str, event: str = "ORU^R01", version: str = "2.3.1", end: str = "\r") -> bytes:
    """A whole message, framed."""
    header = f"MSH|^~\\&|||||||{event}|{kind}|P|{version}|"
    return b"\x0b" + "".join(f"{row}{end}" for row in (header, *rows)).encode() + b"\x1c\r"


HOME, AWAY = "3232237756", "3232237757"
"""Two monitors, 192.168.8.188 and 192.168.8.189, as PV1-3 names them."""


def patient(address: str = HOME) -> bytes:
    """Kind 103."""
    return message(103, *PATIENT.replace(HOME, address).rstrip("\r").split("\r"))


def snapshot(label: str, hr: str, address: str = HOME) -> bytes:
    """Kind 2: a gateway's, of one bed."""
    pid, pv1, *_rest = PATIENT.replace(HOME, address).split("\r")
    return message(2, pid, pv1.replace("ICU&7", label), "OBR||||x", nm("101^HR", 2101, hr))


def nm(what: str, of: int | str, value: str, tail: str = "") -> str:
    """A number: `nm("101^HR", 2101, "60")`."""
    return f"OBX||NM|{what}|{of}|{value}||||||F{tail}"


def at(time: str) -> str:
    """The tail of a measurement that was made once."""
    return f"||APERIODIC|{time}"


def ce(what: str, of: int | str, value: str, tail: str = "") -> str:
    """A code."""
    return f"OBX||CE|{what}|{of}|{value}||||||F{tail}"


def vital(hr: str = "60", spo2: str = "97") -> bytes:
    """The values of one second."""
    rows = (nm("101^HR", 2101, hr), nm("151^RR", 2102, "14"), nm("160^SpO2", 2103, spo2), nm("161^PR", 2103, "61"))
    return message(204, *rows)


@dataclass
class Bench:
    """A driver, what it sent with the time of each, and what it saw."""

    driver: MindrayPdsDriver
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
        """The connection stands."""
        return self.take(self.driver.start(self.now))

    def stop(self) -> bytes:
        """The box lets go."""
        return self.take(self.driver.stop(self.now))

    def rx(self, data: bytes, after: float = 0.0) -> list[AnyObservation]:
        """Bytes a moment later, due wake-ups before them; returns what they showed."""
        self.until(self.now + after)
        first = len(self.seen)
        self.take(self.driver.receive(data, self.now))
        return self.seen[first:]

    def until(self, when: float) -> list[AnyObservation]:
        """Turn the clock; returns what was seen meanwhile."""
        first = len(self.seen)
        for _turn in range(20_000):
            if self.wake_at is None or self.wake_at > when:
                break
            self.now = max(self.now, self.wake_at)
            self.take(self.driver.wake(self.now))
        else:
            raise AssertionError("woken without end")
        self.now = when
        return self.seen[first:]

    def reasons(self) -> list[str]:
        """Faults by reason, taken once."""
        found, self.faults = [fault.reason for fault in self.faults], []
        return found


def profile(name: str = "monitor") -> Profile:
    """A profile; the box calls the monitor where none is named."""
    return catalog.profile("mindray_pds", name)


def bench(of: str = "monitor", **options: Any) -> Bench:
    """A fresh driver of a profile, started."""
    made = Bench(cast(MindrayPdsDriver, catalog.create(profile(of), options)))
    made.start()
    return made


def by_code(seen: Iterable[AnyObservation]) -> dict[str, Numeric | Enumeration]:
    """Values by vendor code, the last of each."""
    return {o.vendor.code: o for o in seen if isinstance(o, Numeric | Enumeration) and o.vendor}


def values(seen: Iterable[AnyObservation]) -> dict[str, tuple[str, str]]:
    """Values by vendor code: the digits (empty: absent), and the reason or the validity."""
    return {
        code: ("" if one.value is None else str(one.value), one.reason or one.validity)
        for code, one in by_code(seen).items()
    }


def alerts(seen: Iterable[AnyObservation]) -> list[tuple[str, str, str, str]]:
    """Alerts: code, presence, priority, the monitor's level."""
    return [
        (o.vendor.code, o.presence, o.priority, o.vendor_priority) for o in seen if isinstance(o, Alert) and o.vendor
    ]
