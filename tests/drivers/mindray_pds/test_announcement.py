"""What is read of the datagrams on UDP port 4600: where the monitor is, and nothing of its patient."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.mindray_pds.announcement import MAX_DATAGRAM_BYTES, Announcement
from tests.drivers.mindray_pds.messages import ECHO, PATIENT, message, patient, vital

PID = "PID|||14140f00-7bbc-0478-11122d2d02000000||Lovelace^Ada||18151210|F"
REST = (
    "OBX||ST|2304^MonitorName||M0001||||||F",
    "OBX||NM|52^||165.0||||||F",
    "OBX||ST|2301^||MRN-4711||||||F",
    "OBX||ST|2308^BedNoStr||222||||||F",
)
SECRETS = ("Lovelace", "Ada", "1815", "14140f00", "165", "4711", "M0001")


def datagram(place: str = "^^ICU&7&3232237756&4601&&1", *more: str, kind: int = 101, version: str = "2.3.1") -> bytes:
    """A whole announcement, framed."""
    pv1 = f"PV1||I|{place}|||||||||||||||U|4294967040||"
    return message(kind, "EVN||00000000|", PID, pv1, *more, *REST, event="ADT^A01", version=version)


def bare(data: bytes) -> bytes:
    """The same without the frame of MLLP."""
    return data[1:-2]


@pytest.mark.parametrize(
    ("place", "found"),
    [
        ("^^ICU&7&3232237756&4601&&1", Announcement("ICU", "7", "192.168.8.188", 4601)),
        ("^^icu&222&&4601&&1", Announcement("icu", "222", "", 4601)),
        ("^^UCIP&8&169722888&4601&&1", Announcement("UCIP", "8", "10.29.196.8", 4601)),
        ("^^&&2852002658&4601&&1", Announcement("", "", "169.254.27.98", 4601)),
        ("^^ICU&Bed5&3232241659&0&0", Announcement("ICU", "Bed5", "192.168.23.251", 0)),
        ("^^ICU&7", Announcement("ICU", "7", "", 0)),
        (r"^^R\T\D&1\S\2&0&4601", Announcement("R&D", "1^2", "", 4601)),
        ("^^Réa&Lit 4&3232237756&4601", Announcement("Réa", "Lit 4", "192.168.8.188", 4601)),
        (f"^^ICU&{'x' * 60}&1&2", Announcement("ICU", "x" * 40, "0.0.0.1", 2)),
        ("^^ICU&7&4294967296&4601", None),
        ("^^ICU&7&192.168.8.188&4601", None),
        ("^^ICU&7&3232237756&99999", None),
        ("ICU^7", None),
        ("", None),
    ],
)
def test_where_the_monitor_is(place: str, found: Announcement | None) -> None:
    data = datagram(place)
    assert Announcement.from_bytes(data) == found
    assert Announcement.from_bytes(bare(data)) == found


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x0b\x1c\r",
        ECHO,
        vital(),
        patient(),
        datagram(kind=102),
        datagram(version="2.6"),
        datagram("^^ICU&7&3232237756&4601&&1", "PV1||I|^^ICU&8&3232237757&4601&&1"),
        datagram().replace(b"ADT^A01", b"ADT^A03"),
        datagram().replace(b"|P|", b"|T|"),
        datagram().replace(b"&|||||||ADT", b"&|Other||||||ADT"),
        datagram().replace(b"PV1", b"PV2"),
        datagram() + datagram(),
        datagram() + b" " * MAX_DATAGRAM_BYTES,
        message(101, "PID|||1", event="ADT^A01"),
    ],
)
def test_what_is_no_announcement(data: bytes) -> None:
    assert Announcement.from_bytes(data) is None
    assert Announcement.from_bytes(bare(data)) is None


def test_nothing_of_the_patient_leaves_it() -> None:
    more = tuple(row for row in PATIENT.split("\r") if row.startswith("OBX"))
    found = Announcement.from_bytes(datagram("^^ICU&7&3232237756&4601&&1", *more))
    assert found == Announcement("ICU", "7", "192.168.8.188", 4601)
    assert not any(word in repr(found) for word in SECRETS)


def test_labels_in_their_encoding() -> None:
    data = datagram("^^@&7&3232237756&4601").replace(b"@", "内科".encode("gbk"))
    assert Announcement.from_bytes(data, "gbk") == Announcement("内科", "7", "192.168.8.188", 4601)
    control = datagram("^^@&7&3232237756&4601").replace(b"@", b"A\xc2\x85B")
    assert Announcement.from_bytes(control) == Announcement("A\ufffdB", "7", "192.168.8.188", 4601)


def test_a_datagram_cut_anywhere_says_the_same_or_nothing() -> None:
    """The address is a number: half of it would be another monitor's."""
    whole = bare(datagram())
    found = {Announcement.from_bytes(whole[:end]) for end in range(len(whole))}
    assert found == {None, Announcement("ICU", "7", "192.168.8.188", 4601)}
    short = message(101, PID, "PV1||I|^^ICU&7&3232237756&4601&&1", event="ADT^A01")
    assert Announcement.from_bytes(short) is None


@given(data=st.binary(max_size=300))
def test_any_bytes_are_an_announcement_or_none(data: bytes) -> None:
    for one in (data, datagram()[:90] + data, bare(datagram()) + data):
        found = Announcement.from_bytes(one)
        assert found is None or isinstance(found, Announcement)
