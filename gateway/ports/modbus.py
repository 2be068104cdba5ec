"""Modbus ports: one read at a time over TCP, RTU or ASCII, and nothing but reads.

    TCP    transaction(2) 0000 length(2) unit(1) │ function(1) address(2) count(2) │
    RTU                                  unit(1) │ function(1) address(2) count(2) │ CRC(2)
    ASCII  ':'                           unit(2) │ the same in hexadecimal digits  │ LRC(2) CR LF

Frames are built and verified by pymodbus (3.16.1 or newer: older ones need seconds for a noisy kilobyte); bytes go
through the same serial and TCP ports as every other device's. Every byte towards the device passes the send gate of
`GatedPort`, whose rules here are the three frames above with function codes 1 to 4 and this device's unit: a frame
that would write cannot leave, whoever made it.
(MODBUS Messaging on TCP/IP V1.0b, section 3; MODBUS over Serial Line V1.02, section 2.5.)
"""

import asyncio
import logging
import re
import time
from collections.abc import Callable

from pymodbus.exceptions import ModbusException
from pymodbus.framer import FramerAscii, FramerBase, FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU

from drivers.contract import Block, Read, Table
from drivers.observation import SourceAuth
from drivers.profile import Allowed, Profile
from gateway.config import DeviceConfig, PortAddress, line_settings, may_send
from gateway.ports.gate import GatedPort, SendGate, Trace
from gateway.ports.port import PortLost, StreamPort
from gateway.ports.serial import SerialPort
from gateway.ports.tcp import TcpPort

FUNCTIONS: dict[Table, int] = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}
BITS: tuple[Table, ...] = ("coil", "discrete")
MOST_REGISTERS, MOST_COILS = 125, 2000
ANSWER_S = 2.0
"""How long a device may think. On a serial line the time of the longest frame comes on top."""
LONGEST_FRAME_BITS = 11 * 260
HEARD_FRAMES = 4
"""Bytes heard for one request, in longest frames: what says more than this is not answering."""
SILENT_CHARACTERS = 3.5
FASTEST_SILENCE_S = 0.00175
"""MODBUS over Serial Line V1.02, section 2.5.1.1: 3.5 characters, fixed 1.750 ms above 19200 baud."""

logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
"""pymodbus writes the bytes of every damaged frame to its log; what came is counted here, and traced on demand."""

_FRAMERS: dict[str, type[FramerBase]] = {
    "modbus-tcp": FramerSocket,
    "modbus-rtu": FramerRTU,
    "modbus-ascii": FramerAscii,
}


def read_rules(kind: str, unit: int) -> tuple[Allowed, ...]:
    """All that may be sent: a read of one of the four tables from this unit, as one whole frame."""
    one = re.escape(bytes([unit])).decode("latin-1")
    patterns = {
        "modbus-tcp": rf"..\x00\x00\x00\x06{one}[\x01-\x04].{{4}}",
        "modbus-rtu": rf"{one}[\x01-\x04].{{6}}",
        "modbus-ascii": rf":{unit:02X}0[1-4][0-9A-F]{{10}}\r\n",
    }
    return (Allowed("read", pattern=patterns[kind]),)


class ModbusPort:
    """Reads register blocks of one unit. A device that refuses is a block with an error; a lost port is raised."""

    def __init__(
        self,
        address: PortAddress,
        device: DeviceConfig,
        profile: Profile,
        trace: Trace | None = None,
        *,
        answer_s: float | None = None,
        mono: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = device.port
        self._unit = int({"unit": 1, **profile.options, **device.options}["unit"])
        self._kind, self._mono = address.kind, mono
        self._framer = _FRAMERS[address.kind](DecodePDU(False))
        stream, self._silence_s, longest_s = _stream(address, device, profile)
        stream.name = self.name
        self.source_auth: SourceAuth = stream.source_auth
        self._answer_s = ANSWER_S + longest_s if answer_s is None else answer_s
        gate = SendGate(
            read_rules(address.kind, self._unit), profile.protocol.max_send_per_minute, may_send=may_send(device)
        )
        self._port = GatedPort(stream, gate, trace)
        self._transaction = 0
        self._late_until = 0.0
        self._is_open = False

    async def open(self) -> None:
        """Be connected. Raises a `PortError`."""
        await self._port.open()
        self._is_open = True

    async def close(self) -> None:
        """Let go; `open()` may follow. Harmless when it is closed."""
        self._is_open = False
        await self._port.close()

    async def release(self) -> None:
        """The same as `close()`."""
        await self.close()

    async def read(self, request: Read) -> Block:
        """One block, or why there is none. Raises a `PortError` when the port itself is gone.

        Errors: `exception_<n>` as the device said it; `timeout` for silence; `unverified` for bytes that were no
        answer; `not_allowed`, `too_often`, `listen_only` for a request that was not sent.
        """
        if not 1 <= request.count <= (MOST_COILS if request.table in BITS else MOST_REGISTERS):
            return Block(request, error="not_allowed")
        if not await self._line_is_still():
            return Block(request, error="unverified")
        verdict = await self.execute(FUNCTIONS[request.table], request.address, request.count)
        if verdict != "sent":
            return Block(request, error=verdict)
        block = await self._answer(request)
        if block.error in ("timeout", "unverified"):
            await self._drop_late_answer()
        return block

    async def execute(self, function: int, address: int, count: int) -> str:
        """The one place that sends. What is not a read of this unit, or comes too often, the gate holds back."""
        self._transaction = self._transaction % 0xFFFF + 1
        pdu = bytes([function]) + address.to_bytes(2, "big") + count.to_bytes(2, "big")
        return await self._port.write(self._framer.encode(pdu, self._unit, self._transaction), self._mono())

    async def _line_is_still(self) -> bool:
        """Drop what nobody asked for, until the line is silent; False if it never is (noise, a second master)."""
        try:
            if not self._is_open:
                await self.open()
            end = self._mono() + self._silence_s + self._answer_s
            while (now := self._mono()) <= max(end, self._late_until):
                try:
                    async with asyncio.timeout(max(self._silence_s, self._late_until - now)):
                        await self._port.read()
                except TimeoutError:
                    return True
        except PortLost:
            if self._kind != "modbus-tcp":
                raise
            await self.close()  # many devices end an idle connection: that is no fault
            await self.open()
            return True
        return False

    async def _drop_late_answer(self) -> None:
        """An answer that comes late would be taken for the next one's: RTU and ASCII carry no number to tell them."""
        if self._kind == "modbus-tcp":
            await self.close()
        else:
            self._late_until = self._mono() + self._answer_s

    async def _answer(self, request: Read) -> Block:
        buffer, heard = b"", 0
        try:
            async with asyncio.timeout(self._answer_s):
                while heard <= HEARD_FRAMES * self._framer.MAX_SIZE:
                    data = await self._port.read()
                    heard += len(data)
                    buffer, block = self._take(buffer + data, request)
                    if block:
                        return block
        except TimeoutError:
            return Block(request, error="unverified" if heard else "timeout")
        return Block(request, error="unverified")

    def _take(self, buffer: bytes, request: Read) -> tuple[bytes, Block | None]:
        """The block in these bytes if its frame is whole and right, and the bytes to keep for the next time."""
        while buffer:
            try:
                used, unit, transaction, body = self._framer.decode(buffer)
            except (ModbusException, ValueError, IndexError):  # noise that looks like the head of a frame
                return b"", None
            if not body:
                rest = buffer[used:]
                return (rest if len(rest) <= self._framer.MAX_SIZE else b""), None
            buffer = buffer[used:]
            is_ours = unit == self._unit and transaction == (self._transaction if self._kind == "modbus-tcp" else 0)
            if is_ours:
                return buffer, read_answer(request, body, is_ascii=self._kind == "modbus-ascii")
        return b"", None


def read_answer(request: Read, body: bytes, *, is_ascii: bool = False) -> Block:
    """The block in a verified answer; `unverified` where function or length are not those of the request.

    Thermo TSX and TDE freezers count hexadecimal characters instead of bytes in ASCII answers of several bytes, and
    their LRC is right for that count (TSX manual, appendix D: all nine printed replies).
    """
    function = FUNCTIONS[request.table]
    if len(body) == 2 and body[0] == function | 0x80:
        return Block(request, error=f"exception_{body[1]}")
    size = (request.count + 7) // 8 if request.table in BITS else 2 * request.count
    counts = (size, 2 * size) if is_ascii else (size,)
    if len(body) != 2 + size or body[0] != function or body[1] not in counts:
        return Block(request, error="unverified")
    data = body[2:]
    if request.table in BITS:
        return Block(request, tuple(data[at // 8] >> at % 8 & 1 for at in range(request.count)))
    return Block(request, tuple(data[at] << 8 | data[at + 1] for at in range(0, size, 2)))


def _stream(address: PortAddress, device: DeviceConfig, profile: Profile) -> tuple[StreamPort, float, float]:
    """The bytes below, the silence before a request, and how long the longest frame takes."""
    if address.kind == "modbus-tcp":
        return TcpPort(address.host, address.port), 0.0, 0.0
    line = line_settings(device)
    character_s = (2 + line.bits + line.stop - (line.parity == "N")) / line.baud
    silence_s = max(SILENT_CHARACTERS * character_s, FASTEST_SILENCE_S)
    port = SerialPort(address.path, line.baud, line.bits, line.parity, line.stop, profile.modem)
    return port, silence_s, LONGEST_FRAME_BITS / line.baud
