"""Ten real Erba sessions through a pty into the spool: random chunks, a fault at every frame, each result once."""

import asyncio
import os
import pty
import random
import tty
from decimal import Decimal
from io import StringIO
from pathlib import Path

import msgspec
import pytest

from drivers import catalog
from drivers.observation import AnyObservation, Result
from drivers.profile import ModemLines
from gateway.clock import Clock
from gateway.device import Setup, StreamDevice
from gateway.journal import Journal
from gateway.ports.gate import GatedPort, SendGate
from gateway.ports.serial import SerialPort
from gateway.spool.spool import Position, Spool

CAPTURES = Path(__file__).parents[2] / ".." / "shared" / "captures" / "erba_xl_astm"
ENQ, ACK, NAK, EOT = b"\x05", b"\x06", b"\x15", b"\x04"
VALUES = ["504", "474", "250", "480", "116", "1.1", "1.1", "17", "188", "84"]
ANSWER_S = 20.0
FAULTS = ("flipped_bit", "lost_ack", "noise_before", "reboot_in_frame", "session_again")

pytestmark = pytest.mark.skipif(not CAPTURES.exists(), reason="the recordings are not beside this checkout")


class Analyzer:
    """The instrument's side of E1381, sending recorded bytes and misbehaving once at each frame."""

    def __init__(self, line: int, seed: int) -> None:
        self._line, self._chance = line, random.Random(seed)

    async def deliver(self, recording: bytes, fault: str) -> None:
        frame = recording[1:-1]
        assert (recording[:1], recording[-1:]) == (ENQ, EOT)
        await self._expect(ENQ, ACK)
        match fault:
            case "flipped_bit":
                at = self._chance.randrange(10, len(frame) - 10)
                damaged = frame[:at] + bytes([frame[at] ^ 0x04]) + frame[at + 1 :]
                await self._expect(damaged, NAK)
            case "lost_ack":
                await self._expect(frame, ACK)
            case "noise_before":
                await self._write(bytes(self._chance.choice(b"\x00\xff\x15xyz") for _ in range(30)))
            case "reboot_in_frame":
                await self._write(frame[: len(frame) // 2])
                await self._expect(ENQ, ACK)
            case "session_again":
                await self._expect(frame, ACK)
                await self._write(EOT)
                await self._expect(ENQ, ACK)
        await self._expect(frame, ACK)
        await self._write(EOT)

    async def _write(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            size = self._chance.randint(1, 40)
            os.write(self._line, data[at : at + size])
            at += size
            await asyncio.sleep(0)

    async def _expect(self, data: bytes, answer: bytes) -> None:
        await self._write(data)
        async with asyncio.timeout(ANSWER_S):
            while True:
                try:
                    assert os.read(self._line, 1) == answer
                    return
                except BlockingIOError:
                    await asyncio.sleep(0.001)


async def through_the_line(folder: Path, seed: int) -> list[AnyObservation]:
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    os.set_blocking(ours, False)
    profile = catalog.profile("astm", "erba_xl")
    gate = SendGate(profile.allowed, profile.protocol.max_send_per_minute, may_send=True)
    port = GatedPort(SerialPort(os.ttyname(theirs), 9600, 8, "N", 1, ModemLines()), gate)
    spool = Spool.open(folder)
    device = StreamDevice(Setup("labo", profile, {}), port, spool, Clock(), Journal(StringIO()))
    tasks = [asyncio.create_task(spool.run()), asyncio.create_task(device.run())]
    while device.state.connection != "unknown":  # the port is open
        await asyncio.sleep(0.001)
    analyzer = Analyzer(ours, seed)
    for number, path in enumerate(sorted(CAPTURES.glob("*.bin"))):
        await analyzer.deliver(path.read_bytes(), FAULTS[(number + seed) % len(FAULTS)])
    for task in reversed(tasks):
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    frames = spool.frames_after("event", Position(0, 0), 1000)
    decoder = msgspec.json.Decoder(list[AnyObservation])
    kept = [seen for frame in frames for seen in decoder.decode(frame.payload)]
    await spool.close()
    os.close(ours)
    os.close(theirs)
    return kept


@pytest.mark.parametrize("seed", range(5))
def test_ten_results_exactly_once(tmp_path: Path, seed: int) -> None:
    kept = asyncio.run(through_the_line(tmp_path, seed))
    results = [seen for seen in kept if isinstance(seen, Result)]
    assert [result.value for result in results] == [Decimal(value) for value in VALUES]
    assert [str(result.value) for result in results] == VALUES
    assert len({result.identity for result in results}) == 10
    # Two flipped bits in ten frames: under the gate's law the line is doubted from the first one on, never believed.
    assert {result.validity for result in results} <= {"valid", "questionable"}
