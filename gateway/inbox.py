"""Acknowledgements that a person carried here: `jisr spool acknowledge` lays them in the spool's folder `inbox`.

A file has a line for each message, topic, blank, payload, as they would have come over the link, and each is judged
as if it had: right key, this box, this spool, never beyond what is on disk (law 5). What came of it is written
beside. The agent takes them, because only the agent may touch the spool while it runs; what came while it was not
running is taken at its start.
"""

import asyncio
import contextlib
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import Struct

from drivers.observation import Lane
from gateway.journal import Journal
from gateway.uplink.acknowledgement import Judge, Refused, Shelf
from gateway.uplink.errors import UplinkError
from gateway.uplink.identity import read_ack_key

FOLDER = "inbox"
LOOK_S = 1.0
FILE_LIMIT_BYTES = 256 << 10
FILES = 16
"""Taken at each look, and results kept."""


class Released(Struct):
    """What came of one file: observations released per lane, and refused messages per reason."""

    released: dict[str, int] = {}
    refused: dict[str, int] = {}


class Store(Shelf, Protocol):
    """The part of the spool that is used here."""

    @property
    def committed(self) -> dict[Lane, int]: ...  # noqa: D102

    def acknowledge(self, lane: Lane, epoch: int, upto: int, holes: tuple[tuple[int, int], ...] = ()) -> int:
        """Returns how many are newly released."""
        ...


def read_messages(data: bytes) -> list[tuple[str, bytes]]:
    """Topic and payload of each line; lines that are none are left out."""
    lines = (line.partition(b" ") for line in data.splitlines())
    return [(topic.decode("utf-8", "replace"), payload) for topic, blank, payload in lines if blank]


class Inbox:
    """Takes what lies in the inbox of one spool."""

    def __init__(  # noqa: PLR0913, PLR0917
        self, spool_folder: Path, site: str, gateway: str, ack_key: str, spool: Store, journal: Journal
    ) -> None:
        self._folder = spool_folder / FOLDER
        self._site, self._gateway, self._ack_key = site, gateway, ack_key
        self._spool, self._journal = spool, journal

    async def run(self) -> None:
        """Look each second, for ever."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_S)

    def look(self) -> None:
        """Take each file once; what cannot be read or removed is left for the next look."""
        if not self._folder.is_dir():
            return
        for path in sorted(self._folder.glob("*.ack"))[:FILES]:
            with contextlib.suppress(OSError):
                with path.open("rb") as file:
                    data = file.read(FILE_LIMIT_BYTES)
                told = self.take(data)
                beside = path.with_suffix(".new")
                beside.write_bytes(msgspec.json.encode(told))
                beside.rename(path.with_suffix(".done"))
                path.unlink()
                self._journal.event("acknowledgement_carried", released=told.released, refused=told.refused)
        for old in sorted(self._folder.glob("*.done"), key=_age)[:-FILES]:
            with contextlib.suppress(OSError):
                old.unlink()

    def take(self, data: bytes) -> Released:
        """Judge each message and release what it says."""
        told = Released()
        key = self._key()
        judge = Judge(self._site, self._gateway, self._spool)
        for lane, last in self._spool.committed.items():
            judge.note_sent(lane, self._spool.epoch, last)  # carried away as files, whatever the link did
        for topic, payload in read_messages(data):
            try:
                if not key:
                    raise Refused("key")
                verdict = judge.judge(key, topic, payload)
            except Refused as refused:
                told.refused[refused.reason] = told.refused.get(refused.reason, 0) + 1
                continue
            newly = self._spool.acknowledge(verdict.lane, verdict.epoch, verdict.upto, verdict.holes)
            told.released[verdict.lane] = told.released.get(verdict.lane, 0) + newly
        return told

    def _key(self) -> bytes:
        try:
            return read_ack_key(self._ack_key) if self._ack_key else b""
        except UplinkError:
            return b""


def _age(path: Path) -> float:
    with contextlib.suppress(OSError):
        return path.stat().st_mtime
    return 0.0
