"""The device's scale against the table's: the device is believed, a difference is a fault, no unit is guessed."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import catalog
from drivers.observation import Enumeration, Numeric
from drivers.profile import Metric
from drivers.servo_cie.channels import Channel, alerts, channel_of, raw_of_pair, raw_of_text
from drivers.servo_cie.options import Options
from drivers.servo_cie.records import Config
from drivers.servo_cie.tables import Tables, class_of

PROFILE = catalog.profile("servo_cie", "servo_i")


def config(code: str, gain: str = "1", offset: str = "0", unit: int | None = 20) -> Config:
    return Config(code, Decimal(gain) if gain else None, Decimal(offset) if offset else None, unit)


def read(code: str, said: Config, raw: int | None, version: int = 5) -> tuple[Any, list[str]]:
    channel, faults = channel_of(PROFILE.by_code.get(code), said, "measurement", version)
    seen = channel.read(raw, "raw", "")
    return seen, [f"{fault.reason} {fault.detail}" for fault in faults]


@pytest.mark.parametrize(
    ("code", "said", "raw", "version", "value", "unit", "named", "faults"),
    [
        ("205", config("205", "0.1", "0", 4), 240, 5, "24.0", "cm[H2O]", True, []),
        ("203", config("203", "0.01", "0", 8), 72, 5, "0.72", "L/min", True, []),
        ("203", config("203", "0.1", "0", 8), 72, 4, "7.2", "L/min", True, []),
        ("203", config("203", "0.1", "0", 8), 72, 5, "7.2", "L/min", True, ["channel_differs 203 gain 0.1"]),
        ("238", config("238", "0.0326", "0", 20), 15, 2, "0.4890", "{ratio}", True, []),
        ("238", config("238", "0.01", "0", 20), 15, 3, "0.15", "{ratio}", True, []),
        ("231", config("231", "0.1588", "100", 9), 720, 1, "14.3360", "cm[H2O]/(L/s)", True, []),
        ("205", config("205", "0.01", "0", 11), 240, 5, "2.40", "kPa", False,
         ["channel_differs 205 gain 0.01", "channel_differs 205 unit 11"]),
        ("206", config("206", "0.1", "0", None), 240, 5, "24.0", "cm[H2O]", True, []),
        ("245", config("245", "0.0651", "0", 4), 2000, 5, "130.2000", "cm[H2O]", True,
         ["channel_differs 245 offset 0"]),
        ("226", config("226", "1", "0", 3), 180, 5, "180", "mL/min", False, []),
        ("299", config("299", "0.1", "-5", 14), 123, 5, "17.3", "s", False, []),
    ],
)  # fmt: skip
def test_scale(
    code: str, said: Config, raw: int, version: int, value: str, unit: str, named: bool, faults: list[str]
) -> None:
    seen, told = read(code, said, raw, version)
    assert isinstance(seen, Numeric)
    assert (str(seen.value), seen.unit, bool(seen.metric)) == (value, unit, named)
    assert seen.validity == "valid"
    assert told == faults


@pytest.mark.parametrize(
    ("code", "said", "raw", "reason"),
    [
        ("205", config("205", "0.1", "0", 4), None, "missing"),
        ("205", config("205", "", "", 4), 240, "scale_unknown"),
        ("205", config("205", "0.1", "", 4), 240, "scale_unknown"),
        ("226", config("226", "1", "0", None), 180, "unit_unknown"),
        ("299", config("299", "1", "0", 77), 180, "unit_unknown"),
        ("206", config("206", "0.1", "0", 77), 240, "unit_unknown"),
        ("355", config("355", "1", "0", 14), 46, "off"),
        ("355", config("355", "0.1", "0", 14), 460, "off"),
    ],
)
def test_absent(code: str, said: Config, raw: int | None, reason: str) -> None:
    seen, _faults = read(code, said, raw)
    assert (seen.value, seen.reason, seen.validity) == (None, reason, "not_available")


@pytest.mark.parametrize(
    ("said", "raw", "value", "reason"),
    [
        (config("310"), 4, "PRVC", ""),
        (config("310", "", "", None), 8, "PS/CPAP", ""),
        (config("310"), 99, None, "unknown_code"),
        (config("310"), None, None, "missing"),
    ],
)
def test_words(said: Config, raw: int | None, value: str | None, reason: str) -> None:
    seen, faults = read("310", said, raw)
    assert isinstance(seen, Enumeration)
    assert (seen.value, seen.reason, faults) == (value, reason, [])


def test_sentinels() -> None:
    assert (raw_of_text("9999"), raw_of_text("9998"), raw_of_text("0000")) == (None, 9998, 0)
    assert (raw_of_pair(0x7EFF), raw_of_pair(9999), raw_of_pair(0)) == (None, 9999, 0)


def test_alerts() -> None:
    row = PROFILE.by_code["498"]
    high = PROFILE.by_code["410"]
    found = alerts([("498", row), ("410", high), ("460", None), ("411", None)], (1, 2, 1, 0), (), "")
    assert [(code, a.vendor and a.vendor.text, a.priority, a.alert) for code, a in found.items()] == [
        ("498", "1", "high", "unknown"),
        ("410", "2", "unknown", "physiological"),
        ("460", "1", "unknown", "unknown"),
    ]
    own = alerts([("498", row), ("410", high)], (1, 1), (0, 2), "")
    assert [(a.priority, a.vendor_priority) for a in own.values()] == [("high", "0"), ("medium", "2")]


def test_classes() -> None:
    rows = [PROFILE.by_code[code] for code in ("200", "300", "400", "100")]
    assert [class_of(row) for row in rows] == ["B", "S", "A", "C"]
    assert class_of(Metric(code="600", category="setting", extra={"table": "L"})) == "L"


def _tables(in_pairs: bool, breath: int, settings: int, alarms: int) -> Tables:
    options = Options(
        breath=tuple(str(c) for c in range(230, 230 + breath) if c != 237),
        settings=tuple(str(300 + n) for n in range(settings)),
        alarms=tuple(str(400 + n) for n in range(alarms)),
    )
    tables = Tables(PROFILE, options, in_pairs=in_pairs)
    while tables.next_code:
        tables.configure(config(tables.next_code), 5)
    return tables


@given(st.booleans(), st.integers(1, 40), st.integers(1, 75), st.integers(1, 50))
def test_no_two_answers_have_the_same_length(in_pairs: bool, breath: int, settings: int, alarms: int) -> None:
    tables = _tables(in_pairs, breath, settings, alarms)
    before = len(tables.channels["B"])
    tables.settle()
    sizes = [tables.size(letter) for letter in "BSA" if tables.size(letter)]
    assert len(sizes) == len(set(sizes))
    assert len(tables.channels["B"]) == before


def test_a_summing_alarm_goes_without_a_word() -> None:
    options = Options(breath=("200",), settings=("300",), alarms=("400", "410", "411", "499"))
    tables = Tables(PROFILE, options, in_pairs=False)
    while tables.next_code:
        tables.configure(config(tables.next_code), 5)
    assert [f"{fault.reason} {fault.detail}" for fault in tables.settle()] == ["table_cut 300"]
    assert tables.alarms == ["400", "410", "411"]
    assert tables.definition("S") == b""


def test_answers_of_another_table_are_not_read() -> None:
    tables = _tables(False, 3, 2, 5)
    assert tables.read_text("B", "0150", "") is None
    assert tables.read_text("B", "01500480024x", "") is None
    assert tables.read_pairs("B", b"\x00" * 8, "") is None
    assert tables.read_pairs("L", b"\x00" * 8, "") is None
    assert tables.alarms_of_text("0110") is None
    assert tables.alarms_of_text("01103") is None
    assert tables.alarms_of_block(b"\x00") is None
    said = tables.alarms_of_block(b"\x00\xff\x02\x01\x00")
    assert said
    assert said.states == (0, 1, 2, 1, 0)


def test_alarms_in_pairs() -> None:
    tables = _tables(True, 3, 2, 3)
    said = tables.alarms_of_block(bytes.fromhex("0301 7EFF 0000"))
    assert said
    assert (said.states, said.priorities) == ((1, 0, 0), (3, 0x7E, 0))
    assert tables.alarms_of_block(bytes.fromhex("0301 7EFF")) is None
    assert tables.alarms_of_block(bytes.fromhex("0303 0000 0000")) is None


RIGHT, WRONG, OTHER = config("205", "0.1", "0", 4), config("205", "0.2", "0", 4), config("205", "0.3", "0", 4)


@pytest.mark.parametrize(
    ("said", "gain", "faults"),
    [
        ([RIGHT], "0.1", []),
        ([WRONG, RIGHT], "0.1", []),
        ([WRONG, WRONG], "0.2", ["channel_differs 205 gain 0.2"]),
        ([WRONG, OTHER, OTHER], "0.3", ["channel_differs 205 gain 0.3"]),
        ([WRONG, OTHER, WRONG, OTHER], "", ["scale_unsteady 205"]),
    ],
)
def test_a_scale_that_the_table_does_not_bear_out_is_heard_twice(
    said: list[Config], gain: str, faults: list[str]
) -> None:
    tables = Tables(PROFILE, Options(breath=("205",), settings=("310",)), in_pairs=False)
    told: list[str] = []
    for one in said:
        assert tables.next_code == "205"
        told += [f"{fault.reason} {fault.detail}" for fault in tables.configure(one, 5)]
    assert tables.next_code == "310"
    assert told == faults
    assert [str(channel.gain) for channel in tables.channels["B"]] == ([gain] if gain else [])


@given(
    raw=st.integers(0, 9998), gain=st.decimals("0.0001", "100", places=4), offset=st.decimals(-4000, 4000, places=1)
)
def test_value_is_raw_times_gain_minus_offset(raw: int, gain: Decimal, offset: Decimal) -> None:
    seen = Channel(PROFILE.by_code["205"], gain, offset).read(raw, "", "")
    assert seen.value == raw * gain - offset
