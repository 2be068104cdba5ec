"""How the tests talk with the simulators of monitors and oximeters: the bytes of a good box, the clock by hand."""

import re
from typing import NamedTuple

from simulators.devices.bis_vista import BisVista
from simulators.devices.capnostream import Capnostream
from simulators.devices.contec_cms50 import ContecCms50
from simulators.devices.hl7_monitor import Hl7Monitor
from simulators.devices.masimo_ascii import MasimoAscii
from simulators.devices.nellcor_ascii import NellcorAscii
from simulators.devices.nonin import Nonin
from simulators.devices.reporter import Reporter

CAPNO_WORDS = bytes.fromhex("85 01 01 00 85 01 04 05 85 01 06 07")
BIS_WORDS = bytes.fromhex("BA AB 00 00 0D 00 01 00 04 00 00 00 73 00 00 00 00 00 01 00 00 86 00")
CONTEC_WORDS = bytes.fromhex("7D 81 A1 80 80 80 80 80 80")


class Case(NamedTuple):
    """A simulator, how it is set, and what the box says to it every ten seconds."""

    kind: type[Reporter]
    options: dict[str, str]
    words: bytes = b""

    @property
    def label(self) -> str:
        """For the name of a test."""
        return "-".join((self.kind.NAME, *self.options.values()))

    @property
    def is_fast(self) -> bool:
        """Whether many frames leave in a second."""
        return self.options.get("format") in ("df2", "df7", "old", "new") or self.kind is Capnostream

    def on(self, seed: int = 1, faults: frozenset[str] = frozenset(), **options: str) -> Reporter:
        """Switched on at 0."""
        device = self.kind(seed, faults, self.options | options)
        device.wake(0.0)
        return device


CASES = [
    Case(MasimoAscii, {}),
    Case(NellcorAscii, {"model": "n595"}),
    Case(NellcorAscii, {"model": "npb290"}),
    Case(Nonin, {"format": "ascii"}),
    Case(Nonin, {"format": "df2"}),
    Case(Nonin, {"format": "df7"}),
    Case(Nonin, {"format": "df8"}),
    Case(Nonin, {"format": "df13", "spot_every_s": "5"}),
    Case(ContecCms50, {"format": "old"}),
    Case(ContecCms50, {"format": "new"}, CONTEC_WORDS),
    Case(Capnostream, {}, CAPNO_WORDS),
    Case(BisVista, {}, BIS_WORDS),
    Case(Hl7Monitor, {"dialect": "english"}),
    Case(Hl7Monitor, {"dialect": "mdc", "batch": "3"}),
    Case(Hl7Monitor, {"dialect": "french", "ack_s": "0"}),
]
LISTEN_ONLY = [case for case in CASES if not case.words and case.kind is not Hl7Monitor]


def ack(said: bytes) -> bytes:
    """The acknowledgements of all whole messages in `said`."""
    ids = [block.split(b"|")[9] for block in re.findall(rb"\x0b(MSH[^\x0b]*?)\x1c\r", said) if block.count(b"|") > 9]
    head = b"\x0bMSH|^~\\&|BOX||GATEWAY||20261124143016||ACK^R01|A"
    return b"".join(head + number + b"|P|2.4\rMSA|AA|" + number + b"\r\x1c\r" for number in ids)


def listen(case: Case, device: Reporter, start: int, end: int) -> bytes:
    """All that is said from `start` to `end` (seconds), the clock turned by halves, ACKs given."""
    said = b""
    for half in range(start * 2, end * 2):
        now = half / 2
        heard = device.receive(case.words if half % 20 == 2 else b"", now)
        if isinstance(device, Hl7Monitor) and heard:
            heard += device.receive(ack(heard), now)
        said += heard
    return said
