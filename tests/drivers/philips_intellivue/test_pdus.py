"""PDUs without any framing: the document's bytes, every cut, counts and lengths that do not close."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import Fault
from drivers.philips_intellivue import pdus
from drivers.philips_intellivue.identity import identity_of
from drivers.philips_intellivue.mib import Frame
from drivers.philips_intellivue.pdus import Association, Event, Malformed, PollResult, Refusal, Unread, parse_pdu
from drivers.philips_intellivue.polls import POLLS
from drivers.philips_intellivue.values import read
from tests.drivers.philips_intellivue import made

KEEP_ALIVE = (
    "E1 00 00 02 00 01 00 1C 00 01 00 07 00 16 00 21 00 00 00 00 00 00 00 00 0C 16 00 08 00 01 00 01 00 21 08 0C"
)
CREATE_RESULT = "E1 00 00 02 00 02 00 14 00 01 00 01 00 0E 00 21 00 00 00 00 00 0A BD 00 0D 06 00 00"
RELEASE = "09 18 C1 16 61 80 30 80 02 01 01 A0 80 62 80 80 01 00 00 00 00 00 00 00 00 00"
REFUSED = Fault("length", rejected=True)


def payload(wire: bytes) -> bytes:
    """What a made frame holds."""
    one = Frame.from_bytes(wire)
    assert isinstance(one, Frame)
    return one.payload


LINKED = payload(made.result(*made.USUAL, made.nibp(120, 80, 93), part=2, count=3))


def test_bytes_of_the_document() -> None:
    assert pdus.poll(pdus.MDS, pdus.MDS_GROUP) == bytes.fromhex(KEEP_ALIVE)
    assert pdus.mds_create_result(1) == bytes.fromhex(CREATE_RESULT)
    assert bytes.fromhex(RELEASE) == pdus.RELEASE


def test_polls_that_follow_from_the_document() -> None:
    """Another type and group in the keep-alive; action F13B with the attribute F13E, 4 800 000 eighths of 1 ms."""
    single = bytearray.fromhex(KEEP_ALIVE)
    single[-4:] = bytes.fromhex("00 06 00 00")
    assert pdus.poll(pdus.NUMERICS, pdus.ALL) == single
    extended = pdus.extended_poll(pdus.NUMERICS, pdus.ALL, 1, 1)
    assert extended[24:26] == bytes.fromhex("F1 3B")
    assert extended[-20:] == bytes.fromhex("00 01 00 01 00 06 00 00 00 01 00 08 F1 3E 00 04 00 49 3E 00")
    assert [int.from_bytes(extended[at : at + 2], "big") for at in (6, 12, 26)] == [40, 34, 20]


@pytest.mark.parametrize(
    ("key", "bytes_of_the_program"),
    [
        (
            "numerics",
            "E1 00 00 02 00 01 00 28 00 03 00 07 00 22 00 21 00 00 00 00 00 00 00 00 F1 3B 00 14"
            "00 02 00 01 00 06 00 00 00 01 00 08 F1 3E 00 04 00 49 3E 00",
        ),
        (
            "curves",
            "E1 00 00 02 00 01 00 28 00 04 00 07 00 22 00 21 00 00 00 00 00 00 00 00 F1 3B 00 14"
            "00 03 00 01 00 09 00 00 00 01 00 08 F1 3E 00 04 00 49 3E 00",
        ),
        (
            "alerts",
            "E1 00 00 02 00 01 00 28 00 05 00 07 00 22 00 21 00 00 00 00 00 00 00 00 F1 3B 00 14"
            "00 04 00 01 00 36 08 01 00 01 00 08 F1 3E 00 04 00 49 3E 00",
        ),
    ],
)
def test_extended_polls_of_public_programs(key: str, bytes_of_the_program: str) -> None:
    assert POLLS[key].extended() == bytes.fromhex(bytes_of_the_program)


def test_polls_that_run_side_by_side_are_told_apart() -> None:
    assert len({(poll.invoke, poll.number) for poll in POLLS.values()}) == len(POLLS)
    assert len({poll.invoke for poll in POLLS.values()}) == len(POLLS)


def test_a_linked_result() -> None:
    found = parse_pdu(LINKED)
    assert isinstance(found, PollResult)
    assert (found.action, found.kind, found.part, found.count, found.relative) == (0xF13B, 6, 2, 3, 8000)
    assert [one.handle for one in found.objects] == [made.HR, made.SPO2, 99]


@pytest.mark.parametrize("wire", [made.result(*made.USUAL), made.result(action=0x0C16, kind=0x21), made.create(7)])
def test_every_cut_and_every_surplus_is_refused(wire: bytes) -> None:
    whole = payload(wire)
    for end in range(4, len(whole)):
        assert parse_pdu(whole[:end]) == REFUSED, end
    assert parse_pdu(whole + b"\x00") == REFUSED
    for end in range(4, len(LINKED)):
        assert parse_pdu(LINKED[:end]) == REFUSED, end


def test_inner_counts_and_lengths_must_close() -> None:
    """Any change of a count or a length inside a result that is otherwise whole: nothing of it is read."""
    whole = payload(made.result(made.numeric(made.HR, made.BPM, made.real(72)), action=0x0C16))
    # ROSE, action, contexts (count, length), context (count, length), object (count, length), attribute length
    for at in (6, 12, 22, 44, 46, 50, 52, 56, 58, 62):
        for step in (1, -1):
            changed = bytearray(whole)
            changed[at : at + 2] = made.big(int.from_bytes(whole[at : at + 2], "big") + step)
            assert parse_pdu(bytes(changed)) == REFUSED, at


def test_an_attribute_twice_is_refused() -> None:
    assert parse_pdu(payload(made.result(made.polled(made.ava(1, b""), made.ava(1, b""))))) == REFUSED


@pytest.mark.parametrize("kind", [0x0E, 0x0C, 0x0A, 0x19])
def test_association(kind: int) -> None:
    assert parse_pdu(bytes([kind, 2, 0, 0])) == Association(kind)
    assert parse_pdu(bytes([kind, 0xFF, 0, 3, 0, 0, 0])) == Association(kind)
    for wire in ("", "01 00 00", "03 00 00", "FF", "FF 00", "FF 00 02 00"):
        assert parse_pdu(bytes([kind]) + bytes.fromhex(wire)) == REFUSED, wire


@pytest.mark.parametrize(
    ("wire", "detail"),
    [
        (b"", ""),
        (b"\x0d\x00", "0D"),
        (b"\xe1\x00\x00\x01\x00", "E1"),
        (payload(made.frame(made.data(4, b"\x00"))), "apdu 4"),
        (made.data(1, made.big(1) + made.big(7) + made.sized(b"")), "apdu 1 command 7"),
        (made.data(2, made.big(1) + made.big(3) + made.sized(b"")), "apdu 2 command 3"),
        (payload(made.result(action=0x1234)), "action 1234"),
    ],
)
def test_what_is_not_read(wire: bytes, detail: str) -> None:
    assert parse_pdu(wire) == Unread(detail)


def test_a_type_of_another_partition_is_not_read() -> None:
    whole = bytearray(payload(made.result(action=0x0C16)))
    whole[39] = 2
    assert parse_pdu(bytes(whole)) == Unread("type 0002 0006")


def test_a_linked_part_of_no_kind_is_refused() -> None:
    whole = bytearray(LINKED)
    whole[8] = 4
    assert parse_pdu(bytes(whole)) == REFUSED


def test_a_refusal() -> None:
    assert parse_pdu(payload(made.refusal())) == Refusal(1, "000A")


@pytest.mark.parametrize("lead", [bytes(6), bytes.fromhex("00 21 00 00 00 00")])
def test_an_event_with_its_identity(lead: bytes) -> None:
    found = parse_pdu(payload(made.create(7, lead=lead)))
    assert isinstance(found, Event)
    assert (found.invoke, found.event, found.is_confirmed) == (7, 0x0D06, True)
    assert identity_of(found.attributes) == {
        "model": "Philips M8004A",
        "serial": "DE12345678",
        "part": "M8004A",
        "software": "G.01.75",
    }


@pytest.mark.parametrize(
    ("attributes", "identity"),
    [
        ({}, {}),
        ({0x0928: made.label(b"PHIL") + made.label(b"M8\x01\xff")}, {"model": "PHIL M8??"}),
        ({0x0928: made.label(b"") + made.label(b"\0\0")}, {}),
        ({0x0928: made.label(b"PHIL")}, {}),
        ({0x0928: b"\0\x09PHIL"}, {}),
        ({0x0928: made.MODEL, 0x092D: b"\0"}, {"model": "Philips M8004A"}),
        ({0x092D: made.production()}, {}),
        ({0x092D: made.production((1, 8, b"A" * 99))}, {"serial": "A" * 32}),
        ({0x092D: made.production((1, 8, b"AB"))[:-1]}, {}),
        ({0x092D: made.production((1, 8, b"AB")) + b"\0"}, {}),
        ({0x092D: made.big(0) + made.sized(b"\0\0")}, {}),
        ({0x092D: made.big(2) + made.production((1, 8, b"AB"))[2:]}, {}),
    ],
)
def test_identity(attributes: dict[int, bytes], identity: dict[str, str]) -> None:
    assert identity_of(attributes) == identity


def test_an_event_whose_information_is_laid_out_otherwise_still_stands() -> None:
    for lead in (bytes(3), b"", bytes(10)):
        found = parse_pdu(payload(made.create(7, lead=lead, command=0)))
        assert found == Event(7, 0x0D06, False, {})
    assert parse_pdu(payload(made.create(7, event=0x0D07))) == Event(7, 0x0D07, True, {})


@pytest.mark.parametrize(
    ("bcd", "text"),
    [
        ("20 26 11 24 14 30 15 00", "2026-11-24 14:30:15.00"),
        ("FF FF FF FF FF FF FF FF", ""),
        ("20 26 11 24 14 30 15", ""),
    ],
)
def test_absolute_time(bcd: str, text: str) -> None:
    assert pdus.time_of(bytes.fromhex(bcd)) == text


NUMBER, ARRAY = made.value(1, 2, made.real(3)), made.array(1, [1, 2])


@pytest.mark.parametrize(
    ("number", "value"),
    [
        (0x0950, NUMBER[:-1]),
        (0x094B, b"\x00\x01"),
        (0x094B, made.sized(NUMBER, 2)),
        (0x094B, made.sized(NUMBER, 1) + b"\x00"),
        (0x0990, made.STAMP[1:]),
        (0x096D, bytes(5)),
        (0x096F, bytes(11)),
        (0x098D, bytes(3)),
        (0x096E, ARRAY[:4]),
        (0x096E, ARRAY[:-1]),
        (0x096E, ARRAY + b"\x00"),
        (0x0967, made.sized(ARRAY, 2)),
        (0x0967, made.sized(ARRAY + b"\x00", 1)),
        (0x0996, b"\x00"),
        (0x0946, bytes(3)),
        (0x0916, bytes(9)),
        (0x0A16, made.sized(bytes(6), 1)),
        (0x099E, bytes(7)),
        (0x099E, bytes(4) + made.big(1) + made.sized(bytes(3))),
        (0x099E, bytes(4) + made.big(4) + made.sized(bytes(2))),
        (0x099E, bytes(4) + made.big(1) + made.sized(bytes(2)) + b"\0"),
        (0x0902, made.sized(bytes(17), 1)),
        (0x0902, made.sized(made.alarm(1, 2, 4, "Hi"), 2)),
        (0x0904, made.sized(made.alarm(1, 2, 4, "Hi") + b"\0", 1)),
        (0x0904, made.sized(made.alarm(1, 2, 4, "Hi")[:-1], 1)),
        (0x0904, made.sized(made.alarm(1, 2, 4)[:16] + made.sized(bytes(11)), 1)),
    ],
)
def test_a_value_of_another_length_is_malformed(number: int, value: bytes) -> None:
    found = parse_pdu(payload(made.result(made.polled(made.ava(number, value)))))
    assert isinstance(found, PollResult)
    with pytest.raises(Malformed):
        read(found.objects[0])


def test_a_compound_of_arrays() -> None:
    both = made.sized(ARRAY + made.array(2, [3]), 2)
    found = parse_pdu(payload(made.result(made.polled(made.ava(0x0967, both)))))
    assert isinstance(found, PollResult)
    assert [(one.physio, one.data) for one in read(found.objects[0]).arrays] == [(1, b"\0\1\0\2"), (2, b"\0\3")]


@given(data=st.binary(max_size=200))
def test_total(data: bytes) -> None:
    for wire in (
        data,
        bytes.fromhex("E1 00 00 02") + data,
        made.data(2, data),
        made.data(5, data),
        made.data(1, data),
    ):
        parse_pdu(wire)


@given(objects=st.binary(max_size=120))
def test_total_inside_of_a_result(objects: bytes) -> None:
    found = parse_pdu(payload(made.result(objects)))
    if isinstance(found, PollResult):
        for one in found.objects:
            try:
                read(one)
            except Malformed:
                continue
