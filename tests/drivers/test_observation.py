"""Canonical JSON: the digits stay, defaults are left out, and what was written is read again."""

import json
from decimal import Decimal
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.observation import (
    LANES,
    Alert,
    AnyObservation,
    Clock,
    ClockTrust,
    Device,
    Enumeration,
    Gap,
    Lane,
    Mark,
    Numeric,
    Result,
    Vendor,
    Waveform,
    from_json,
    lane_of,
    stamp,
    to_json,
)

NUMERIC = Numeric(
    metric="MDC_PULS_OXIM_SAT_O2",
    code=150456,
    vendor=Vendor("SPO2", "097%"),
    validity="valid",
    value=Decimal(97),
    unit="%",
    category="measurement",
)
EVERY_KIND: tuple[tuple[AnyObservation, Lane], ...] = (
    (NUMERIC, "numeric"),
    (Enumeration(validity="valid", value="ippv", category="setting"), "numeric"),
    (
        Waveform(
            validity="valid",
            samples=(1, None, -3),
            interval_us=8000,
            scale=Decimal("0.01"),
            offset=Decimal(-5),
            unit="L/min",
            category="measurement",
            start=12,
            marks=(Mark(1, "inspiration"),),
        ),
        "wave",
    ),
    (Alert(validity="valid", alert="technical", priority="low", presence="off"), "event"),
    (
        Result(
            validity="valid",
            specimen="1042",
            test="^^^GLU",
            value=Decimal("5.40"),
            unit="mmol/L",
            comparator="<",
            flags=("L", "A"),
            status="final",
            identity="ab",
        ),
        "event",
    ),
    (Device(validity="valid", connection="stale", identity={"serial": "1"}, counters={"frames": 2}), "event"),
    (Gap(validity="valid", gap_lane="wave", gap_epoch=3, first=1, last=9), "event"),
    (
        Clock(
            validity="questionable",
            boot="b0",
            mono_s=12.5,
            utc="1970-01-01T00:00:12.500Z",
            quality="none",
            why="step",
            step_ms=-7,
        ),
        "event",
    ),
)


@pytest.mark.parametrize(("seen", "lane"), EVERY_KIND, ids=lambda v: type(v).__name__)
def test_every_kind_there_and_back(seen: AnyObservation, lane: Lane) -> None:
    line = to_json(seen)
    assert b"\n" not in line
    assert from_json(line) == seen
    assert to_json(from_json(line)) == line
    assert lane_of(seen) == lane


def test_every_kind_is_here() -> None:
    assert {type(seen) for seen, _lane in EVERY_KIND} == set(get_args(AnyObservation))


@pytest.mark.parametrize("digits", ["97", "97.0", "0.50", "-0.0", "-12.30", "1234567890.0123456789", "0.000001"])
def test_the_digits_the_device_printed(digits: str) -> None:
    line = to_json(msgspec.structs.replace(NUMERIC, value=Decimal(digits)))
    assert f'"value":{digits},' in line.decode()
    again = from_json(line)
    assert isinstance(again, Numeric)
    assert str(again.value) == digits


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_any_decimal_is_a_json_number_of_the_same_value(value: Decimal) -> None:
    line = to_json(msgspec.structs.replace(NUMERIC, value=value))
    assert json.loads(line, parse_float=Decimal, parse_int=Decimal)["value"] == value
    again = from_json(line)
    assert isinstance(again, Numeric)
    assert again.value == value


def test_absent_is_null_with_a_reason() -> None:
    seen = msgspec.structs.replace(NUMERIC, value=None, validity="not_available", reason="sensor_off")
    line = to_json(seen).decode()
    assert '"value":null' in line
    assert '"reason":"sensor_off"' in line


def test_the_fields_of_the_line() -> None:
    stamped = stamp(
        NUMERIC,
        device="rea-lit4-spo2",
        mode="test",
        at="2026-11-24T09:15:02.120Z",
        clock=ClockTrust("ntp", 12),
        driver="masimo_ascii/1",
        epoch=7,
        lane="numeric",
        seq=48211,
    )
    assert json.loads(to_json(stamped)) == {
        "kind": "numeric",
        "device": "rea-lit4-spo2",
        "metric": "MDC_PULS_OXIM_SAT_O2",
        "code": 150456,
        "value": 97,
        "unit": "%",
        "validity": "valid",
        "category": "measurement",
        "mode": "test",
        "at": "2026-11-24T09:15:02.120Z",
        "clock": {"quality": "ntp", "error_ms": 12},
        "vendor": {"code": "SPO2", "text": "097%"},
        "driver": "masimo_ascii/1",
        "epoch": 7,
        "lane": "numeric",
        "seq": 48211,
    }


def test_stamping_touches_no_value() -> None:
    stamped = stamp(NUMERIC, device="x", seq=3)
    assert isinstance(stamped, Numeric)
    assert (stamped.value, stamped.unit, stamped.vendor) == (NUMERIC.value, NUMERIC.unit, NUMERIC.vendor)
    assert NUMERIC.device == ""


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b'{"kind":"numeric"}',
        b'{"kind":"reading","validity":"valid"}',
        b'{"kind":"numeric","validity":"valid","value":"not a number","unit":"%","category":"measurement"}',
        b'{"kind":"numeric","validity":"splendid","value":1,"unit":"%","category":"measurement"}',
        b"\xff",
    ],
)
def test_anything_else_is_refused(line: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        from_json(line)


def test_lanes_by_priority() -> None:
    assert LANES == ("event", "numeric", "wave", "log")
