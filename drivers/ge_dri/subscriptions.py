"""What the monitor was asked to send by itself, and when it must be asked again.

One request starts a stream. A repeat within five seconds is ignored by the monitor, so none is made; a stream that
does not come, or ends, is asked for again after its silence, ever more rarely until it comes.
"""

from msgspec import Struct

SPACING_S = 1.0
"""From one request to the next, whatever they ask for."""
LEAST_S = 5.0
"""The same request is never sent sooner: the monitor would ignore it."""
GROWTH = (1, 2, 4, 8, 16)
LONGEST_S = 600.0


class Subscription(Struct):
    """One stream, or (with `period_s`) one question that is asked again and again."""

    key: str
    ask: bytes
    goodbye: bytes
    silence_s: float
    """So long nothing may come before it is asked for again; then twice as long, …"""
    period_s: float = 0.0
    asked_at: float | None = None
    heard_at: float | None = None
    failures: int = 0

    def heard(self, now: float) -> None:
        """It came, verified."""
        self.heard_at, self.failures = now, 0

    def due_at(self, now: float) -> float:
        """When it is to be asked for."""
        if self.asked_at is None:
            return now
        if self.period_s and self.heard_at is not None and self.heard_at >= self.asked_at:
            return self.asked_at + max(self.period_s, LEAST_S)
        rest = min(LONGEST_S, self.silence_s * GROWTH[min(self.failures, len(GROWTH) - 1)])
        last = max(self.asked_at, self.heard_at if self.heard_at is not None else self.asked_at)
        return max(last + rest, self.asked_at + LEAST_S)

    def sent(self, now: float) -> bool:
        """It is asked for now. True where the time before was in vain."""
        in_vain = self.asked_at is not None and (self.heard_at is None or self.heard_at < self.asked_at)
        self.failures += in_vain
        self.asked_at = now
        return in_vain or (self.heard_at is not None and not self.period_s)


class Subscriptions:
    """All of one monitor: the first one alone until it is answered, then the others, one request at a time."""

    def __init__(self) -> None:
        self._all: dict[str, Subscription] = {}
        self._first = ""
        self._is_first_heard = False
        self._free_at = 0.0

    def begin(self, first: Subscription, others: list[Subscription], now: float) -> None:
        """The port has just opened."""
        self._all = {one.key: one for one in (first, *others)}
        self._first, self._is_first_heard, self._free_at = first.key, False, now

    def add(self, one: Subscription) -> None:
        """One more, unless it is there."""
        self._all.setdefault(one.key, one)

    def heard(self, key: str, now: float) -> None:
        """Data of this stream came."""
        if key in self._all:
            self._all[key].heard(now)
            self._is_first_heard = self._is_first_heard or key == self._first

    def wait(self) -> None:
        """The monitor has fallen silent: the first one again before any other."""
        self._is_first_heard = False

    def end(self) -> bytes:
        """The goodbye of everything that was ever asked for; nothing is asked any more."""
        said = b"".join(one.goodbye for one in self._all.values() if one.asked_at is not None)
        self._all = {}
        return said

    def tick(self, now: float) -> tuple[bytes, str]:
        """At most one request, and the key of one that had to be repeated."""
        if now < self._free_at:
            return b"", ""
        for one in self._open():
            if one.due_at(now) <= now:
                self._free_at = now + SPACING_S
                return one.ask, one.key if one.sent(now) else ""
        return b"", ""

    def wake_at(self, now: float) -> float | None:
        """When `tick()` has something to do if nothing comes before."""
        due = min((one.due_at(now) for one in self._open()), default=None)
        return None if due is None else max(due, self._free_at)

    def _open(self) -> list[Subscription]:
        return [one for one in self._all.values() if self._is_first_heard or one.key == self._first]
