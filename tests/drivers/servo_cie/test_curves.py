"""Curve blocks to waveforms: absolute values, differences, phases, holes; nothing from half a block."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import catalog
from drivers.observation import Waveform
from drivers.servo_cie.channels import Channel
from drivers.servo_cie.curves import CurveStream

ROWS = catalog.profile("servo_cie", "servo_i").by_code
FLOW = Channel(ROWS["100"], Decimal("0.2713"), Decimal(3333))
PAW = Channel(ROWS["113"], Decimal("0.0651"), Decimal("133.3"))
CO2 = Channel(ROWS["103"], Decimal("0.1"), Decimal(0))


def stream(*channels: Channel, interval_us: int = 20_000) -> CurveStream:
    one = CurveStream()
    one.configure(channels or (FLOW,), interval_us)
    return one


def samples(waves: list[Waveform]) -> list[tuple[int | None, ...]]:
    return [wave.samples for wave in waves]


def add(one: CurveStream, data: str) -> list[str]:
    waves, faults = one.add(bytes.fromhex(data), "")
    assert not waves
    return [fault.reason for fault in faults]


def test_the_manuals_flow() -> None:
    one = stream()
    assert add(one, "81 10 80 32 10 FA 09 F7 00") == []
    (wave,) = one.flush("now")
    assert wave.samples == (12816, 12810, 12819, 12810, 12810)
    assert (wave.scale, wave.offset, wave.unit) == (Decimal("0.2713"), Decimal(-3333), "mL/s")
    assert [(mark.at, mark.event) for mark in wave.marks] == [(0, "inspiration")]
    assert (wave.start, wave.interval_us, wave.device_time) == (0, 20_000, "now")
    assert one.flush("") == []


def test_an_offset_of_nothing_is_not_minus_nothing() -> None:
    one = stream(CO2)
    add(one, "80 00 01")
    assert str(one.flush("")[0].offset) == "0"


def test_channels_take_turns() -> None:
    one = stream(FLOW, PAW)
    assert add(one, "81 20 80 10 00 80 20 00 01 FF 81 30 7E 82") == []
    flow, paw = one.flush("")
    assert flow.samples == (0x1000, 0x1001, 0x1001 + 126)
    assert paw.samples == (0x2000, 0x1FFF, 0x1FFF - 126)
    assert [(mark.at, mark.event) for mark in paw.marks] == [(0, "pause"), (2, "expiration")]


def test_differences_go_on_over_blocks_until_an_interruption() -> None:
    one = stream()
    add(one, "80 10 00")
    add(one, "81 30 01")
    one.interrupt()
    add(one, "81 30 01 80 20 00 01")
    assert samples(one.flush("")) == [(0x1000, 0x1001, None, 0x2000, 0x2001)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("80 7E FF 01 80 00 05", (None, None, 5)),
        ("80 7E FE 01 01", (0x7EFE, None, None)),
        ("80 00 01 FE 01", (1, None, None)),
        ("80 00 7F 01", (0x7F, 0x80)),
    ],
)
def test_what_is_no_sample(data: str, expected: tuple[int | None, ...]) -> None:
    one = stream()
    add(one, data)
    assert samples(one.flush("")) == [expected]


def test_channels_that_do_not_come_out_even_are_dropped_whole() -> None:
    one = stream(FLOW, PAW)
    assert add(one, "80 10 00 80 20 00 01") == ["curve_layout"]
    assert add(one, "81 10") == ["curve_layout"]
    assert not one.has_samples
    assert add(CurveStream(), "80 10 00") == ["curve_unconfigured"]


def test_a_lost_block_leaves_a_hole() -> None:
    one = stream(FLOW, PAW)
    add(one, "80 10 00 80 20 00")
    assert samples(one.lose(7, "")) == [(0x1000,), (0x2000,)]
    add(one, "01 01 80 10 00 80 20 00")
    flow, _paw = one.flush("")
    assert (flow.start, flow.samples) == (1 + 3, (None, 0x1000))
    assert one.lose(0, "") == []
    add(one, "80 10 00 80 20 00")
    assert one.flush("")[0].start == 4 + 2 + 1
    assert CurveStream().lose(5, "") == []


def test_a_waveform_holds_a_second() -> None:
    one = stream(interval_us=500_000)
    waves, _faults = one.add(bytes.fromhex("81 10 80 00 01 01 81 30 01 01 01 81 10"), "")
    assert [(wave.start, wave.samples, [mark.at for mark in wave.marks]) for wave in waves] == [
        (0, (1, 2), [0]),
        (2, (3, 4), [0]),
    ]
    waves, _faults = one.add(bytes.fromhex("01"), "")
    assert [(wave.start, wave.samples, [(m.at, m.event) for m in wave.marks]) for wave in waves] == [
        (4, (5, 6), [(1, "inspiration")])
    ]


def test_only_missing_samples_are_no_valid_waveform() -> None:
    one = stream()
    add(one, "80 7E FF")
    (wave,) = one.flush("")
    assert (wave.validity, wave.reason) == ("not_available", "missing")


VALUES = st.lists(st.integers(0, 0x7EFE), min_size=1, max_size=40)


@given(first=VALUES, data=st.data())
def test_any_curve_comes_back(first: list[int], data: Any) -> None:
    """A coder of our own, by the manual's words, and the samples it was given."""
    coded = b""
    last: int | None = None
    for value in first:
        change = None if last is None else value - last
        if change is not None and -126 <= change <= 126 and data.draw(st.booleans()):
            coded += bytes([change % 256])
        else:
            coded += bytes([0x80, value >> 8, value & 0xFF])
        last = value
    one = stream()
    waves, faults = one.add(coded, "")
    waves += one.flush("")
    assert not faults
    assert [sample for wave in waves for sample in wave.samples] == first
