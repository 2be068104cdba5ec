"""What every device simulator is: a pure state machine of bytes and a clock, with faults drawn from a seed.

A simulator does no I/O and reads no clock. A runner (`runner.py`) or a test turns its clock:

    bytes from the box ──receive(data, now)──▶ ┌───────────┐
                                               │ simulator │──▶ bytes that leave the device at `now`
    the clock reached wake_at ──wake(now)────▶ └───────────┘

`now` is monotonic seconds and must not go backwards. Both calls return what the device has put on the line by `now`,
and `wake_at` says when the next byte or timer is due. The same seed, faults, options and calls give the same bytes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Mapping
from random import Random
from types import MappingProxyType
from typing import ClassVar, NamedTuple


class Option(NamedTuple):
    """One setting of a simulator: its default and what it does."""

    default: str
    meaning: str


NO_OPTIONS: Mapping[str, str] = MappingProxyType({})
LINE_LIMIT_BYTES = 65_536
"""Bytes a device keeps for a line that is not read; beyond it the oldest are lost, as in a UART."""
TICKS_LIMIT = 20_000
"""Timers run in one call: a clock turned by a day must not hang the caller."""

COMMON_FAULTS: Mapping[str, str] = MappingProxyType(
    {
        "garbage": "noise bytes between two frames",
        "flipped_bit": "one bit of a frame is flipped",
        "half_frame": "the first half of a frame, then silence",
        "bad_checksum": "a frame with a wrong checksum",
        "lost_reply": "a whole frame never arrives",
        "reboot": "the device restarts and has forgotten everything",
        "silence": "the device freezes: it neither hears nor speaks for a while",
        "duplicate": "a frame is sent twice",
        "two_in_one": "two frames leave in one write",
        "byte_by_byte": "a frame trickles out one byte at a time",
    }
)
COMMON_OPTIONS: Mapping[str, Option] = MappingProxyType(
    {
        "fault_rate": Option("0.05", "chance that a chosen fault strikes a frame, 0 to 1"),
        "silence_s": Option("8", "seconds that a frozen or restarting device stays silent"),
    }
)


class Emission(NamedTuple):
    """What became of a frame on the line: undamaged copies, and the fault that struck it ('' for none)."""

    good: int
    fault: str = ""


class Line:
    """Bytes with the time at which they leave the device; order is kept, the size is bounded."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._size = 0

    @property
    def next_at(self) -> float | None:
        """When the next byte is due; None when nothing waits."""
        return self._waiting[0][0] if self._waiting else None

    def put(self, data: bytes, at: float) -> None:
        """Let `data` leave at `at`, or right behind what already waits."""
        if not data:
            return
        if self._waiting:
            at = max(at, self._waiting[-1][0])
        self._waiting.append((at, data))
        self._size += len(data)
        while self._size > LINE_LIMIT_BYTES:
            self._size -= len(self._waiting.popleft()[1])

    def take(self, now: float, *, one: bool = False) -> bytes:
        """All that has left by `now`, or only the first of what was put."""
        out = bytearray()
        while self._waiting and self._waiting[0][0] <= now and not (one and out):
            out += self._waiting.popleft()[1]
        self._size -= len(out)
        return bytes(out)

    def clear(self) -> None:
        """Forget what waits."""
        self._waiting.clear()
        self._size = 0


class Simulator(ABC):
    """Base of the simulators: options, seeded faults, the line and the clock; the protocol is the subclass's."""

    NAME: ClassVar[str]
    DESCRIPTION: ClassVar[str]
    FAULTS: ClassVar[Mapping[str, str]] = COMMON_FAULTS
    """Faults it can inject: name → what happens."""
    OPTIONS: ClassVar[Mapping[str, Option]] = COMMON_OPTIONS
    """Options it takes: name → default and meaning."""
    is_datagram: bool = False
    """Whether it speaks by datagrams: each call returns at most one, and `wake_at` is due while more wait."""
    FRAME_FAULTS: ClassVar[frozenset[str]] = frozenset(COMMON_FAULTS)
    """Those of FAULTS that strike a single outgoing frame in `_emit`; the others are the protocol's own business."""

    def __init__(
        self, seed: int = 0, faults: frozenset[str] = frozenset(), options: Mapping[str, str] = NO_OPTIONS
    ) -> None:
        for given, known, what in ((faults, self.FAULTS, "fault"), (options, self.OPTIONS, "option")):
            unknown = sorted(set(given) - set(known))
            if unknown:
                raise ValueError(f"{self.NAME}: unknown {what} {unknown[0]!r}; known: {', '.join(sorted(known))}")
        self.seed = seed
        self.faults = frozenset(faults)
        self.options = {name: options.get(name, option.default) for name, option in self.OPTIONS.items()}
        self.illegal: list[bytes] = []
        """Bytes from the box that this protocol does not allow; empty for a well-behaved box."""
        self.injected: Counter[str] = Counter()
        """How often each fault struck."""
        self._rng = Random(seed)  # noqa: S311
        self._dice = Random(seed ^ 0x5EED)  # noqa: S311 - faults must not change the values drawn from _rng
        self._rate = self.seconds("fault_rate")
        self._line = Line()
        self._held = b""
        self._held_until = 0.0
        self._frozen_until: float | None = None
        self._started_at: float | None = None
        self._is_linked = True
        self.is_hung_up = False
        """The device has ended the TCP connection; a runner closes it, and `connected` begins anew."""

    def seconds(self, option: str) -> float:
        """The value of a numeric option; ValueError names the option when it is not a number ≥ 0."""
        text = self.options[option]
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 <= value < float("inf"):
            raise ValueError(f"{self.NAME}: option {option} = {text!r} is not a number of at least 0")
        return value

    def choice(self, option: str, allowed: tuple[str, ...]) -> str:
        """The value of an option that names one of a few things; ValueError lists them."""
        text = self.options[option]
        if text not in allowed:
            raise ValueError(f"{self.NAME}: option {option} = {text!r}; expected {' | '.join(allowed)}")
        return text

    # -- the clock -------------------------------------------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> bytes:
        """Hear `data` at `now`; returns what has left the device by then."""
        self._advance(now)
        if data and self._frozen_until is None:
            self._hear(data, now)
            self._advance(now)
        return self._spoken(now)

    def wake(self, now: float) -> bytes:
        """Run what is due at `now`; returns what has left the device by then."""
        self._advance(now)
        return self._spoken(now)

    @property
    def wake_at(self) -> float | None:
        """When `wake` is next due; None when only bytes from the box can make it act."""
        if self._started_at is None:
            return 0.0
        if self._frozen_until is not None:
            moments: tuple[float | None, ...] = (self._line.next_at, self._frozen_until)
        else:
            moments = (self._line.next_at, self._due(), self._held_until if self._held else None)
        return min((at for at in moments if at is not None), default=None)

    def connected(self, now: float) -> None:
        """A TCP connection was made; a serial line has no such thing and counts as linked."""
        self._advance(now)
        self._line.clear()
        self._is_linked, self.is_hung_up = True, False

    def disconnected(self, now: float) -> None:
        """The TCP connection is gone: what was under way on it is lost."""
        self._is_linked = False
        self._advance(now)
        self._line.clear()
        self._held = b""

    def _advance(self, now: float) -> None:
        if self._started_at is None:
            self._started_at = now
            self._start(now)
        for _ in range(TICKS_LIMIT):
            if self._frozen_until is not None:
                if now < self._frozen_until:
                    return
                thawed_at, self._frozen_until = self._frozen_until, None
                self._thaw(thawed_at)
            due = self._due()
            if due is None or due > now:
                return
            self._tick(due)

    def _spoken(self, now: float) -> bytes:
        if self._held and now >= self._held_until and self._frozen_until is None:
            self._line.put(self._held, self._held_until)
            self._held = b""
        return self._line.take(now, one=self.is_datagram)

    # -- what a protocol fills in ----------------------------------------------------------------------------------

    @abstractmethod
    def _start(self, now: float) -> None:
        """The device is switched on."""

    @abstractmethod
    def _hear(self, data: bytes, now: float) -> None:
        """Bytes from the box."""

    @abstractmethod
    def _due(self) -> float | None:
        """When the next timer of the protocol is due."""

    @abstractmethod
    def _tick(self, now: float) -> None:
        """Run the timers that are due; must move `_due` forward."""

    @abstractmethod
    def _thaw(self, now: float) -> None:
        """The device hears and speaks again; bytes it missed are gone."""

    @abstractmethod
    def _reboot(self, now: float) -> None:
        """The device restarts."""

    @abstractmethod
    def _with_bad_checksum(self, frame: bytes) -> bytes:
        """The same frame with a checksum that does not fit."""

    # -- faults ----------------------------------------------------------------------------------------------------

    def _strikes(self, fault: str) -> bool:
        """Whether a chosen fault strikes now."""
        if fault not in self.faults or self._dice.random() >= self._rate:
            return False
        self.injected[fault] += 1
        return True

    def _freeze(self, at: float) -> None:
        self._frozen_until = at + self.seconds("silence_s") * (0.75 + self._dice.random() / 2)

    def _emit(self, frame: bytes, at: float) -> Emission:
        """Put a frame on the line at `at`, through whatever fault strikes it."""
        if self._held:
            # The frame before this one waited for company: both leave in one write.
            frame_before, self._held = self._held, b""
            self._line.put(frame_before + frame, at)
            return Emission(1)
        for fault in COMMON_FAULTS:
            if fault in self.FRAME_FAULTS and self._strikes(fault):
                return self._emit_struck(fault, frame, at)
        self._line.put(frame, at)
        return Emission(1)

    def _emit_struck(self, fault: str, frame: bytes, at: float) -> Emission:
        good = 1
        match fault:
            case "garbage":
                self._line.put(self._noise(), at)
                self._line.put(frame, at)
            case "flipped_bit":
                self._line.put(self._with_flipped_bit(frame), at)
                good = 0
            case "bad_checksum":
                self._line.put(self._with_bad_checksum(frame), at)
                good = 0
            case "half_frame":
                self._line.put(frame[: max(1, len(frame) // 2)], at)
                self._freeze(at)
                good = 0
            case "duplicate":
                self._line.put(frame + frame, at)
                good = 2
            case "two_in_one":
                self._held, self._held_until = frame, at + 1.0
            case "byte_by_byte":
                for index in range(len(frame)):
                    self._line.put(frame[index : index + 1], at + index * 0.002)
            case "silence":
                self._freeze(at)
                good = 0
            case "reboot":
                self._line.clear()
                self._reboot(at)
                self._freeze(at)
                good = 0
            case _:  # lost_reply
                good = 0
        return Emission(good, fault)

    def _noise(self) -> bytes:
        """Bytes of a disturbed line that no receiver may take for a control character."""
        kinds = (b"\x00", b"\xff", b"#", b"~", b"\x7f", b"\xf0")
        return b"".join(self._dice.choice(kinds) for _ in range(self._dice.randint(1, 12)))

    def _with_flipped_bit(self, frame: bytes) -> bytes:
        bit = self._dice.randrange(len(frame) * 8)
        damaged = bytearray(frame)
        damaged[bit // 8] ^= 1 << bit % 8
        return bytes(damaged)
