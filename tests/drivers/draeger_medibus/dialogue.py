"""A MEDIBUS device played by hand, and a clock turned by hand. Checksums are summed here, not by the driver."""

from dataclasses import dataclass, field
from typing import Any, cast

from drivers import catalog
from drivers.contract import Output
from drivers.draeger_medibus.driver import MedibusDriver
from drivers.observation import AnyObservation

PROFILE = catalog.profile("draeger_medibus", "evita_4")
ICC, ICC_ECHO = bytes.fromhex("1b5136430d"), bytes.fromhex("015135320d")
NOP, NOP_ECHO = bytes.fromhex("1b3034420d"), bytes.fromhex("013033310d")
ASK_ID, STOP, STOP_ECHO = bytes.fromhex("1b5236440d"), bytes.fromhex("1b5537300d"), bytes.fromhex("015535360d")
OUR_ID = b"\x01R0161'JISR'01.00:04.03BF\r"


def _sum(body: bytes) -> bytes:
    return body + f"{sum(body) % 256:02X}\r".encode()


def command(code: int, argument: bytes = b"") -> bytes:
    """ESC code argument checksum CR."""
    return _sum(bytes([0x1B, code]) + argument)


def response(echo: int, data: bytes = b"") -> bytes:
    """SOH echo data checksum CR."""
    return _sum(bytes([0x01, echo]) + data)


EVITA_4 = response(0x52, b"8240'Evita 4'04.00:04.00")


@dataclass
class Bench:
    """A driver, what it sent with the time of each, and what it saw."""

    driver: MedibusDriver
    now: float = 100.0
    sent: list[tuple[float, bytes]] = field(default_factory=list)
    seen: list[AnyObservation] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    wake_at: float | None = None
    frames: int = 0

    def take(self, output: Output) -> bytes:
        """Keep one output; returns what it sends."""
        self.seen += output.observations
        self.faults += [f.reason for f in output.faults]
        self.wake_at = output.wake_at
        self.frames += output.frames
        if output.send:
            self.sent.append((self.now, output.send))
        return output.send

    def start(self) -> bytes:
        """The port opens."""
        return self.take(self.driver.start(self.now))

    def rx(self, data: bytes, after: float = 0.0) -> bytes:
        """Bytes from the device a moment later, wake-ups before them kept; returns what is sent at once."""
        self.until(self.now + after)
        return self.take(self.driver.receive(data, self.now))

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
        self.now = when
        return [data for _t, data in self.sent[first:]]

    def stop(self) -> bytes:
        """The box leaves."""
        return self.take(self.driver.stop(self.now))

    def up(self) -> "Bench":
        """Started, handshake done, identified; the first poll is sent and outstanding."""
        self.start()
        self.rx(ICC_ECHO)
        self.rx(ASK_ID)
        assert self.until(self.now + 0.3) == [ASK_ID]
        assert self.rx(EVITA_4) == command(0x24)
        self.sent.clear()
        return self

    def answer(self, data: dict[int, bytes], until: float) -> None:
        """Answer the last poll and each further one with its data (or nothing), 50 ms after it came."""
        answered = max(0, len(self.sent) - 1)
        while self.wake_at is not None and self.now < until:
            if answered < len(self.sent):
                _t, frame = self.sent[answered]
                answered += 1
                asked = frame.find(b"\x1b") + 1  # behind bytes that enable curves, perhaps
                if asked:
                    self.rx(response(frame[asked], data.get(frame[asked], b"")), 0.05)
                continue
            self.until(min(self.wake_at, until))


def bench(**options: Any) -> Bench:
    """A fresh driver for the Evita 4."""
    return Bench(cast(MedibusDriver, catalog.create(PROFILE, options)))
