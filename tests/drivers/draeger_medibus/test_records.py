"""Records: numbers as printed, layouts kept or refused whole, dates as devices write them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.draeger_medibus.records import (
    AlarmRecord,
    CurveConfig,
    Identity,
    Value,
    expand,
    number,
    parse_alarms,
    parse_clock,
    parse_curves,
    parse_identity,
    parse_texts,
    parse_values,
)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        (" 98 ", "98"),
        ("15  ", "15"),
        ("0.48", "0.48"),
        (" 7.0", "7.0"),
        ("-  5", "-5"),
        (" -5 ", "-5"),
        ("-1.2", "-1.2"),
        (" .5 ", "0.5"),
        ("12. ", "12"),
        ("0   ", "0"),
    ],
)
def test_a_number_keeps_its_digits(text: str, printed: str) -> None:
    assert str(number(text)) == printed


@pytest.mark.parametrize(
    "text", ["    ", "----", "1 2 ", "1e5 ", "NaN ", "+ 5 ", "--5 ", "1,5 ", ".   ", "٣   ", "inf "]
)
def test_what_is_no_number_is_none(text: str) -> None:
    assert number(text) is None


@given(st.decimals(-999, 9999, places=1, allow_nan=False, allow_infinity=False), st.integers(0, 3), st.integers(0, 3))
def test_padding_says_nothing(value: Decimal, left: int, right: int) -> None:
    assert number(" " * left + str(value) + " " * right) == value


@pytest.mark.parametrize("data", [b"73 1", b"7G 12 ", b"73\x03 12", b"73 12 x", b"73 1\xe9 "])
def test_values_are_all_or_nothing(data: bytes) -> None:
    assert parse_values(b"EB 98 " + data, 4) is None


def test_values_and_settings() -> None:
    assert parse_values(b"", 4) == []
    assert parse_values(b"b9 7.2 7 105", 4) == [Value("B9", " 7.2"), Value("07", " 105")]
    assert parse_values(b"01  40 040.480", 5) == [Value("01", "  40 "), Value("04", "0.480")]


def test_alarms() -> None:
    assert parse_alarms(b"N10PAW HIGH    1 8%O2 LOW     ") == [
        AlarmRecord("10", 30, "PAW HIGH    "),
        AlarmRecord("08", 1, "%O2 LOW     "),
    ]
    assert parse_alarms(b"") == []
    assert parse_alarms(b"N10PAW HIGH   ") is None
    assert parse_alarms(b"NXXPAW HIGH    ") is None
    assert parse_alarms(b"N10PAW\x03HIGH    ") is None


def test_phrase_codes_are_written_out() -> None:
    assert expand("MIN VOL $&  ") == "MIN VOL LOW"
    assert expand("RR \"# '@     ") == "RR HIGH ALARM"


def test_texts() -> None:
    assert parse_texts(b"019Mode IPPV\x031E7STANDBY\x03") == [Value("01", "Mode IPPV"), Value("1E", "STANDBY")]
    assert parse_texts(b"01P" + b"x" * 32 + b"\x03") == [Value("01", "x" * 32)]
    assert parse_texts(b"") == []


@pytest.mark.parametrize(
    "data",
    [
        b"019Mode IPPV",
        b"019Mode IPP\x03",
        b"01Q" + b"x" * 33 + b"\x03",
        b"010\x03",
        b"01",
        b"0",
        b"XX1a\x03",
        b"011\x03\x03",
    ],
)
def test_a_text_that_is_not_whole_refuses_all(data: bytes) -> None:
    assert parse_texts(b"1E7STANDBY\x03" + data) is None


def test_identity() -> None:
    assert parse_identity(b"8240'Evita 4'04.00:04.00") == Identity("8240", "Evita 4", "04.00", "04.00")
    assert parse_identity(b"8240'Evita 4' 4.00: 4.00") == Identity("8240", "Evita 4", " 4.00", " 4.00")
    for bad in (b"8240Evita 404.00:04.00", b"8240'Evita 4'04.00", b"8240'" + b"x" * 33 + b"'04.00:04.00"):
        assert parse_identity(bad) is None


@pytest.mark.parametrize(
    "text",
    [
        *(f"08:06:0504-{month}-26" for month in ("JAN", "FEB", "MAR", "APR", "MAI", "JUN", "JUL", "AUG")),
        *(f"08:06:0504-{month}-26" for month in ("SEP", "OKT", "NOV", "DEZ", "OCT", "MAY", "DEC", "oct")),
        "11:11:1911-NOV-93",
        "08:06:05 04-MAI-26",
        "08:0604-MAI-26",
        "8:6:5 4-MAI-26",
        " 8: 6: 5 4-MAI-26",
    ],
)
def test_dates_as_devices_write_them(text: str) -> None:
    assert parse_clock(text.encode()) == text.strip()


@pytest.mark.parametrize(
    "text",
    ["24:06:0504-MAI-26", "08:60:0504-MAI-26", "08:06:6004-MAI-26", "08:06:0532-MAI-26", "08:06:0504-MRZ-26", "?"],
)
def test_what_is_no_date_is_none(text: str) -> None:
    assert parse_clock(text.encode()) is None


def test_curves() -> None:
    data = b"00   16000-  10  10037006   16000-  20  100460"
    assert parse_curves(data) == [
        CurveConfig("00", 16000, -10, 100, 0x370, "00   16000-  10  100370"),
        CurveConfig("06", 16000, -20, 100, 0x460, "06   16000-  20  100460"),
    ]
    assert parse_curves(b"") == []


@pytest.mark.parametrize(
    "data",
    [
        b"00   16000-  10  10037",
        b"0X   16000-  10  100370",
        b"00   16,00-  10  100370",
        b"00   16000-  10  100000",
        b"00       0-  10  100370",
        b"00   16000  100  100370",
        b"00   16000-  10  10037G",
    ],
)
def test_a_scaling_that_makes_no_sense_is_refused(data: bytes) -> None:
    assert parse_curves(data) is None
