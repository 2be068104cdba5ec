"""One life of an agent's spool, in a process of its own: puts, commits, acknowledgements, an end good or bad.

    python -m tests.powercut.workload MOUNT MARKS PLAN

What it was promised it says in marks, which stand in the device's record at their place between writes and flushes;
a mark is in the record when the call that sets it returns.
"""

import asyncio
import ctypes
import os
import random
import sys
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from drivers.observation import LANES, AnyObservation, Lane, lane_of, to_json
from tests.powercut.content import NOBODY, make, number_of, split
from tests.powercut.device import set_mark
from tests.powercut.ledger import Acking, Ended, Kept, Mark, Opened, Putting, Returned, Saved, Shown

if TYPE_CHECKING:
    from gateway.spool.spool import Frame, Spool

SEGMENT = 8192
SECRET = bytes(range(32))
FEW: dict[Lane, int] = {"numeric": 5 * SEGMENT, "wave": 3 * SEGMENT, "log": 2 * SEGMENT}
"""Caps at which segments are given up all the time."""
OUTAGE_EVERY, OUTAGE_BEATS = 100, 55
"""In beats: how often the platform cannot be reached, and for how long."""
LIFE_NUMBERS = 1_000_000
_WRITE_OUT = 2


class Plan(Struct, frozen=True):
    """How a life goes."""

    life: int = 0
    seed: int = 1
    beats: int = 200
    ends: str = "close"
    """`close`, or `kill`: the process is gone in the middle of a commit."""
    flushes: int = 1
    """1: each flush is done; 16: each sixteenth, the others only say so; 0: none."""
    is_short: bool = False
    """The caps are FEW, so that what is not acknowledged is given up."""


def open_spool(folder: Path, *, is_short: bool = False, flush: Callable[[int], None] | None = None) -> "Spool":
    """As the agent does it, with small segments."""
    from gateway.spool.spool import Spool

    return Spool.open(
        folder,
        secret=SECRET,
        boot=uuid.uuid4().hex,
        caps=FEW if is_short else None,
        flush=flush or os.fdatasync,
        segment_bytes=SEGMENT,
    )


def lie(flushes: int) -> None:
    """Let fsync and fdatasync say more than they do. Before the spool is imported, or it holds the real ones."""
    count, honest = 0, (os.fsync, os.fdatasync)

    def sometimes(fd: int) -> None:
        nonlocal count
        count += 1
        if flushes and count % flushes == 0:
            honest[0](fd)

    os.__dict__.update(fsync=sometimes, fdatasync=sometimes)


class KernelWriteback(threading.Thread):
    """Writes dirty pages out without a flush, whenever it likes: what the kernel does in seconds, in milliseconds."""

    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__(daemon=True)
        self._folder, self._dice = folder, random.Random(seed)
        self._rest = threading.Event()
        self._write_out = ctypes.CDLL(None).sync_file_range
        self._write_out.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)

    def run(self) -> None:
        """Until the process ends."""
        while True:
            self._rest.wait(self._dice.uniform(0.0, 0.004))
            files = [path for path in self._folder.glob("*/*") if path.is_file()]
            if not files:
                continue
            try:
                fd = os.open(self._dice.choice(files), os.O_RDONLY)
            except OSError:
                continue  # recycled meanwhile
            self._write_out(fd, 0, 0, _WRITE_OUT)
            os.close(fd)


class Life:
    """Drives one open spool."""

    def __init__(self, spool: "Spool", marks: int, plan: Plan) -> None:
        self.spool, self._marks, self._plan = spool, marks, plan
        self._dice = random.Random(f"{plan.seed}/{plan.life}")
        self._number = plan.life * LIFE_NUMBERS
        spool.listen(self._committed)

    def mark(self, mark: Mark) -> None:
        """Returns when it is in the record."""
        set_mark(self._marks, msgspec.json.encode(mark))

    async def begin(self) -> None:
        """What an agent does first: tell what the start found."""
        self.mark(Opened(self.spool.id, self.spool.epoch))
        self._show()
        if self.spool.recovery.gaps:
            await self.spool.put(self.spool.recovery.gaps)

    async def end(self) -> None:
        """As the plan says."""
        if self._plan.ends == "kill":
            doomed = asyncio.create_task(self.put(40))
            await asyncio.wait({doomed}, timeout=self._dice.uniform(0.0, 0.002))
            os._exit(0)
        await self.spool.close()
        self._save()

    async def run(self) -> None:
        """All of it."""
        await self.begin()
        for number in range(1, self._plan.beats + 1):
            await self.beat(number)
        await self.end()

    async def beat(self, beat: int) -> None:
        """What a second of a box may hold. Raises CommitRefused."""
        dice = self._dice
        await asyncio.gather(*(self.put(dice.randrange(1, 8)) for _ in range(dice.choice((0, 1, 1, 2)))))
        if dice.random() < 0.03:
            await self.put(120)  # more than a segment holds: one commit of several frames
        if dice.random() < 0.05:
            await self.spool.commit_now()
        if beat % OUTAGE_EVERY >= OUTAGE_BEATS:
            phase = beat // OUTAGE_EVERY + self._plan.life
            for number, lane in enumerate(LANES):
                if dice.random() < 0.4:
                    self._acknowledge_some(lane, is_comb=(phase + number) % 2 == 0)
            if dice.random() < 0.03:
                self._acknowledge_all()
        await self.spool.tick(60 if beat % 25 == 0 else beat % 60)
        if beat % 25 == 0:
            self._save()

    async def put(self, count: int) -> None:
        """So many fresh observations at once. Raises CommitRefused."""
        first = self._number + 1
        self._number += count
        self.mark(Putting(first, self._number))
        fresh = [make(number) for number in range(first, first + count)]
        await self.spool.put(fresh)
        events = tuple(number for number, each in enumerate(fresh, first) if lane_of(each) == "event")
        if events:
            self.mark(Returned(events))

    def _acknowledge_some(self, lane: Lane, *, is_comb: bool) -> None:
        """Up to some frame that waits, but for some; a comb of holes makes a cursor slot longer than a sector."""
        dice = self._dice
        waiting = self.spool.frames_after(lane, self.spool.released(lane), 200)
        if not waiting:
            return
        frame = dice.choice(waiting[-dice.choice((3, 200)) :])
        if is_comb:
            holes = tuple((low, low) for low in range(4, frame.last, 4))[-60:]
        else:
            lows = sorted(dice.randrange(1, frame.last + 1) for _ in range(dice.choice((0, 3))))
            holes = tuple((low, low + dice.randrange(3)) for low in lows)
        epoch = frame.epoch if dice.random() < 0.95 else frame.epoch + 7  # which is nobody's: nothing may come of it
        self._acknowledge(Acking(lane, epoch, frame.last, holes))

    def _acknowledge_all(self) -> None:
        for lane in LANES:
            after = self.spool.released(lane)
            while frames := self.spool.frames_after(lane, after, 50):
                for frame in frames:
                    self._acknowledge(Acking(lane, frame.epoch, frame.last))
                after = type(after)(frames[-1].epoch, frames[-1].last)

    def _acknowledge(self, ack: Acking) -> None:
        self.mark(ack)
        self.spool.acknowledge(ack.lane, ack.epoch, ack.upto, ack.holes)

    def _committed(self, lane: Lane, first: int, observations: tuple[AnyObservation, ...]) -> None:
        self.mark(Kept(lane, self.spool.epoch, first, tuple(word(to_json(each)) for each in observations)))

    def _show(self) -> None:
        for lane in LANES:
            for frame in everything(self.spool, lane):
                what = tuple(word(text) for text in split(frame.payload))
                self.mark(Shown(lane, frame.epoch, frame.first, what))

    def _save(self) -> None:
        points = {lane: self.spool.released(lane) for lane in LANES}
        self.mark(Saved({lane: (point.epoch, point.seq) for lane, point in points.items()}))


def everything(spool: "Spool", lane: Lane) -> "list[Frame]":
    """All frames the lane gives, in its order, from the very beginning."""
    from gateway.spool.spool import Position

    found: list[Frame] = []
    after = Position(0, 0)
    while frames := spool.frames_after(lane, after, 20):
        found += frames
        after = Position(frames[-1].epoch, frames[-1].last)
    return found


def word(text: bytes) -> int | str:
    """What a mark says of an observation as it stands on disk: its number, or all of it where it has none."""
    number = number_of(text)
    return text.decode("utf-8", "replace") if number == NOBODY else number


def main(mount: Path, marks: Path, plan: Plan) -> None:
    """One life."""
    if plan.flushes != 1:
        lie(plan.flushes)
    folder = mount / "spool"
    KernelWriteback(folder, plan.seed).start()
    fd = os.open(marks, os.O_WRONLY)

    async def live() -> None:
        life = Life(open_spool(folder, is_short=plan.is_short), fd, plan)
        await life.run()
        life.mark(Ended())

    asyncio.run(live())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), msgspec.json.decode(sys.argv[3], type=Plan))
