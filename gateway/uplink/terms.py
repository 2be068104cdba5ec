"""What a session is given, what it counts, and its times."""

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any, Literal, Protocol

import msgspec
from msgspec import Struct

from drivers.observation import Lane
from gateway.errors import JisrError
from gateway.spool.spool import Frame, Position
from gateway.uplink.acknowledgement import Judge
from gateway.uplink.budget import Budget
from gateway.uplink.schema import Birth, Health
from gateway.uplink.timekeeper import Timekeeper
from gateway.uplink.wire import Wire


class Journal(Protocol):
    """Where events and sentences go (gateway/journal.py)."""

    def event(self, name: str, **facts: Any) -> None:
        """One event for machines."""
        ...

    def say(self, error: JisrError, subject: str = "") -> None:
        """One sentence for people, once until it changes."""
        ...

    def settle(self, subject: str) -> None:
        """What was wrong with `subject` is over."""
        ...


class Store(Protocol):
    """What the uplink needs of the spool."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def epoch(self) -> int: ...  # noqa: D102

    def frames_after(self, lane: Lane, after: Position, limit: int) -> list[Frame]:
        """Committed frames, in order."""
        ...

    def head(self, lane: Lane) -> Position:
        """The last committed observation."""
        ...

    def released(self, lane: Lane) -> Position:
        """The last observation before which nothing is kept."""
        ...

    def is_acknowledged(self, lane: Lane, epoch: int, first: int, last: int) -> bool:
        """Whether all of these were acknowledged."""
        ...

    def acknowledge(self, lane: Lane, epoch: int, upto: int, holes: tuple[tuple[int, int], ...] = ()) -> int:
        """Release; how many observations were released now."""
        ...


class Timing(Struct, frozen=True):
    """Every time of the uplink, in seconds."""

    connect_s: float = 15.0
    connack_s: float = 10.0
    ack_s: float = 60.0
    """No acknowledgement for so long after the broker's confirmation: send again."""
    confirm_s: float = 180.0
    """A confirmation that is awaited for so long: connect again."""
    aside_s: float = 20.0
    """With renewed files: what is not confirmed within so long is sent again over the next connection."""
    health_s: float = 60.0
    steady_s: float = 30.0
    """A connection that held so long starts the back-off afresh."""
    retry_first_s: float = 1.0
    retry_last_s: float = 300.0
    refused_last_s: float = 60.0
    time_s: float = 10.0
    """The platform is given so long to tell the time, where nothing else may be sent before."""


class Counters(Struct):
    """What the uplink has done in this life."""

    connections: int = 0
    frames: int = 0
    observations: int = 0
    bytes: int = 0
    confirmed: int = 0
    acknowledged: int = 0
    """Observations that an acknowledgement released."""
    resent: int = 0
    held: int = 0
    refused: Counter[str] = msgspec.field(default_factory=Counter)
    """Acknowledgements refused, by reason."""
    undelivered: Counter[str] = msgspec.field(default_factory=Counter)
    """Publications the broker did not take, by reason."""


class Backoff:
    """Full jitter: anything between 0 and a bound that doubles from `first` to `last`."""

    def __init__(self, first_s: float, last_s: float, rng: Random) -> None:
        self._first, self._last, self._rng, self._tries = first_s, last_s, rng, 0

    def next(self) -> float:
        """Seconds to wait before the next try."""
        bound = min(self._last, self._first * 2**self._tries)
        self._tries = min(self._tries + 1, 32)
        return self._rng.uniform(0, bound)

    def reset(self) -> None:
        """It went well."""
        self._tries = 0


class Identity(Struct, frozen=True):
    """What a session is called, and how it is acknowledged."""

    site: str
    gateway: str
    session: int
    ack: Literal["platform", "broker"]
    key: bytes = b""


class Tools(Struct, frozen=True):
    """What a session works with."""

    store: Store
    judge: Judge
    journal: Journal
    counters: Counters
    rng: Random
    monotonic: Callable[[], float]
    timing: Timing
    birth: Callable[[], Birth]
    health: Callable[[], Health]
    acknowledged: Callable[[], None]
    wire: Wire
    budget: Budget | None = None
    timekeeper: Timekeeper | None = None
