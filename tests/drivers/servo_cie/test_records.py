"""Answers of a SERVO: identity, version, channel configuration; nothing half read."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.servo_cie.records import (
    Config,
    Identity,
    parse_clock,
    parse_config,
    parse_identity,
    parse_serial,
    parse_version,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Servo-i0", Identity("Servo-i", has_inner_fault=False)),
        ("Servo-s1", Identity("Servo-s", has_inner_fault=True)),
        ("SERVO-U0", Identity("SERVO-U", has_inner_fault=False)),
        ("SERVO-air0", Identity("SERVO-air", has_inner_fault=False)),
        ("Servo-i", None),
        ("Servo-i2", None),
        ("0", None),
        ("*", None),
    ],
)
def test_identity(text: str, expected: Identity | None) -> None:
    assert parse_identity(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "020;200,+1000E-004,+0000E+000,06,BT,FFFF;",
            Config("200", Decimal("0.1"), Decimal(0), 6),
        ),
        ("020;100,+2713E-004,+3333E+000,02,C,FFFF;", Config("100", Decimal("0.2713"), Decimal(3333), 2)),
        ("020;113,+0651E-004,+1333E-001,04,C,FFFF;", Config("113", Decimal("0.0651"), Decimal("133.3"), 4)),
        ("020;211,+1000E-001,-0005E+002,12,BT,FFFF;", Config("211", Decimal(100), Decimal(-500), 12)),
        ("020;310,----,----,--,S,FFFF;", Config("310", None, None, None)),
        ("020;200,+1000E-004,----,06,BT,FFFF;", Config("200", Decimal("0.1"), None, 6)),
        ("200,+1000E-004,+0000E+000,06,BT,FFFF;", None),
        ("020;200,+1000E-004,+0000E+000,06,BT,FFFF", None),
        ("020;200,0.1,+0000E+000,06,BT,FFFF;", None),
        ("020;200,+1000E-004,x,06,BT,FFFF;", None),
        ("020;200,+1000E-999,+0000E+000,06,BT,FFFF;", None),
        ("020;200,+1000E-004,+0000E+000,6x,BT,FFFF;", None),
        ("020;20,+1000E-004,+0000E+000,06,BT,FFFF;", None),
    ],
)
def test_config(text: str, expected: Config | None) -> None:
    assert parse_config(text) == expected


def test_a_gain_keeps_no_more_digits_than_it_has() -> None:
    config = parse_config("020;200,+1000E-004,+0000E+000,06,BT,FFFF;")
    assert config
    assert config.gain is not None
    assert str(240 * config.gain) == "24.0"
    hundred = parse_config("020;211,+1000E-001,+0000E+000,12,BT,FFFF;")
    assert hundred
    assert str(hundred.gain) == "100"


@pytest.mark.parametrize(
    ("text", "digits", "expected"),
    [("005", 3, 5), ("0010", 4, 10), ("000", 3, 0), ("0005", 3, None), ("5", 3, None), ("00a", 3, None)],
)
def test_version(text: str, digits: int, expected: int | None) -> None:
    assert parse_version(text, digits) == expected


def test_serial_and_clock() -> None:
    assert parse_serial(" 12345 ") == "12345"
    assert parse_serial("") is None
    assert parse_serial("x" * 60) is None
    assert parse_clock("20261125153000") == "20261125153000"
    assert parse_clock("12:30") is None


@given(text=st.text(max_size=60))
def test_total(text: str) -> None:
    parse_identity(text)
    parse_config(text)
    parse_serial(text)
    parse_clock(text)
    parse_version(text, 3)
