"""What is under way to the broker, and whether there is room for more."""

from msgspec import Struct

from gateway.uplink.schedule import Sent
from gateway.uplink.throughput import Mark, Throughput

RESERVE = 6
"""One part in so many of the window, in bytes and in messages, is kept free for events and live numerics."""


class _Launched(Struct, frozen=True):
    what: Sent | str
    size: int
    mark: Mark


class Flight:
    """Messages without their PUBACK. A `str` is the topic of a message about the box itself."""

    def __init__(self, window: int, throughput: Throughput) -> None:
        self.bytes = 0
        self.throughput = throughput
        self._window = window
        self._launched: dict[int, _Launched] = {}

    def __len__(self) -> int:
        return len(self._launched)

    def __contains__(self, topic: str) -> bool:
        return any(one.what == topic for one in self._launched.values())

    @property
    def oldest_at(self) -> float:
        """When the oldest of them was handed over; there must be one."""
        return next(iter(self._launched.values())).mark.at

    def items(self) -> list[tuple[int, Sent | str]]:
        """Packet ids and what they carry."""
        return [(mid, one.what) for mid, one in self._launched.items()]

    def has_place(self, *, is_urgent: bool) -> bool:
        """Whether one more message may be under way."""
        kept = 0 if is_urgent else self._window // RESERVE
        return len(self._launched) < self._window - kept

    def has_room(self, size: int, *, is_urgent: bool) -> bool:
        """Whether so many bytes may join what is under way; what is larger than all the room goes alone."""
        if not self.has_place(is_urgent=is_urgent):
            return False
        window = self.throughput.window_bytes
        return not self.bytes or self.bytes + size <= (window if is_urgent else window - window // RESERVE)

    def launch(self, mid: int, what: Sent | str, size: int, now: float) -> None:
        """It was handed over."""
        self._launched[mid] = _Launched(what, size, self.throughput.launched(now, size))
        self.bytes += size

    def land(self, mid: int, now: float) -> Sent | str | None:
        """Its PUBACK came."""
        one = self._launched.pop(mid, None)
        if one is None:
            return None
        self.bytes -= one.size
        self.throughput.confirmed(now, one.mark)
        return one.what
