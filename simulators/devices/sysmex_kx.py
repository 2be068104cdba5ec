r"""Sysmex KX-21 and KX-21N: one fixed text for each sample, without a checksum.

    0    1    3  4         10 11           23     29 30
    STX  D1   U  yymmdd    i  id (12)      PDA    S  18 × (4 digits, 1 flag)   ETX          121 bytes

Offsets 3, 11 and 30 and the order of the values stand in a third party's driver; the rest (date, sample information,
PDA, RDW selection S or C) is the protocol page's own reading of it: there is no capture. Type U is a sample, anything
else a control (C here). A first digit `*` makes a value unreliable; `*000` is none. Values are ÷10, RBC ÷100, PLT ÷1.
Class A waits for no reply; class B for ACK or NAK (its patience and its tries are not known: 15 s and three here).
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from types import MappingProxyType
from typing import ClassVar

from simulators.devices.analyzer import ANALYZER_OPTIONS, Analyzer
from simulators.devices.astm_blood import SYSMEX_TESTS
from simulators.devices.lab_results import BLOOD_COUNT, Result, drawn
from simulators.devices.simulator import NO_OPTIONS, Option

STX, ETX, ACK, NAK = b"\x02", b"\x03", 0x06, 0x15
TESTS = (
    *(analyte._replace(decimals={"RBC": 2, "PLT": 0}.get(analyte.test, 1)) for analyte in BLOOD_COUNT),
    *(
        next(analyte for analyte in SYSMEX_TESTS if analyte.test == test)
        for test in ("LYM%", "MXD%", "NEUT%", "LYM#", "MXD#", "NEUT#", "RDW-SD", "PDW", "MPV", "P-LCR")
    ),
)
"""In the order of the text."""
TRIES = 3


def block(date: str, specimen: str, values: tuple[str, ...], kind: str = "U", rdw: str = "S") -> bytes:
    """The text of a sample: 18 values of four characters, each followed by its flag 0."""
    text = f"D1{kind}{date}0{specimen:0>12}000000{rdw}" + "".join(f"{value}0" for value in values)
    return STX + text.encode("ascii") + ETX


class SysmexKx(Analyzer):
    """The analyzer's side."""

    NAME: ClassVar[str] = "sysmex_kx"
    DESCRIPTION: ClassVar[str] = "blood counter, Sysmex KX-21 fixed text, serial"
    HABITS: ClassVar[tuple[str, ...]] = ("qc", "missing", "unreliable", "rerun")
    OPTIONS: ClassVar[Mapping[str, Option]] = MappingProxyType(
        {
            **ANALYZER_OPTIONS,
            "habits": Option("", "all, or some of: " + ", ".join(HABITS)),
            "class": Option("A", "A: waits for no reply | B: waits for ACK or NAK"),
            "rdw": Option("S", "S | C: which RDW"),
            "reply_s": Option("15", "class B: how long it waits"),
        }
    )

    def __init__(
        self, seed: int = 0, faults: frozenset[str] = frozenset(), options: Mapping[str, str] = NO_OPTIONS
    ) -> None:
        super().__init__(seed, faults, options)
        self._waits = self.choice("class", ("A", "B")) == "B"
        self._rdw = self.choice("rdw", ("S", "C"))
        self._mix = Random(seed ^ 0xABE)  # noqa: S311
        self._number = 41 + seed % 1000
        self._pending: tuple[bytes, tuple[Result, ...]] | None = None
        self._tries = 0
        self._is_undamaged = False

    def _power_up(self, now: float) -> None:
        self._pending = None

    def _measure(self, now: float) -> None:
        kind = "C" if "qc" in self._habits and self._mix.random() < 0.15 else "U"
        if not ("rerun" in self._habits and self._mix.random() < 0.15):
            self._number += 1
        values, results = [], []
        date = f"{self._clock(now):%y%m%d}"
        for analyte in TESTS:
            test = analyte.test.replace("RDW-SD", f"RDW-{self._rdw}{'D' if self._rdw == 'S' else 'V'}")
            shown = drawn(self._rng, analyte).value
            digits = f"{round(float(shown) * 10**analyte.decimals):04d}"
            chance = self._mix.random()
            if "missing" in self._habits and chance < 0.05:
                digits = shown = "*000"
            elif "unreliable" in self._habits and chance > 0.93:
                digits = shown = "*" + digits[1:]
            values.append(digits)
            purpose = "patient" if kind == "U" else "control"
            results.append(Result(f"{self._number:012d}", test, shown, date, "", "0", "", purpose, "", digits + "0"))
        data = block(date, str(self._number), tuple(values), kind, self._rdw)
        if not self._waits:
            self._tell(data, now, kind, results)
        elif self._pending is None:
            self._pending, self._tries, self._is_undamaged = (data, tuple(results)), 0, False
            self._send(now)

    # -- class B ---------------------------------------------------------------------------------------------------

    def _send(self, now: float) -> None:
        if self._pending is None or not self._is_linked:
            return
        self._tries += 1
        self._is_undamaged = bool(self._emit(self._pending[0], now).good)
        self._set("reply", now + self.seconds("reply_s"))

    def _alarm(self, name: str, now: float) -> None:
        if self._tries >= TRIES:
            self._pending = None
        else:
            self._send(now)

    def _hear(self, data: bytes, now: float) -> None:
        for byte in data:
            if not self._waits or byte not in (ACK, NAK):
                self.illegal.append(bytes([byte]))
            elif self._pending is not None and byte == ACK:
                if self._is_undamaged:
                    self._count(now, "sample", self._pending[1])
                self._pending = None
                self._unset("reply")
            elif self._pending is not None:
                self._unset("reply")
                self._alarm("reply", now)
