"""A SERVO played by hand, and a clock turned by hand. Checks are counted here, not by the driver."""

from dataclasses import dataclass, field
from typing import Any

from drivers import catalog
from drivers.contract import Fault, Output
from drivers.observation import AnyObservation, Device
from drivers.profile import Profile

ESC_HELLO = b"\x1bHO\x04"


def check(body: bytes) -> int:
    """All bytes, one after the other, exclusive or."""
    total = 0
    for byte in body:
        total ^= byte
    return total


def text(said: str) -> bytes:
    """Text, check, EOT."""
    return said.encode() + f"{check(said.encode()):02X}".encode() + b"\x04"


def binary(said: str | bytes) -> bytes:
    """Bytes (or hex), 7F, check."""
    body = bytes.fromhex(said) if isinstance(said, str) else said
    return body + b"\x7f" + bytes([check(body + b"\x7f")])


GAINS = {
    "200": "+1000E-004,+0000E+000,06",
    "201": "+1000E-003,+0000E+000,01",
    "203": "+1000E-005,+0000E+000,08",
    "205": "+1000E-004,+0000E+000,04",
    "260": "+1000E-003,+0000E+000,10",
    "310": "+1000E-003,+0000E+000,20",
    "308": "+1000E-004,+0000E+000,04",
    "355": "+1000E-003,+0000E+000,14",
    "100": "+2713E-004,+3333E+000,02",
    "113": "+0651E-004,+1333E-001,04",
}


@dataclass
class Bench:
    """A driver, what it sent with the time of each, and what it saw."""

    profile: Profile
    options: dict[str, Any] = field(default_factory=dict)
    now: float = 100.0
    sent: list[tuple[float, bytes]] = field(default_factory=list)
    seen: list[AnyObservation] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    wake_at: float | None = None
    frames: int = 0
    is_started: bool = False

    def __post_init__(self) -> None:
        self.driver: Any = catalog.create(self.profile, self.options)

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
        self.is_started = True
        return self.take(self.driver.start(self.now))

    def rx(self, data: bytes, after: float = 0.0) -> bytes:
        """Bytes from the device a moment later; returns what is sent at once."""
        self.until(self.now + after)
        return self.take(self.driver.receive(data, self.now))

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

    def stop(self) -> bytes:
        """The box leaves."""
        return self.take(self.driver.stop(self.now))

    def clear(self) -> "Bench":
        """Forget what was seen so far."""
        self.seen, self.faults, self.sent = [], [], []
        return self

    @property
    def reasons(self) -> list[str]:
        """The faults by reason and detail."""
        return [f"{fault.reason} {fault.detail}".strip() for fault in self.faults]

    @property
    def values(self) -> dict[str, tuple[str, str]]:
        """The last value (or its reason) and the unit of each channel."""
        found: dict[str, tuple[str, str]] = {}
        for one in self.seen:
            if one.vendor and hasattr(one, "value"):
                word = one.reason if one.value is None else str(one.value)
                found[one.vendor.code] = (word, getattr(one, "unit", ""))
        return found

    @property
    def operating(self) -> list[str]:
        """The device's states, in order."""
        return [one.operating for one in self.seen if isinstance(one, Device)]


class Ventilator:
    """Answers as the manual has it; `said` replaces the answer to a command by its beginning."""

    def __init__(self, name: str = "Servo-i0", version: str = "005", gains: dict[str, str] | None = None) -> None:
        self.name, self.version = name, version
        self.gains = GAINS if gains is None else gains
        self.said: dict[str, bytes] = {}
        self.stopped = b""
        """What it answers to ESC."""
        self.tables: dict[str, list[str]] = {}

    def answer(self, asked: bytes) -> bytes:
        """The answer to one or more frames."""
        parts = asked.replace(b"\x1b", b"").split(b"\x04")
        return self.stopped * asked.count(b"\x1b") + b"".join(self._one(part) for part in parts if part)

    def _one(self, part: bytes) -> bytes:
        if part == b"HO":
            return self.said.get("HO", b"900PCI\x04")
        command, given = part[:-2].decode(), part[-2:].decode()
        assert f"{check(command.encode()):02X}" == given, part
        for begun, said in self.said.items():
            if command.startswith(begun):
                return said
        return self._usual(command)

    def _usual(self, command: str) -> bytes:
        match command[:4]:
            case "RPTY":
                return text("SCI0")
            case "RCTY":
                return text(self.name)
            case "RCFG":
                return text(self.name[:-1])
            case "RHVE":
                return text(self.version)
            case "RSEN":
                return text("12345")
            case "RTIM":
                return text("20261125153000")
            case "RCCO":
                said = self.gains.get(command[4:])
                return text(f"020;{command[4:]},{said},BT,FFFF;") if said else text("ER12")
            case "SDAD":
                codes = command[5:]
                self.tables[command[4]] = [codes[at : at + 3] for at in range(0, len(codes), 3)]
                return text("*")
            case "SPVE":
                return text("*")
        return text("ER16")


def play(bench: Bench, device: Ventilator, until: float, delay: float = 0.05) -> None:
    """Let the device answer every frame a moment later, until this time."""
    answered = len(bench.sent)
    if not bench.is_started:
        bench.start()
    while True:
        if answered < len(bench.sent):
            at, frame = bench.sent[answered]
            answered += 1
            reply = device.answer(frame)
            if reply:
                bench.rx(reply, max(0.0, at + delay - bench.now))
            continue
        if bench.wake_at is None or bench.wake_at > until:
            return
        bench.until(bench.wake_at)
