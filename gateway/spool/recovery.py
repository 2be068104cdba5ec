"""What a start finds in a lane's folder. Nothing found here keeps the spool from starting.

Heads of all segments are read; read in full are only the last of each lane and those whose neighbour's head does not
tell where they end.
"""

import contextlib
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from drivers.observation import Gap, Lane
from gateway.errors import JisrError
from gateway.spool.acked import Acked, Range
from gateway.spool.aside import set_aside
from gateway.spool.cipher import Keyring, Origin
from gateway.spool.cursor import State, believed
from gateway.spool.disk import Disk
from gateway.spool.frame import LANE_CODE, Position
from gateway.spool.segment import (
    HEAD_BYTES,
    Name,
    Run,
    Scan,
    SegmentHead,
    Tail,
    is_genuine,
    is_newer,
    names,
    parse_head,
    read_bytes,
    scan,
    seal,
)

CURSOR = "cursor"
KINDS = ("seg", "free", "bad", "kept")


class Recovery(Struct, frozen=True):
    """What the start found: for the journal, and the gaps for the event lane."""

    frames_kept: int = 0
    """Frames verified in the segments that were read in full."""
    tail_bytes_cut: int = 0
    segments_set_aside: int = 0
    gaps: tuple[Gap, ...] = ()
    is_identity_rebuilt: bool = False
    notices: tuple[JisrError, ...] = ()
    """Sentences about what was found."""


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
    removed: int = 0
    gaps: tuple[Gap, ...] = ()


class Seals(Struct, frozen=True):
    """How to tell what is ours: keys, the epochs in which format 1 was written, and origins for damaged heads."""

    keyring: Keyring
    sealed_from: int
    origins: Mapping[int, Origin]

    def origin(self, epoch: int) -> Origin:
        """The origin of frames whose segment's head is damaged; where no other tells it, they cannot be opened."""
        if epoch < self.sealed_from:
            return Origin(epoch)
        return self.origins.get(epoch, Origin(epoch, 1))


def gap(lane: Lane, epoch: int, first: int, last: int, reason: str) -> Gap:
    """Observations that will never come."""
    return Gap(validity="valid", reason=reason, gap_lane=lane, gap_epoch=epoch, first=first, last=last)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


class LaneRecovery:
    """Recovers one lane; `found()` once."""

    def __init__(self, folder: Path, lane: Lane, seals: Seals, segment_bytes: int, disk: Disk) -> None:
        self._folder, self._lane, self._seals = folder, lane, seals
        self._segment_bytes, self._disk = segment_bytes, disk
        self._lost: list[Range] = []
        self._gaps: list[Gap] = []
        self._unreadable: set[int] = set()
        self._kept = self._cut = self._aside = self._removed = 0

    def found(self) -> LaneFound:
        """Read, cut, set aside; returns the lane as it is then."""
        for name in names(self._folder, "new"):
            name.path(self._folder, "new").unlink(missing_ok=True)
        runs, tails = self._read()
        slots = believed(self._folder / CURSOR, self._lane, self._seals.keyring, self._seals.sealed_from)
        state = slots[-1][1].state if slots else State()
        acked = Acked(state.released, state.ranges)
        for lost in self._lost:
            if not acked.covers(*lost):
                acked.add(*lost)
                self._tell(*lost, "damaged")
        self._tell_jumps(runs, acked)
        self._tell_ends(runs, tails, acked)
        highest = max((name.number for kind in KINDS for name in names(self._folder, kind)), default=0)
        self._tell_newest(runs, state.committed, acked)
        return LaneFound(
            runs=runs,
            acked=acked,
            number=max(state.segment, highest) + 1,
            previous=runs[-1].tail() if runs else Tail(),
            frames_kept=self._kept,
            tail_bytes_cut=self._cut,
            set_aside=self._aside,
            removed=self._removed,
            gaps=tuple(self._gaps),
        )

    def _read(self) -> tuple[list[Run], list[Tail]]:
        """The segments in order; and what heads tell of predecessors that are not there as they tell it.

        Backwards, so that each file is met when its successor's head is known, and only that one is held.
        """
        runs: list[Run] = []
        tails: dict[int, Tail] = {}
        following: SegmentHead | None = None
        for name in reversed(names(self._folder, "seg")):
            path = name.path(self._folder)
            is_ours, head = self._head(name, path)
            if not is_ours:
                continue
            tail = following.previous if following else Tail()
            if following and tail.number < name.number:
                # Its successor names another predecessor: the disk refused it, nothing in it was confirmed.
                self._set_aside(path)
            elif head and tail.number == name.number:
                runs.append(Run(self._folder, name.number, head.origin, head.first, tail.last, tail.end, _size(path)))
            else:
                run = self._scan(path, name, head, following)
                runs += [run] if run else []
                tails[tail.number] = tail
            following = head or following
        if following:
            tails[following.previous.number] = following.previous
        tails.pop(0, None)
        return runs[::-1], list(tails.values())[::-1]

    def _head(self, name: Name, path: Path) -> tuple[bool, SegmentHead | None]:
        """Whether the file is for us, and its head if that is genuine; another spool's or version's is set aside."""
        data = read_bytes(path, HEAD_BYTES)
        head, seals = parse_head(data), self._seals
        is_foreign = head and (head.spool, head.lane) != (seals.keyring.spool, LANE_CODE[self._lane])
        if is_foreign or is_newer(data):
            self._set_aside(path, is_kept=is_newer(data))
            return False, None
        if not head or head.number != name.number or not is_genuine(data, head, seals.keyring, seals.sealed_from):
            return True, None
        known = seals.origins.get(head.epoch)  # one for all segments of an epoch: there may be thousands
        return True, msgspec.structs.replace(head, origin=known) if known == head.origin else head

    def _scan(self, path: Path, name: Name, head: SegmentHead | None, following: SegmentHead | None) -> Run | None:
        limit = Position(following.epoch, following.first - 1) if following else None
        origin = head.origin if head else self._seals.origin(name.epoch)
        seen = scan(path, self._lane, name, origin, self._seals.keyring, self._segment_bytes, limit)
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
            self._set_aside(path, is_kept=seen.is_newer)
            self._unreadable.add(name.number)
            return None
        if following is None:
            self._close(seen)
        seen.run.is_newer = seen.is_newer
        return seen.run

    def _close(self, seen: Scan) -> None:
        if seen.is_newer:
            return  # not ours to cut
        with contextlib.suppress(OSError):  # it can be read as it is; the next start tries again
            seal(seen, self._lane, self._seals.keyring, self._disk)

    def _set_aside(self, path: Path, *, is_kept: bool = False) -> None:
        with contextlib.suppress(OSError):
            self._removed += set_aside(path, is_kept=is_kept)
        self._aside += 1

    def _tell(self, epoch: int, first: int, last: int, reason: str) -> None:
        self._gaps.append(gap(self._lane, epoch, first, last, reason))

    def _tell_jumps(self, runs: list[Run], acked: Acked) -> None:
        for one, two in zip(runs, runs[1:], strict=False):
            if one.epoch == two.epoch and two.first > one.last + 1 and two.start > acked.released:
                self._tell(one.epoch, one.last + 1, two.first - 1, "damaged")

    def _tell_ends(self, runs: list[Run], tails: list[Tail], acked: Acked) -> None:
        """A lost segment was the last of its epoch, or the oldest: its successor's head knows how far it went."""
        ends = {run.epoch: run.last for run in runs}
        starts = {run.epoch: run.first for run in reversed(runs)}
        for previous in tails:
            epoch, done = previous.epoch, acked.released.seq if acked.released.epoch == previous.epoch else 0
            if ends.get(epoch, previous.last) < previous.last:
                self._tell(epoch, ends[epoch] + 1, previous.last, "damaged")
            elif previous.number in self._unreadable and starts.get(epoch, previous.last + 1) > previous.last > done:
                self._tell(epoch, done + 1, previous.last, "damaged")

    def _tell_newest(self, runs: list[Run], committed: Position, acked: Acked) -> None:
        """The newest file is gone, or is an older copy of itself: only the cursor knows, as of its last writing."""
        epoch = committed.epoch
        if any(each.reason == "torn_tail" and each.gap_epoch == epoch for each in self._gaps):
            return
        stored = max([run.last for run in runs if run.epoch == epoch], default=0)
        for first, last in list(acked.missing(epoch, stored + 1, committed.seq)):
            acked.add(epoch, first, last, must=True)
            self._tell(epoch, first, last, "damaged")
