"""The frames of SERVO ventilators: the page's vectors, every cut, every flipped bit, any noise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import NOISE, Fault
from drivers.framing.checksum import xor8
from drivers.framing.servo import (
    BLOCKS,
    MAX_CURVES,
    MAX_TEXT,
    MAX_VALUES,
    TEXT,
    Block,
    Curves,
    DamagedCurves,
    Demultiplexer,
    DeviceError,
    Item,
    Text,
    Values,
    pairs,
)


def demultiplexer(*, sci: bool = False) -> Demultiplexer:
    return Demultiplexer(alarms_in_pairs=sci, has_flow_control=not sci)


def items(data: bytes, awaited: int = TEXT, *, sci: bool = False, size: int = 0) -> list[Item]:
    """All frames of some bytes, in pieces of `size` (0: at once)."""
    one = demultiplexer(sci=sci)
    found: list[Item] = []
    step = size or max(1, len(data))
    for at in range(0, len(data), step):
        one.add(data[at : at + step])
        while (item := one.take(awaited)) is not None:
            found.append(item)
    return found


@pytest.mark.parametrize(
    ("text", "check"),
    [
        ("RCTY", "1C"),
        ("RHVE", "09"),
        ("SPVE005", "25"),
        ("RSEN", "0A"),
        ("RTIM", "02"),
        ("RCCO200", "2F"),
        ("SDADB200201202203204205206207208209", "51"),
        ("SDADS310", "73"),
        ("SDADC100101114", "64"),
        ("RADAB", "54"),
        ("RADAS", "45"),
        ("RADAA", "57"),
        ("RADC", "14"),
        ("RPTY", "0F"),
        ("RCFGDT", "00"),
        ("SPVE0010", "11"),
        ("SDADB100101102105106108109", "60"),
        ("SDADS410", "74"),
        ("SDADA999", "6A"),
        ("*", "2A"),
        ("Servo-i0", "29"),
        ("SERVO-U0", "15"),
        ("SCI0", "69"),
        ("005", "35"),
        ("0010", "01"),
        ("015004800240", "0E"),
        ("015099990240", "02"),
        ("0004", "04"),
        ("011", "30"),
        ("ER17", "11"),
        ("020;200,+1000E-004,+0000E+000,06,BT,FFFF;", "3F"),
    ],
)
def test_text_vectors(text: str, check: str) -> None:
    frame = text.encode() + check.encode() + b"\x04"
    assert Text(text).to_bytes() == frame
    assert Text.from_bytes(frame) == Text(text)
    assert items(frame) == [Text(text)]


BREATH = bytes.fromhex("42 00 96 01 E0 00 F0 7F BA")
FLOW = bytes.fromhex("81 10 80 32 10 FA 09 F7 00 7F 48")
SIX = bytes.fromhex("00 96 09 60 09 79 08 C0 08 02 01 90 7F A3")


@pytest.mark.parametrize(
    ("data", "awaited", "item"),
    [
        (BREATH, BLOCKS, Block("B", BREATH[1:-2])),
        (FLOW, BLOCKS, Curves(FLOW[:-2])),
        (bytes.fromhex("E0 11 7F 8E"), BLOCKS, DeviceError(17)),
        (bytes.fromhex("E0 10 7F 8F"), BLOCKS, DeviceError(16)),
        (bytes.fromhex("E0 14 7F 8B"), TEXT, DeviceError(20)),
        (bytes.fromhex("E0 11 7F 8E"), 12, DeviceError(17)),
        (SIX, 12, Values(SIX[:-2])),
        (bytes.fromhex("00 96 7E FF 7F 68"), 4, Values(bytes.fromhex("00967EFF"))),
        (bytes.fromhex("03 01 7F 7D"), 2, Values(b"\x03\x01")),
        (b"ER1711\x04", 12, Text("ER17")),
        (b"ER2015\x04", BLOCKS, Text("ER20")),
        (b"900PCI\x04", TEXT, Text("900PCI")),
        (bytes.fromhex("45 00 01 02 7F 39"), BLOCKS, Block("E", b"\x00\x01\x02")),
        (bytes.fromhex("41 00 FF 7F C1"), BLOCKS, Block("A", b"\x00\xff")),
        (bytes.fromhex("54 01 02 7F 28"), BLOCKS, Block("T", b"\x01\x02")),
    ],
)
def test_binary_vectors(data: bytes, awaited: int, item: Item) -> None:
    assert items(data, awaited) == [item]
    assert items(data, awaited, size=1) == [item]
    if not isinstance(item, Text | Fault | DamagedCurves):
        assert item.to_bytes() == data


def test_a_low_byte_of_7f_ends_nothing() -> None:
    data = Block("B", bytes.fromhex("007F017F7E7F")).to_bytes()
    assert items(data, BLOCKS) == [Block("B", bytes.fromhex("007F017F7E7F"))]
    values = Values(bytes.fromhex("007F017F")).to_bytes()
    assert items(values, 4) == [Values(bytes.fromhex("007F017F"))]
    curve = Curves(bytes.fromhex("80007F01")).to_bytes()
    assert items(curve, BLOCKS) == [Curves(bytes.fromhex("80007F01"))]


def test_a_check_of_7f_belongs_to_its_frame() -> None:
    data = Block("B", bytes.fromhex("0042")).to_bytes()
    assert data[-1] == 0x7F
    assert items(data + BREATH, BLOCKS) == [Block("B", b"\x00\x42"), Block("B", BREATH[1:-2])]


@pytest.mark.parametrize(
    ("data", "awaited"),
    [(Text("015004800240").to_bytes(), TEXT), (SIX, 12), (BREATH, BLOCKS), (FLOW, BLOCKS), (b"900PCI\x04", TEXT)],
)
def test_every_cut_and_every_flipped_bit(data: bytes, awaited: int) -> None:
    whole = items(data, awaited)
    for at in range(len(data)):
        assert not [item for item in items(data[:at], awaited) if not isinstance(item, Fault)]
    for bit in range(len(data) * 8):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        good = [item for item in items(bytes(damaged), awaited) if not isinstance(item, Fault | DamagedCurves)]
        assert not good, f"bit {bit} gives {good} instead of {whole}"


def test_a_damaged_block_is_dropped_whole_and_the_next_is_read() -> None:
    damaged = bytes.fromhex("81 10 80 32 11 FA 09 F7 00 7F 48")
    first, second = items(damaged + BREATH, BLOCKS)
    assert first == DamagedCurves(Fault("checksum", "curves", rejected=True), 5)
    assert second == Block("B", BREATH[1:-2])
    torn = bytearray(BREATH)
    torn[3] = 0x81
    assert items(bytes(torn) + BREATH, BLOCKS) == [
        Fault("checksum", "B", rejected=True),
        Block("B", BREATH[1:-2]),
    ]


def test_values_of_another_length_are_refused() -> None:
    assert items(SIX, 10) == [Fault("length", "values", rejected=True)]
    bad = SIX[:-1] + b"\xa2"
    assert items(bad + SIX, 12) == [Fault("checksum", "values", rejected=True), Values(SIX[:-2])]


def test_flow_control_is_taken_out_of_cie_text_only() -> None:
    text = Text("0004").to_bytes()
    assert items(b"\x13\x11" + text[:3] + b"\x13" + text[3:]) == [Text("0004")]
    assert items(b"\x13" + text, sci=True) == [Fault("checksum", "text", rejected=True)]
    data = bytes.fromhex("80 11 13 7F FD")
    assert items(data, BLOCKS) == [Curves(bytes.fromhex("801113"))]


def test_errors_without_a_check_are_known_but_not_believed() -> None:
    assert items(b"ER17\x04") == [Fault("device_error", "basic 17")]


def test_the_greeting_is_found_behind_noise() -> None:
    assert items(b"\xff\x00A900PCI\x04") == [Fault(NOISE, "3"), Text("900PCI")]
    found = items(b"0" * (MAX_TEXT - 3) + b"900PCI\x04")
    assert found[-1] == Text("900PCI")


@pytest.mark.parametrize(
    ("data", "awaited", "reason"),
    [
        (b"0" * MAX_TEXT, TEXT, NOISE),
        (b"\x04" * 1000, TEXT, NOISE),
        (b"\x00" * MAX_VALUES, 12, "length"),
        (b"\xff" * MAX_VALUES, 12, "length"),
        (b"B" + b"\x00" * MAX_VALUES, BLOCKS, "length"),
        (b"\xaa" * 5000, BLOCKS, NOISE),
        (b"ERxx\x00\x00\x00", BLOCKS, NOISE),
    ],
)
def test_what_never_ends_is_given_up(data: bytes, awaited: int, reason: str) -> None:
    found = items(data, awaited)
    assert isinstance(found[0], Fault)
    assert found[0].reason == reason


def test_an_endless_curve_block_is_given_up() -> None:
    found = items(b"\x81\x10" + b"\x00" * MAX_CURVES, BLOCKS)
    assert isinstance(found[0], DamagedCurves)
    assert found[0].fault == Fault("length", "curves", rejected=True)


def test_dropped_bytes_are_counted_once() -> None:
    one = demultiplexer()
    assert one.drop() == []
    one.add(b"012")
    assert one.is_inside
    assert one.drop() == [Fault("incomplete", "3", rejected=True)]
    assert not one.is_inside


def test_what_is_awaited_may_change_between_frames() -> None:
    one = demultiplexer(sci=True)
    one.add(Text("*").to_bytes() + SIX + Text("005").to_bytes() + b"E")
    assert [one.take(TEXT), one.take(12), one.take(TEXT)] == [Text("*"), Values(SIX[:-2]), Text("005")]
    assert one.take(BLOCKS) is None
    one.add(b"R2015\x04")
    assert one.take(BLOCKS) == Text("ER20")


def test_pairs_and_check() -> None:
    assert pairs(bytes.fromhex("00967EFF")) == (150, 0x7EFF)
    assert xor8(b"") == 0


FRAMES = st.sampled_from(
    [BREATH, FLOW, SIX, b"ER1711\x04", bytes.fromhex("E0117F8E"), b"900PCI\x04", b"\x7f", b"\x80"]
)
AWAITED = st.sampled_from([TEXT, BLOCKS, 2, 12, 200])


def _rejected(found: list[Item]) -> list[Item]:
    return [item for item in found if not (isinstance(item, Fault) and not item.rejected)]


@given(parts=st.lists(FRAMES | st.binary(max_size=40), max_size=12), awaited=AWAITED, size=st.integers(1, 9))
def test_any_bytes_in_any_pieces(parts: list[bytes], awaited: int, size: int) -> None:
    data = b"".join(parts)
    for sci in (False, True):
        whole = items(data, awaited, sci=sci)
        assert _rejected(items(data, awaited, sci=sci, size=size)) == _rejected(whole)


@given(texts=st.lists(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=60)))
def test_what_is_encoded_is_read(texts: list[str]) -> None:
    data = b"".join(Text(text).to_bytes() for text in texts)
    assert [item.text for item in items(data) if isinstance(item, Text)] == texts


@given(raws=st.lists(st.integers(0, 0x7EFF), min_size=1, max_size=60))
def test_values_come_back(raws: list[int]) -> None:
    data = b"".join(raw.to_bytes(2, "big") for raw in raws)
    for found in (items(Values(data).to_bytes(), len(data)), items(Block("S", data).to_bytes(), BLOCKS)):
        assert len(found) == 1
        assert isinstance(found[0], Values | Block)
        assert list(pairs(found[0].data)) == raws
