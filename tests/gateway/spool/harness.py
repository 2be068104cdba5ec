"""What the spool's tests share: observations to put, a model of what was promised, and a card that loses power."""

import asyncio
import os
import random
import shutil
from collections.abc import Coroutine, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from drivers.observation import LANES, Alert, AnyObservation, Gap, Lane, Numeric, Vendor, Waveform
from gateway.spool.cipher import NO_SECRET, Keyring, Sealer
from gateway.spool.segment import SegmentHead
from gateway.spool.spool import Position, Spool

SEGMENT = 4096
SECTOR = 512
_PAYLOAD = msgspec.json.Decoder(list[AnyObservation])
Key = tuple[Lane, int, int]
"""Lane, epoch, sequence number."""


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """One test's loop, and any coroutine's result."""
    return asyncio.run(work)


def no_flush(fd: int) -> None:
    """For tests that are not about power."""


def numeric(number: int, pad: int = 0) -> Numeric:
    return Numeric(
        value=Decimal(number), unit="1", category="measurement", validity="valid", vendor=Vendor("N", "x" * pad)
    )


def alert(number: int, pad: int = 0) -> Alert:
    vendor = Vendor(str(number), "x" * pad)
    return Alert(alert="technical", priority="low", presence="on", validity="valid", vendor=vendor)


def wave(number: int, samples: int = 10) -> Waveform:
    return Waveform(
        samples=tuple(range(samples)),
        interval_us=number,
        scale=Decimal(1),
        offset=Decimal(0),
        unit="mV",
        category="measurement",
        validity="valid",
    )


def sealer_of(head: SegmentHead) -> Sealer:
    """What seals as the open that wrote this head did."""
    return Sealer(Keyring(NO_SECRET, head.spool), head.origin)


def stored(spool: Spool, lane: Lane, after: Position | None = None, limit: int = 3) -> dict[Key, AnyObservation]:
    """Everything the lane gives, read a few frames at a time. Fails if it is out of order."""
    found: dict[Key, AnyObservation] = {}
    last = after or Position(0, 0)
    while frames := spool.frames_after(lane, last, limit):
        assert len(frames) <= limit
        for frame in frames:
            assert frame.lane == lane
            assert Position(frame.epoch, frame.first) > last
            observations = _PAYLOAD.decode(frame.payload)
            assert len(observations) == frame.count
            found |= {(lane, frame.epoch, seq): each for seq, each in enumerate(observations, frame.first)}
            last = Position(frame.epoch, frame.last)
    return found


class Ledger:
    """What the spool promised: what it said is on disk, what was acknowledged, what it said is missing."""

    def __init__(self) -> None:
        self.kept: dict[Key, AnyObservation] = {}
        self.acked: set[Key] = set()
        self.gaps: list[Gap] = []

    def watch(self, spool: Spool) -> None:
        """Follow one open spool."""
        self.gaps += spool.recovery.gaps

        def committed(lane: Lane, first: int, observations: tuple[AnyObservation, ...]) -> None:
            for seq, each in enumerate(observations, first):
                key = (lane, spool.epoch, seq)
                assert key not in self.kept, "a number was given twice"
                self.kept[key] = each
                if isinstance(each, Gap):
                    self.gaps.append(each)

        spool.listen(committed)

    def acknowledge(
        self, spool: Spool, lane: Lane, epoch: int, upto: int, holes: Sequence[tuple[int, int]] = ()
    ) -> int:
        """Do it, and check the number returned where nothing is damaged."""
        fresh = {
            key
            for key in self.kept
            if key[:2] == (lane, epoch) and key[2] <= upto and not any(a <= key[2] <= b for a, b in holes)
        }
        released = spool.acknowledge(lane, epoch, upto, holes)
        self.acked |= fresh
        return released

    def missing(self, spool: Spool) -> list[Key]:
        """What was promised, is not acknowledged, and is neither there nor in a gap. Fails on a wrong content."""
        found: dict[Key, AnyObservation] = {}
        for lane in LANES:
            found |= stored(spool, lane)
        for key, each in self.kept.items():
            assert found.get(key, each) == each, f"{key} is another observation now"
        return [key for key in self.kept if key not in found and key not in self.acked and not self._in_gap(key)]

    def _in_gap(self, key: Key) -> bool:
        lane, epoch, seq = key
        for each in self.gaps:
            is_open = each.reason == "torn_tail"  # from `first` to the end of the epoch
            if (
                (each.gap_lane, each.gap_epoch) == (lane, epoch)
                and each.first <= seq
                and (is_open or seq <= each.last)
            ):
                return True
        return False


class Card:
    """A card whose power can go at each flush: what was flushed stands, of the rest each sector may or may not.

    `flush` is given to the spool. At a share of the flushes, before they do their work, an image of the folder as
    the power cut would leave it is kept, with the promises made until then.
    """

    def __init__(
        self, folder: Path, ledger: Ledger, seed: int, share: float = 1.0, *, is_lying: bool = False
    ) -> None:
        self.folder, self.ledger, self.share, self.is_lying = folder, ledger, share, is_lying
        self.images: list[tuple[dict[str, bytes], dict[Key, AnyObservation], set[Key], list[Gap]]] = []
        there = [path for path in folder.rglob("*") if path.is_file()]
        self._durable = {path.stat().st_ino: path.read_bytes() for path in there}
        self._random = random.Random(seed)

    def flush(self, fd: int) -> None:
        """The spool's flush."""
        if self._random.random() < self.share:
            ledger = self.ledger
            promised = (dict(ledger.kept), set(ledger.acked), list(ledger.gaps))
            self.images.append((self._image(), *promised))
        if not self.is_lying:
            stat = os.fstat(fd)
            with Path(f"/proc/self/fd/{fd}").open("rb") as file:
                self._durable[stat.st_ino] = file.read()

    def restore(self, number: int, folder: Path) -> Ledger:
        """Put one image into `folder`; returns what had been promised."""
        files, ledger = self.images[number][0], Ledger()
        ledger.kept, ledger.acked, ledger.gaps = self.images[number][1:]
        shutil.rmtree(folder, ignore_errors=True)
        for name, data in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return ledger

    def _image(self) -> dict[str, bytes]:
        image: dict[str, bytes] = {}
        for path in sorted(self.folder.rglob("*")):
            if not path.is_file():
                continue
            live, durable = path.read_bytes(), self._durable.get(path.stat().st_ino, b"")
            image[str(path.relative_to(self.folder))] = self._torn(durable, live)
        return image

    def _torn(self, durable: bytes, live: bytes) -> bytes:
        old, out = durable[: len(live)].ljust(len(live), b"\0"), bytearray(live)
        for at in range(0, len(live), SECTOR):
            if out[at : at + SECTOR] != old[at : at + SECTOR]:
                cut = self._random.choice((0, 0, SECTOR, SECTOR, self._random.randrange(SECTOR)))
                out[at + cut : at + SECTOR] = old[at + cut : at + SECTOR]
        return bytes(out)
