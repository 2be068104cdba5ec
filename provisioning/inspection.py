"""What `jisr spool inspect` and `jisr spool verify` say of a spool, for people and for tools."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from drivers.observation import LANES
from gateway import language
from gateway.language import N_, _
from gateway.spool.reader import LaneSeen, SegmentSeen, SpoolReader
from provisioning.errors import AskedWrongly

SHOWN = 8
"""Good segments in a row that are listed one by one; of more the middle is counted."""
STATES = {
    "good": N_("good"),
    "damaged": N_("damaged"),
    "torn": N_("torn tail"),
    "sealed": N_("sealed, no secret"),
    "blank": N_("blank"),
    "foreign": N_("of another spool"),
    "newer": N_("later version"),
    "unconfirmed": N_("never confirmed"),
}
NO_KEY = {
    "none": N_("it is sealed, and its secret is not here: only what its heads say was read"),
    "other": N_("it is sealed with another secret than the one given: only what its heads say was read"),
}
SIZES = (N_("{n} B"), N_("{n} kB"), N_("{n} MB"), N_("{n} GB"), N_("{n} TB"))


class NoSpool(AskedWrongly):
    """Nothing in the folder looks like one."""

    sentence = N_("{path}: there is no spool here. Name the folder that [spool] path names in the configuration.")


def size_text(count: int) -> str:
    """Bytes as a person reads them: three digits, a decimal comma in French."""
    value, at = float(count), 0
    while value >= 999.5 and at < len(SIZES) - 1:
        value, at = value / 1000, at + 1
    digits = f"{value:.0f}" if at == 0 or value >= 99.95 else f"{value:.1f}"
    return _(SIZES[at]).format(n=digits.replace(".", ",") if language.current() == "fr" else digits)


def number_text(count: int) -> str:
    """A whole number with its thousands apart."""
    return f"{count:,}".replace(",", "\u202f" if language.current() == "fr" else ",")


class Progress:
    """A percentage on the terminal, where there is one and something to wait for."""

    def __init__(self, total: int) -> None:
        self._total, self._done, self._shown = max(1, total), 0, -1
        self._is_shown = sys.stderr.isatty()

    def step(self, count: int) -> None:
        """So much more is done."""
        self._done += count
        percent = min(100, 100 * self._done // self._total)
        if self._is_shown and percent != self._shown:
            self._shown = percent
            sys.stderr.write(f"\r{percent:3d} %")
            sys.stderr.flush()

    def end(self) -> None:
        """Leave no trace of it."""
        if self._is_shown and self._shown >= 0:
            sys.stderr.write("\r     \r")
            sys.stderr.flush()


def opened(folder: Path, secret: bytes | None) -> tuple[SpoolReader, Progress]:
    """A reader of the spool in this folder, and a progress that it drives. Raises `NoSpool`."""
    reader = SpoolReader(folder, secret)
    if not reader.is_spool():
        raise NoSpool(path=folder)
    progress = Progress(reader.size())
    return SpoolReader(folder, secret, progress.step), progress


def facts(reader: SpoolReader, lanes: list[LaneSeen]) -> dict[str, Any]:
    """Everything, for tools."""
    identity = reader.identity
    return {
        "folder": str(reader.folder),
        "spool": reader.id,
        "epoch": identity.epoch if identity else None,
        "format": identity.format if identity else None,
        "running": reader.is_running(),
        "secret": reader.key,
        "lanes": {
            lane.lane: {
                "released": [lane.acked.released.epoch, lane.acked.released.seq],
                "acknowledged": lane.acked.ranges,
                "waiting": lane.waiting,
                "free": lane.free,
                "aside": lane.aside,
                "missing": lane.missing,
                "segments": [msgspec.to_builtins(segment) for segment in lane.segments],
            }
            for lane in lanes
        },
    }


def tables(reader: SpoolReader, lanes: list[LaneSeen]) -> Iterator[str]:
    """Everything, for people, at most 80 columns wide."""
    identity = reader.identity
    yield str(reader.folder)
    if identity:
        yield _("spool {id}, epoch {epoch}, format {format}").format(
            id=identity.id, epoch=identity.epoch, format=identity.format
        )
    else:
        yield _("its identity file cannot be read; its segments say spool {id}").format(id=reader.id or "?")
    yield _("an agent is running on it") if reader.is_running() else _("no agent is running on it")
    if reader.key != "fits" and any(segment.state == "sealed" for lane in lanes for segment in lane.segments):
        yield _(NO_KEY[reader.key])
    for lane in lanes:
        yield ""
        yield from _heading(lane)
        if lane.segments:
            yield _row(_("segment"), _("epoch"), _("observations"), _("frames"), _("size"), _("state"))
        yield from _rows(lane)
        for name in lane.aside:
            yield _("  {file} set aside").format(file=name)
        for epoch, first, last in lane.missing:
            yield _("  epoch {epoch}, {first} to {last}: in no file").format(epoch=epoch, first=first, last=last)


def _heading(lane: LaneSeen) -> Iterator[str]:
    released = lane.acked.released
    waiting = _("{lane}: {waiting} observations wait for the platform")
    yield waiting.format(lane=lane.lane, waiting=number_text(lane.waiting))
    if released.epoch:
        told = _("  it has all up to {seq} of epoch {epoch}")
        yield told.format(seq=number_text(released.seq), epoch=released.epoch)


def _rows(lane: LaneSeen) -> Iterator[str]:
    run: list[SegmentSeen] = []
    for segment in (*lane.segments, None):
        if segment and segment.state == "good":
            run.append(segment)
            continue
        if len(run) > SHOWN:
            yield from map(_segment, run[: SHOWN // 2])
            yield _("  … {count} more, all good …").format(count=number_text(len(run) - SHOWN))
            yield from map(_segment, run[-SHOWN // 2 :])
        else:
            yield from map(_segment, run)
        run = []
        if segment:
            yield _segment(segment)


def _segment(segment: SegmentSeen) -> str:
    span = f"{segment.first}–{segment.last}" if segment.last >= segment.first else "–"
    state = _(STATES[segment.state])
    return _row(
        str(segment.number),
        str(segment.epoch),
        span,
        number_text(segment.frames),
        size_text(segment.bytes),
        state,
    )


def _row(number: str, epoch: str, span: str, frames: str, size: str, state: str) -> str:
    return f"  {number:>10} {epoch:>6} {span:>21} {frames:>8} {size:>9}  {state}"


def damage(reader: SpoolReader, lanes: list[LaneSeen]) -> dict[str, dict[str, int]]:
    """Per lane, observations that cannot be read, by reason; some reasons count files. Empty where all is good."""
    found: dict[str, dict[str, int]] = {}
    is_running = reader.is_running()
    for lane in lanes:
        counts: dict[str, int] = {}
        for segment in lane.segments:
            lost = sum(last - first + 1 for first, last in segment.lost)
            if segment.state in ("foreign", "newer") or (segment.state == "torn" and not is_running):
                counts[segment.state] = counts.get(segment.state, 0) + 1
            elif segment.state in ("damaged", "sealed"):
                counts[segment.state] = counts.get(segment.state, 0) + lost
        missing = sum(last - first + 1 for _epoch, first, last in lane.missing)
        if missing and not is_running:  # an agent removes files before its cursor says so
            counts["missing"] = missing
        if counts:
            found[lane.lane] = counts
    return found


DAMAGE = {
    "damaged": N_("{lane}: {count} observations in frames that are damaged"),
    "sealed": N_("{lane}: {count} observations sealed with a secret that is not here; they were not verified"),
    "missing": N_("{lane}: {count} observations in no file"),
    "torn": N_("{lane}: {count} files end in the middle of a frame; the next start tells what was lost"),
    "foreign": N_("{lane}: {count} files of another spool"),
    "newer": N_("{lane}: {count} files of a later version of Jisr; they were not verified"),
}


UNVERIFIED = {"sealed", "newer"}
"""Reasons that say nothing about the data, only about who looks at them."""


def verdict(found: Mapping[str, Mapping[str, int]]) -> str:
    """In words, what `damage` found."""
    reasons = {reason for counts in found.values() for reason in counts}
    if reasons - UNVERIFIED:
        return _("something is damaged.")
    return _("not everything could be verified.") if reasons else _("all good.")


def seen_lanes(reader: SpoolReader, progress: Progress) -> list[LaneSeen]:
    """All lanes, every frame read."""
    try:
        return [reader.lane(lane) for lane in LANES]
    finally:
        progress.end()
