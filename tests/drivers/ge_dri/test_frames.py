"""Frames and requests: the document's own bytes, every cut, every bit, stuffing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import Fault
from drivers.ge_dri import requests
from drivers.ge_dri.frames import MAX_STUFFED, Framer, Part, Record, framed, unframed
from tests.drivers.ge_dri.made import displayed, frame, raw_record, record, subrecord

HEAD = "00 " * 19 + "ff" + " 00" * 18
ALL_CLASSES = bytes.fromhex(
    "7e 31 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 ff"
    " 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01 0a 00 0e 00 00 00 00 00 49 7e"
)
"""The document's full bytes: 18 zeros behind FF, then the request."""


def test_the_documents_request_for_all_classes() -> None:
    read = unframed(ALL_CLASSES[1:-1])
    assert isinstance(read, Record)
    assert (read.main, read.parts) == (0, (Part(0, bytes.fromhex("01 0a 00 0e 00 00 00 00 00")),))
    assert framed(read.to_bytes()) == ALL_CLASSES


def test_the_summary_of_it_does_not_close() -> None:
    """24 zeros behind FF, as the summary counts them: the sum is right, the length is not."""
    summary = bytes.fromhex("31 00" + " 00" * 19 + " ff" + " 00" * 24 + " 01 0a 00 0e 00 00 00 00 00 49")
    assert unframed(summary) == Fault("length", rejected=True)


@pytest.mark.parametrize(
    ("made", "hexes"),
    [
        (requests.physiological(1, 0), f"7e 31 00 {HEAD} 01 00 00 00 00 00 00 00 00 31 7e"),
        (requests.physiological(1, 10), f"7e 31 00 {HEAD} 01 0a 00 00 00 00 00 00 00 3b 7e"),
        (requests.physiological(2, 10), f"7e 31 00 {HEAD} 02 0a 00 00 00 00 00 00 00 3c 7e"),
        (requests.physiological(3, 60), f"7e 31 00 {HEAD} 03 3c 00 00 00 00 00 00 00 6f 7e"),
    ],
)
def test_requests_for_values(made: bytes, hexes: str) -> None:
    wanted = bytes.fromhex(hexes)
    assert len(made) == 1 + 49 + 1 + 1
    assert made == wanted


def test_the_documents_request_for_co2() -> None:
    made = requests.waves((9,))
    assert len(made) == 1 + 72 + 1 + 1
    assert made[1:3] == b"\x48\x00"
    assert made[-2:] == b"\x50\x7e"
    assert made[41:] == bytes.fromhex("00 00 00 00 09 ff" + "00" * 26 + "50 7e")
    assert made[15:17] == b"\x01\x00"


def test_a_full_list_of_waveforms_has_no_end_mark() -> None:
    made = requests.waves((4, 5, 9, 10, 11, 12, 13, 14), stop=True)
    assert made[41:53] == bytes.fromhex("01 00 00 00 04 05 09 0a 0b 0c 0d 0e")


def test_alarm_status() -> None:
    made = requests.alarms()
    assert made[:3] == b"\x7e\x34\x00"
    assert made[15:17] == b"\x04\x00"
    assert made[41:] == bytes(12) + bytes([(0x34 + 4 + 0xFF) & 0xFF]) + b"\x7e"


@given(parts=st.lists(st.tuples(st.integers(0, 254), st.binary(min_size=1, max_size=30)), max_size=8))
def test_a_record_comes_back(parts: list[tuple[int, bytes]]) -> None:
    wire = record(0, parts, level=0x7E, time=0x7D7E5E5D)
    read = unframed(wire[1:-1])
    assert isinstance(read, Record)
    assert [(part.kind, part.data) for part in read.parts] == parts
    assert (read.level, read.plug, read.time) == (0x7E, 4321, 0x7D7E5E5D)


def test_eight_subrecords_leave_no_room_for_the_end_mark() -> None:
    read = Record(1, tuple(Part(kind, bytes((kind,))) for kind in range(1, 9)))
    assert Record.from_bytes(read.to_bytes()) == read


def test_less_than_a_header_is_no_record() -> None:
    assert Record.from_bytes(bytes(39)) == Fault("length", rejected=True)


@given(body=st.binary(min_size=40, max_size=60))
def test_the_checksum_is_stuffed_too(body: bytes) -> None:
    assert framed(body) == frame(body)


def test_a_frame_byte_by_byte_and_cut_anywhere() -> None:
    wire = displayed(time=0x7E7D7E7D)
    for size in (1, 7, 300):
        framer = Framer()
        items = [item for at in range(0, len(wire), size) for item in framer.feed(wire[at : at + size])]
        assert len(items) == 1
        assert isinstance(items[0], Record)
    for end in range(len(wire)):
        assert Framer().feed(wire[:end]) == []


def test_every_bit() -> None:
    wire = displayed(time=0x7E7D7E7D)
    for bit in range(len(wire) * 8):
        damaged = bytearray(wire)
        damaged[bit // 8] ^= 1 << bit % 8
        assert not any(isinstance(item, Record) for item in Framer().feed(bytes(damaged))), bit


@pytest.mark.parametrize(
    ("wire", "reasons"),
    [
        (b"\x7e\x7e\x7e\x7e", []),
        (b"\x00\x01\x02", ["noise"]),
        (b"\x00\x7e" + b"\x01\x7e", ["noise", "length!"]),
        (frame(bytes(39)), ["length!"]),
        (frame(bytes(40)), ["length!"]),
        (b"\x7e" + bytes(50) + b"\x7d\x7e", ["framing!"]),
        (b"\x7e" + bytes(50) + b"\x7d\x20\x7e", ["framing!"]),
        (b"\x7e" + bytes(60) + b"\x01\x7e", ["checksum!"]),
        (b"\x7e" + b"\x01" * (MAX_STUFFED + 1) + b"\x02\x03", ["too_long!"]),
        (b"\x7e" + b"\x01" * MAX_STUFFED + b"\x7e", ["length!"]),
    ],
)
def test_what_is_refused(wire: bytes, reasons: list[str]) -> None:
    faults = [item for item in Framer().feed(wire) if isinstance(item, Fault)]
    assert [fault.reason + "!" * fault.rejected for fault in faults] == reasons


def test_after_a_lost_flag_the_next_frame_is_read() -> None:
    wire = displayed()
    for damaged in (wire[:-1], wire[1:], wire[:-1] + b"\x7f"):
        framer = Framer()
        items = framer.feed(damaged + wire + wire)
        assert sum(isinstance(item, Record) for item in items) >= 2


@pytest.mark.parametrize("offset", [-1, 278, 400])
def test_a_subrecord_that_lies_outside(offset: int) -> None:
    data = bytearray(raw_record(0, [(1, subrecord())]))
    data[16:18] = offset.to_bytes(2, "little", signed=True)
    assert unframed(frame(bytes(data))[1:-1]) == Fault("subrecord", "0", rejected=True)


def test_subrecords_that_lie_over_each_other() -> None:
    data = bytearray(raw_record(0, [(1, subrecord()), (1, subrecord())]))
    data[19:21] = b"\0\0"
    assert isinstance(unframed(frame(bytes(data))[1:-1]), Fault)


def test_what_is_half_received_can_be_dropped() -> None:
    framer = Framer()
    framer.feed(displayed()[:50])
    assert framer.is_inside
    assert framer.drop() == [Fault("truncated", rejected=True)]
    assert framer.drop() == []
    assert len(framer.feed(displayed())) == 1
