"""What was promised up to a point of the record: the marks that the workload set, and what follows from them."""

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct

from drivers.observation import Gap, Lane, from_json

Key = tuple[Lane, int, int]
"""Lane, epoch, sequence number."""


class Opened(Struct, frozen=True, tag=True):
    """An open returned."""

    spool: str
    epoch: int


class Putting(Struct, frozen=True, tag=True):
    """About to put the observations of these numbers: from here on they may be on the medium."""

    first: int
    last: int


class Returned(Struct, frozen=True, tag=True):
    """A put returned: its events are promised to the device, which was told so."""

    events: tuple[int, ...]


class Kept(Struct, frozen=True, tag=True):
    """A commit was reported: these are promised. An `int` is a number, a `str` the text of the spool's own record."""

    lane: Lane
    epoch: int
    first: int
    what: tuple[int | str, ...]


class Shown(Struct, frozen=True, tag=True):
    """A start found these on disk, and the platform may have seen them."""

    lane: Lane
    epoch: int
    first: int
    what: tuple[int | str, ...]


class Acking(Struct, frozen=True, tag=True):
    """About to acknowledge: from here on these may be gone."""

    lane: Lane
    epoch: int
    upto: int
    holes: tuple[tuple[int, int], ...] = ()


class Saved(Struct, frozen=True, tag=True):
    """The cursors were flushed: the released points do not go back behind these."""

    released: dict[Lane, tuple[int, int]]


class Speaking(Struct, frozen=True, tag=True):
    """About to send bytes to a device, which has sent that many results in whole messages until now."""

    data: str
    heard: int


class Ended(Struct, frozen=True, tag=True):
    """The workload is over."""


Mark = Opened | Putting | Returned | Kept | Shown | Acking | Saved | Speaking | Ended
_DECODER: msgspec.json.Decoder[Mark] = msgspec.json.Decoder(Mark)


class Ledger(Struct):
    """Follows the marks; a copy at a cut is what the spool must be held to."""

    put: list[tuple[int, int]] = []
    returned: list[int] = []
    kept: dict[Key, int | str] = {}
    shown: dict[Key, int | str] = {}
    acked: set[Key] = set()
    saved: dict[Lane, tuple[int, int]] = {}
    spool: str = ""
    epoch: int = 0
    """The highest that was told."""
    twice: list[Key] = []
    """Numbers that stood for two things."""

    def copy(self) -> "Ledger":
        """As it is now; what follows does not change it."""
        return msgspec.msgpack.decode(msgspec.msgpack.encode(self), type=Ledger)

    def read(self, mark: bytes) -> None:
        """One more mark."""
        match _DECODER.decode(mark):
            case Opened(spool, epoch):
                self.spool, self.epoch = spool, max(self.epoch, epoch)
            case Putting(first, last):
                self.put.append((first, last))
            case Returned(events):
                self.returned += events
            case Kept(lane, epoch, first, what):
                self._note(self.kept, lane, epoch, first, what)
            case Shown(lane, epoch, first, what):
                self._note(self.shown, lane, epoch, first, what)
            case Acking() as ack:
                self.acked |= set(self._covered(ack))
            case Saved(released):
                self.saved = released
            case Speaking() | Ended():
                pass

    def known(self, key: Key) -> int | str | None:
        """What this number stands for, as far as anybody was told."""
        return self.kept.get(key, self.shown.get(key))

    def owed(self) -> dict[Key, int | str]:
        """What must be on the medium: promised, and not acknowledged."""
        return {key: what for key, what in self.kept.items() if key not in self.acked}

    def was_put(self, number: int) -> bool:
        """A put of it was at least begun."""
        return any(first <= number <= last for first, last in self.put)

    def evicted(self) -> list[Gap]:
        """Promised gap records that tell of an eviction."""
        return evictions(text for text in self.kept.values() if isinstance(text, str))

    def _note(
        self, book: dict[Key, int | str], lane: Lane, epoch: int, first: int, what: Sequence[int | str]
    ) -> None:
        for seq, each in enumerate(what, first):
            key = (lane, epoch, seq)
            if self.known(key) not in (None, each) or (book is self.kept and key in self.kept):
                self.twice.append(key)  # also the same thing told twice: numbers are given once
            book[key] = each

    def _covered(self, ack: Acking) -> Iterable[Key]:
        for key in self.kept:
            is_up_to = key[:2] == (ack.lane, ack.epoch) and key[2] <= ack.upto
            if is_up_to and not any(low <= key[2] <= high for low, high in ack.holes):
                yield key


def evictions(texts: Iterable[str]) -> list[Gap]:
    """Those of the texts that are gap records of an eviction."""
    gaps = (from_json(text.encode()) for text in texts)
    return [gap for gap in gaps if isinstance(gap, Gap) and gap.reason == "evicted"]
