r"""Messages as two makers write them (E1394 records, CR at the end of each).

`erba_xl`: Erba XL chemistry analyzers. Back-tick as repeat delimiter, version `E 1394-97`, mostly one result a
message, a comment `Instrument Flag A` behind it, value `NA` when there is none.
`sysmex_xp`: Sysmex XP-100/300 (ASTM specification 1.0, 2012). Sample id in the third component of field 4, padded on
the left to 15 characters; test `^^^^WBC^1`; values padded to 5 characters; flag A with a masked value `***.*`, flag W
for an unreliable one; field 9 (status) empty; operator padded on the right to 15.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

PROFILES = ("erba_xl", "sysmex_xp")


class Result(NamedTuple):
    """One result as a ledger can hold it: padding stripped, nothing else changed."""

    specimen: str
    test: str
    value: str
    completed: str


# test, low, high, decimals, unit
ERBA_TESTS = (
    ("GLCC", 60, 500, 0, "mg/dl"),
    ("CRR", 0.4, 6.0, 1, "mg/dl"),
    ("ALTT", 8, 220, 0, "U/L"),
    ("CHOO", 90, 320, 0, "mg/dl"),
    ("TGG", 40, 400, 0, "mg/dl"),
)
# test, low, normal low, normal high, high, decimals, unit
SYSMEX_TESTS = (
    ("WBC", 2.0, 4.0, 10.0, 18.0, 1, "10*3/uL"),
    ("RBC", 2.9, 3.8, 5.8, 6.4, 2, "10*6/uL"),
    ("HGB", 5.5, 11.5, 17.0, 18.5, 1, "g/dL"),
    ("HCT", 20.0, 35.0, 50.0, 55.0, 1, "%"),
    ("MCV", 60.0, 80.0, 100.0, 112.0, 1, "fL"),
    ("MCH", 17.0, 27.0, 34.0, 37.0, 1, "pg"),
    ("MCHC", 26.0, 32.0, 36.0, 38.0, 1, "g/dL"),
    ("PLT", 20, 150, 400, 620, 0, "10*3/uL"),
    ("LYM%", 8.0, 20.0, 45.0, 65.0, 1, "%"),
    ("MXD%", 1.0, 3.0, 15.0, 22.0, 1, "%"),
    ("NEUT%", 25.0, 40.0, 70.0, 88.0, 1, "%"),
    ("LYM#", 0.4, 1.0, 4.0, 6.0, 1, "10*3/uL"),
    ("MXD#", 0.1, 0.2, 1.5, 2.4, 1, "10*3/uL"),
    ("NEUT#", 0.8, 2.0, 7.0, 14.0, 1, "10*3/uL"),
    ("RDW-SD", 33.0, 37.0, 54.0, 70.0, 1, "fL"),
    ("RDW-CV", 10.5, 11.0, 16.0, 23.0, 1, "%"),
    ("PDW", 8.0, 9.0, 17.0, 22.0, 1, "fL"),
    ("MPV", 7.5, 9.0, 13.0, 14.0, 1, "fL"),
    ("P-LCR", 10.0, 13.0, 43.0, 50.0, 1, "%"),
    ("PCT", 0.05, 0.17, 0.35, 0.50, 2, "%"),
)


class Maker:
    """Writes one message after the other; the same seed gives the same messages."""

    def __init__(self, profile: str, seed: int) -> None:
        self._write = {"erba_xl": self._erba_xl, "sysmex_xp": self._sysmex_xp}[profile]
        self._rng = Random(seed)  # noqa: S311
        self._number = 1_043_971 + seed % 1000 if profile == "erba_xl" else 2_300_013_215 + seed % 1000
        self._qc_number = 0

    def message(self, finished: str, sent: str) -> bytes:
        """The next message; both times are YYYYMMDDHHMMSS, as the analyzer's clock shows them."""
        self._number += 1
        return "".join(record + "\r" for record in self._write(finished, sent)).encode("latin-1")

    def _erba_xl(self, finished: str, sent: str) -> list[str]:
        rng = self._rng
        how_many = rng.choice((1, 1, 1, 1, 1, 2, 3))
        chosen = rng.sample(ERBA_TESTS, how_many)
        records = [
            f"H|`^&||||||||||P|E 1394-97|{sent}",
            "P|1|||||||U||||||||0|0",
            f"O|1|{self._number}||{'`'.join('^^^' + test[0] for test in chosen)}|||||||||||SERUM",
        ]
        for index, (test, low, high, decimals, unit) in enumerate(chosen, 1):
            value = "NA" if rng.random() < 0.06 else f"{rng.uniform(low, high):.{decimals}f}"
            records.append(f"R|{index}|^^^{test}|{value}|{unit}|^DEFAULT|A|N|F||||{finished}")
            records.append(f"C|1|I|Instrument Flag {rng.choice(('A', 'A', 'A', 'A,A,A,A'))}")
        records.append("L|1|N")
        return records

    def _sysmex_xp(self, finished: str, sent: str) -> list[str]:
        del sent  # the XP's header has no time
        rng = self._rng
        is_control = rng.random() < 0.05
        if is_control:
            self._qc_number += 1
        sample = f"QC-{self._qc_number:08d}" if is_control else str(self._number)
        tests = "\\".join(f"^^^^{test[0]}" for test in SYSMEX_TESTS)
        operator = rng.choice(("", "NADIA"))
        records = [
            r"H|\^&|||XP-100^00-07^^^^A1573^AP807129||||||||E1394-97",
            "P|1",
            f"O|1||^^{sample:>15}^{rng.choice('MAB')}|{tests}|||||||{'Q' if is_control else 'N'}||||||||||||||F",
        ]
        for index, (test, low, normal_low, normal_high, high, decimals, unit) in enumerate(SYSMEX_TESTS, 1):
            number = rng.uniform(low, high)
            value = f"{number:5.{decimals}f}"
            flag = "L" if number < normal_low else "H" if number > normal_high else "N"
            chance = rng.random()
            if chance < 0.03:
                flag, value = "A", f"{'*' * (4 - decimals)}.{'*' * decimals}" if decimals else "*****"
            elif chance < 0.10:
                flag = "W"
            records.append(f"R|{index}|^^^^{test}^1|{value}|{unit}||{flag}||||{operator:15}||{finished}")
        records.append("L|1|N")
        return records


def results_in(message: bytes) -> tuple[Result, ...]:
    """What a message of either maker (or a ready one) holds, for the ledger."""
    found: list[Result] = []
    specimen = ""
    for record in message.decode("latin-1").split("\r"):
        fields = record.split("|")
        fields += [""] * (14 - len(fields))
        if fields[0] == "O":
            instrument = (fields[3].split("^") + ["", "", ""])[2]
            specimen = (fields[2] or instrument).strip()
        elif fields[0] == "R":
            parts = fields[2].split("^")
            test = next((part for part in parts[3:] if part), fields[2])
            found.append(Result(specimen, test, fields[3].strip(), fields[12]))
    return tuple(found)
