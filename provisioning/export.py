"""What lies in a spool, into courier files: lanes by rank, oldest first, a file full at a time.

Bounded: one file's content is in memory, and nothing else. Interrupted at any moment, what is on the stick is whole
files, and the next run goes on behind them.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import msgspec
from msgspec import UNSET, Raw, Struct

from drivers.observation import Lane
from gateway.clock import Instant
from gateway.spool.acked import Acked
from gateway.spool.frame import Frame
from gateway.spool.reader import SpoolReader, Unreadable
from gateway.uplink.schema import FrameEnvelope
from gateway.uplink.wire import Encoding, Wire
from provisioning.courier import Header, Range, Recipient, Signer, encode_courier, pack
from provisioning.stick import Stick, StickFull

CONTENT_BYTES = 4 << 20
"""What is encrypted in one file, at most, or one frame."""
OBSERVED_BYTES = 8 << 20
"""The same as JSON: a file in the compact encoding must not become a transaction without an end at the platform."""
JOINED_BYTES = 64 << 10
"""Commits of one lane and epoch are joined up to this."""
RANGES = 2000
"""In one file's header."""


class Box(Struct, frozen=True):
    """Whose files these are, and for whom."""

    gateway: str
    site: str
    signer: Signer
    recipient: Recipient | None
    encoding: Encoding = "json"


class Tally(Struct):
    """What was done so far."""

    files: int = 0
    bytes: int = 0
    frames: int = 0
    observations: int = 0
    skipped: int = 0
    """Observations that lie on the stick already."""
    unreadable: int = 0
    """Observations whose frames are damaged, or sealed with a secret that is not here."""
    earliest: str = ""
    latest: str = ""
    lanes: dict[str, int] = {}
    is_full: bool = False

    def add(self, other: "Content") -> None:
        """One more file is written."""
        self.files += 1
        self.frames += len(other.parts)
        self.observations += other.observations
        self.earliest = min(filter(None, (self.earliest, other.earliest)), default="")
        self.latest = max(self.latest, other.latest)
        for lane, count in other.lanes.items():
            self.lanes[lane] = self.lanes.get(lane, 0) + count


class _Times(Struct):
    at: str = ""


_TIMES = msgspec.json.Decoder(list[_Times])


class Content(Struct):
    """What one file will hold."""

    parts: list[bytes] = []
    ranges: list[Range] = []
    size: int = 0
    observed: int = 0
    observations: int = 0
    earliest: str = ""
    latest: str = ""
    lanes: dict[str, int] = {}

    def has_room(self, frame: Frame, payload: bytes) -> bool:
        """Whether one more frame goes into this file."""
        if not self.parts:
            return True
        fits = self.size + len(payload) + 4 <= CONTENT_BYTES and self.observed + len(frame.payload) <= OBSERVED_BYTES
        return fits and len(self.ranges) < RANGES

    def add(self, frame: Frame, payload: bytes) -> None:
        """One published frame."""
        self.parts.append(pack(payload))
        self.size += len(payload) + 4
        self.observed += len(frame.payload)
        self.observations += frame.count
        self.lanes[frame.lane] = self.lanes.get(frame.lane, 0) + frame.count
        last = self.ranges[-1] if self.ranges else None
        if last and (last.lane, last.epoch, last.last + 1) == (frame.lane, frame.epoch, frame.first):
            self.ranges[-1] = Range(frame.lane, frame.epoch, last.first, frame.last)
        else:
            self.ranges.append(Range(frame.lane, frame.epoch, frame.first, frame.last))
        times = [one.at for one in _TIMES.decode(frame.payload) if one.at]
        if times:
            self.earliest = min(filter(None, (self.earliest, *times)))
            self.latest = max(self.latest, *times)


def join(frames: Sequence[Frame]) -> Frame:
    """Consecutive frames of one lane, epoch and boot as one."""
    if len(frames) == 1:
        return frames[0]
    payload = b"[" + b",".join(frame.payload[1:-1] for frame in frames) + b"]"
    return msgspec.structs.replace(frames[0], count=sum(frame.count for frame in frames), payload=payload)


class Export:
    """One run. `run()` writes; `tally` tells how far it is."""

    def __init__(
        self,
        box: Box,
        reader: SpoolReader,
        stick: Stick,
        now: Callable[[], Instant],
    ) -> None:
        self._box, self._reader, self._stick, self._now = box, reader, stick, now
        self._wire = Wire(box.encoding)  # with no dictionary: nobody can prove to a stick that the platform has one
        self._content = Content()
        self.tally = Tally()

    def run(self, lanes: Sequence[Lane], since: Literal["released", "all"]) -> Tally:
        """Write what these lanes hold. Where the stick is full it ends early, and the tally says so."""
        try:
            for lane in lanes:
                for frames in self._runs(lane, since):
                    self._take(join(frames))
            self._close()
        except StickFull:
            self.tally.is_full = True
        return self.tally

    def _runs(self, lane: Lane, since: Literal["released", "all"]) -> Iterator[list[Frame]]:
        """Frames that are to be carried, those that follow each other together."""
        held: list[Frame] = []
        size = 0
        acked = self._reader.acked(lane) if since == "released" else Acked()
        for each in self._reader.frames(lane, acked.released):
            if isinstance(each, Unreadable):
                self.tally.unreadable += each.last - each.first + 1
                continue
            if acked.covers(each.epoch, each.first, each.last):
                continue
            if self._stick.has(lane, each.epoch, each.first, each.last):
                self.tally.skipped += each.count
                continue
            if held and (not _follows(held[-1], each) or size + len(each.payload) > JOINED_BYTES):
                yield held
                held, size = [], 0
            held.append(each)
            size += len(each.payload)
        if held:
            yield held

    def _take(self, frame: Frame) -> None:
        payload = self._publish(frame)
        if not self._content.has_room(frame, payload):
            self._close()
        self._content.add(frame, payload)

    def _publish(self, frame: Frame) -> bytes:
        """The frame as it would go over the link."""
        box = self._box
        envelope = FrameEnvelope(
            gateway=box.gateway,
            site=box.site,
            spool=self._reader.id,
            epoch=frame.epoch,
            lane=frame.lane,
            first=frame.first,
            count=frame.count,
            observations=Raw(frame.payload),
            boot=frame.boot or UNSET,
        )
        return self._wire.encode(envelope)

    def _close(self) -> None:
        content, self._content = self._content, Content()
        if not content.parts:
            return
        box, now = self._box, self._now()
        header = Header(
            gateway=box.gateway,
            site=box.site,
            spool=self._reader.id,
            number=self._stick.next_number,
            at=now.at,
            clock=now.trust.quality,
            frames=len(content.parts),
            observations=content.observations,
            earliest=content.earliest,
            latest=content.latest,
            ranges=tuple(content.ranges),
            certificates=box.signer.chain,
            recipient=box.recipient.fingerprint if box.recipient else "",
        )
        data = encode_courier(header, b"".join(content.parts), box.signer, box.recipient)
        self._stick.write(data, is_secret=box.recipient is None)
        self.tally.bytes += len(data)
        self.tally.add(content)


def _follows(before: Frame, after: Frame) -> bool:
    same = (before.lane, before.epoch, before.content, before.boot) == (
        after.lane,
        after.epoch,
        after.content,
        after.boot,
    )
    return same and before.last + 1 == after.first
