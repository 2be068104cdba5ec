"""The Ohmeda simulator: the columns of its lines, and dialogues with the clock turned by hand."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.devices.ohmeda_com import OhmedaCom

OFF, AUTO = b"\x1bVTDw\r", b"\x1bVTX \r"


def on(seed: int = 1, faults: frozenset[str] = frozenset(), **options: str) -> OhmedaCom:
    device = OhmedaCom(seed, faults, options)
    device.wake(0.0)
    return device


def listen(device: OhmedaCom, start: int, end: int) -> list[bytes]:
    return b"".join(device.wake(second / 2) for second in range(start * 2, end * 2)).split(b"\r")[:-1]


def test_it_is_silent_until_asked_and_without_checksum() -> None:
    device = on()
    assert device.wake(100.0) == b""
    device.receive(AUTO, 101.0)
    assert device.wake(110.0) == b"VTX \r"
    assert device.receive(OFF, 111.0) == b""
    assert device.wake(111.06) == b"VTDw\r"
    assert [line[:4] for line in device.wake(112.0).split(b"\r")[:-1]] == [b":VTD", b":VTQ"]


def test_the_columns() -> None:
    device = on()
    device.receive(OFF + AUTO, 0.1)
    lines = listen(device, 1, 61)
    measured = [line.decode() for line in lines if line.startswith(b":VTD")]
    settings = [line.decode() for line in lines if line.startswith(b":VTQ")]
    assert 14 <= len(measured) <= 16
    assert 5 <= len(settings) <= 7
    for line in measured:
        assert len(line) == 31
        assert line[30] == "@"
        for start, end in ((4, 8), (8, 12), (12, 15), (15, 18), (18, 21), (21, 24), (24, 27), (27, 30)):
            assert re.fullmatch(r"\d+|-+", line[start:end])
    assert 300 < int(measured[0][4:8]) < 700
    assert 400 < int(measured[0][8:12]) < 1000  # hundredths of a litre
    for line in settings:
        assert len(line) == 57
        assert line[4:15] == "04800120020"
        assert line[17:19] == "05"
        assert line[22:24] == "15"
        assert line[44] == "v"
    assert device.sent == len(device.history) == len(lines) - 2 + 2 * (b"VTDw" not in lines)


def test_a_field_may_be_missing() -> None:
    device = on()
    device.receive(OFF + AUTO, 0.1)
    lines = [line for line in listen(device, 1, 600) if line.startswith(b":VTD")]
    missing = [line for line in lines if b"-" in line]
    assert 5 < len(missing) < len(lines) / 2
    texts = [text for sent in device.history for text in sent.values.values() if sent.kind == "VTD"]
    assert sum(text.startswith("-") for text in texts) >= len(missing)


@pytest.mark.parametrize(("mode", "letter"), [("volume", b"v"), ("pressure", b"p"), ("backup", b"b"), ("bag", b"-")])
def test_modes(mode: str, letter: bytes) -> None:
    device = on(mode=mode)
    device.receive(OFF + AUTO, 0.1)
    line = next(line for line in listen(device, 1, 20) if line.startswith(b":VTQ"))
    assert line[44:45] == letter


@pytest.mark.parametrize("bad", [b"x", b"\x1bVTD\r", b"\x1bVTX\r", b"\x1bVT", b"\x1b" + b"x" * 70])
def test_what_a_box_may_not_say_is_kept(bad: bytes) -> None:
    device = on()
    device.receive(bad + (OFF if bad == b"\x1bVT" else b""), 1.0)
    assert device.illegal


@pytest.mark.parametrize("fault", sorted(OhmedaCom.FAULTS))
def test_each_fault_strikes_and_is_survived(fault: str) -> None:
    device = on(faults=frozenset({fault}), fault_rate="0.2", silence_s="4")
    said = b""
    for second in range(1, 2400):
        said += device.receive(OFF + AUTO if second % 30 == 1 else b"", float(second))
    assert device.injected[fault] > 5
    assert set(device.injected) == {fault}
    assert device.sent > 100
    assert not device.illegal
    if fault == "short_line":
        assert {len(line) for line in said.split(b"\r") if line.startswith(b":VTQ")} == {56, 57}


@given(st.binary(max_size=100))
def test_any_bytes_are_survived(noise: bytes) -> None:
    device = on()
    device.receive(noise, 1.0)
    device.wake(2.0)
    device.receive(OFF + AUTO, 3.0)
    assert b":VTD" in device.wake(10.0)


def test_a_day_passes() -> None:
    device = on()
    device.receive(OFF + AUTO, 0.1)
    for hour in range(1, 25):
        assert device.wake(hour * 3600.0)
    assert device.sent > 20_000


def test_the_same_seed_is_the_same_device() -> None:
    def run(seed: int) -> list[bytes]:
        device = on(seed)
        device.receive(OFF + AUTO, 0.1)
        return listen(device, 1, 60)

    assert run(4) == run(4)
    assert run(4) != run(5)


@pytest.mark.parametrize(("faults", "options"), [({"bad_checksum"}, {}), (set(), {"mode": "off"})])
def test_wrong_names_are_refused(faults: set[str], options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="ohmeda_com"):
        OhmedaCom(0, frozenset(faults), options)
