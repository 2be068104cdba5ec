"""One pump of the rack: what is asked of it, and what its answers mean.

Variables are one letter and a hexadecimal number: d rate in 0.1 mL/h, r volume in 0.001 mL. Alarm a, error e, mode m,
bolus rate k and bolus volume s have no scale or meaning in the source: they are published as the pump sends them.
jaj42/infupy, `infupy/backends/fresenius.py`, `VarId`, `extractRate`, `extractVolume`.
"""

import re
from collections.abc import Iterable
from decimal import Decimal

from drivers.asking import Question
from drivers.fresenius_agilia.frames import Frame
from drivers.fresenius_agilia.options import Options
from drivers.mds import Mds
from drivers.observation import AnyObservation, Enumeration, Numeric, Vendor
from drivers.profile import Profile, unknown_numeric

BASE = "0"
MODULES = ("1", "2", "3", "4", "5")
"""The source looks at five bits of the base's list of modules, and no further."""
CONNECT, DISCONNECT, SPONTANEOUS = "DC", "FC", "E"
READ, FIXED, DRUG = "LE", "LF", "LP"
RATE, STATE, BOLUS, PRESENT, TYPE = "dr", "aem", "ks", "b", "b"
_VARIABLE = re.compile(r"[a-z][0-9A-F]{1,8}")


def question(address: str, command: str, letters: str = "", period_s: float = 0.0) -> Question:
    """A frame that asks, under its own text as the key: `1LE;dr`."""
    frame = Frame(address, command, letters or None)
    return Question(f"{address}{command}{';' if letters else ''}{letters}", frame.to_bytes(), period_s)


def parse_variables(text: str | None) -> dict[str, str] | None:
    """`d0032;r00001388` by letter. None where it is anything else, or a letter comes twice."""
    parts = (text or "").split(";")
    if not all(_VARIABLE.fullmatch(part) for part in parts):
        return None
    found = {part[0]: part[1:] for part in parts}
    return found if len(found) == len(parts) else None


def present_modules(bitmap: str) -> tuple[list[str], bool]:
    """Addresses of the pumps in the rack, lowest bit the first; and whether bits are set that no source explains."""
    bits = int(bitmap, 16)
    return [address for bit, address in enumerate(MODULES) if bits >> bit & 1], bits >> len(MODULES) != 0


class Module:
    """A pump in its place: an MDS of its own, named by its address."""

    def __init__(self, profile: Profile, address: str) -> None:
        self._by_code = profile.by_code
        self.address = address
        self.mds = Mds(address)
        self.not_before = 0.0
        """It did not answer: it is left alone until then, so that the others are read."""

    def setup(self) -> list[Question]:
        """What is asked once, when the pump has come."""
        return [question(self.address, CONNECT), question(self.address, FIXED, TYPE)]

    def plan(self, options: Options) -> list[Question]:
        """What is asked again and again."""
        return [
            question(self.address, READ, RATE, options.poll_s),
            question(self.address, READ, STATE, options.state_s),
            question(self.address, READ, BOLUS, options.bolus_s),
            question(self.address, DRUG, "", options.drug_s),
        ]

    def variables(self, variables: Iterable[tuple[str, str]]) -> list[AnyObservation]:
        """Values by their letter."""
        return self.mds.values([self._value(letter, text) for letter, text in variables])

    def _value(self, letter: str, text: str) -> Numeric:
        metric = self._by_code.get(letter)
        if metric is None:
            return unknown_numeric(letter, text)
        return metric.numeric(int(text, 16) * Decimal(metric.extra["scale"]), text)

    def drug(self, text: str) -> list[AnyObservation]:
        """The drug as the pump names it; how it is coded is not known."""
        return self.mds.values([_raw(DRUG, text)])

    def identify(self, text: str) -> list[AnyObservation]:
        """The type of the pump, as it codes it."""
        return self.mds.identify({"device_type": text})

    def absent(self, letters: str, reason: str) -> list[AnyObservation]:
        """The pump does not tell these values any more."""
        gone: list[Numeric] = []
        for letter in letters:
            metric = self._by_code.get(letter)
            if metric is not None:
                gone.append(metric.numeric(None, "", reason=reason))
        return self.mds.values(gone)

    def leave(self, reason: str) -> list[AnyObservation]:
        """The pump is not there any more, or does not answer: nothing of what it said holds."""
        return self.absent(RATE, reason) + self.part(reason) if self.mds.connection == "connected" else []

    def part(self, reason: str) -> list[AnyObservation]:
        """The link ends, and what was said stands as it was."""
        return self.mds.link("disconnected", reason) if self.mds.connection == "connected" else []


def _raw(code: str, text: str) -> Enumeration:
    return Enumeration(
        vendor=Vendor(code, text),
        validity="not_available",
        reason="unknown_code",
        value=None,
        category="setting",
    )
