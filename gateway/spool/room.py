"""Room on the disk: what each lane may take, what is given up for it, when events are refused (design, section 6).

Given up are whole segments, the oldest first: log, then wave, then numeric. Events never; when nothing else is left,
they are refused, so that the devices keep them.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from msgspec import Struct

from drivers.observation import Alert, Lane, Vendor
from gateway.spool.disk import CommitRefused, DiskNearlyFull, EventsFull

MIB = 1 << 20
SMALLEST_CAP = 8 << 20
"""What the configuration may say at least: some segments, and what is buffered for one commit."""
CAPS: dict[Lane, int] = {"event": 1 << 30, "numeric": 8 << 30, "wave": 4 << 30, "log": 256 << 20}
"""Bytes of segments per lane, unless the configuration says otherwise."""
EVICTION_ORDER: tuple[Lane, ...] = ("log", "wave", "numeric")
EVICT_FROM = 0.94
"""Share of the disk in use from which segments are given up …"""
EVICT_TO = 0.93
"""… until it is below this one."""
REFUSE_FROM = 0.95
"""Share in use from which events are refused, if nothing is left to be given up …"""
ACCEPT_BELOW = 0.93
"""… until it is below this one. Of the cap of the event lane too."""
EVICT_AT_ONCE = 64
"""Segments given up at one commit; the next one goes on."""
OWN_SEGMENTS = 4
"""Above its cap the event lane takes so many segments more of the spool's own records: gaps, and the alert below."""
REFUSED = "spool_events_refused"
"""Vendor code of the alert which tells that events are refused."""


class DiskUse(Struct, frozen=True):
    """The file system of the spool, in bytes. What only root may use counts as used."""

    total: int
    available: int

    @property
    def share(self) -> float:
        """The part in use; 0 where the file system tells no size."""
        return (self.total - self.available) / self.total if self.total else 0.0


def disk_use(path: Path) -> DiskUse:
    """As the kernel tells it."""
    try:
        told = os.statvfs(path)
    except OSError:
        return DiskUse(0, 0)
    return DiskUse(told.f_blocks * told.f_frsize, told.f_bavail * told.f_frsize)


def size_text(size: int) -> str:
    """Bytes as a person writes them."""
    for unit, name in ((1 << 30, "GiB"), (MIB, "MiB"), (1 << 10, "KiB")):
        if size >= unit:
            return f"{size / unit:.4g} {name}"
    return f"{size} B"


class Gate:
    """Whether events are taken. It closes and opens with hysteresis, and says so once each time."""

    def __init__(self, cap: int, segment_bytes: int) -> None:
        self._cap, self._segment_bytes = cap, segment_bytes
        self.why: Literal["", "disk", "cap"] = ""
        self.percent = 0

    def refusal(self) -> CommitRefused | None:
        """The sentence for whoever wants to put an event; None where it may."""
        if self.why == "disk":
            return DiskNearlyFull(percent=self.percent)
        return EventsFull(limit=size_text(self._cap)) if self.why == "cap" else None

    def judge(self, use: DiskUse, *, has_evictable: bool, allocated: int, is_short: bool = False) -> Alert | None:
        """See how things are; `is_short`: a put that does not fit into the cap is waiting. Returns what changed."""
        self.percent = round(100 * use.share)
        if not self.why:
            if use.share >= REFUSE_FROM and not has_evictable:
                self.why = "disk"
            elif is_short:
                self.why = "cap"
            return told(REFUSED, "on", self.why) if self.why else None
        is_roomy = allocated + self._segment_bytes <= self._cap and allocated < ACCEPT_BELOW * self._cap
        if use.share >= ACCEPT_BELOW if self.why == "disk" else not is_roomy:
            return None
        why, self.why = self.why, ""
        return told(REFUSED, "off", why)


def told(code: str, presence: Literal["on", "off"], why: str = "") -> Alert:
    """What the box says of its own spool."""
    vendor = Vendor(code, why)
    return Alert(alert="technical", priority="high", presence=presence, validity="valid", vendor=vendor)


def excess(use: DiskUse) -> int:
    """Bytes to be freed so that the disk is below the lower threshold; 0 while it is not above the upper one."""
    if use.share < EVICT_FROM:
        return 0
    return use.total - round(use.total * EVICT_TO) - use.available + 1


def caps_with(given: Mapping[Lane, int] | None, segment_bytes: int) -> dict[Lane, int]:
    """The caps of all lanes; none so small that a lane could not go on from one segment to the next."""
    return {lane: max((given or {}).get(lane, cap), 2 * segment_bytes) for lane, cap in CAPS.items()}
