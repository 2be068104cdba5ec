"""A ComDevice played by hand, and a clock turned by hand. Lengths and sums are made here, not by the driver."""

from dataclasses import dataclass, field
from typing import Any, cast

from drivers import catalog
from drivers.bbraun_bcc.driver import BbraunBccDriver
from drivers.contract import Output
from drivers.observation import AnyObservation

PROFILE = catalog.profile("bbraun_bcc", "space")
ACK, NAK = b"\x06", b"\x15"
PAIRS = {"D": "EX", "E": "EE", "d": "ex", "e": "ee"}
BED = "SpaceCOM/1/1>"


def stuffed(wire: bytes) -> bytes:
    """Character stuffing, one character after the other."""
    return "".join(PAIRS.get(char, char) for char in wire.decode("latin-1")).encode("latin-1")


def frame(info: str | bytes, *, more: bool = False, stuffing: bool = True) -> bytes:
    """SOH length STX info ETX checksum EOT; with ETB where more blocks follow."""
    said = info.encode() if isinstance(info, str) else info
    body = b"\x01" + str(len(said) + 14).zfill(5).encode() + b"\x02" + said + (b"\x17" if more else b"\x03")
    whole = body + str(sum(body) % 256).zfill(5).encode() + b"\x04"
    return stuffed(whole) if stuffing else whole


def pump(slot: str, time: int, parameters: dict[str, str], *, more: bool = False, bed: str = BED) -> bytes:
    """The block of one pump; slot `00` is the ComDevice."""
    rows = (f"{time},501{slot},{code},{value}" for code, value in parameters.items())
    return frame(bed + "\x1e".join(rows), more=more)


ALIVE = frame("1/1/1>ADMIN:ALIVE")
VERSION = frame(BED + "ADMIN:VERSION")
GET = frame(BED + "MEM:GET")
ALIVE_ANSWER = frame(BED + "206,50100,GNACK,0")
VERSION_ANSWER = frame(BED + "207,50100,V3.30")
RUNNING = {
    "GNMODEL": "688K030006",
    "INSERNUM": "561151",
    "DSSTATUS": "00051",
    "INM3": "1",
    "INM6": "0",
    "INRT": "5.00",
}


@dataclass
class Bench:
    """A driver, what it sent with the time of each, and what it saw."""

    driver: BbraunBccDriver
    now: float = 100.0
    sent: list[tuple[float, bytes]] = field(default_factory=list)
    seen: list[AnyObservation] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    refusals: list[bytes] = field(default_factory=list)
    wake_at: float | None = None
    frames: int = 0

    def take(self, output: Output) -> bytes:
        """Keep one output; returns what it sends."""
        self.seen += output.observations
        self.faults += [f"{f.reason} {f.detail}".strip() for f in output.faults]
        self.wake_at = output.wake_at
        self.frames += output.frames
        if output.refusal:
            self.refusals.append(output.refusal)
        if output.send:
            self.sent.append((self.now, output.send))
        return output.send

    def start(self) -> bytes:
        """The port opens."""
        return self.take(self.driver.start(self.now))

    def rx(self, data: bytes, after: float = 0.05) -> list[bytes]:
        """Bytes from the device a moment later, wake-ups before them kept; returns all that was sent meanwhile."""
        first = len(self.sent)
        self.until(self.now + after)
        self.take(self.driver.receive(data, self.now))
        return [sent for _t, sent in self.sent[first:]]

    def until(self, when: float) -> list[bytes]:
        """Turn the clock; returns what was sent meanwhile."""
        first = len(self.sent)
        for _turn in range(5000):
            if self.wake_at is None or self.wake_at > when:
                break
            self.now = max(self.now, self.wake_at)
            self.take(self.driver.wake(self.now))
        else:
            raise AssertionError("woken without end")
        self.now = max(self.now, when)
        return [data for _t, data in self.sent[first:]]

    def wait(self, seconds: float) -> list[bytes]:
        """The same from now."""
        return self.until(self.now + seconds)

    def up(self) -> "Bench":
        """Started, named, version told; MEM:GET is sent and outstanding."""
        self.start()
        assert self.wait(3.0) == [ALIVE]
        self.rx(ALIVE_ANSWER)
        assert self.wait(0.7) == [ACK, VERSION]
        self.rx(VERSION_ANSWER)
        assert self.wait(0.7) == [ACK, GET]
        self.sent.clear()
        self.seen.clear()
        return self


def bench(**options: Any) -> Bench:
    """A fresh driver of the Space family."""
    return Bench(cast(BbraunBccDriver, catalog.create(PROFILE, options)))
