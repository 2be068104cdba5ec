"""Frames: the document's worked examples, its misprints, stuffing, every cut and every flipped bit."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.bbraun_bcc.frames import MAX_FRAME_BYTES, Block, Framer, destuff, stuff
from drivers.contract import Fault
from tests.drivers.bbraun_bcc.dialogue import ACK, NAK, frame, stuffed

QUADRUPLES = (
    "SpaceCOM/1/1>300,50111,GNMODEL,688K030006\x1e300,50111,INRT,5.00\x1e300,50111,INVI,12.5"
    "\x1e300,50111,INM3,1\x1e300,50111,INA3,0\x1e300,50111,INSOL,_NV"
)
# BCC 3.25/3.26: information, length, checksum. The time of the first version answer is not printed; 207 fits its sum.
EXAMPLES = [
    ("1/1/1>ADMIN:ALIVE", "00031", "00061"),
    ("SpaceCOM/1/1>ADMIN:VERSION", "00040", "00140"),
    ("SpaceCOM/1/1>207,50100,V3.30", "00042", "00198"),
    ("SpaceCOM/1/1>MEM:GET", "00034", "00191"),
    ("SpaceCOM/1/1>206,50100,GNACK,0", "00044", "00109"),
    ("SpaceCOM/1/1>MEM:GETSLOT#13", "00041", "00134"),
    ("SpaceCOM/1/1>624,50100,GNACK,0", "00044", "00113"),
    ("SpaceCOM/1/1>626,50100,V3.30", "00042", "00203"),
    (QUADRUPLES, "00149", "00228"),
]
BLOCK = frame(QUADRUPLES)
NOISE = Fault("noise")


def printed(info: str, length: str, checksum: str) -> bytes:
    """As the document writes it."""
    return f"\x01{length}\x02{info}\x03{checksum}\x04".encode()


def read(wire: bytes, *, stuffing: bool = True) -> list[Block | Fault]:
    return Framer(stuffing=stuffing).feed(wire)


@pytest.mark.parametrize(("info", "length", "checksum"), EXAMPLES)
@pytest.mark.parametrize("stuffing", [True, False])
def test_examples_of_the_document(info: str, length: str, checksum: str, stuffing: bool) -> None:
    wire = printed(info, length, checksum)
    wire = stuffed(wire) if stuffing else wire
    assert read(wire, stuffing=stuffing) == [Block(info.encode())]
    assert Block(info.encode()).to_bytes(stuffing=stuffing) == wire


def test_the_stuffed_examples_are_as_printed() -> None:
    assert Block(b"1/1/1>ADMIN:ALIVE").to_bytes(stuffing=True) == b"\x0100031\x021/1/1>AEXMIN:ALIVEE\x0300061\x04"
    assert BLOCK.startswith(b"\x0100149\x02SpaceeCOM/1/1>")
    assert b"GNMOEXEEL" in BLOCK


@pytest.mark.parametrize(("info", "length", "checksum"), [e for e in EXAMPLES[:-1] if "SpaceCOM" in e[0]])
@pytest.mark.parametrize("stuffing", [True, False])
def test_the_misprinted_bed_id_is_refused(info: str, length: str, checksum: str, stuffing: bool) -> None:
    wire = printed(info.replace("SpaceCOM", "ComSystem"), length, checksum)
    (fault,) = read(stuffed(wire) if stuffing else wire, stuffing=stuffing)
    assert isinstance(fault, Fault)
    assert (fault.reason, fault.rejected) == ("length", True)


@pytest.mark.parametrize(
    ("plain", "wire"),
    [
        (b"D", b"EX"),
        (b"E", b"EE"),
        (b"d", b"ex"),
        (b"e", b"ee"),
        (b"EX", b"EEX"),
        (b"DX", b"EXX"),
        (b"ex", b"eex"),
        (b"EED", b"EEEEEX"),
        (b"DEde", b"EXEEexee"),
        (b"GNMODEL", b"GNMOEXEEL"),
        (b"\xc3\xa9\xee\x80\xa1", b"\xc3\xa9\xee\x80\xa1"),
        (b"", b""),
    ],
)
def test_stuffing(plain: bytes, wire: bytes) -> None:
    assert stuff(plain) == wire
    assert destuff(wire) == plain


@pytest.mark.parametrize("wire", [b"D", b"d", b"E", b"e", b"Ex", b"eX", b"EEE", b"EXE", b"aEb", b"DX", b"EXD", b"eE"])
def test_a_lone_character_is_damage(wire: bytes) -> None:
    assert destuff(wire) is None


@given(st.binary(max_size=80))
def test_stuffing_goes_there_and_back(data: bytes) -> None:
    assert destuff(stuff(data)) == data
    assert stuff(data) == stuffed(data)


@pytest.mark.parametrize(
    ("wire", "reason"),
    [
        (BLOCK.replace(b"00149", b"00150"), "length"),
        (BLOCK.replace(b"00228", b"00229"), "checksum"),
        (BLOCK.replace(b"5.00", b"5.01"), "checksum"),
        (BLOCK.replace(b"GNMOEXEEL", b"GNMODEEL"), "stuffing"),
        (BLOCK.replace(b"00149\x02", b"0014x\x02"), "header"),
        (BLOCK.replace(b"\x0300228", b"\x0500228"), "trailer"),
        (BLOCK.replace(b"00228\x04", b"0228\x04"), "trailer"),
        (BLOCK.replace(b"00228\x04", b"0022 \x04"), "trailer"),
        (frame(QUADRUPLES, stuffing=False), "stuffing_setting"),
        (b"\x01" + b"0" * MAX_FRAME_BYTES + b"\x04", "too_long"),
        (b"\x01" + b"0" * MAX_FRAME_BYTES, "too_long"),
        (BLOCK[:30] + BLOCK[:30], "torn"),
    ],
)
def test_refused(wire: bytes, reason: str) -> None:
    found = read(wire)
    assert [(f.reason, f.rejected) for f in found if isinstance(f, Fault)] == [(reason, True)]
    assert not [b for b in found if isinstance(b, Block)]


def test_the_other_setting_is_named() -> None:
    assert read(frame(QUADRUPLES, stuffing=False)) == [Fault("stuffing_setting", "off", rejected=True)]
    assert read(BLOCK, stuffing=False) == [Fault("stuffing_setting", "on", rejected=True)]


def test_without_a_character_to_stuff_both_settings_read_the_same() -> None:
    wire = frame("X/1/1>1,50111,INRT,5.00")
    assert read(wire) == read(wire, stuffing=False) == [Block(b"X/1/1>1,50111,INRT,5.00")]


@pytest.mark.parametrize(
    ("wire", "found"),
    [
        (b"", []),
        (b"noise", [NOISE]),
        (b"\x04", [NOISE]),
        (b"\x01\x04", [NOISE]),
        (b"\x01\x01\x01", [NOISE]),
        (b"\x01", []),
        (ACK + ACK, []),
        (NAK, [Fault("nak")]),
        (b"x" + BLOCK, [Block(QUADRUPLES.encode()), NOISE]),
        (BLOCK + b"\x04", [Block(QUADRUPLES.encode()), NOISE]),
        (b"\x01abc" + BLOCK, [Block(QUADRUPLES.encode()), NOISE]),
        (ACK + BLOCK + NAK, [Block(QUADRUPLES.encode()), Fault("nak")]),
    ],
)
def test_bytes_of_no_frame(wire: bytes, found: list[Block | Fault]) -> None:
    assert read(wire) == found


def test_more_blocks_follow() -> None:
    assert read(frame("a/1/1>b", more=True) + frame("a/1/1>b")) == [Block(b"a/1/1>b", True), Block(b"a/1/1>b")]
    assert Block(b"a/1/1>b", True).to_bytes(stuffing=True) == frame("a/1/1>b", more=True)


def test_cut_at_every_byte() -> None:
    for at in range(len(BLOCK) + 1):
        framer = Framer(stuffing=True)
        first = framer.feed(BLOCK[:at])
        assert not first or at == len(BLOCK)
        assert first + framer.feed(BLOCK[at:]) == [Block(QUADRUPLES.encode())]
        framer.feed(BLOCK[:at])
        framer.drop()
        assert framer.feed(BLOCK) == [Block(QUADRUPLES.encode())]


@pytest.mark.parametrize("stuffing", [True, False])
def test_every_flipped_bit(stuffing: bool) -> None:
    wire = frame(QUADRUPLES, stuffing=stuffing)
    for bit in range(len(wire) * 8):
        damaged = bytearray(wire)
        damaged[bit // 8] ^= 1 << bit % 8
        found = read(bytes(damaged) + wire, stuffing=stuffing)
        assert [one for one in found if isinstance(one, Block)][:-1] == [], f"byte {bit // 8}, bit {bit % 8}"


@given(st.binary(max_size=200), st.integers(0, 200))
def test_any_bytes_in_any_pieces(data: bytes, at: int) -> None:
    wire = data + BLOCK + data
    framer = Framer(stuffing=True)
    pieces = framer.feed(wire[:at]) + framer.feed(wire[at:])
    whole = read(wire)
    assert [one for one in pieces if one not in (NOISE, Fault("nak"))] == [
        one for one in whole if one not in (NOISE, Fault("nak"))
    ]


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\x01\x04"), min_size=1, max_size=60),
    st.booleans(),
    st.booleans(),
)
def test_what_is_written_is_read(text: str, more: bool, stuffing: bool) -> None:
    block = Block(text.encode(), more)
    assert read(block.to_bytes(stuffing=stuffing), stuffing=stuffing) == [block]
    assert block.to_bytes(stuffing=stuffing) == frame(text, more=more, stuffing=stuffing)


def test_a_block_has_no_control_characters_that_end_it() -> None:
    assert not re.search(rb"[\x01\x04]", BLOCK[1:-1])
