"""The association request byte for byte as public programs send it, and what an answer grants."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.philips_intellivue import association
from drivers.philips_intellivue.association import PollProfile, parse_accepted, request
from drivers.philips_intellivue.pdus import Association, parse_pdu
from drivers.philips_intellivue.polls import wanted
from tests.drivers.philips_intellivue import made

HEAD = (
    "0D EC 05 08 13 01 00 16 01 02 80 00 14 02 00 02 C1 DC 31 80 A0 80 80 01 01 00 00 A2 80 A0 03 00 00 01 A4 80"
    "30 80 02 01 01 06 04 52 01 00 01 30 80 06 02 51 01 00 00 00 00 30 80 02 01 02 06 0C 2A 86 48 CE 14 02 01 00"
    "00 00 01 01 30 80 06 0C 2A 86 48 CE 14 02 01 00 00 00 02 01 00 00 00 00 00 00 61 80 30 80 02 01 01 A0 80 60"
    "80 A1 80 06 0C 2A 86 48 CE 14 02 01 00 00 00 03 01 00 00 BE 80 28 80 06 0C 2A 86 48 CE 14 02 01 00 00 00 01"
    "01 02 01 02 81 48 80 00 00 00 40 00 00 00 00 00 00 00 80 00 00 00 20 00 00 00 00 00 00 00 00 01 00 2C 00 01"
    "00 28 80 00 00 00"
)
TAIL = "FF FF FF FF 60 00 00 00 00 01 00 0C F0 01 00 08 {} 00 00 00 00" + " 00" * 16
LITERALS = [
    # Period, units received and sent, extensions, and the bytes: VSCaptureMP, DataConstants, and an MX800 client.
    (0x9C4, 0x9C4, 0x3E8, 0x8C000000, "00 00 09 C4 00 00 09 C4 00 00 03 E8", "8C 00 00 00"),
    (0x3E8, 0x9C4, 0x3E8, 0x8C000000, "00 00 03 E8 00 00 09 C4 00 00 03 E8", "8C 00 00 00"),
    (0x3E8, 0x9C4, 0x3E8, 0x88000000, "00 00 03 E8 00 00 09 C4 00 00 03 E8", "88 00 00 00"),
    (2500, 1000, 1000, 0x80000000, "00 00 09 C4 00 00 03 E8 00 00 03 E8", "80 00 00 00"),
]


@pytest.mark.parametrize(("period", "rx", "tx", "extensions", "words", "bits"), LITERALS)
def test_requests_of_public_programs(  # noqa: PLR0913 (as many as the layout has)
    period: int, rx: int, tx: int, extensions: int, words: str, bits: str
) -> None:
    literal = bytes.fromhex(HEAD + words + TAIL.format(bits))
    assert request(PollProfile(period, rx, tx, extensions)) == literal
    assert literal[1] == len(literal) - 2


def test_what_we_ask_for() -> None:
    assert request(wanted(is_lan=False, has_curves=False)) == made.request_pdu(options=0x84000000)
    assert request(wanted(is_lan=False, has_curves=True)) == made.request_pdu(options=0x8C000000)
    assert request(wanted(is_lan=True, has_curves=False)) == made.request_pdu(rx=1364)
    assert request(wanted(is_lan=True, has_curves=True)) == made.request_pdu(rx=1364, options=0x8C000000)


def test_lengths_that_need_more_than_one_byte() -> None:
    """As the long request of VSCaptureMP has them: FF 01 28 for a session of 296, 82 00 80 for user data of 128."""
    assert association._session_length(254) == b"\xfe"
    assert association._session_length(296) == bytes.fromhex("FF 01 28")
    assert association._asn_length(127) == b"\x7f"
    assert association._asn_length(128) == bytes.fromhex("82 00 80")


@pytest.mark.parametrize("form", ["02 01 02 81", "81"])
def test_what_is_granted(form: str) -> None:
    accepted = made.accepted_pdu(period=4000, options=0x80000000, form=bytes.fromhex(form))
    assert parse_pdu(accepted) == Association(association.ACCEPTED)
    granted = parse_accepted(accepted)
    assert granted == PollProfile(4000, 1000, 1000, 0x80000000, association.SERVER)
    assert granted
    assert (granted.period_s, granted.timeout_s) == (0.5, 10.0)


def _long(length: bytes) -> bytes:
    info = made.user_info(4000, 1000, 1000, 0x80000000, 0x00800000)
    return bytes.fromhex("BE 80 28 80 81") + length + info + bytes(16)


@pytest.mark.parametrize(
    ("payload", "is_read"),
    [
        (_long(b"\x48"), True),
        (_long(b"\x81\x48"), True),
        (_long(b"\x82\x00\x48"), True),
        (_long(b"\x59"), False),
        (_long(b"\x00"), False),
        (_long(b"\x80"), False),
        (_long(b"\x47"), False),
        (bytes.fromhex("BE 80 28 80 81"), False),
        (bytes.fromhex("BE 80 28 80"), False),
        (b"", False),
        (bytes.fromhex("BE 80 28 80 81 1C") + bytes(28), False),
    ],
)
def test_lengths_of_the_answer(payload: bytes, is_read: bool) -> None:
    assert (parse_accepted(payload) is not None) == is_read


def test_a_monitor_without_extensions_grants_none() -> None:
    info = made.user_info(2500, 1000, 1000, 0, 0x00800000)
    bare = info.replace(made.big(0xF001), made.big(0xF002))
    granted = PollProfile.from_bytes(bare)
    assert granted
    assert granted.extensions == 0


@given(st.binary(max_size=120))
def test_total(data: bytes) -> None:
    for mark in ("", "BE 80 28 80 81", "BE 80 28 80 02 01 02 81"):
        parse_accepted(bytes.fromhex(mark) + data)
