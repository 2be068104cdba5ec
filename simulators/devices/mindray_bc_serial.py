r"""Mindray BC-2800, BC-3000 Plus and BC-3200 on a serial line (BC-3000 Plus operator's manual, appendix D-4 and D-5).

    handshake off    STX body …
    handshake on     ENQ → ACK   body EOT ETX → ACK         4 s each; ENQ and ETX twice at most; NAK: the body again

    body    A  version 2  ID length 3  parameters 3  formats 2  id  mode 1  MM DD YYYY hh mm ss  WBC ###.#
            Lymph# ###.# …

`A` is a sample; `B` and `C` are controls, whose own body is not known: they have the body of a sample here. Every
invalid digit is `*`. Whether the point is on the wire is not known (option `point`), nor what ends the body without
handshake (EOT here). The BC-2800 with 15-digit ids prints ENQ as 10 and ETX as 0F (option `variant`).
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from types import MappingProxyType
from typing import ClassVar, Literal

from simulators.devices.analyzer import ANALYZER_OPTIONS, Analyzer
from simulators.devices.lab_results import Analyte, Result, drawn
from simulators.devices.simulator import NO_OPTIONS, Option

STX, ETX, EOT, ENQ, ACK, NAK = 0x02, 0x03, 0x04, 0x05, 0x06, 0x15
VARIANTS: Mapping[str, tuple[int, int, int]] = MappingProxyType(
    {"bc3000": (ENQ, ETX, 10), "bc2800_15": (0x10, 0x0F, 15)}
)
"""What stands for ENQ and for ETX, and how long an id is."""
TESTS = (
    (Analyte("WBC", 2.0, 4.0, 10.0, 18.0, 1, ""), 3),
    (Analyte("Lymph#", 0.4, 0.8, 4.0, 6.0, 1, ""), 3),
    (Analyte("Mid#", 0.1, 0.2, 1.0, 2.4, 1, ""), 3),
    (Analyte("Gran#", 0.8, 2.0, 7.0, 14.0, 1, ""), 3),
    (Analyte("Lymph%", 8.0, 20.0, 40.0, 65.0, 1, ""), 2),
    (Analyte("Mid%", 1.0, 3.0, 15.0, 22.0, 1, ""), 2),
    (Analyte("Gran%", 25.0, 50.0, 70.0, 88.0, 1, ""), 2),
    (Analyte("RBC", 2.9, 3.5, 5.5, 6.4, 1, ""), 2),
    (Analyte("HGB", 55, 110, 160, 185, 0, ""), 3),
    (Analyte("MCHC", 260, 320, 360, 380, 0, ""), 4),
    (Analyte("MCV", 60.0, 80.0, 100.0, 112.0, 1, ""), 3),
    (Analyte("MCH", 17.0, 27.0, 34.0, 37.0, 1, ""), 3),
    (Analyte("RDW-CV", 10.5, 11.0, 16.0, 23.0, 1, ""), 2),
    (Analyte("HCT", 20.0, 35.0, 50.0, 55.0, 1, ""), 2),
    (Analyte("PLT", 20, 100, 300, 620, 0, ""), 4),
    (Analyte("MPV", 7.5, 9.0, 13.0, 14.0, 1, ""), 2),
    (Analyte("PDW", 8.0, 9.0, 17.0, 22.0, 1, ""), 2),
    (Analyte("PCT", 0.05, 0.1, 0.3, 0.5, 3, ""), 0),
)
"""In the order of the body, with the digits before the point; the manual prints RBC as ##.#."""


class MindrayBcSerial(Analyzer):
    """The analyzer's side."""

    NAME: ClassVar[str] = "mindray_bc_serial"
    DESCRIPTION: ClassVar[str] = "blood counter, Mindray BC-2800 / BC-3000 Plus / BC-3200, serial"
    HABITS: ClassVar[tuple[str, ...]] = ("qc", "missing", "rerun")
    OPTIONS: ClassVar[Mapping[str, Option]] = MappingProxyType(
        {
            **ANALYZER_OPTIONS,
            "habits": Option("", "all, or some of: " + ", ".join(HABITS)),
            "variant": Option("bc3000", " | ".join(VARIANTS)),
            "handshake": Option("no", "yes | no"),
            "point": Option("yes", "yes: the point is on the wire | no: digits alone"),
            "reply_s": Option("4", "how long it waits for an answer"),
        }
    )

    def __init__(
        self, seed: int = 0, faults: frozenset[str] = frozenset(), options: Mapping[str, str] = NO_OPTIONS
    ) -> None:
        super().__init__(seed, faults, options)
        self._enq, self._etx, self._id_length = VARIANTS[self.choice("variant", tuple(VARIANTS))]
        self._waits = self.choice("handshake", ("yes", "no")) == "yes"
        self._point = "." if self.choice("point", ("yes", "no")) == "yes" else ""
        self._mix = Random(seed ^ 0xABE)  # noqa: S311
        self._number = seed % 1000
        self._state: Literal["idle", "asking", "sent"] = "idle"
        self._pending: tuple[bytes, str, tuple[Result, ...]] | None = None
        self._is_undamaged = False
        self._asked = self._ended = 0
        self.given_up = 0
        """Transmissions the device gave up with an error on its screen."""

    def _power_up(self, now: float) -> None:
        self._pending, self._state = None, "idle"

    def _measure(self, now: float) -> None:
        kind = self._mix.choice("BC") if "qc" in self._habits and self._mix.random() < 0.15 else "A"
        if not ("rerun" in self._habits and self._mix.random() < 0.15):
            self._number += 1
        specimen = f"{self._number:0{self._id_length}d}"
        time = f"{self._clock(now):%m%d%Y%H%M%S}"
        text, results = f"{kind}01{self._id_length:03d}{len(TESTS):03d}00{specimen}0{time}", []
        for analyte, whole in TESTS:
            shown = drawn(self._rng, analyte).value
            if "missing" in self._habits and self._mix.random() < 0.06:
                shown = "".join("*" if digit.isdigit() else digit for digit in shown)
            before, _, after = shown.partition(".")
            filler = "*" if "*" in shown else "0"
            before = f"{before:{filler}>{whole}}" if whole else ""
            wire = before + (self._point + after if after else "")
            text += wire
            purpose = "patient" if kind == "A" else "control"
            results.append(Result(specimen, analyte.test, shown, time, "", "", "", purpose, specimen, wire))
        body = text.encode("ascii")
        if not self._waits:
            self._tell(bytes([STX]) + body + bytes([EOT]), now, kind, results)
        elif self._pending is None and self._is_linked:
            self._pending, self._asked, self._ended = (body + bytes([EOT]), kind, tuple(results)), 0, 0
            self._ask(now)

    # -- the handshake ---------------------------------------------------------------------------------------------

    def _ask(self, now: float) -> None:
        if self._asked >= 2:
            self._give_up()
            return
        self._asked += 1
        self._state = "asking"
        self._line.put(bytes([self._enq]), now)
        self._set("reply", now + self.seconds("reply_s"))

    def _send(self, now: float) -> None:
        if self._pending is None:
            return
        self._state, self._ended = "sent", 1
        self._is_undamaged = bool(self._emit(self._pending[0] + bytes([self._etx]), now).good)
        self._set("reply", now + self.seconds("reply_s"))

    def _end(self, now: float) -> None:
        if self._ended >= 2:
            self._give_up()
            return
        self._ended += 1
        self._line.put(bytes([self._etx]), now)
        self._set("reply", now + self.seconds("reply_s"))

    def _give_up(self) -> None:
        self.given_up += 1
        self._pending, self._state = None, "idle"
        self._unset("reply")

    def _alarm(self, name: str, now: float) -> None:
        if self._state == "asking":
            self._ask(now)
        elif self._state == "sent":
            self._end(now)

    def _hear(self, data: bytes, now: float) -> None:
        for byte in data:
            if not self._waits or byte not in (ACK, NAK):
                self.illegal.append(bytes([byte]))
            elif self._state == "asking" and byte == ACK:
                self._send(now)
            elif self._state == "asking":
                self._ask(now)
            elif self._state == "sent" and byte == NAK:
                self._send(now)
            elif self._state == "sent" and self._pending is not None:
                if self._is_undamaged:
                    self._count(now, self._pending[1], self._pending[2])
                self._pending, self._state = None, "idle"
                self._unset("reply")
