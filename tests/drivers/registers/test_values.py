"""From words to values: types, word order, scale, fields, alerts."""

import pytest

from drivers.contract import Block, Read
from drivers.observation import Alert, Enumeration, Numeric
from tests.drivers.registers.device import answer, engine, one, register, values


@pytest.mark.parametrize(
    ("kind", "words", "more", "value"),
    [
        ("u16", (0xFFFF,), "", "65535"),
        ("i16", (0xFFFF,), "", "-1"),
        ("i16", (0x8000,), "", "-32768"),
        ("u16", (271,), "scale = 0.1", "27.1"),
        ("u16", (500,), "scale = 0.1", "50.0"),
        ("u16", (7,), "scale = 10", "70"),
        ("i16", (0xFF9C,), "scale = 0.0001", "-0.0100"),
        ("u32", (0, 2301), "scale = 0.1", "230.1"),
        ("u32", (0xFFFF, 0xFFFF), "", "4294967295"),
        ("i32", (0xFFFF, 0xFCE0), "scale = 0.1", "-80.0"),
        ("i32", (0xFCE0, 0xFFFF), 'scale = 0.1\nword_order = "low_first"', "-80.0"),
        ("f32", (0x41BC, 0xCD9F), "", "23.6004"),
        ("f32", (0x7AE1, 0x41F4), 'word_order = "low_first"', "30.56"),
        ("f32", (0x41F4, 0x7AE1), "scale = 0.1", "3.056"),
        ("f32", (0xC2FE, 0), "", "-127"),
        ("f32", (0x8000, 0), "", "0"),
        ("f32", (0x0000, 1), "", "1E-45"),
        ("f32", (0x7F7F, 0xFFFF), "", "3.4028235E+38"),
        ("f32", (0x7FC0, 0), "", "not_a_number"),
        ("f32", (0x7F80, 0), "", "not_a_number"),
        ("f32", (0xFF80, 0), "", "not_a_number"),
        ("f32", (0xC2FE, 0), "sentinels = { sensor_open = [0xC2FE0000] }", "sensor_open"),
        ("i16", (0xFFFF,), "sentinels = { sensor_open = [-1] }", "sensor_open"),
        ("u16", (0,), 'zero = "absent"', "zero_unconfirmed"),
        ("u16", (0,), "", "0"),
        ("u16", (5,), 'zero = "absent"', "5"),
        ("f32", (0x8000, 0), 'zero = "absent"', "zero_unconfirmed"),
        ("u32", (1, 2), 'unit = "unknown"', "unit_unknown"),
    ],
)
def test_words_to_numbers(kind: str, words: tuple[int, ...], more: str, value: str) -> None:
    seen = one(kind, words, more)
    assert (seen.reason if seen.value is None else str(seen.value)) == value
    assert seen.vendor.text == " ".join(f"{word:04X}" for word in words)
    assert (seen.validity == "valid") is (seen.value is not None)


@pytest.mark.parametrize(
    ("kind", "words", "more", "table", "value"),
    [
        ("bit", (1,), "", "coil", "on"),
        ("bit", (0,), "", "discrete", "off"),
        ("bit", (0x0008,), "bit = 3", "input", "on"),
        ("bit", (0xFFF7,), "bit = 3", "input", "off"),
        ("bit", (1,), 'values = { 0 = "closed", 1 = "open" }', "discrete", "open"),
        ("u16", (2,), 'values = { 1 = "closed", 2 = "open" }', "input", "open"),
        ("i16", (0xFFFF,), 'values = { -1 = "fault" }', "input", "fault"),
        ("u16", (3,), 'values = { 1 = "closed", 2 = "open" }', "input", "unknown_code"),
        ("u16", (9,), 'values = { 1 = "closed" }\nsentinels = { warming_up = [9] }', "input", "warming_up"),
        ("u16", (0,), 'values = { 0 = "idle" }\nzero = "absent"', "input", "zero_unconfirmed"),
    ],
)
def test_words_to_words(kind: str, words: tuple[int, ...], more: str, table: str, value: str) -> None:
    seen = one(kind, words, more, table)
    assert isinstance(seen, Enumeration)
    assert (seen.value or seen.reason) == value


def test_fields_of_bits() -> None:
    more = """
[[register.field]]
bit = 15
alert = "technical"
priority = "high"
en = "Over-protection"
fr = "Protection"
[[register.field]]
bits = [4, 7]
values = { 5 = "running" }
name = "vent_mode"
[[register.field]]
bits = [0, 3]
unit = "1"
en = "Step"
fr = "Pas"
"""
    more = more.replace('name = "vent_mode"', 'en = "State"\nfr = "État"')
    driver = engine(register(5, "bits", more, "input"))
    seen = driver.receive(Block(Read("input", 5, 1), (0x805A,)), 0.0).observations[1:]
    assert [(each.vendor.code, each.vendor.text) for each in seen if each.vendor] == [
        ("input 5.0-3", "805A"),
        ("input 5.4-7", "805A"),
        ("input 5.15", "805A"),
    ]
    step, state, alert = seen
    assert isinstance(step, Numeric)
    assert step.value == 10
    assert isinstance(state, Enumeration)
    assert state.value == "running"
    assert isinstance(alert, Alert)
    assert (alert.presence, alert.alert, alert.priority) == ("on", "technical", "high")
    off = driver.receive(Block(Read("input", 5, 1), (0,)), 1.0).observations[-1]
    assert isinstance(off, Alert)
    assert off.presence == "off"


def test_an_alert_that_cannot_be_read_says_nothing() -> None:
    driver = engine(register(0, "bit", 'alert = "technical"', "coil"))
    outputs = answer(driver, driver.start(0.0), 0.0, {}, error="exception_4")
    assert not any(isinstance(each, Alert) for output in outputs for each in output.observations)


def test_a_confirmed_zero_is_a_value() -> None:
    text = register(0, "u16", 'zero = "absent"')
    driver = engine(text, confirmed=["holding 0"])
    outputs = answer(driver, driver.start(0.0), 0.0, {0: 0})
    assert values(outputs) == {"holding 0": "0"}
