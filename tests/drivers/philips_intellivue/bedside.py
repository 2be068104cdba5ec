"""A driver played by hand, on a serial line or on the network."""

from typing import cast

from drivers import catalog
from drivers.contract import Output, StreamDriver
from drivers.observation import AnyObservation
from drivers.philips_intellivue.driver import PhilipsIntellivueDriver
from drivers.philips_intellivue.options import Options
from tests.drivers.masimo_ascii.port import Port
from tests.drivers.philips_intellivue import made

PROFILE = catalog.profile("philips_intellivue", "intellivue")
LAN_PROFILE = catalog.profile("philips_intellivue", "intellivue_lan")


def single(kind: int, group: int = 0) -> bytes:
    """A single poll."""
    invoke, number = made.POLLED[kind]
    head = made.big(invoke) + bytes.fromhex("00 07 00 16 00 21 00 00 00 00 00 00 00 00 0C 16 00 08")
    return made.data(1, head + made.big(number) + made.big(1) + made.big(kind) + made.big(group))


def extended(kind: int, group: int = 0) -> bytes:
    """An extended poll of 600 s."""
    invoke, number = made.POLLED[kind]
    head = made.big(invoke) + bytes.fromhex("00 07 00 22 00 21 00 00 00 00 00 00 00 00 F1 3B 00 14")
    asked = made.big(number) + made.big(1) + made.big(kind) + made.big(group)
    return made.data(1, head + asked + bytes.fromhex("00 01 00 08 F1 3E 00 04 00 49 3E 00"))


RELEASE_PDU = bytes.fromhex("09 18 C1 16 61 80 30 80 02 01 01 A0 80 62 80 80 01 00 00 00 00 00 00 00 00 00")
REQUEST, REQUEST_CURVES = made.frame(made.request_pdu()), made.frame(made.request_pdu(options=0x8C000000))
ALIVE, NUMERICS, ALERTS_ONCE = (made.frame(single(*of)) for of in ((0x21, 0x080C), (6, 0), (0x36, 0x0801)))
EXTENDED, ALERTS, STATES, CURVES = (made.frame(extended(*of)) for of in ((6, 0), (0x36, 0x0801), (5, 0), (9, 0)))
RELEASE = made.frame(RELEASE_PDU)
MDS = made.result(kind=0x21, action=0x0C16)
QUIET = made.result(made.alarms([], []), kind=0x36)
"""The alert monitor: nothing is on."""
PDUS = {
    "request": made.request_pdu(rx=1364),
    "request with curves": made.request_pdu(rx=1364, options=0x8C000000),
    "alive": single(0x21, 0x080C),
    "numerics once": single(6),
    "alerts once": single(0x36, 0x0801),
    "numerics": extended(6),
    "alerts": extended(0x36, 0x0801),
    "enumerations": extended(5),
    "curves": extended(9),
    "release": RELEASE_PDU,
}
"""What the box can send on the network, beside the results of MDS-Create."""


def confirmation_pdu(invoke: int) -> bytes:
    """The result of an MDS-Create."""
    body = bytes.fromhex("00 01 00 0E 00 21 00 00 00 00 00 0A BD 00 0D 06 00 00")
    return made.data(2, made.big(invoke) + body)


def confirmation(invoke: int) -> bytes:
    """The same in a frame."""
    return made.frame(confirmation_pdu(invoke))


ANSWERS = {
    EXTENDED: made.result(*made.USUAL),
    NUMERICS: made.result(*made.USUAL, action=0x0C16),
    ALIVE: MDS,
    ALERTS: QUIET,
    ALERTS_ONCE: made.result(made.alarms([], []), kind=0x36, action=0x0C16),
    STATES: made.result(kind=5),
    CURVES: made.result(kind=9),
}
"""What a healthy monitor answers at once."""


class Bedside(Port):
    """A port that also keeps when something was sent; `answers`: a monitor that answers what it is asked."""

    def __init__(self, options: Options | None = None, *, is_lan: bool = False) -> None:
        driver = PhilipsIntellivueDriver(LAN_PROFILE if is_lan else PROFILE, options or Options())
        super().__init__(cast(StreamDriver, driver))
        self.log: list[tuple[float, bytes]] = []
        self.take(driver.start(self.now))

    def take(self, output: Output) -> list[AnyObservation]:
        """Keep one output, and when it was sent."""
        if output.send:
            self.log.append((round(self.now, 3), output.send))
        return super().take(output)

    def associate(self, invoke: int = 1) -> "Bedside":
        """As a monitor does it."""
        self.rx(made.ACCEPTED, 0.1)
        self.rx(made.create(invoke), 0.1)
        return self

    def live(self, seconds: int) -> "Bedside":
        """A monitor that sends numerics and alerts each second, and answers what it is asked within 0.1 s."""
        for _second in range(seconds):
            end = self.now + 1.0
            for _turn in range(10):
                asked = len(self.log)
                self.until(min(end, self.now + 0.1))
                for _t, sent in self.log[asked:]:
                    if sent in ANSWERS:
                        self.rx(ANSWERS[sent])
            self.rx(made.result(*made.USUAL) + QUIET)
        return self
