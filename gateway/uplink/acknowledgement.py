"""Acknowledgements delete data, so each is judged before the spool hears of it (law 5)."""

from typing import Protocol

from msgspec import Struct

from drivers.observation import Lane
from gateway.spool.spool import Frame, Position
from gateway.uplink.schema import Malformed, Range, decode_ack, lane_named, split_topic, verify_ack


class Shelf(Protocol):
    """The part of the spool that is asked here."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def epoch(self) -> int: ...  # noqa: D102

    def frames_after(self, lane: Lane, after: Position, limit: int) -> list[Frame]:
        """Committed frames, in order."""
        ...

    def released(self, lane: Lane) -> Position:
        """The last observation before which nothing is kept."""
        ...


class Verdict(Struct, frozen=True):
    """An acknowledgement that may free data."""

    lane: Lane
    epoch: int
    upto: int
    holes: tuple[Range, ...]


class Refused(Exception):
    """An acknowledgement that frees nothing; `reason` is one machine word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Judge:
    """Knows the key, the box's name, and what was sent in this life."""

    def __init__(self, site: str, gateway: str, shelf: Shelf) -> None:
        self._site, self._gateway, self._shelf = site, gateway, shelf
        self._sent: dict[tuple[Lane, int], int] = {}

    def note_sent(self, lane: Lane, epoch: int, last: int) -> None:
        """The observations up to `last` of this epoch left the box."""
        floor = self._shelf.released(lane).epoch
        for known in [known for known in self._sent if known[0] == lane and known[1] < floor]:
            del self._sent[known]
        self._sent[lane, epoch] = max(last, self._sent.get((lane, epoch), 0))

    def judge(self, key: bytes, topic: str, payload: bytes) -> Verdict:
        """What a message on `ack/<lane>` may free. Raises `Refused`."""
        place = split_topic(topic)
        if place is None or place[:2] != (self._site, self._gateway) or not place[2].startswith("ack/"):
            raise Refused("topic")
        lane = lane_named(place[2].removeprefix("ack/"))
        if lane is None:
            raise Refused("topic")
        try:
            ack = decode_ack(payload)
        except Malformed as error:
            raise Refused(error.reason) from error
        if not verify_ack(key, self._site, self._gateway, lane, ack):
            raise Refused("mac")
        if ack.spool != self._shelf.id:
            raise Refused("spool")
        if ack.epoch > self._shelf.epoch:
            raise Refused("epoch")
        if Position(ack.epoch, ack.upto) <= self._shelf.released(lane):
            raise Refused("old")
        upto = self._ceiling(lane, ack.epoch, ack.upto)
        holes = tuple((first, min(last, upto)) for first, last in ack.holes if first <= upto)
        return Verdict(lane, ack.epoch, upto, holes)

    def _ceiling(self, lane: Lane, epoch: int, upto: int) -> int:
        """`upto`, but never beyond what left the box or lies on disk.

        An earlier epoch may end before the platform's `upto`, where recovery set its tail aside after it was sent;
        refusing that for ever would keep the rest for ever, so it counts as far as this life has sent.
        """
        sent = self._sent.get((lane, epoch), 0)
        if upto <= sent:
            return upto
        if epoch == self._shelf.epoch:
            raise Refused("beyond")
        there = self._shelf.frames_after(lane, Position(epoch, upto - 1), 1)
        if there and there[0].epoch == epoch and there[0].first <= upto < there[0].first + there[0].count:
            return upto
        if not sent:
            raise Refused("beyond")
        return sent
