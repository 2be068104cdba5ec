"""Laboratory formats that are not ASTM: ten minutes of an analyzer, and what was published is what it sent.

The two hands wrote from one page. Compared are specimen, test, text, number, time, flags, purpose and status; no
format has a status of its own, so a result is doubted or its status unknown.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from drivers import catalog
from drivers.observation import Result
from simulators.devices.analyzer import Analyzer
from simulators.devices.catalog import SIMULATORS
from simulators.devices.lab_results import Result as Sent
from simulators.devices.mindray_bc_serial import MindrayBcSerial
from tests.pairs.pairing import Talk

TEN_MINUTES_S = 600.0
FAULT_RATE = "0.1"
MOST_BAD_TEN_MINUTES = 40
"""So many results get through at the least."""
PURPOSES = {"patient": "patient", "control": "qc"}
"""Reagent blanks and calibrations are not read."""


class Row(NamedTuple):
    """One result in what both sides say of it."""

    specimen: str
    test: str
    text: str
    number: Decimal | None
    time: str
    flags: str
    purpose: str
    status: str


@dataclass(frozen=True)
class Pair:
    """An analyzer, the options of its driver, and what of its results cannot be published whole."""

    driver: str
    profile: str
    made: dict[str, str] = field(default_factory=dict)
    asks: dict[str, Any] = field(default_factory=dict)
    raw: frozenset[str] = frozenset()
    """Tests without a value: the format does not tell their unit."""
    purposes: tuple[str, ...] = ("patient",)
    is_doubted: bool = False
    """All values are: no specimen is told, or what is said twice does not agree (each value is drawn by itself)."""
    faults: tuple[str, ...] = ()
    """What is met in the calm."""
    without: tuple[str, ...] = ()
    """Faults left out: a restart wipes what was counted as sent; nothing tells a repetition from a new run."""

    def __str__(self) -> str:
        return "-".join((self.driver, *self.made.values()))


def talk(pair: Pair, *, has_faults: bool, seed: int = 1) -> tuple[Talk, Analyzer]:
    """Ten minutes; with faults, all those that can be seen: a flipped bit in a digit cannot without a checksum."""
    profile = catalog.profile(pair.driver, pair.profile)
    analyzer = SIMULATORS[pair.driver](seed, frozenset(), {**pair.made, "fault_rate": FAULT_RATE})
    assert isinstance(analyzer, Analyzer)
    if has_faults:
        unseen = () if profile.protocol.checksum else ("flipped_bit",)
        analyzer.faults = frozenset(analyzer.FAULTS) - {*unseen, *pair.without}
    return Talk(profile, analyzer, pair.asks).until(TEN_MINUTES_S), analyzer


def sent(pair: Pair, one: Sent) -> Row:
    """What the analyzer's side says of a result."""
    kind, is_mindray = pair.driver, pair.driver == "mindray_bc_serial"
    texts = {"sysmex_kx": one.test_field[:-1], "mindray_bc_serial": one.test_field}
    texts["biomerieux_bci"] = one.value or one.flags
    text = texts.get(kind, one.value)
    test = one.test_field if kind == "horiba_abx" else one.test
    flags = one.flags if one.flags != "0" else ""
    number = re.fullmatch(r"[<>]? ?([0-9.]+)(?: [^ ]+)?", one.value)
    is_told = number is not None and test not in pair.raw
    is_beside = kind == "biomerieux_bci" and bool(one.value and flags)  # a word, and a number that cannot be read
    is_doubted = "*" in text or (is_told and (pair.is_doubted or "*" in flags)) or (is_beside and not is_told)
    return Row(
        one.specimen,
        test,
        text,
        Decimal(number[1]) if number and is_told else None,
        one.completed[4:8] + one.completed[:4] + one.completed[8:] if is_mindray else one.completed,
        flags,
        PURPOSES[one.purpose],
        "questionable" if is_doubted else "unknown",
    )


def published(one: Result) -> Row:
    """What the driver's side says of a result."""
    return Row(
        one.specimen,
        one.test,
        one.text.strip(),
        one.value,
        one.device_time,
        " ".join(one.flags),
        one.purpose,
        one.status,
    )


AU_LAYOUT = {
    **{"specimen": (13, 10), "sample": (9, 4), "block": -1, "tests": 23},
    **{"width": 10, "code": (0, 2), "value": (2, 6), "marks": (8, 2), "mark_width": 2},
}
"""As the simulated AU is set."""
AU = {
    **{"result": AU_LAYOUT, "control": AU_LAYOUT, "plain_marks": ("H", "L")},
    "units": dict.fromkeys(("01", "02", "10", "25"), "mmol/L"),
}
AU_FAULTS = ("blank_not_read", "calibration_not_read")
QC = ("patient", "control")
PDW = frozenset({"PDW"})
ABX_NOBODY = {"habits": "all", "envelope": "yes", "checksum_field": "no", "curves": "no"}
PAIRS = (
    Pair("horiba_abx", "micros_60", {"habits": "all", "specimen_field": "u"}, purposes=QC),
    Pair("horiba_abx", "micros_60", ABX_NOBODY, purposes=QC, is_doubted=True, without=("duplicate",)),
    Pair("sysmex_kx", "kx_21", {"habits": "missing,unreliable,rerun"}, {"rdw": "SD"}),
    Pair(
        *("sysmex_kx", "kx_21", {"habits": "all", "class": "B", "rdw": "C"}),
        {"protocol_class": "B", "rdw": "CV"},
        faults=("layout",),
    ),
    Pair("biomerieux_bci", "vidas", {"habits": "all"}),
    Pair("biomerieux_bci", "vidas", {"habits": "all", "handshake": "no", "language": "en", "date": "dmy"}),
    Pair("mindray_bc_serial", "bc_3000_plus", {"habits": "missing,rerun"}, raw=PDW, is_doubted=True),
    Pair(
        *("mindray_bc_serial", "bc_3000_plus", {"habits": "all", "handshake": "yes", "point": "no"}),
        {"rbc_decimals": 1},
        raw=PDW,
        is_doubted=True,
        faults=("layout", "control_not_read"),
    ),
    Pair("beckman_au", "au", {"habits": "all"}, AU, purposes=QC, faults=AU_FAULTS, without=("reboot",)),
    Pair(
        *("beckman_au", "au", {"habits": "all", "replies": "yes"}),
        {**AU, "protocol_class": "B"},
        purposes=QC,
        faults=AU_FAULTS,
    ),
)
"""A control of the KX-21 and of the BC-3000 Plus is laid out as a sample here, which a true one is not: it is
refused; with the handshake of the BC-3000 Plus it comes again to the letter, and is known as what it is."""


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_what_is_sent_is_published(pair: Pair) -> None:
    talked, analyzer = talk(pair, has_faults=False)
    assert results(talked) == expected(pair, analyzer)
    assert set(talked.faults) == set(pair.faults)
    holds(talked, analyzer)


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_with_every_fault_nothing_is_lost_and_nothing_is_made_up(pair: Pair) -> None:
    talked, analyzer = talk(pair, has_faults=True)
    assert results(talked) == expected(pair, analyzer)
    assert all(analyzer.injected[fault] for fault in analyzer.faults), analyzer.injected
    assert talked.rejected
    holds(talked, analyzer)


def test_a_body_that_is_never_taken_is_given_up() -> None:
    """The ids of the wrong profile are shorter: the analyzer would send its body again and again after each NAK."""
    analyzer = SIMULATORS["mindray_bc_serial"](1, frozenset(), {"handshake": "yes"})
    assert isinstance(analyzer, MindrayBcSerial)
    talked = Talk(catalog.profile("mindray_bc_serial", "bc_2800"), analyzer).until(TEN_MINUTES_S)
    assert (results(talked), talked.frames, talked.unsent) == (Counter(), 0, Counter())
    assert analyzer.given_up > TEN_MINUTES_S / 30
    assert len(talked.sent) < 3 * (analyzer.given_up + 1)


def results(talked: Talk) -> Counter[Row]:
    """What was published."""
    return Counter(published(one) for _at, one in talked.seen if isinstance(one, Result))


def expected(pair: Pair, analyzer: Analyzer) -> Counter[Row]:
    """What left the device undamaged, and was confirmed where it asks for that."""
    rows = Counter(sent(pair, one) for one in analyzer.sent if one.purpose in pair.purposes)
    assert rows.total() > MOST_BAD_TEN_MINUTES
    return rows


def holds(talked: Talk, analyzer: Analyzer) -> None:
    """Nothing is said but ACK and NAK, and that only where it is waited for."""
    assert not talked.unsent
    assert {bytes((byte,)) for _at, data in talked.sent for byte in data} <= {b"\x06", b"\x15"}
    if analyzer.options.get("handshake") != "no" or analyzer.NAME != "biomerieux_bci":
        assert analyzer.illegal == []
