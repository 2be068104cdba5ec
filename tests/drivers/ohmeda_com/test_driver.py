"""Lines in, observations out; the two commands, when they are sent, and that nothing else can be."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import catalog
from drivers.observation import Device, Enumeration, Numeric
from tests.contract.play import Said, busiest_minute, is_allowed, wake_until
from tests.drivers.ohmeda_com.test_lines import MEASURED, VTD, vtd, vtq

PROFILE = catalog.profile("ohmeda_com", "aestiva")
NO_CHECKSUM, SEND = b"\x1bVTDw\r", b"\x1bVTX \r"


def machine() -> tuple[Any, Said]:
    made: Any = catalog.create(PROFILE, {})
    return made, Said().take(made.start(0.0), 0.0)


def read(*lines: bytes) -> Said:
    made, said = machine()
    for at, line in enumerate(lines):
        said.take(made.receive(line, at + 1.0), at + 1.0)
    return said


def values(said: Said) -> dict[str, tuple[str, str, str]]:
    """Value, unit or reason, and text by code."""
    found = {}
    for seen in said.values:
        if isinstance(seen, Numeric | Enumeration) and seen.vendor:
            unit = seen.unit if isinstance(seen, Numeric) else ""
            found[seen.vendor.code] = (str(seen.value), seen.reason or unit, seen.vendor.text)
    return found


def test_measured() -> None:
    assert values(read(VTD)) == {
        "VTD.4": ("500", "mL", "0500"),
        "VTD.8": ("6.10", "L/min", "0610"),
        "VTD.12": ("12", "/min", "012"),
        "VTD.15": ("40", "%", "040"),
        "VTD.18": ("18", "cm[H2O]", "018"),
        "VTD.21": ("15", "cm[H2O]", "015"),
        "VTD.24": ("8", "cm[H2O]", "008"),
        "VTD.27": ("4", "cm[H2O]", "004"),
    }


def test_settings() -> None:
    assert values(read(vtq())) == {
        "VTQ.4": ("500", "mL", "0500"),
        "VTQ.8": ("12", "/min", "012"),
        "VTQ.11": ("3.0", "1", "0030"),
        "VTQ.17": ("5", "cm[H2O]", "05"),
        "VTQ.22": ("None", "unit_unknown", "15"),
        "VTQ.44": ("volume", "", "v"),
        "VTQ.15": ("None", "unknown_code", "AB"),
        "VTQ.19": ("None", "unknown_code", "CDE"),
        "VTQ.24": ("None", "unknown_code", "F" * 20),
        "VTQ.45": ("None", "unknown_code", "@" * 12),
    }


@pytest.mark.parametrize(
    ("mode", "word"), [("v", "volume"), ("p", "pressure"), ("b", "backup volume"), ("-", "bag"), ("V", "None")]
)
def test_mode(mode: str, word: str) -> None:
    assert values(read(vtq(mode=mode)))["VTQ.44"][0] == word


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0500", "500"),
        (" 500", "None"),
        ("   0", "None"),
        ("0000", "0"),
        ("----", "None"),
        ("    ", "None"),
        ("5 00", "None"),
    ]
    + [("500 ", "None"), ("-500", "None"), ("5.00", "None"), ("+500", "None"), ("05OO", "None")],
)
def test_what_is_no_number_is_missing(text: str, value: str) -> None:
    found = values(read(vtd(text + MEASURED[4:])))["VTD.4"]
    assert found == (value, "missing" if value == "None" else "mL", text)


def test_an_absence_is_said_once() -> None:
    gone = vtd("----" + MEASURED[4:])
    said = read(VTD, gone, gone, VTD)
    assert [
        str(o.value) for o in said.values if isinstance(o, Numeric) and o.vendor and o.vendor.code == "VTD.4"
    ] == [
        "500",
        "None",
        "500",
    ]


def operating(said: Said) -> list[str]:
    return [seen.operating for seen in said.observations if isinstance(seen, Device)]


def test_in_use_is_a_new_breath_within_the_last_minute() -> None:
    made, said = machine()
    quiet = vtd(status=" ")
    for now, line in (
        (1.0, quiet),
        (2.0, VTD),
        (30.0, quiet),
        (59.0, quiet),
        (61.5, VTD),
        (90.0, quiet),
        (119.0, quiet),
    ):
        wake_until(made, said, now)
        said.take(made.receive(line, now), now)
    assert operating(said) == ["unknown", "in_use"]
    wake_until(made, said, 122.0)
    assert operating(said) == ["unknown", "in_use", "unknown"]


# The dialogue


def test_checksum_off_then_transmission_on_and_then_nothing() -> None:
    made, said = machine()
    said.take(made.receive(b"ok\r", 0.1), 0.1)
    wake_until(made, said, 0.5)
    said.take(made.receive(b"ok\r", 0.5), 0.5)
    for second in range(1, 600):
        wake_until(made, said, float(second))
        said.take(made.receive(VTD, float(second)), float(second))
    assert [(round(t, 1), data) for t, data in said.sent] == [(0.0, NO_CHECKSUM), (0.2, SEND)]
    assert said.faults == []


def test_a_line_that_nobody_asked_for() -> None:
    made, said = machine()
    for now in (0.1, 0.5, 0.9):
        wake_until(made, said, now)
        said.take(made.receive(b"ok\r", now), now)
    assert [fault.reason for fault in said.faults] == ["unknown_line"]


def test_silence_is_stale_and_both_commands_again() -> None:
    made, said = machine()
    for now in (0.1, 0.5):
        wake_until(made, said, now)
        said.take(made.receive(b"ok\r", now), now)
    said.take(made.receive(VTD, 1.0), 1.0)
    said.sent.clear()
    wake_until(made, said, 30.9)
    assert said.sent == []
    wake_until(made, said, 31.0)
    assert said.sent == [(31.0, NO_CHECKSUM)]
    assert [seen.connection for seen in said.observations if isinstance(seen, Device)][-1] == "stale"
    said.take(made.receive(b"ok\r", 31.1), 31.1)
    wake_until(made, said, 31.5)
    assert said.sent[-1][1] == SEND
    said.take(made.receive(VTD, 32.0), 32.0)
    assert [seen.connection for seen in said.observations if isinstance(seen, Device)][-1] == "connected"


def test_a_machine_that_never_answers() -> None:
    made, said = machine()
    wake_until(made, said, 600.0)
    assert {data for _t, data in said.sent} == {NO_CHECKSUM}
    assert len(said.sent) <= 25


def test_stop() -> None:
    made, said = machine()
    said.take(made.receive(VTD, 1.0), 1.0)
    output = made.stop(2.0)
    assert (output.send, output.wake_at) == (b"", None)
    assert [seen.connection for seen in output.observations if isinstance(seen, Device)] == ["disconnected"]
    after = made.receive(VTD, 3.0)
    assert (after.observations, after.frames) == ((), 1)
    assert made.wake(500.0).observations == ()


def test_all_that_can_be_sent_is_the_allow_list() -> None:
    assert {bytes.fromhex(rule.hex) for rule in PROFILE.allowed} == {NO_CHECKSUM, SEND}
    assert not any(rule.pattern for rule in PROFILE.allowed)
    for text in (b"VTD", b"VTDW", b"VTX", b"VTQ", b"VTM ", b"VTS ", b"VTZ ", b"VT", b""):
        assert not is_allowed(PROFILE, b"\x1b" + text + b"\r")


@pytest.mark.parametrize("storm", ["noise", "checksums", "lines", "others"])
def test_a_storm_of_an_hour_does_not_raise_the_rate(storm: str) -> None:
    data = {
        "noise": random.Random(1).randbytes(200),
        "checksums": VTD[:-1] + b"7F\r",
        "lines": VTD * 5,
        "others": b"ok\r" * 20,
    }[storm]
    made, said = machine()
    for second in range(1, 3600):
        wake_until(made, said, float(second))
        said.take(made.receive(data, float(second)), float(second))
    silent = wake_until(*machine(), 3600.0)
    assert {sent for _t, sent in said.sent} <= {NO_CHECKSUM, SEND}
    assert busiest_minute(PROFILE, said.sent) <= busiest_minute(PROFILE, silent.sent) == 8


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=26, max_size=26))
def test_a_value_is_its_digits_or_nothing(measured: str) -> None:
    for seen in read(vtd(measured)).values:
        if isinstance(seen, Numeric) and seen.value is not None and seen.vendor:
            assert str(seen.value).replace(".", "").lstrip("0") == seen.vendor.text.lstrip("0")
            assert seen.vendor.text.isdecimal()
