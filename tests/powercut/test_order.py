"""Commit, then speak (law 4): no byte that tells an analyzer "I have it" before its results are on the medium.

The real device task with the ASTM driver, on a pty, its spool on the recording device. Each time bytes are about to
go to the analyzer, a mark says so in the device's record. Then the power goes at each of these marks, and nothing
survives that no flush covers: the results of every message that was heard to its end by then must be there.
"""

import asyncio
import os
import re
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import msgspec

from drivers import catalog
from drivers.observation import Result, from_json
from drivers.profile import ModemLines
from gateway.clock import Clock
from gateway.device import Setup, StreamDevice
from gateway.journal import Journal
from gateway.ports.gate import GatedPort, SendGate
from gateway.ports.serial import SerialPort
from simulators.devices.astm import ACK, Astm
from simulators.devices.runner import pty_line
from tests.powercut.content import split
from tests.powercut.cuts import Cut, Record
from tests.powercut.device import RecordingDevice, set_mark
from tests.powercut.judge import SIZE
from tests.powercut.ledger import Ended, Speaking
from tests.powercut.record import MARK
from tests.powercut.workload import everything, open_spool

MESSAGES = 10
WAIT_S = 60.0
_RECORD = re.compile(rb"\x02[0-7]([A-Z])\|")


class MarkedPort(SerialPort):
    """A serial port that sets a mark before it says anything, and counts the results it heard in whole messages."""

    def __init__(self, path: Path, marks: int) -> None:
        super().__init__(str(path), 9600, 8, "N", 1, ModemLines())
        self._marks, self._heard, self._whole, self._open = marks, b"", 0, 0

    async def read(self) -> bytes:
        """See `SerialPort`. An `L` record ends a message, in a frame of its own (`framing`: record)."""
        data = await super().read()
        self._heard += data
        for found in _RECORD.finditer(self._heard):
            if found[1] == b"H":
                self._open = 0
            self._open += found[1] == b"R"
            if found[1] == b"L":
                self._whole, self._open = self._whole + self._open, 0
        self._heard = self._heard[-3:] if not _RECORD.search(self._heard[-4:]) else b""
        return data

    async def write(self, data: bytes) -> None:
        """See `SerialPort`."""
        set_mark(self._marks, msgspec.json.encode(Speaking(data.hex(), self._whole)))
        await super().write(data)


async def serve(device: RecordingDevice, folder: Path, flush: Callable[[int], None]) -> int:
    """An analyzer sends its messages to the box; returns how many results it believes to be safe."""
    patience = {"reply_timeout_s": "2", "repeat_after_s": "0.1"}  # what it says before the port is open is lost
    chosen = {"profile": "erba_xl", "framing": "record", "count": str(MESSAGES), "every_s": "0.01"}
    simulator = Astm(3, options=chosen | patience)
    link, marks = folder / "analyzer", os.open(device.marks, os.O_WRONLY)
    profile = catalog.profile("astm", "erba_xl")
    gate = SendGate(profile.allowed, 100_000, may_send=True)
    spool = open_spool(device.mount / "spool", flush=flush)
    async with pty_line(simulator, link), asyncio.timeout(WAIT_S):
        port = GatedPort(MarkedPort(link, marks), gate)
        task = asyncio.create_task(
            StreamDevice(Setup("labo", profile, {}), port, spool, Clock(), Journal(StringIO())).run()
        )
        while not simulator.is_finished:
            await asyncio.sleep(0.01)
        set_mark(marks, msgspec.json.encode(Ended()))
        task.cancel()
        await asyncio.wait({task})
    await spool.close()
    os.close(marks)
    return len(simulator.sent)


def acknowledgements(folder: Path) -> list[tuple[int, int]]:
    """Places in the record where an ACK was about to go out, and how many results had to be on the medium by then."""
    found = []
    for at, entry in enumerate(Record(folder / "log", SIZE).entries):
        if entry.kind == MARK:
            mark = msgspec.json.decode(entry.data, type=Speaking | Ended)
            if isinstance(mark, Speaking) and bytes.fromhex(mark.data)[-1] == ACK:
                found.append((at, mark.heard))
    return found


def on_the_medium(folder: Path, at: int) -> int:
    """Results that a start finds if the power goes there and only what was flushed survives."""
    (image,) = Record(folder / "log", SIZE).images([Cut(0, at, at, "none")])
    cut = folder / f"cut-{at}"
    cut.mkdir()
    (cut / "image").write_bytes(image.content)
    with RecordingDevice(cut, image=cut / "image", is_kept=False) as device:
        spool = open_spool(device.mount / "spool")
        texts = [text for frame in everything(spool, "event") for text in split(frame.payload)]
        asyncio.run(spool.close())
    return sum(isinstance(from_json(text), Result) for text in texts)


def promises(folder: Path, flush: Callable[[int], None] = os.fdatasync) -> list[tuple[int, int]]:
    """For each ACK that confirms a message: results heard by then, results on the medium by then."""
    with RecordingDevice(folder, SIZE) as device:
        believed = asyncio.run(serve(device, folder, flush))
        device.counters()
    places, last, found = acknowledgements(folder), 0, []
    for at, heard in places:
        if heard > last:
            found.append((heard, on_the_medium(folder, at)))
        last = heard
    assert last == believed > MESSAGES
    assert len(places) > 3 * MESSAGES, "each record is a frame of its own, and ENQ is answered too"
    return found


def test_an_analyzer_hears_ack_only_when_its_results_are_on_the_medium(tmp_path: Path) -> None:
    found = promises(tmp_path)
    assert len(found) == MESSAGES
    assert [heard for heard, stored in found if stored < heard] == []


def test_without_flushes_the_same_finds_acks_that_were_too_early(tmp_path: Path) -> None:
    """The control."""
    found = promises(tmp_path, flush=lambda _fd: None)
    assert len(found) == MESSAGES
    assert sum(stored < heard for heard, stored in found) > MESSAGES // 2
