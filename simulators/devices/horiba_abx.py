r"""Horiba ABX Micros 60 in the ABX format (not ASTM): one block a sample, a line a field, CR at its end.

    [SOH] STX  FF RESULT CR  FE version CR  ! value flags CR  2 value flags CR  …  W curve CR  FD digits CR  ETX [EOT]

A field is its identifier, a space and its value: five characters for a number, flag letters behind them. Order and
number of the fields are not fixed: each block has its own. FF says what it is: RESULT, RES-RR (again) or QC-RES.
Which identifier carries the specimen is not on the protocol page: option `specimen_field`, none unless it is given.
Nor is the rule of the checksum: its digits here are without meaning. Curves stand in X, W and Y.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from types import MappingProxyType
from typing import ClassVar

from simulators.devices.analyzer import ANALYZER_OPTIONS, Analyzer
from simulators.devices.lab_results import Analyte, Result, drawn
from simulators.devices.simulator import NO_OPTIONS, Option

SOH, STX, ETX, EOT, CR = b"\x01", b"\x02", b"\x03", b"\x04", b"\r"
TYPE, VERSION, CHECKSUM, NAME = "\xff", "\xfe", "\xfd", "\xfb"
TESTS = (
    ("!", Analyte("WBC", 2.0, 4.0, 10.0, 18.0, 1, "")),
    ("2", Analyte("RBC", 2.9, 3.8, 5.8, 6.4, 2, "")),
    ("3", Analyte("HGB", 5.5, 11.5, 17.0, 18.5, 1, "")),
    ("4", Analyte("HCT", 20.0, 35.0, 50.0, 55.0, 1, "")),
    ("5", Analyte("MCV", 60, 80, 100, 112, 0, "")),
    ("6", Analyte("MCH", 17.0, 27.0, 34.0, 37.0, 1, "")),
    ("7", Analyte("MCHC", 26.0, 32.0, 36.0, 38.0, 1, "")),
    ("8", Analyte("RDW", 10.5, 11.0, 16.0, 23.0, 1, "")),
    ("@", Analyte("PLT", 20, 150, 400, 620, 0, "")),
    ("A", Analyte("MPV", 7.5, 9.0, 13.0, 14.0, 1, "")),
    ("#", Analyte("LYM%", 8.0, 20.0, 45.0, 65.0, 1, "")),
    ("%", Analyte("MON%", 1.0, 3.0, 15.0, 22.0, 1, "")),
    ("'", Analyte("GRA%", 25.0, 40.0, 70.0, 88.0, 1, "")),
    ('"', Analyte("LYM#", 0.4, 1.0, 4.0, 6.0, 1, "")),
    ("$", Analyte("MON#", 0.1, 0.2, 1.5, 2.4, 1, "")),
    ("&", Analyte("GRA#", 0.8, 2.0, 7.0, 14.0, 1, "")),
)
"""Identifier → test. The page names the last three `counts`: the order of the percentages is taken for theirs."""
CURVES = ("X", "W", "Y")
CURVE_BYTES = 128


class HoribaAbx(Analyzer):
    """The analyzer's side; nothing may be said to it."""

    NAME: ClassVar[str] = "horiba_abx"
    DESCRIPTION: ClassVar[str] = "blood counter, Horiba ABX Micros 60 in ABX format, serial"
    HABITS: ClassVar[tuple[str, ...]] = ("qc", "rerun", "missing", "shuffled", "short")
    OPTIONS: ClassVar[Mapping[str, Option]] = MappingProxyType(
        {
            **ANALYZER_OPTIONS,
            "habits": Option("", "all, or some of: " + ", ".join(HABITS)),
            "envelope": Option("no", "yes: SOH before STX and EOT behind ETX"),
            "curves": Option("yes", "no: no fields X, W and Y"),
            "checksum_field": Option("yes", "no: no field FD"),
            "specimen_field": Option("", "the identifier that carries the specimen; empty: none"),
        }
    )

    def __init__(
        self, seed: int = 0, faults: frozenset[str] = frozenset(), options: Mapping[str, str] = NO_OPTIONS
    ) -> None:
        super().__init__(seed, faults, options)
        self._has_envelope = self.choice("envelope", ("no", "yes")) == "yes"
        self._has_curves = self.choice("curves", ("no", "yes")) == "yes"
        self._has_checksum = self.choice("checksum_field", ("no", "yes")) == "yes"
        self._specimen_field = self.options["specimen_field"]
        if len(self._specimen_field.encode("latin-1", "replace")) > 1:
            raise ValueError(f"{self.NAME}: option specimen_field = {self._specimen_field!r} is not one character")
        self._mix = Random(seed ^ 0xABE)  # noqa: S311
        self._number = 1000 + seed % 1000

    def _power_up(self, now: float) -> None:
        pass

    def _measure(self, now: float) -> None:
        kind = "RESULT"
        if "qc" in self._habits and self._mix.random() < 0.15:
            kind = "QC-RES"
        elif "rerun" in self._habits and self._mix.random() < 0.15:
            kind = "RES-RR"
        else:
            self._number += 1
        specimen = f"S{self._number}" if self._specimen_field else ""
        fields = [f"{self._specimen_field} {specimen}"] if specimen else []
        results = []
        for identifier, analyte in TESTS:
            row = drawn(self._rng, analyte, normal="")
            value = row.value
            if "missing" in self._habits and self._mix.random() < 0.06:
                value, row = "-----", row._replace(flag="")
            fields.append(f"{identifier} {value:>5}{row.flag}")
            purpose = "control" if kind == "QC-RES" else "patient"
            results.append(Result(specimen, analyte.test, value, "", "", row.flag, "", purpose, specimen, identifier))
        fields, results = self._mixed(fields, results)
        if self._has_curves:
            fields += [f"{curve} {self._curve()}" for curve in CURVES]
        self._tell(self._block(kind, fields), now, kind, results)

    def _mixed(self, fields: list[str], results: list[Result]) -> tuple[list[str], list[Result]]:
        """Another order, or some fields left out."""
        if "short" in self._habits and self._mix.random() < 0.2:
            kept = {identifier for identifier, _ in TESTS[:8]} | {self._specimen_field}
            fields = [field for field in fields if field[0] in kept]
            results = [result for result in results if result.test_field in kept]
        if "shuffled" in self._habits:
            self._mix.shuffle(fields)
        return fields, results

    def _curve(self) -> str:
        return "".join(chr(0x20 + self._mix.randrange(0x5E)) for _ in range(CURVE_BYTES))

    def _block(self, kind: str, fields: list[str]) -> bytes:
        lines = [f"{TYPE} {kind}", f"{VERSION} V2.1", f"{NAME} MICROS60", *fields]
        if self._has_checksum:
            lines.append(f"{CHECKSUM} {self._mix.randrange(0x10000):04X}")
        block = STX + "".join(line + "\r" for line in lines).encode("latin-1") + ETX
        return SOH + block + EOT if self._has_envelope else block
