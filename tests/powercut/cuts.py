"""Power cuts: what a device may hold when the power goes at some point of its record.

All that a completed flush covers stands. Of each sector written since, the old content or any that was written since
may stand, whatever the order of the writes was: a device's cache writes back as it likes. So keeping or dropping each
written sector, in the order of the record, makes every image that a reordering could make. A sector is whole or not
there: 512 bytes.

But for one pair: the superblock of ext4 fills two sectors, and a kernel that finds it torn refuses the mount before
it looks at the journal, which would mend it. A card's page holds both. Where one is torn all the same, `e2fsck -y`
mends it with a backup superblock, which `-p` does not try: that is the image's business, nothing the spool could do.
"""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from tests.powercut.ledger import Ledger
from tests.powercut.record import FLUSH, MARK, WRITE, Entry, read_log

SECTOR = 512
SUPERBLOCK = 1024
"""Its place, and its length."""
MODES = ("none", "all", "prefix", "torn", "subset", "sectors", "sectors")
BEFORE_FLUSH, AFTER_ACK = 0.4, 0.3
"""Shares of cuts at the worst moments: all of a commit was written and nothing flushed; and the beats after
an acknowledgement, when cursors move and segments are used again."""
ACK_ENTRIES = 40


class Cut(Struct, frozen=True):
    """One power cut: before entry `at` of the record; seed and number choose what survives."""

    seed: int
    number: int
    at: int
    mode: str = ""
    """What survives; empty: one of MODES."""

    def dice(self) -> random.Random:
        """The same for the same cut."""
        return random.Random(f"{self.seed}/{self.number}")


class Image(Struct):
    """What is left on the medium after a cut, and what the spool on it must be held to."""

    cut: Cut
    mode: str
    pending: int
    """Writes that no flush covered."""
    content: bytearray
    ledger: Ledger


class Record:
    """A device's record, and where the workload began and ended in it."""

    def __init__(self, log: Path, size: int, before: Path | None = None, ledger: Ledger | None = None) -> None:
        """`before`: what the device held when the record began, and `ledger` what had been promised by then.

        Cuts are made from the first mark on; with `before` from the first write, so that a start is cut too.
        """
        self.entries = read_log(log)
        marks = [at for at, entry in enumerate(self.entries) if entry.kind == MARK]
        self.marks, self.end = marks, marks[-1] + 1
        self.start = 0 if before else marks[0] + 1
        self._flushes = [at for at in range(self.start, self.end) if self.entries[at].kind == FLUSH]
        self._acks = [at for at in marks[1:] if b'"Acking"' in self.entries[at].data]
        self._content = bytearray(before.read_bytes() if before else size)
        self._ledger = ledger or Ledger()

    def choose(self, seed: int, numbers: Sequence[int]) -> list[Cut]:
        """A cut for each number, in the order of the record."""
        cuts = []
        for number in numbers:
            dice = random.Random(f"where/{seed}/{number}")
            kind, at = dice.random(), dice.randrange(self.start, self.end + 1)
            if kind < BEFORE_FLUSH and self._flushes:
                at = dice.choice(self._flushes)
            elif kind < BEFORE_FLUSH + AFTER_ACK and self._acks:
                at = min(dice.choice(self._acks) + dice.randrange(ACK_ENTRIES), self.end)
            cuts.append(Cut(seed, number, at))
        return sorted(cuts, key=lambda cut: cut.at)

    def images(self, cuts: Sequence[Cut]) -> Iterator[Image]:
        """The image of each cut; they must be in the order of the record."""
        at, pending = 0, list[Entry]()
        for cut in cuts:
            for entry in self.entries[at : cut.at]:
                if entry.kind == WRITE:
                    pending.append(entry)
                elif entry.kind == FLUSH:
                    for write in pending:
                        _apply(self._content, write)
                    pending.clear()
                else:
                    self._ledger.read(entry.data)
            at = cut.at
            content, dice = bytearray(self._content), cut.dice()
            mode = cut.mode or dice.choice(MODES)
            for write in survivors(pending, mode, dice):
                _apply(content, write)
            yield Image(cut, mode, len(pending), content, self._ledger.copy())


def survivors(pending: Sequence[Entry], mode: str, dice: random.Random) -> Iterator[Entry]:
    """What of the writes since the last flush is on the medium."""
    if mode == "none" or not pending:
        return
    if mode == "all":
        yield from pending
    elif mode in ("prefix", "torn"):
        count = dice.randrange(len(pending) + 1)
        yield from pending[:count]
        if mode == "torn" and count < len(pending):
            write = pending[count]
            sectors = list(_sectors(write))
            yield from sectors[: dice.randrange(len(sectors))]
    else:
        share = dice.choice((0.1, 0.5, 0.9))
        for write in pending:
            if mode == "sectors":
                yield from (each for each in _sectors(write) if dice.random() < share)
            elif dice.random() < share:
                yield write


def _sectors(write: Entry) -> Iterator[Entry]:
    at = 0
    while at < len(write.data):
        size = SUPERBLOCK if write.offset + at == SUPERBLOCK else SECTOR
        yield Entry(WRITE, write.offset + at, write.data[at : at + size])
        at += size


def _apply(content: bytearray, write: Entry) -> None:
    content[write.offset : write.offset + len(write.data)] = write.data
