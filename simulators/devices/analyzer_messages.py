r"""Messages of ten makers' models (E1394 records, CR at the end of each), and the habits that make a host stumble.

Which model writes what stands in `astm_blood.py` and `astm_chemistry.py`; here one message follows the other, from a
seed. Without habits every message is a new specimen. With them, one message in three does something else:

    rerun       the same specimen measured again: new values          qc        a control instead of a patient
    repeated    an earlier message again, every status R              resent    an earlier message, byte for byte
    corrected   an earlier message again, one value changed, status C
    partial     the message ends before its end, or with L|1|T        unread    barcode unread: `@` and a number
    empty       a run without any sample id
    query       the analyzer asks for orders, and withdraws the question when nobody answers

and one result in eight is odd:

    missing     no value, as the model writes that                    comma     a decimal comma
    doubtful    status W                                              outside   `> 1000` or `< 0.5`
    cannot      status X and no value
    seven_bit   every unit as a 7-bit line leaves it: `10)/mm)` and `5m)`
    eight_bit   every unit with letters beyond ASCII, in Latin-1: `10³/mm³` and `µm³`
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from random import Random
from types import MappingProxyType
from typing import NamedTuple

from simulators.devices import astm_blood as blood
from simulators.devices import astm_chemistry as chemistry
from simulators.devices.lab_results import Result, Row, Run

MESSAGE_HABITS = ("rerun", "repeated", "resent", "corrected", "qc", "partial", "unread", "empty", "query")
ROW_HABITS = ("missing", "doubtful", "cannot", "outside", "comma", "seven_bit", "eight_bit")
HABITS = (*MESSAGE_HABITS, *ROW_HABITS)
KEPT = 16
ODD_MESSAGE, ODD_ROW = 0.34, 0.12
SEVEN_BIT = MappingProxyType(
    {"10*3/uL": "10)/mm)", "10*6/uL": "10)/mm)", "10E3/uL": "10)/mm)", "fL": "5m)", "um3": "5m)"}
)
"""What is left of 10³/mm³ and µm³ (seen in the public node-astm recordings)."""

EIGHT_BIT = MappingProxyType({"10*3/uL": "10³/mm³", "10E3/uL": "10³/mm³", "fL": "µm³", "um3": "µm³"})

_ALWAYS = frozenset({"rerun", "resent", "qc", "partial"})
_STATUS = frozenset({"repeated", "corrected", "doubtful", "cannot"})
_NUMBER = frozenset({"missing", "outside", "comma"})
_UNITS = frozenset({"seven_bit", "eight_bit"})


class Model(NamedTuple):
    """One model: how it frames, measures and writes, and which habits it can have."""

    framing: str
    run: Callable[[Random, int], Run]
    records: Callable[[Run, str, str], list[str]]
    habits: frozenset[str]
    missing: str = ""
    """What stands for a value that is not there."""
    query: Callable[[str, int, bool], list[str]] | None = None


MODELS: Mapping[str, Model] = MappingProxyType(
    {
        "erba_xl": Model(
            "whole", chemistry.erba_run, chemistry.erba_records,
            _ALWAYS | _STATUS | _NUMBER | {"query", "empty"}, "NA", chemistry.erba_query,
        ),
        "sysmex_xp": Model("whole", blood.xp_run, blood.xp_records, _ALWAYS | _UNITS | {"missing", "empty"}, "**.**"),
        "sysmex_xn_l": Model(
            "record", blood.xn_run, blood.xn_records, _ALWAYS | _STATUS | _NUMBER | _UNITS | {"empty"}, "----"
        ),
        "horiba_pentra": Model(
            "record", blood.pentra_run, blood.pentra_records, _ALWAYS | _STATUS | _NUMBER | {"empty"}, "-----"
        ),
        "horiba_yumizen": Model(
            "record", blood.yumizen_run, blood.yumizen_records,
            _ALWAYS | _STATUS | _NUMBER | _UNITS | {"empty"}, "-----",
        ),
        "genexpert": Model(
            "whole", chemistry.xpert_run, chemistry.xpert_records, _ALWAYS | {"repeated", "corrected", "empty"}
        ),
        "cobas_c111": Model(
            "record_etb", chemistry.c111_run, chemistry.c111_records, _ALWAYS | _STATUS | _NUMBER
        ),
        "cobas_c311": Model(
            "whole", chemistry.c311_run, chemistry.c311_records,
            _ALWAYS | _STATUS | _NUMBER | {"query"}, "", chemistry.c311_query,
        ),
        "cobas_e411": Model(
            "split", chemistry.e411_run, chemistry.e411_records,
            _ALWAYS | _STATUS | _NUMBER | {"query", "unread"}, "", chemistry.e411_query,
        ),
        "vitros": Model(
            "record", chemistry.vitros_run, chemistry.vitros_records,
            _ALWAYS | _STATUS | {"missing", "outside", "empty"},
        ),
    }
)  # fmt: skip
PROFILES = tuple(MODELS)


class Written(NamedTuple):
    """A message and what it is: new, one of MESSAGE_HABITS, or `cancel`."""

    kind: str
    data: bytes


class Maker:
    """Writes one message after the other; the same seed gives the same messages, and habits change no new ones."""

    def __init__(self, profile: str, seed: int, habits: frozenset[str] = frozenset()) -> None:
        self.model = MODELS[profile]
        self._habits = habits & self.model.habits
        self._rng = Random(seed)  # noqa: S311
        self._dice = Random(seed ^ 0xABE)  # noqa: S311
        self._number = 1_043_971 + seed % 1000 if profile == "erba_xl" else 2_300_013_215 + seed % 1000
        self._qc_number = 0
        self._unread_number = 0
        self._runs: deque[Run] = deque(maxlen=KEPT)
        self._messages: deque[bytes] = deque(maxlen=KEPT)

    def message(self, finished: str, sent: str) -> bytes:
        """The next message; both times are YYYYMMDDHHMMSS, as the analyzer's clock shows them."""
        return self.write(finished, sent).data

    def write(self, finished: str, sent: str) -> Written:
        """The next message, and what it is."""
        wished = sorted(self._habits & set(MESSAGE_HABITS))
        kind = "new"
        if wished and self._dice.random() < ODD_MESSAGE:
            kind = self._dice.choice(wished)
        if kind == "resent" and self._messages:
            return Written(kind, self._dice.choice(self._messages))
        if kind == "query":
            return Written(kind, self.query(is_cancel=False))
        if kind in ("repeated", "corrected") and self._runs:
            return Written(kind, self._bytes(self._again(kind), finished, sent))
        if kind not in ("rerun", "qc", "partial", "unread", "empty") or (kind == "rerun" and not self._runs):
            kind = "new"
        return self._fresh(kind, finished, sent)

    def query(self, is_cancel: bool) -> bytes:
        """The question for the orders of the newest specimen, or its withdrawal."""
        if self.model.query is None:
            return b""
        specimen = self._runs[-1].specimen if self._runs else str(self._number)
        return _joined(self.model.query(specimen, self._number, is_cancel))

    def _fresh(self, kind: str, finished: str, sent: str) -> Written:
        self._number += 1
        run = self.model.run(self._rng, self._number)
        if kind == "qc":
            run = run._replace(purpose="control")
        if run.purpose == "control":
            self._qc_number += 1
            run = run._replace(specimen=f"QC-{self._qc_number:08d}")
        if kind == "rerun":
            earlier = self._dice.choice(self._runs)
            run = run._replace(specimen=earlier.specimen, purpose=earlier.purpose)
        if kind == "unread":
            self._unread_number += 1
            run = run._replace(specimen=f"@{self._unread_number}")
        if kind == "empty":
            run = run._replace(specimen="")
        run = run._replace(rows=tuple(self._odd(row) for row in run.rows))
        if kind == "partial":
            records = self.model.records(run, finished, sent)[:-1]
            return Written(kind, _joined(records + (["L|1|T"] if self._dice.random() < 0.5 else [])))
        data = self._bytes(run, finished, sent)
        self._runs.append(run)
        self._messages.append(data)
        return Written(kind, data)

    def _again(self, kind: str) -> Run:
        """An earlier run: every status R, or one value changed and its status C."""
        run = self._dice.choice(self._runs)
        rows = [row._replace(status="R") if row.status else row for row in run.rows]
        if kind == "corrected":
            rows = list(run.rows)
            index = self._dice.choice([i for i, row in enumerate(rows) if row.status])
            rows[index] = rows[index]._replace(status="C", value=self._changed(rows[index].value))
        return run._replace(rows=tuple(rows))

    def _changed(self, value: str) -> str:
        if not any(digit in value for digit in "0123456789"):
            return "NOT DETECTED^" if value.startswith("DETECTED") else "DETECTED LOW^" if "^" in value else "42"
        turned = {str(digit): str((digit + 1 + self._dice.randrange(8)) % 10) for digit in range(10)}
        return "".join(turned.get(letter, letter) for letter in value)

    def _odd(self, row: Row) -> Row:
        if "eight_bit" in self._habits:
            row = row._replace(unit=EIGHT_BIT.get(row.unit, row.unit))
        elif "seven_bit" in self._habits:
            row = row._replace(unit=SEVEN_BIT.get(row.unit, row.unit))
        wished = sorted(self._habits & (set(ROW_HABITS) - {"seven_bit", "eight_bit"}))
        if not wished or not row.value[:1].isdigit() or not row.unit or self._dice.random() >= ODD_ROW:
            return row
        match self._dice.choice(wished):
            case "missing":
                return row._replace(value=self.model.missing)
            case "doubtful":
                return row._replace(status="W")
            case "cannot":
                return row._replace(status="X", value=self.model.missing)
            case "outside":
                return row._replace(value=self._dice.choice(("> 1000", "< 0.5", ">1000", "<0.5")))
            case _:
                return row._replace(value=row.value.replace(".", ","))

    def _bytes(self, run: Run, finished: str, sent: str) -> bytes:
        return _joined(self.model.records(run, finished, sent))


def _joined(records: list[str]) -> bytes:
    return "".join(record + "\r" for record in records).encode("latin-1")


# -- the ledger ------------------------------------------------------------------------------------------------------


def is_whole(message: bytes) -> bool:
    """Whether it ends as a message should: with L, and not with a code that says it was broken off."""
    last = message.decode("latin-1").removesuffix("\r").split("\r")[-1].split("|")
    return last[0] == "L" and (last + ["", ""])[2] not in ("T", "E", "R")


def results_in(message: bytes) -> tuple[Result, ...]:
    """What a message of any of the models (or a ready one) holds, for the ledger."""
    found: list[Result] = []
    specimen = specimen_field = ""
    is_control_message = is_control = False
    for record in message.decode("latin-1").split("\r"):
        fields = record.split("|")
        fields += [""] * (14 - len(fields))
        if fields[0] == "H":
            is_control_message = fields[11] == "Q"
        elif fields[0] == "O":
            specimen_field = fields[2] or fields[3]
            specimen = _specimen(fields[2], fields[3])
            is_control = is_control_message or fields[11] == "Q"
        elif fields[0] == "R":
            found.append(
                Result(
                    specimen, _test(fields[2]), fields[3].strip(), fields[12], fields[8], fields[6], fields[4],
                    "control" if is_control else "patient", specimen_field, fields[2],
                )
            )  # fmt: skip
    return tuple(found)


def _specimen(from_host: str, of_instrument: str) -> str:
    """The first component of field 3; else of field 4 the first (cobas c111) or the third (Sysmex)."""
    parts = (of_instrument.split("^") + ["", "", ""])[:3]
    return (from_host.split("^", maxsplit=1)[0] or parts[0] or parts[2]).strip()


def _test(field: str) -> str:
    """The first part from the fourth on; a probe of a GeneXpert needs all its parts."""
    parts = field.split("^")
    if len(parts) > 1 and parts[1]:
        return "^".join(part for part in parts if part)
    return next((part for part in parts[3:] if part), field)
