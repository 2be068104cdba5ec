"""A broker with bad habits: it stands before a real one, speaks MQTT 5 over mutual TLS, and spoils what passes.

    box ──TLS──▶ FaultyBroker ──TLS──▶ mosquitto
It reads packets, not payloads, so that what it does not spoil is the real broker's work, and what the platform then
holds is the proof. It holds its peer to what it granted: beyond Receive Maximum or Maximum Packet Size it hangs up
with the reason code of MQTT 5.0 section 4.13, as brokers newer than mosquitto 2.0 do.
"""

import asyncio
import contextlib
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from simulators.central.lab_ca import Pair

CONNACK, PUBLISH, PUBACK, DISCONNECT = 2, 3, 4, 14
NOBODY, DENIED, QUOTA = 0x10, 0x87, 0x97
TOO_MANY, TOO_LARGE = 0x93, 0x95
RECEIVE_MAXIMUM, PACKET_LIMIT = 0x21, 0x27
PACKET_IDS = 0x10000
REPEATED_FROM = 0x8000
"""Packet ids of the copies this broker makes; a box never has so many under way."""
_SIZES = {0x11: 4, 0x13: 2, 0x21: 2, 0x22: 2, 0x24: 1, 0x25: 1, 0x27: 4, 0x28: 1, 0x29: 1, 0x2A: 1}
_TEXTS = {0x12, 0x15, 0x16, 0x1A, 0x1C, 0x1F}
"""MQTT 5.0 section 2.2.2.2: properties of a CONNACK by their length; 0x26 is a pair of texts."""

Habit = Literal["refuse", "lose_puback", "swallow", "repeat", "break_off"]


class Packet(NamedTuple):
    """Fixed header's first byte, and what follows the remaining length."""

    first: int
    body: bytes

    @property
    def kind(self) -> int:
        """Of MQTT 5.0 section 2.1.2."""
        return self.first >> 4

    @property
    def publish_id(self) -> int:
        """Packet id of a PUBLISH with QoS 1 (section 3.3.2); 0 of one without."""
        if not self.first & 0x06:
            return 0
        at = 2 + int.from_bytes(self.body[:2], "big")
        return int.from_bytes(self.body[at : at + 2], "big")

    def renamed(self, number: int) -> "Packet":
        """The same PUBLISH under another packet id."""
        at = 2 + int.from_bytes(self.body[:2], "big")
        return Packet(self.first, self.body[:at] + number.to_bytes(2, "big") + self.body[at + 2 :])

    def topic(self) -> str:
        """Of a PUBLISH."""
        return self.body[2 : 2 + int.from_bytes(self.body[:2], "big")].decode("utf-8", "replace")

    def encode(self) -> bytes:
        """As it goes over the wire."""
        return bytes([self.first]) + _varint(len(self.body)) + self.body


def _varint(value: int) -> bytes:
    out = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        out.append(low | (0x80 if value else 0))
        if not value:
            return bytes(out)


def _take_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at, value, shift = at + 1, value | (byte & 0x7F) << shift, shift + 7
        if not byte & 0x80:
            return value, at


async def read_packet(reader: asyncio.StreamReader) -> Packet:
    """The next whole packet. Raises IncompleteReadError at the end."""
    first = (await reader.readexactly(1))[0]
    length = bytearray()
    while not length or length[-1] & 0x80:
        length += await reader.readexactly(1)
    return Packet(first, await reader.readexactly(_take_varint(bytes(length), 0)[0]))


def properties(connack: Packet) -> dict[int, bytes]:
    """Of a CONNACK, undecoded (MQTT 5.0 section 3.2.2.3)."""
    end, at = _take_varint(connack.body, 2)
    end += at
    found: dict[int, bytes] = {}
    while at < end:
        name = connack.body[at]
        size = _SIZES.get(name, 0)
        for _ in range(2 if name == 0x26 else 1 if name in _TEXTS else 0):
            size += 2 + int.from_bytes(connack.body[at + 1 + size : at + 3 + size], "big")
        found[name] = connack.body[at + 1 : at + 1 + size]
        at += 1 + size
    return found


def granting(connack: Packet, granted: dict[int, bytes]) -> Packet:
    """The same CONNACK with these properties in place of its own."""
    told = b"".join(bytes([name]) + value for name, value in (properties(connack) | granted).items())
    return Packet(connack.first, connack.body[:2] + _varint(len(told)) + told)


@dataclass
class _Call:
    """One box, connected."""

    box: asyncio.StreamWriter
    broker: asyncio.StreamWriter
    window: int = PACKET_IDS
    limit: int = 1 << 28
    under_way: set[int] = field(default_factory=set)
    unanswered: set[int] = field(default_factory=set)
    """Packet ids whose PUBACK the box shall not see."""
    copies: int = 0


class FaultyBroker:
    """Use `faulty_broker()`. A habit strikes the next so many frames (PUBLISH on `live` and `hist`); counts stay."""

    def __init__(self, broker_port: int, server: Pair, client: Pair, chain: Path) -> None:
        self._target = broker_port
        self._front = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._front.load_cert_chain(server.certificate, server.key)
        self._front.load_verify_locations(chain)
        self._front.verify_mode = ssl.CERT_REQUIRED
        self._back = ssl.create_default_context(cafile=str(chain))
        self._back.load_cert_chain(client.certificate, client.key)
        self._due: Counter[Habit] = Counter()
        self._code = QUOTA
        self._granted: dict[int, bytes] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.calls = 0
        self.publishes = 0
        self.struck: Counter[Habit] = Counter()
        self.most_under_way = 0
        self.largest = 0
        """Bytes of the largest packet a box sent."""
        self.broken_rules: Counter[int] = Counter()
        """Boxes hung up on, by reason code."""

    async def strike(self, habit: Habit, times: int, code: int = QUOTA) -> None:
        """Spoil the next so many frames in this way."""
        self._due[habit], self._code = times, code

    async def grant(self, *, receive_maximum: int = 0, packet_bytes: int = 0) -> None:
        """Tell boxes that connect from now on these limits, and hold them to it; 0 = as the real broker says."""
        self._granted = {}
        if receive_maximum:
            self._granted[RECEIVE_MAXIMUM] = receive_maximum.to_bytes(2, "big")
        if packet_bytes:
            self._granted[PACKET_LIMIT] = packet_bytes.to_bytes(4, "big")

    async def open(self, port: int) -> None:
        """Take calls."""
        server = await asyncio.start_server(self._call, "127.0.0.1", port, ssl=self._front)
        self.port, self._server = port, server

    async def close(self) -> None:
        """Leave nothing behind."""
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _call(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        self._tasks.add(task)
        self.calls += 1
        try:
            await self._relay(reader, writer)
        except asyncio.CancelledError:
            return  # the end; a cancelled task here is an error to asyncio
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("localhost", self._target, ssl=self._back)
        except OSError:
            return
        call = _Call(writer, far_writer)
        try:
            async with asyncio.TaskGroup() as pair:
                pair.create_task(self._upward(call, reader))
                pair.create_task(self._downward(call, far_reader))
        except* (OSError, asyncio.IncompleteReadError, _HungUp):
            pass
        finally:
            far_writer.transport.abort()

    async def _upward(self, call: _Call, reader: asyncio.StreamReader) -> None:
        while True:
            packet = await read_packet(reader)
            whole = packet.encode()
            self.largest = max(self.largest, len(whole))
            if len(whole) > call.limit:
                await self._hang_up(call, TOO_LARGE)
            if packet.kind == PUBLISH and packet.publish_id:
                await self._publish(call, packet)
            else:
                await _send(call.broker, whole)

    async def _publish(self, call: _Call, packet: Packet) -> None:
        number = packet.publish_id
        call.under_way.add(number)
        self.most_under_way = max(self.most_under_way, len(call.under_way))
        if len(call.under_way) > call.window:
            await self._hang_up(call, TOO_MANY)
        is_frame = packet.topic().split("/")[-2] in ("live", "hist")
        self.publishes += is_frame
        habit = next((one for one in self._due if self._due[one] > 0), None) if is_frame else None
        if habit is None:
            await _send(call.broker, packet.encode())
            return
        self._due[habit] -= 1
        self.struck[habit] += 1
        match habit:
            case "refuse":
                await self._answer(call, number)
            case "swallow":
                pass
            case "lose_puback":
                call.unanswered.add(number)
                await _send(call.broker, packet.encode())
            case "repeat":
                call.copies += 1
                copy = REPEATED_FROM + call.copies % REPEATED_FROM
                call.unanswered.add(copy)
                await _send(call.broker, packet.encode() + packet.renamed(copy).encode())
            case "break_off":
                whole = Packet(PUBACK << 4, number.to_bytes(2, "big") + bytes(2)).encode()
                await _send(call.box, whole[:3])
                raise _HungUp

    async def _answer(self, call: _Call, number: int) -> None:
        call.under_way.discard(number)
        await _send(call.box, Packet(PUBACK << 4, number.to_bytes(2, "big") + bytes([self._code, 0])).encode())

    async def _downward(self, call: _Call, reader: asyncio.StreamReader) -> None:
        while True:
            packet = await read_packet(reader)
            if packet.kind == CONNACK:
                packet = granting(packet, self._granted)
                told = properties(packet)
                call.window = int.from_bytes(told.get(RECEIVE_MAXIMUM, b"\xff\xff"), "big")
                call.limit = int.from_bytes(told.get(PACKET_LIMIT, b"\x10\x00\x00\x00"), "big")
            elif packet.kind == PUBACK:
                number = int.from_bytes(packet.body[:2], "big")
                if number in call.unanswered:
                    call.unanswered.discard(number)
                    continue
                call.under_way.discard(number)
            await _send(call.box, packet.encode())

    async def _hang_up(self, call: _Call, reason: int) -> None:
        self.broken_rules[reason] += 1
        await _send(call.box, Packet(DISCONNECT << 4, bytes([reason, 0])).encode())
        raise _HungUp


class _HungUp(Exception):
    """This side ended the call."""


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()


@asynccontextmanager
async def faulty_broker(
    port: int, broker_port: int, server: Pair, client: Pair, chain: Path
) -> AsyncIterator[FaultyBroker]:
    """One in front of a real broker's port; `client` is the box's own pair, which the real broker must see."""
    made = FaultyBroker(broker_port, server, client, chain)
    await made.open(port)
    try:
        yield made
    finally:
        with contextlib.suppress(OSError):
            await made.close()
