"""Bytes in, lines and faults out: exact lengths, characters, every cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import NOISE, Fault
from drivers.ohmeda_com.lines import Item, Line, Other, Scanner

MEASURED = "05000610012040018015008004"
VTD = b":VTD" + MEASURED.encode() + b"@\r"


def vtd(measured: str = MEASURED, status: str = "@") -> bytes:
    """A measured line."""
    return f":VTD{measured}{status}\r".encode()


def vtq(
    vt: str = "0500", rate: str = "012", ie: str = "0030", peep: str = "05", pinsp: str = "15", **more: str
) -> bytes:
    """A line of settings."""
    mode, status = more.get("mode", "v"), more.get("status", "@" * 12)
    return f":VTQ{vt}{rate}{ie}AB{peep}CDE{pinsp}{'F' * 20}{mode}{status}\r".encode()


def test_lines() -> None:
    assert (len(VTD), len(vtq())) == (32, 58)
    measured, settings = Scanner().feed(VTD + b"\n" + vtq())
    assert isinstance(measured, Line)
    assert isinstance(settings, Line)
    assert (measured.name, measured.column(8, 4), measured.column(30, 1)) == ("VTD", "0610", "@")
    assert (settings.name, settings.column(11, 4), settings.column(44, 1)) == ("VTQ", "0030", "v")
    assert measured.to_bytes() == VTD
    assert Line.from_bytes(vtq()[:-1]) == settings


@pytest.mark.parametrize(
    ("data", "item"),
    [
        (VTD[:-1] + b"7F\r", Fault("length", "VTD", rejected=True)),
        (VTD[:9] + VTD[10:], Fault("length", "VTD", rejected=True)),
        (b":VTD\r", Fault("length", "VTD", rejected=True)),
        (vtq()[:-2] + b"\r", Fault("length", "VTQ", rejected=True)),
        (VTD.replace(b"0610", b"06\x000"), Fault("framing", "VTD", rejected=True)),
        (VTD.replace(b"0610", b"06\xb10"), Fault("framing", "VTD", rejected=True)),
        (b"ok\r", Other()),
        (b":VTX\r", Other()),
        (b"x" + VTD, Other()),
        (b"\xff\r", Fault(NOISE)),
        (b"A" * 121 + b"\r", Fault(NOISE)),
        (b":VTD" + b"0" * 300 + b"\r", Fault(NOISE)),
    ],
)
def test_what_is_no_line(data: bytes, item: Item) -> None:
    assert Scanner().feed(data) == [item]
    assert Scanner().feed(data + VTD)[0] in (item, Line(VTD[:-1].decode()))


def test_nothing_comes_of_line_ends() -> None:
    assert Scanner().feed(b"\r\n\r\r") == []


def test_noise_is_told_once() -> None:
    assert Scanner().feed(b"\xff\r" * 50) == [Fault(NOISE)]


def test_dropped() -> None:
    scanner = Scanner()
    scanner.feed(VTD[:9])
    scanner.drop()
    assert scanner.feed(VTD[9:]) == [Other()]
    scanner.feed(b"A" * 300)
    scanner.drop()
    assert scanner.feed(VTD) == [Line(VTD[:-1].decode())]


PARTS = [VTD, vtq(), b"ok\r", b"\r", b"\n", b"\xff", b"A" * 119, b"A" * 122, VTD[:20], b":VTD"]


@given(st.lists(st.sampled_from(PARTS)), st.data())
def test_cut_anywhere(parts: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(parts)
    whole = [item for item in Scanner().feed(stream) if item != Fault(NOISE)]
    scanner, came, at = Scanner(), list[Item](), 0
    while at < len(stream):
        size = data.draw(st.integers(1, 60))
        came += scanner.feed(stream[at : at + size])
        at += size
    assert [item for item in came if item != Fault(NOISE)] == whole
