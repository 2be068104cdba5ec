"""A spool as it lies on disk, for people and couriers: read only, no lock taken, with or without a running agent.

Nothing is written and nothing is kept open. An agent may commit, release and recycle meanwhile: a file that is gone,
or that begins another life, while it is read is passed over, for what it held was released; and the tail of a lane
that is being written counts as far as it is whole.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from drivers.observation import LANES, Lane
from gateway.spool.acked import Acked
from gateway.spool.cipher import BlindOpener, CrcOpener, Keyring, Opener, Origin
from gateway.spool.cursor import believed, read_slots
from gateway.spool.frame import CRC_VERSION, LANE_CODE, VERSION, Frame, Position, Walk
from gateway.spool.identity import LINE_BYTES, NAME, Identity, origins_of, parse_identity
from gateway.spool.identity import is_genuine as is_genuine_identity
from gateway.spool.recovery import CURSOR, Seals
from gateway.spool.segment import (
    HEAD_BYTES,
    SCAN_BYTES,
    Name,
    SegmentHead,
    is_genuine,
    is_newer,
    named,
    parse_head,
    read_bytes,
)

LOCKS = Path("/proc/locks")
REREADS = 5
"""A tail that looks torn or unwritten may be in the middle of a commit: it is read again so many times."""

State = Literal["good", "damaged", "torn", "sealed", "blank", "foreign", "newer", "unconfirmed"]
"""`torn`: bytes behind the last frame that are none · `sealed`: the secret is not here, so that nothing was verified
but the heads' CRC · `blank`: never written · `foreign`: of another spool or lane · `newer`: of a later version ·
`unconfirmed`: given up before anything in it was confirmed."""
Key = Literal["fits", "other", "none"]
"""What the secret that was given is to this spool."""


class SegmentSeen(Struct, frozen=True):
    """One segment file as it is now; `first` to `last` are observations, `bytes` those of its frames."""

    file: str
    number: int
    epoch: int
    first: int
    last: int
    frames: int
    bytes: int
    state: State
    version: int = 0
    suite: int = 0
    lost: tuple[tuple[int, int], ...] = ()
    """Observations in it that cannot be read."""


class LaneSeen(Struct, frozen=True):
    """One lane's files and cursor."""

    lane: Lane
    segments: tuple[SegmentSeen, ...]
    acked: Acked
    free: int
    aside: tuple[str, ...]
    """Files that were set aside: `.bad`, or `.kept` of a later version."""

    @property
    def waiting(self) -> int:
        """Observations on disk that the platform has not acknowledged."""
        return sum(_unacknowledged(segment, self.acked) for segment in self.segments)

    @property
    def missing(self) -> tuple[tuple[int, int, int], ...]:
        """Epoch, first, last: numbers between two files that no file holds, and that nobody acknowledged."""
        pairs = zip(self.segments, self.segments[1:], strict=False)
        jumps = [
            (one.epoch, one.last + 1, two.first - 1)
            for one, two in pairs
            if one.epoch == two.epoch and two.first > one.last + 1
        ]
        return tuple(jump for jump in jumps if not self.acked.covers(*jump))


class Unreadable(Struct, frozen=True):
    """Observations that are on disk and cannot be read."""

    epoch: int
    first: int
    last: int
    reason: Literal["damaged", "sealed"]


class _Reading(Struct):
    """What the walk over one file found."""

    seen: SegmentSeen
    frames: list[Frame]
    is_leftover: bool = False
    """It has a new name and still the content of its earlier life: nothing was written yet."""


class SpoolReader:
    """One spool's folder. Without its secret only heads are read, and what is sealed is told as that."""

    def __init__(
        self, folder: Path, secret: bytes | None = None, on_read: Callable[[int], None] = lambda _bytes: None
    ) -> None:
        """`on_read` is told the length of each file that was read."""
        self.folder, self._on_read = folder, on_read
        self.identity: Identity | None = parse_identity(read_bytes(folder / NAME, 2 * LINE_BYTES))
        heads = self._heads()
        newest = max((head for _, head in heads), key=lambda head: head.epoch, default=None)
        self.id = self.identity.id if self.identity else newest.spool if newest else ""
        self._seals = self._sealed_with(secret, heads) if secret is not None and self.id else None
        self.key: Key = "none" if secret is None else "fits" if self._seals else "other"

    def is_spool(self) -> bool:
        """Whether anything here looks like one."""
        return self.identity is not None or any((self.folder / lane).is_dir() for lane in LANES)

    def is_running(self) -> bool:
        """Whether an agent has it: asked of the kernel, because trying the lock could be in an agent's way."""
        stat = self.folder.stat()
        device = f"{os.major(stat.st_dev):02x}:{os.minor(stat.st_dev):02x}:{stat.st_ino}"
        try:
            lines = LOCKS.read_text(encoding="ascii").splitlines()
        except OSError:
            return False
        return any("FLOCK" in line and device in line.split() for line in lines)

    def size(self) -> int:
        """Bytes of all segments, to tell how long reading takes."""
        return sum(_length(path) for lane in LANES for _, path in named(self.folder / lane, "seg"))

    def lane(self, lane: Lane) -> LaneSeen:
        """What is there of one lane; every frame of it is read."""
        folder = self.folder / lane
        return LaneSeen(
            lane=lane,
            segments=tuple(reading.seen for reading in self._readings(lane)),
            acked=self.acked(lane),
            free=len(named(folder, "free")),
            aside=tuple(path.name for kind in ("bad", "kept") for _, path in named(folder, kind)),
        )

    def acked(self, lane: Lane) -> Acked:
        """What the platform has of a lane, as the cursor says: nothing where there is none."""
        path, seals = self.folder / lane / CURSOR, self._seals
        if seals:
            slots = [slot for _, slot in believed(path, lane, seals.keyring, seals.sealed_from)]
        else:
            slots = [slot for _, slot in read_slots(path, lane) if slot.spool == self.id]
        return Acked(slots[-1].state.released, slots[-1].state.ranges) if slots else Acked()

    def frames(self, lane: Lane, after: Position) -> Iterator[Frame | Unreadable]:
        """What a lane holds behind `after`, in order: frames, and what cannot be read."""
        for reading in self._readings(lane, after):
            lost = [
                Unreadable(reading.seen.epoch, first, last, "sealed" if reading.seen.state == "sealed" else "damaged")
                for first, last in reading.seen.lost
            ]
            found: list[Frame | Unreadable] = [*reading.frames, *lost]
            for each in sorted(found, key=lambda one: one.first):
                if Position(each.epoch, each.last) > after:
                    yield each

    def _readings(self, lane: Lane, after: Position | None = None) -> Iterator[_Reading]:
        """Each segment file, oldest first, those that end before `after` left out."""
        files = named(self.folder / lane, "seg")
        heads = [self._own(name, read_bytes(path, HEAD_BYTES)) for name, path in files]
        for at, (name, path) in enumerate(files):
            following = next((head for head in heads[at + 1 :] if head), None)
            is_told = following is not None and following.previous.number == name.number
            if after and following and is_told and Position(name.epoch, following.previous.last) <= after:
                continue
            for _ in range(REREADS):
                reading = self._read(lane, name, path, following)
                if reading.seen.state not in ("torn", "blank") or following:
                    break
            self._on_read(_length(path))
            if path.exists() and not reading.is_leftover:
                yield reading

    def _read(self, lane: Lane, name: Name, path: Path, following: SegmentHead | None) -> _Reading:
        data = read_bytes(path, SCAN_BYTES)
        anyone, head = parse_head(data), self._own(name, data)
        if anyone and (anyone.spool, anyone.lane) != (self.id, LANE_CODE[lane]):
            return _Reading(_seen(name, path, "foreign"), [])
        if is_newer(data):
            return _Reading(_seen(name, path, "newer"), [])
        if following and following.previous.number < name.number:
            return _Reading(_seen(name, path, "unconfirmed"), [])
        told = following.previous if following and following.previous.number == name.number else None
        data = data[: told.end] if told else data
        origin = head.origin if head else self._seals.origin(name.epoch) if self._seals else Origin(name.epoch)
        walk = Walk(data[HEAD_BYTES:], lane, name.number, origin, self._opener(origin), name.first - 1)
        frames: list[Frame] = []
        lost: list[tuple[int, int]] = []
        last, end = name.first - 1, HEAD_BYTES
        for each in walk.frames(may_stop=bool(told) or len(data) >= (head.size if head else 0)):
            one = each.head
            if one.first > last + 1:
                lost.append((last + 1, one.first - 1))
            frames.append(Frame(lane, one.epoch, one.first, one.count, one.content, each.payload, origin.boot))
            last, end = one.last, HEAD_BYTES + each.end
        final = told.last if told else walk.ended_at - 1 if walk.state == "ended" else last
        if final > last:
            lost.append((last + 1, final))
        state = _state(data[HEAD_BYTES:], walk, lost, is_told=bool(told), has_head=head is not None)
        is_leftover = anyone is not None and anyone.number != name.number and not frames
        if origin.is_sealed and self._seals is None and frames:
            state, lost = "sealed", [(name.first, max(last, final))]
        seen = msgspec.structs.replace(
            _seen(name, path, state),
            version=VERSION if origin.is_sealed else CRC_VERSION,
            suite=origin.suite,
            last=max(last, final),
            frames=len(frames),
            bytes=end - HEAD_BYTES,
            lost=tuple(lost),
        )
        return _Reading(seen, [] if state == "sealed" else frames, is_leftover)

    def _heads(self) -> list[tuple[bytes, SegmentHead]]:
        """Every head that can be read, with its bytes."""
        paths = [path for lane in LANES for _, path in named(self.folder / lane, "seg")]
        data = (read_bytes(path, HEAD_BYTES) for path in paths)
        return [(each, head) for each in data if (head := parse_head(each))]

    def _own(self, name: Name, data: bytes) -> SegmentHead | None:
        """The head of a file, if it is not left over from an earlier life of it, and nobody forged it."""
        head, seals = parse_head(data), self._seals
        if head is None or (head.spool, head.number) != (self.id, name.number):
            return None
        return head if seals is None or is_genuine(data, head, seals.keyring, seals.sealed_from) else None

    def _opener(self, origin: Origin) -> Opener:
        if not origin.is_sealed:
            return CrcOpener()
        return self._seals.keyring.opener(origin) if self._seals else BlindOpener()

    def _sealed_with(self, secret: bytes, heads: list[tuple[bytes, SegmentHead]]) -> Seals | None:
        """The seals, if this is the secret of this spool; a spool of which nothing is sealed has any secret."""
        keyring, identity = Keyring(secret, self.id), self.identity
        sealed = [(data, head) for data, head in heads if head.origin.is_sealed and head.spool == self.id]
        mine = [head for data, head in sealed if is_genuine(data, head, keyring, 0)]
        if identity and is_genuine_identity(identity, keyring):
            known = origins_of(identity) | {head.epoch: head.origin for head in mine}
            return Seals(keyring, identity.sealed_from, known)
        if sealed and not mine:
            return None
        first = min((head.epoch for head in mine), default=1 << 63)
        return Seals(keyring, first, {head.epoch: head.origin for head in mine})


def _state(data: bytes, walk: Walk, lost: list[tuple[int, int]], *, is_told: bool, has_head: bool) -> State:
    if walk.is_newer:
        return "newer"
    if not walk.end and not lost and not any(data):
        return "blank"
    if lost or not has_head:
        return "damaged"
    return "torn" if walk.state == "torn" and not is_told else "good"


def _seen(name: Name, path: Path, state: State) -> SegmentSeen:
    return SegmentSeen(path.name, name.number, name.epoch, name.first, name.first - 1, 0, 0, state)


def _unacknowledged(segment: SegmentSeen, acked: Acked) -> int:
    first, released = segment.first, acked.released
    if segment.epoch < released.epoch:
        return 0
    if segment.epoch == released.epoch:
        first = max(first, released.seq + 1)
    pieces = [(max(first, low), min(segment.last, high)) for of, low, high in acked.ranges if of == segment.epoch]
    return max(0, segment.last - first + 1) - sum(max(0, high - low + 1) for low, high in pieces)


def _length(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
