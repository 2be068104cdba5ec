"""The faulty broker reads and rewrites packets as MQTT 5.0 draws them; its habits are proved in tests/e2e."""

import asyncio

import pytest

from simulators.central.faulty_broker import PACKET_LIMIT, RECEIVE_MAXIMUM, Packet, granting, properties, read_packet

CONNACK = Packet(0x20, bytes.fromhex("00001322000a12000467772d31260001610001622a01"))
"""Topic Alias Maximum 10, Assigned Client Identifier gw-1, a User Property a=b, Shared Subscription Available."""


def read(data: bytes) -> Packet:
    async def feed() -> Packet:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        return await read_packet(reader)

    return asyncio.run(feed())


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16_383, 16_384, 300_000])
def test_a_packet_is_read_as_it_was_written(size: int) -> None:
    packet = Packet(0x30, b"x" * size)
    assert read(packet.encode()) == packet


def test_half_a_packet_is_none() -> None:
    with pytest.raises(asyncio.IncompleteReadError):
        read(Packet(0x30, b"x" * 200).encode()[:-1])


def test_properties_of_a_connack() -> None:
    assert properties(CONNACK) == {
        0x22: b"\x00\x0a",
        0x12: b"\x00\x04gw-1",
        0x26: b"\x00\x01a\x00\x01b",
        0x2A: b"\x01",
    }


def test_granting_replaces_and_adds() -> None:
    changed = granting(CONNACK, {RECEIVE_MAXIMUM: b"\x00\x01", 0x22: b"\x00\x00"})
    assert changed.body[:2] == CONNACK.body[:2]
    assert properties(changed) == properties(CONNACK) | {RECEIVE_MAXIMUM: b"\x00\x01", 0x22: b"\x00\x00"}
    assert properties(granting(Packet(0x20, b"\x00\x00\x00"), {PACKET_LIMIT: b"\x00\x00\x10\x00"})) == {
        PACKET_LIMIT: b"\x00\x00\x10\x00"
    }


def test_a_publish_and_its_copy() -> None:
    packet = Packet(0x32, b"\x00\x03a/b\x00\x07\x00hello")
    assert (packet.topic(), packet.publish_id) == ("a/b", 7)
    assert packet.renamed(0x8001) == Packet(0x32, b"\x00\x03a/b\x80\x01\x00hello")
    assert Packet(0x30, b"\x00\x03a/bhello").publish_id == 0
