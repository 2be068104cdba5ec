"""Bytes in, frames, calls, refusals and faults out: checksums, every cut, every flipped bit, noise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import NOISE, Fault
from drivers.fresenius_agilia.frames import MAX_CONTENT, Calls, Frame, Item, Refused, Scanner
from drivers.fresenius_agilia.module import parse_variables, present_modules

EXAMPLES = [
    ("", "DC", None, "02 44 43 37 38 03"),
    ("1", "DC", None, "02 31 44 43 34 37 03"),
    ("1", "LE", "dr", "02 31 4C 45 3B 64 72 32 43 03"),
    ("1", "LP", None, "02 31 4C 50 33 32 03"),
    ("1", "LF", "b", "02 31 4C 46 3B 62 39 46 03"),
    ("", "FC", None, "02 46 43 37 36 03"),
    ("1", "C", "d0032;r00001388", b"\x021C;d0032;r00001388E6\x03".hex()),
]
"""The source's own frames."""
ANSWER = b"\x021C;d0032;r00001388E6\x03"
GOOD = Frame("1", "C", "d0032;r00001388")


def checksum(body: bytes) -> bytes:
    """Summed here, not by the driver."""
    return f"{255 - sum(body) % 256:02X}".encode()


def wire(text: str) -> bytes:
    """A frame of this content."""
    return b"\x02" + text.encode() + checksum(text.encode()) + b"\x03"


@pytest.mark.parametrize(("address", "command", "arguments", "hexed"), EXAMPLES)
def test_the_sources_frames(address: str, command: str, arguments: str | None, hexed: str) -> None:
    frame, data = Frame(address, command, arguments), bytes.fromhex(hexed)
    assert frame.to_bytes() == data
    assert Frame.from_bytes(data) == frame
    assert Scanner().feed(data) == [frame]


@given(
    st.sampled_from(["", *"0123456789"]),
    st.from_regex(r"[A-Z]{1,2}", fullmatch=True),
    st.none() | st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=80),
)
def test_there_and_back(address: str, command: str, arguments: str | None) -> None:
    frame = Frame(address, command, arguments)
    assert Frame.from_bytes(frame.to_bytes()) == frame


def test_every_flipped_bit_is_found() -> None:
    for bit in range(len(ANSWER) * 8):
        damaged = bytearray(ANSWER)
        damaged[bit // 8] ^= 1 << bit % 8
        frames = [item for item in Scanner().feed(bytes(damaged)) if isinstance(item, Frame)]
        assert frames == [], bit


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x021C;d0032;r00001388e6\x03", "checksum"),  # lower case is another device's, or damage
        (b"\x021C;d0032;r00001388E6", ""),
        (wire("1c;d0032"), "layout"),
        (wire("11C;d0032"), "layout"),
        (wire("1;d0032"), "layout"),
        (b"\x02\x03", NOISE),
        (b"\x02A\x03", "checksum"),
        (b"\x02" + b"1C;" + b"0" * MAX_CONTENT + b"\x03", "framing"),
        (b"\x021C;\x80\x03", "framing"),
        (b"\xff\x00hello", NOISE),
    ],
)
def test_refused(data: bytes, reason: str) -> None:
    items = Scanner().feed(data)
    assert not [item for item in items if isinstance(item, Frame)]
    faults = [item for item in items if isinstance(item, Fault)]
    assert [fault.reason for fault in faults[:1]] == ([reason] if reason else [])
    assert all(fault.rejected == (fault.reason != NOISE) for fault in faults)


@pytest.mark.parametrize(("data", "start"), [(ANSWER[1:], 0x02), (ANSWER[:-1] + b"\x02", 0x02)])
def test_from_bytes_wants_both_ends(data: bytes, start: int) -> None:
    assert isinstance(Frame.from_bytes(data), Fault)


def test_single_bytes() -> None:
    assert Scanner().feed(b"\x06\x06") == []
    assert Scanner().feed(b"\x152") == [Refused("2")]
    assert Scanner().feed(b"\x15\x15") == [Fault(NOISE)]
    scanner = Scanner()
    assert scanner.feed(b"\x15") == []
    assert scanner.feed(b"4") == [Refused("4")]
    assert Scanner().feed(b"\x05" + ANSWER[:5] + b"\x05\x05" + ANSWER[5:]) == [Calls(3), GOOD]


def test_a_frame_begins_anew_inside_another() -> None:
    assert Scanner().feed(ANSWER[:7] + ANSWER) == [Fault("framing", rejected=True), GOOD]


def test_dropped() -> None:
    scanner = Scanner()
    scanner.feed(ANSWER[:9])
    scanner.drop()
    assert not [item for item in scanner.feed(ANSWER[9:]) if isinstance(item, Frame)]


def _good(items: list[Item]) -> list[Item]:
    """Without noise and calls, which have no order against the frames around them."""
    return [item for item in items if not isinstance(item, Calls) and item != Fault(NOISE)]


@given(
    st.lists(st.sampled_from([ANSWER, b"\x05", b"\x06", b"\x15", b"\x152", b"\x02", b"\x03", b"A" * 99, b"\xff"])),
    st.data(),
)
def test_cut_anywhere(parts: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(parts)
    whole = _good(Scanner().feed(stream))
    scanner, came, at = Scanner(), list[Item](), 0
    while at < len(stream):
        size = data.draw(st.integers(1, 40))
        came += scanner.feed(stream[at : at + size])
        at += size
    assert _good(came) == whole


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("d0032;r00001388", {"d": "0032", "r": "00001388"}),
        ("b0", {"b": "0"}),
        ("", None),
        (None, None),
        ("d", None),
        ("d00G2", None),
        ("d0032;", None),
        ("d1;d2", None),
        ("D0032", None),
        ("d123456789", None),
    ],
)
def test_variables(text: str | None, found: dict[str, str] | None) -> None:
    assert parse_variables(text) == found


@pytest.mark.parametrize(
    ("bitmap", "modules", "has_more"),
    [("0000", "", False), ("0001", "1", False), ("1F", "12345", False), ("0015", "135", False), ("0021", "1", True)],
)
def test_the_lowest_bit_is_the_first_pump(bitmap: str, modules: str, has_more: bool) -> None:
    assert present_modules(bitmap) == (list(modules), has_more)
