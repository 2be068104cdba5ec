"""The beacon on the network: who is there, and on which port; and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.philips_intellivue.beacon import Beacon, parse_beacon
from tests.drivers.philips_intellivue import made

NETWORK = bytes.fromhex("00 09 FB 01 02 03  C0 A8 F7 65  FF FF FF 00")
PROTOCOLS = bytes.fromhex(
    "00 05 00 28 00 01 00 03 5D C0 00 00 00 02 00 03 5D C0 00 00 00 01 00 01 5E 29 00 00 00 05 00 01 5E 29 00 00"
    "00 08 00 01 82 35 00 00"
)
"""As a monitor sent it, in a public program: five applications, data export on 5E29."""


def beacon(*attributes: bytes, command: int = 0, event: int = 0x0D17, kind: int = 1) -> bytes:
    """A connect indication."""
    listed = made.sized(b"".join(attributes), len(attributes))
    report = bytes.fromhex("00 21 00 00 00 00") + made.big(0, 4) + made.big(event) + made.sized(listed)
    body = made.big(1) + made.big(command) + made.sized(report)
    return bytes.fromhex("00 00 01 00") + made.big(kind) + made.sized(body)


USUAL = (made.ava(0xF100, NETWORK), made.ava(0xF101, PROTOCOLS))
WHO = (made.ava(0x0928, made.MODEL), made.ava(0x092D, made.NUMBERS))
FOUND = Beacon("192.168.247.101", 24105, mac="00:09:fb:01:02:03")


@pytest.mark.parametrize("command", [0, 1])
def test_a_beacon(command: int) -> None:
    assert parse_beacon(beacon(*USUAL, command=command)) == FOUND
    full = parse_beacon(beacon(made.ava(0x0986, made.big(1) + made.big(4429)), *USUAL, *WHO, command=command))
    assert full == Beacon("192.168.247.101", 24105, "Philips M8004A", "DE12345678", "00:09:fb:01:02:03")


def test_neither_the_bed_nor_a_patient_is_read() -> None:
    more = [made.ava(number, b"\0\x06DOE LIT") for number in (0x091E, 0x095A, 0x095C)]
    assert parse_beacon(beacon(*USUAL, *more)) == FOUND


@pytest.mark.parametrize(
    "data",
    [
        b"",
        beacon(),
        beacon(USUAL[0]),
        beacon(USUAL[1]),
        beacon(*USUAL, event=0x0D06),
        beacon(*USUAL, command=7),
        beacon(*USUAL, kind=2),
        beacon(made.ava(0xF100, NETWORK[:-1]), USUAL[1]),
        beacon(USUAL[0], made.ava(0xF101, PROTOCOLS[:-1])),
        beacon(USUAL[0], made.ava(0xF101, made.sized(PROTOCOLS[4:], 4))),
        beacon(USUAL[0], made.ava(0xF101, made.sized(PROTOCOLS[4:28], 3))),
        beacon(USUAL[0], made.ava(0xF101, b"")),
        beacon(*USUAL) + b"\0",
        made.create_pdu(),
        made.accepted_pdu(),
    ],
)
def test_what_is_none(data: bytes) -> None:
    assert parse_beacon(data) is None


def test_every_cut_is_none() -> None:
    whole = beacon(*USUAL, *WHO)
    assert [end for end in range(len(whole)) if parse_beacon(whole[:end])] == []


@given(st.binary(max_size=200))
def test_total(data: bytes) -> None:
    parse_beacon(data)
    parse_beacon(beacon(data))
    parse_beacon(beacon(USUAL[0], made.ava(0xF101, data)))
