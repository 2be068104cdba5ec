"""A disk that gets full, and observations for each lane to fill it with."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from drivers.observation import Alert, AnyObservation, Lane, Vendor, lane_of
from gateway.spool.room import DiskUse
from gateway.spool.spool import Spool
from tests.gateway.spool.harness import alert, no_flush, numeric, wave

SEGMENT = 2048
Made = Callable[[int, int], AnyObservation]


def log(number: int, pad: int = 0) -> Alert:
    """Nothing that the drivers make goes into that lane yet."""
    vendor = Vendor(f"log {number}", "x" * pad)
    return Alert(alert="unknown", priority="none", presence="on", validity="valid", vendor=vendor)


def lane_for_tests(observation: AnyObservation) -> Lane:
    is_log = observation.vendor is not None and observation.vendor.code.startswith("log")
    return "log" if is_log else lane_of(observation)


MAKE: dict[Lane, Made] = {
    "event": alert,
    "numeric": numeric,
    "wave": lambda n, pad: wave(n + 1, pad // 4),
    "log": log,
}


def taken(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.suffix in (".seg", ".free", ".bad"))


def segments(folder: Path, lane: str) -> list[Path]:
    return sorted((folder / lane).glob("*.seg"))


def began(path: Path) -> tuple[str, int, int]:
    """Lane, epoch and first number of a segment, out of its name."""
    _, epoch, first = map(int, path.stem.split("-"))
    return path.parent.name, epoch, first


class SmallDisk:
    """A file system of `total` bytes with nothing on it but the spool and `others`."""

    def __init__(self, total: int = 1 << 40) -> None:
        self.total, self.others = total, 0

    def use(self, folder: Path) -> DiskUse:
        return DiskUse(self.total, max(0, self.total - self.others - taken(folder)))


async def filled(folder: Path, counts: dict[Lane, int], pad: int = 1300, **more: Any) -> Spool:
    """A spool with so many observations of about a segment's size in each lane, each in a commit of its own."""
    spool = Spool.open(folder, flush=no_flush, segment_bytes=SEGMENT, **more)
    for lane, count in counts.items():
        for number in range(count):
            await spool.put([MAKE[lane](number, pad)])
            await spool.commit_now()
    return spool
