"""What a start finds on disk. Nothing found here keeps the spool from starting, and nothing is deleted.

Heads of all segments are read; read in full are only the last of each lane and those whose neighbour's head does not
tell where they end.
"""

import contextlib
from pathlib import Path

from msgspec import Struct

from drivers.observation import LANES, Gap, Lane
from gateway.spool.acked import Acked, Range
from gateway.spool.cursor import read_slots
from gateway.spool.disk import Disk
from gateway.spool.frame import LANE_CODE, Position
from gateway.spool.segment import (
    HEAD_BYTES,
    Name,
    Run,
    SegmentHead,
    Tail,
    named,
    parse_head,
    read_bytes,
    scan,
    seal,
)

CURSOR = "cursor"


class Recovery(Struct, frozen=True):
    """What the start found: for the journal, and the gaps for the event lane."""

    frames_kept: int = 0
    """Frames verified in the segments that were read in full."""
    tail_bytes_cut: int = 0
    segments_set_aside: int = 0
    gaps: tuple[Gap, ...] = ()
    is_identity_rebuilt: bool = False


class LaneFound(Struct):
    """One lane as it is on disk."""

    runs: list[Run]
    acked: Acked
    number: int
    """For the next segment."""
    previous: Tail
    frames_kept: int = 0
    tail_bytes_cut: int = 0
    set_aside: int = 0
    gaps: tuple[Gap, ...] = ()


def witnesses(folder: Path) -> list[tuple[str, int]]:
    """The (spool id, epoch) of every segment head and cursor slot, recycled segments and such set aside included.

    A file's name tells an epoch but no id: that stays empty.
    """
    seen: list[tuple[str, int]] = []
    for lane in LANES:
        for kind in ("seg", "free", "bad"):
            for name, path in named(folder / lane, kind):
                head = parse_head(read_bytes(path, HEAD_BYTES))
                seen.append((head.spool, head.epoch) if head else ("", name.epoch))
        seen += [(slot.spool, slot.epoch) for _, slot in read_slots(folder / lane / CURSOR, lane)]
    return seen


def gap(lane: Lane, epoch: int, first: int, last: int, reason: str) -> Gap:
    """Observations that will never come."""
    return Gap(validity="valid", reason=reason, gap_lane=lane, gap_epoch=epoch, first=first, last=last)


class LaneRecovery:
    """Recovers one lane; `found()` once."""

    def __init__(self, folder: Path, lane: Lane, spool: str, segment_bytes: int, disk: Disk) -> None:
        self._folder, self._lane, self._spool = folder, lane, spool
        self._segment_bytes, self._disk = segment_bytes, disk
        self._lost: list[Range] = []
        self._gaps: list[Gap] = []
        self._unreadable: set[int] = set()
        self._kept = self._cut = self._aside = 0

    def found(self) -> LaneFound:
        """Read, cut, set aside; returns the lane as it is then."""
        for _, path in named(self._folder, "new"):
            path.unlink(missing_ok=True)
        runs, heads = self._read()
        slots = [slot for _, slot in read_slots(self._folder / CURSOR, self._lane) if slot.spool == self._spool]
        acked = Acked(slots[-1].released, slots[-1].ranges) if slots else Acked()
        for lost in self._lost:
            if not acked.covers(*lost):
                acked.add(*lost)
                self._tell(*lost, "damaged")
        self._tell_jumps(runs, acked)
        self._tell_ends(runs, heads, acked)
        numbers = [name.number for kind in ("seg", "free", "bad") for name, _ in named(self._folder, kind)]
        return LaneFound(
            runs=runs,
            acked=acked,
            number=max(numbers, default=0) + 1,
            previous=runs[-1].tail() if runs else Tail(),
            frames_kept=self._kept,
            tail_bytes_cut=self._cut,
            set_aside=self._aside,
            gaps=tuple(self._gaps),
        )

    def _read(self) -> tuple[list[Run], list[SegmentHead]]:
        files = [each for name, path in named(self._folder, "seg") if (each := self._ours(name, path))]
        runs: list[Run] = []
        for at, (name, path, head) in enumerate(files):
            following = next((each for _, _, each in files[at + 1 :] if each), None)
            if following and following.previous.number < name.number:
                # Its successor names another predecessor: the disk refused it, nothing in it was confirmed.
                self._set_aside(path)
            elif head and following and following.previous.number == name.number:
                tail = following.previous
                runs.append(Run(path, name.number, head.epoch, head.first, tail.last, tail.end))
            else:
                run = self._scan(path, name, following)
                runs += [run] if run else []
        return runs, [head for *_, head in files if head]

    def _ours(self, name: Name, path: Path) -> tuple[Name, Path, SegmentHead | None] | None:
        """The file with its head, if that is good and its own; another spool's segment is set aside."""
        head = parse_head(read_bytes(path, HEAD_BYTES))
        if head and (head.spool, head.lane) != (self._spool, LANE_CODE[self._lane]):
            self._set_aside(path)
            return None
        return name, path, head if head and head.number == name.number else None

    def _scan(self, path: Path, name: Name, following: SegmentHead | None) -> Run | None:
        limit = Position(following.epoch, following.first - 1) if following else None
        seen = scan(path, self._lane, name, self._segment_bytes, limit)
        self._kept += seen.frames
        self._lost += [(seen.run.epoch, first, last) for first, last in seen.lost]
        if seen.is_blank:
            path.unlink(missing_ok=True)
            return None
        if following is None and seen.torn_bytes:
            # A commit that was never confirmed, or damage to one that was: nobody can tell, so it is told.
            first = seen.run.last + 1
            self._tell(seen.run.epoch, first, max(first, seen.torn_last), "torn_tail")
            self._cut += seen.torn_bytes if seen.frames else 0
        if not seen.frames:
            self._set_aside(path)
            self._unreadable.add(name.number)
            return None
        if following is None:
            with contextlib.suppress(OSError):  # it can be read as it is; the next start tries again
                seal(seen, self._lane, self._disk)
        return seen.run

    def _set_aside(self, path: Path) -> None:
        with contextlib.suppress(OSError):
            path.rename(path.with_suffix(".bad"))
        self._aside += 1

    def _tell(self, epoch: int, first: int, last: int, reason: str) -> None:
        self._gaps.append(gap(self._lane, epoch, first, last, reason))

    def _tell_jumps(self, runs: list[Run], acked: Acked) -> None:
        for one, two in zip(runs, runs[1:], strict=False):
            if one.epoch == two.epoch and two.first > one.last + 1 and two.start > acked.released:
                self._tell(one.epoch, one.last + 1, two.first - 1, "damaged")

    def _tell_ends(self, runs: list[Run], heads: list[SegmentHead], acked: Acked) -> None:
        """A lost segment was the last of its epoch, or the oldest: its successor's head knows how far it went."""
        ends = {run.epoch: run.last for run in runs}
        starts = {run.epoch: run.first for run in reversed(runs)}
        for previous in (head.previous for head in heads):
            epoch, done = previous.epoch, acked.released.seq if acked.released.epoch == previous.epoch else 0
            if ends.get(epoch, previous.last) < previous.last:
                self._tell(epoch, ends[epoch] + 1, previous.last, "damaged")
            elif previous.number in self._unreadable and starts.get(epoch, previous.last + 1) > previous.last > done:
                self._tell(epoch, done + 1, previous.last, "damaged")
