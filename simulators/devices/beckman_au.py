r"""Olympus / Beckman Coulter AU400 to AU5800: fixed text whose layout is set on the device, site by site.

    STX  DB            ETX [BCC]      transfer begins
    STX  D_ rack cup … specimen …  (test result mark) × n  ETX [BCC]      _ is a space
    STX  DE            ETX [BCC]      transfer ends

Classes: `D ` a sample, DH the same again (rerun), DQ a control, DR a reagent blank, DA a calibration. BCC is the
exclusive or from the class through ETX. The layout here: rack 4, cup 2, kind 1, number 4, specimen `id_length`, then
for each test its number `test_length`, the result `result_length`, right-aligned, and marks `mark_length`; all of it
a site's own. Whether the host answers is a setting too: with `replies` it must say ACK or NAK (patience not known:
10 s here).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import xor
from random import Random
from types import MappingProxyType
from typing import ClassVar

from simulators.devices.analyzer import ANALYZER_OPTIONS, Analyzer
from simulators.devices.lab_results import Analyte, Result, drawn
from simulators.devices.simulator import COMMON_FAULTS, NO_OPTIONS, Option

STX, ETX, ACK, NAK = b"\x02", b"\x03", 0x06, 0x15
TRIES = 3
QUEUE_LIMIT = 3000
TESTS = (
    Analyte("1", 5, 10, 40, 300, 0, ""),
    Analyte("2", 5, 10, 40, 300, 0, ""),
    Analyte("10", 2.0, 3.9, 6.1, 25.0, 1, ""),
    Analyte("25", 30, 44, 106, 900, 0, ""),
)
PURPOSES: Mapping[str, str] = MappingProxyType(
    {"D ": "patient", "DH": "patient", "DQ": "control", "DR": "blank", "DA": "calibration"}
)


def block(text: str, has_bcc: bool) -> bytes:
    """A text in its frame."""
    body = text.encode("ascii") + ETX
    return STX + body + (bytes([reduce(xor, body)]) if has_bcc else b"")


class BeckmanAu(Analyzer):
    """The analyzer's side."""

    NAME: ClassVar[str] = "beckman_au"
    DESCRIPTION: ClassVar[str] = "chemistry analyzer, Olympus / Beckman AU fixed text, serial"
    FAULTS: ClassVar[Mapping[str, str]] = COMMON_FAULTS
    FRAME_FAULTS: ClassVar[frozenset[str]] = frozenset(COMMON_FAULTS)
    HABITS: ClassVar[tuple[str, ...]] = ("rerun", "qc", "blank", "calibration", "missing", "marked")
    OPTIONS: ClassVar[Mapping[str, Option]] = MappingProxyType(
        {
            **ANALYZER_OPTIONS,
            "habits": Option("", "all, or some of: " + ", ".join(HABITS)),
            "bcc": Option("yes", "yes | no: a check character behind ETX"),
            "replies": Option("no", "yes: the host says ACK or NAK to each text"),
            "id_length": Option("10", "characters of the specimen"),
            "test_length": Option("2", "characters of a test's number"),
            "result_length": Option("6", "characters of a result"),
            "mark_length": Option("2", "characters of its marks"),
            "reply_s": Option("10", "how long it waits for ACK or NAK"),
        }
    )

    def __init__(
        self, seed: int = 0, faults: frozenset[str] = frozenset(), options: Mapping[str, str] = NO_OPTIONS
    ) -> None:
        super().__init__(seed, faults, options)
        self._has_bcc = self.choice("bcc", ("yes", "no")) == "yes"
        self._waits = self.choice("replies", ("no", "yes")) == "yes"
        self._lengths = {name: int(self.seconds(f"{name}_length")) for name in ("id", "test", "result", "mark")}
        self._mix = Random(seed ^ 0xABE)  # noqa: S311
        self._number = seed % 1000
        self._queue: list[tuple[bytes, str, tuple[Result, ...]]] = []
        self._is_sent = self._is_undamaged = False
        self._tries = 0

    def _power_up(self, now: float) -> None:
        self._queue.clear()
        self._is_sent, self._tries = False, 0

    def _measure(self, now: float) -> None:
        kind = "D "
        wished = [name for name in ("rerun", "qc", "blank", "calibration") if name in self._habits]
        if wished and self._mix.random() < 0.34:
            kind = {"rerun": "DH", "qc": "DQ", "blank": "DR", "calibration": "DA"}[self._mix.choice(wished)]
        if kind == "D " or not self._number:
            self._number += 1
        text, results = self._text(kind)
        for one, found in (("DB", ()), (text, results), ("DE", ())):
            self._queue.append((block(one, self._has_bcc), one[:2], found))
        del self._queue[:-QUEUE_LIMIT]
        if self._is_linked:
            self._go_on(now)

    def _text(self, kind: str) -> tuple[str, tuple[Result, ...]]:
        size = self._lengths
        specimen = f"S{self._number:05d}"
        text = f"{kind}{self._number // 10 % 10_000:04d}{self._number % 10 + 1:02d} {self._number % 10_000:04d}"
        text += f"{specimen:<{size['id']}}"[: size["id"]]
        results = []
        for analyte in TESTS[: self._rng.randint(1, len(TESTS))]:
            row = drawn(self._rng, analyte, normal="")
            value, mark = row.value, row.flag
            if "missing" in self._habits and self._mix.random() < 0.1:
                value = ""
            if "marked" in self._habits and self._mix.random() < 0.1:
                mark = "*"
            text += f"{analyte.test:0>{size['test']}}{value:>{size['result']}}{mark:<{size['mark']}}"
            test = f"{analyte.test:0>{size['test']}}"
            results.append(Result(specimen, test, value, "", "", mark, "", PURPOSES[kind], specimen, test))
        return text, tuple(results)

    # -- the line --------------------------------------------------------------------------------------------------

    def connected(self, now: float) -> None:
        """What waits goes out."""
        super().connected(now)
        self._is_sent = False
        self._go_on(now)

    def _go_on(self, now: float) -> None:
        while self._queue and not self._is_sent and self._is_linked:
            data, kind, results = self._queue[0]
            if self._waits:
                self._is_sent = True
                self._tries += 1
                self._is_undamaged = bool(self._emit(data, now).good)
                self._set("reply", now + self.seconds("reply_s"))
                return
            del self._queue[0]
            if results:
                self._tell(data, now, kind, results)
            else:
                self._emit(data, now)

    def _alarm(self, name: str, now: float) -> None:
        self._is_sent = False
        if self._tries >= TRIES:
            del self._queue[:1]
            self._tries = 0
        self._go_on(now)

    def _hear(self, data: bytes, now: float) -> None:
        for byte in data:
            if not self._waits or byte not in (ACK, NAK):
                self.illegal.append(bytes([byte]))
            elif not self._is_sent or not self._queue:
                continue
            elif byte == ACK:
                _, kind, results = self._queue[0]
                if self._is_undamaged and results:
                    self._count(now, kind, results)
                self._tries = TRIES
                self._unset("reply")
                self._alarm("reply", now)
            else:
                self._unset("reply")
                self._alarm("reply", now)

    def _with_bad_checksum(self, frame: bytes) -> bytes:
        return frame[:-1] + bytes([frame[-1] ^ 0x55]) if self._has_bcc else frame
