"""A driver played by hand. The association request is a stand-in: the profile has none yet."""

from typing import cast

import msgspec

from drivers import catalog
from drivers.contract import Output, StreamDriver
from drivers.observation import AnyObservation
from drivers.philips_intellivue.driver import ASSOCIATION_REQUEST, PhilipsIntellivueDriver
from drivers.philips_intellivue.options import Options
from drivers.profile import Allowed
from tests.drivers.masimo_ascii.port import Port
from tests.drivers.philips_intellivue import made

PROFILE = catalog.profile("philips_intellivue", "intellivue")
STAND_IN = made.frame(bytes.fromhex("0D 02 00 00"))
ASKING = msgspec.structs.replace(PROFILE, allow=(Allowed(ASSOCIATION_REQUEST, STAND_IN.hex(" ")),))
"""The profile as it will be with an association request."""
ALIVE = made.frame(
    bytes.fromhex("E1 00 00 02 00 01 00 1C 00 01 00 07 00 16 00 21 00 00 00 00 00 00 00 00 0C 16 00 08")
    + bytes.fromhex("00 01 00 01 00 21 08 0C")
)
NUMERICS = made.frame(
    bytes.fromhex("E1 00 00 02 00 01 00 1C 00 01 00 07 00 16 00 21 00 00 00 00 00 00 00 00 0C 16 00 08")
    + bytes.fromhex("00 01 00 01 00 06 00 00")
)


def extended(kind: int, invoke: int = 1, number: int = 1) -> bytes:
    """An extended poll of 600 s."""
    head = made.big(invoke) + bytes.fromhex("00 07 00 22 00 21 00 00 00 00 00 00 00 00 F1 3B 00 14")
    asked = (
        made.big(number) + made.big(1) + made.big(kind) + bytes.fromhex("00 00 00 01 00 08 F1 3E 00 04 00 49 3E 00")
    )
    return made.frame(made.data(1, head + asked))


EXTENDED, CURVES = extended(6), extended(9, 4, 3)
RELEASE = made.frame(bytes.fromhex("09 18 C1 16 61 80 30 80 02 01 01 A0 80 62 80 80 01 00 00 00 00 00 00 00 00 00"))
MDS = made.result(kind=0x21, action=0x0C16)


def confirmation(invoke: int) -> bytes:
    """The result of an MDS-Create."""
    body = bytes.fromhex("00 01 00 0E 00 21 00 00 00 00 00 0A BD 00 0D 06 00 00")
    return made.frame(made.data(2, made.big(invoke) + body))


class Bedside(Port):
    """A port that also keeps when something was sent; `answers`: a monitor that answers what it is asked."""

    def __init__(self, options: Options | None = None, *, can_ask: bool = True) -> None:
        driver = PhilipsIntellivueDriver(ASKING if can_ask else PROFILE, options or Options())
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
        """A monitor that sends numerics each second and answers the keep-alive at once."""
        for _second in range(seconds):
            asked = len(self.log)
            self.rx(made.result(*made.USUAL), 1.0)
            if any(sent == ALIVE for _t, sent in self.log[asked:]):
                self.rx(MDS)
        return self
