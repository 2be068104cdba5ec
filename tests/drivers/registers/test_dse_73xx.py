"""The DSE 73xx map against the document's worked replies, and what it must never do."""

from typing import Any

import pytest

from drivers import catalog
from drivers.contract import Block, Read
from drivers.observation import Numeric

PROFILE = catalog.profile("registers", "dse_73xx")
BAND = (
    "unimplemented",
    "over_range",
    "under_range",
    "transducer_fault",
    "bad_data",
    "digital_input_high",
    "digital_input_low",
    "reserved",
)
EIGHT = (0xFFFF, 0x0052, 0x7FFF, 0x0049, 0x010F, 0x007D, 0x05DC, 0x01F4)


def read(address: int, *words: int) -> dict[str, Numeric]:
    driver: Any = catalog.create(PROFILE)
    seen = driver.receive(Block(Read("holding", address, len(words)), words), 0.0).observations
    return {each.vendor.code: each for each in seen if isinstance(each, Numeric) and each.vendor}


def test_the_worked_reply() -> None:
    seen = read(1024, *EIGHT)
    assert {code: (str(each.value), each.unit, each.reason) for code, each in seen.items()} == {
        "1024": ("None", "kPa", "unimplemented"),
        "1025": ("82", "Cel", ""),
        "1026": ("None", "Cel", "unimplemented"),
        "1027": ("73", "%", ""),
        "1028": ("27.1", "V", ""),
        "1029": ("12.5", "V", ""),
        "1030": ("1500", "/min", ""),
        "1031": ("50.0", "Hz", ""),
    }


def test_a_voltage_of_two_registers() -> None:
    seen = read(1032, 0x0000, 0x08FD)
    assert str(seen["1032"].value) == "230.1"
    assert seen["1032"].vendor
    assert seen["1032"].vendor.text == "0000 08FD"


@pytest.mark.parametrize("code", ["1024", "1025", "1027", "1028", "1030", "1032", "1044", "1052", "1808"])
@pytest.mark.parametrize("below", range(8))
def test_the_reserved_band_is_absent(code: str, below: int) -> None:
    source = PROFILE.by_code[code].extra["source"]
    top = {"u16": 0xFFFF, "i16": 0x7FFF, "u32": 0xFFFFFFFF, "i32": 0x7FFFFFFF}[source.type]
    raw = top - below
    words = (raw >> 16, raw & 0xFFFF) if source.width == 2 else (raw,)
    seen = read(source.address, *words)[code]
    assert seen.value is None
    assert seen.reason == BAND[below]
    just_below = top - 8
    words = (just_below >> 16, just_below & 0xFFFF) if source.width == 2 else (just_below,)
    assert read(source.address, *words)[code].value is not None


def test_what_the_document_does_not_state_is_sent_raw() -> None:
    seen = read(1798, 0x0001, 0x0002) | read(1059, 0x01F4)
    assert {code: (each.value, each.reason) for code, each in seen.items()} == {
        "1798": (None, "unit_unknown"),
        "1059": (None, "unit_unknown"),
    }
    assert [each.vendor.text for each in seen.values() if each.vendor] == ["0001 0002", "01F4"]


def test_the_registers_that_start_the_set_are_not_even_read() -> None:
    driver: Any = catalog.create(PROFILE)
    output, asked = driver.start(0.0), []
    while output.reads:
        asked += output.reads
        output = driver.receive(Block(output.reads[0], (1,) * output.reads[0].count), 0.0)
    assert asked == [Read("holding", 1024, 36), Read("holding", 1798, 12)]
    assert not any(block.address <= 4105 and block.address + block.count > 4104 for block in asked)
    assert PROFILE.protocol.allow == ()


def test_the_profile() -> None:
    assert (PROFILE.tier, PROFILE.options["unit"], PROFILE.line) == ("bench", 10, "")
    assert not PROFILE.protocol.bedside
    assert PROFILE.protocol.asks
    assert PROFILE.protocol.ports == ("modbus",)
    assert len(PROFILE.by_code) == len(PROFILE.metric)
    for metric in PROFILE.metric:
        assert metric.label("fr") != metric.code
        assert metric.label("en") != metric.code
        if metric.term:
            assert metric.term.ucum == metric.unit
