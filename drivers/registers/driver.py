"""The registers engine: polls the points of a map, and turns register blocks into observations.

A Modbus answer, the same in RTU, ASCII and TCP once the port has verified its frame (MODBUS Application Protocol
V1.1b3, sections 4.1 and 6.1 to 6.4):

    ┌──────────┬────────────┬───────────────────────────────┐      ┌──────────────┬───────────┐
    │ function │ byte count │ registers, high byte first    │  or  │ function|80h │ exception │
    └──────────┴────────────┴───────────────────────────────┘      └──────────────┴───────────┘

One read is asked at a time. Each poll says one thing of each point that was due: its value, or why there is none.
A time-out is asked once more; then the rest of the round is not asked at all, and the next round waits longer.
"""

from collections import deque
from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from drivers.contract import Block, Fault, Output, Read
from drivers.observation import AnyObservation, Device
from drivers.profile import Profile
from drivers.registers.plan import MAX_COILS, MAX_REGISTERS, Cut, Limits, halfway, plan
from drivers.registers.points import BIT_TABLES, Point, points_of

ANSWER_S = 30.0
"""Longer than a port takes for one read with a new connection; after it a read that nobody answered is given up."""
UNSUPPORTED_S = 3600.0
"""How soon a register that the device refused by itself is asked again: firmware changes, but not often."""
TOGETHER_S = 0.5
"""Points due within this time are read together."""
BACKOFF_S = (5.0, 10.0, 30.0, 60.0)
"""After a failed round the next one waits at least this long."""
MINUTE_S = 60.0
SHARE_OF_RATE = 0.9
"""Of the profile's sending rate, so that the port, which counts a moment later, never has to refuse."""
REFUSED_ADDRESS = ("exception_2", "exception_3")
"""Illegal data address, illegal data value (the block is too long for this device): asked again in halves."""
FOR_GOOD = (*REFUSED_ADDRESS, "exception_1")
NOT_SENT = ("too_often", "listen_only", "not_allowed", "silenced")
"""The port held the read back: nothing was asked, so nothing is said of the device."""


class RegistersOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """What a map or the configuration may say to the engine."""

    unit: Annotated[int, Meta(ge=0, le=255)] = 1
    """Modbus unit id; the port reads it."""
    bridge: Annotated[int, Meta(ge=0, le=124)] = 16
    """Unwanted addresses that may be read to join two points into one block."""
    max_registers: Annotated[int, Meta(ge=2, le=MAX_REGISTERS)] = MAX_REGISTERS
    max_coils: Annotated[int, Meta(ge=1, le=MAX_COILS)] = MAX_COILS
    confirmed: tuple[str, ...] = ()
    """Codes of `zero = "absent"` points whose zero was seen on the device's own display."""


class _Track(Struct, eq=False):
    """A point and when it is due."""

    number: int
    point: Point
    due: float = 0.0


class RegistersDriver:
    """Any Modbus device, by its map. See the module for the order of things."""

    name: ClassVar[str] = "registers"
    version: ClassVar[int] = 1
    Options: ClassVar[type[Struct]] = RegistersOptions

    def __init__(self, profile: Profile, options: RegistersOptions) -> None:
        self._tracks = tuple(_Track(*each) for each in enumerate(points_of(profile.metric)))
        self._limits = Limits(options.bridge, options.max_registers, options.max_coils)
        self._confirmed = frozenset(options.confirmed)
        shortest = min((track.point.source.poll_s for track in self._tracks), default=0.0)
        self._silence_s = max(profile.protocol.stale_after_s, 3 * shortest)
        self._cuts: set[Cut] = set()
        most = max(1, int(profile.protocol.max_send_per_minute * SHARE_OF_RATE))
        self._sent: deque[float] = deque(maxlen=most)
        self._forget(0.0)

    def _forget(self, now: float) -> None:
        self._queue: deque[Read] = deque()
        self._pending: list[_Track] = []
        self._round_at = self._heard_at = self._asked_at = now
        self._asked: Read | None = None
        self._is_second_try = False
        self._failures = 0
        self._connection = "unknown"

    def start(self, now: float) -> Output:
        """Everything is due. What was learned about refused addresses stays."""
        self._forget(now)
        for track in self._tracks:
            track.due = now
        return self._step(now)

    def stop(self, now: float) -> Output:  # noqa: ARG002 - the contract's signature
        """Nothing to say: Modbus has no goodbye."""
        self._forget(now)
        return Output()

    def wake(self, now: float) -> Output:
        """The next read, if one is due; a read that nobody answered, and silence, are noticed here."""
        is_silent = self._connection != "stale" and now - self._heard_at >= self._silence_s
        if is_silent and self._tracks:
            self._pending = list(self._tracks)
            return self._fail("timeout", now)
        if self._asked and now >= self._asked_at + ANSWER_S:
            return self._fail("timeout", now)
        return self._step(now)

    def receive(self, block: Block, now: float) -> Output:
        """One block, asked for or not: a recording may begin in the middle."""
        error = block.error or ("" if _is_whole(block) else "unverified")
        is_rejected = error == "unverified"
        fault = Fault(error, f"{block.read.table} {block.read.address}+{block.read.count}", is_rejected)
        if self._is_answer(block):
            read, self._asked = self._asked, None
        elif error:
            return self._step(now, faults=(fault,))
        else:
            read, self._asked, self._pending = None, None, list(self._tracks)
            self._queue.clear()
        tracks = self._take(read or block.read)
        if not error:
            return self._values(block, tracks, now)
        if error.startswith("exception_"):
            return self._refused(error, tracks, now, fault)
        self._pending = tracks + self._pending
        if error == "timeout" and read and not self._is_second_try:
            self._is_second_try = True
            self._queue.appendleft(read)
            return self._step(now, faults=(fault,))
        return self._fail(error, now, fault)

    def _is_answer(self, block: Block) -> bool:
        """A recorded error has no words, so its count is not known: table and address are enough."""
        asked, read = self._asked, block.read
        if asked is None or (asked.table, asked.address) != (read.table, read.address):
            return False
        return asked.count == read.count or bool(block.error)

    def _take(self, read: Read) -> list[_Track]:
        """The pending points that stand in a block; they are pending no more."""
        here = (read.table, read.address, read.count)
        taken = [track for track in self._pending if track.point.source.lies_in(*here)]
        self._pending = [track for track in self._pending if not track.point.source.lies_in(*here)]
        return taken

    def _values(self, block: Block, tracks: Iterable[_Track], now: float) -> Output:
        seen: list[AnyObservation | None] = list(self._link("connected"))
        for track in tracks:
            source, code = track.point.source, track.point.metric.code
            at = source.address - block.read.address
            seen.append(
                track.point.observe(block.words[at : at + source.width], is_confirmed=code in self._confirmed)
            )
            track.due = self._round_at + source.poll_s
        self._heard(now)
        return self._step(now, seen, frames=1)

    def _refused(self, error: str, tracks: list[_Track], now: float, fault: Fault) -> Output:
        """A Modbus exception: a verified frame, and an answer about addresses."""
        seen: list[AnyObservation | None] = list(self._link("connected"))
        self._heard(now)
        sources = [track.point.source for track in tracks]
        cut = halfway(sources) if error in REFUSED_ADDRESS else None
        if cut:
            self._cuts.add(cut)
            self._pending += tracks
            self._queue.extendleft(reversed(plan(sources, self._limits, self._cuts)))
            return self._step(now, seen, (fault,), frames=1)
        for track in tracks:
            source = track.point.source
            seen.append(track.point.absent("unsupported" if error == "exception_2" else error))
            track.due = self._round_at + (max(UNSUPPORTED_S, source.poll_s) if error in FOR_GOOD else source.poll_s)
            if error in REFUSED_ADDRESS:  # never again inside a block: there it could come back as a zero
                self._cuts.update(((source.table, source.address), (source.table, source.address + source.width)))
        return self._step(now, seen, (fault,), frames=1)

    def _fail(self, reason: str, now: float, fault: Fault | None = None) -> Output:
        """The rest of the round is given up: what was due is absent, never the last value."""
        wait = BACKOFF_S[min(self._failures, len(BACKOFF_S) - 1)]
        self._failures += 1
        seen: list[AnyObservation | None] = [] if reason in NOT_SENT else list(self._link("stale"))
        for track in sorted(self._pending, key=lambda each: each.number):
            seen.append(track.point.absent(reason))
            track.due = now + max(wait, track.point.source.poll_s)
        self._queue.clear()
        self._pending, self._asked, self._is_second_try = [], None, False
        return self._step(now, seen, (fault or Fault(reason),))

    def _heard(self, now: float) -> None:
        self._heard_at, self._failures, self._is_second_try = now, 0, False

    def _link(self, connection: Literal["connected", "stale"]) -> Iterable[Device]:
        """The change of the link, if it is one."""
        if connection != self._connection:
            self._connection = connection
            yield Device(
                connection=connection, validity="valid", reason="" if connection == "connected" else "no_answer"
            )

    def _step(
        self,
        now: float,
        seen: Iterable[AnyObservation | None] = (),
        faults: tuple[Fault, ...] = (),
        frames: int = 0,
    ) -> Output:
        """What was seen, and the next read or the time of it."""
        read, wake_at = self._next(now)
        return Output(
            observations=tuple(each for each in seen if each is not None),
            faults=faults,
            frames=frames,
            reads=(read,) if read else (),
            wake_at=wake_at,
        )

    def _next(self, now: float) -> tuple[Read | None, float | None]:
        if self._asked:
            return None, self._asked_at + ANSWER_S
        due_at = min((track.due for track in self._tracks), default=None)
        if not self._queue and due_at is not None and due_at <= now:
            self._round_at = now
            self._pending = [track for track in self._tracks if track.due <= now + TOGETHER_S]
            self._queue.extend(plan((track.point.source for track in self._pending), self._limits, self._cuts))
        if not self._queue:
            return None, due_at
        if len(self._sent) == self._sent.maxlen and self._sent[0] > now - MINUTE_S:
            return None, self._sent[0] + MINUTE_S
        self._sent.append(now)
        self._asked, self._asked_at = self._queue.popleft(), now
        return self._asked, now + ANSWER_S


def _is_whole(block: Block) -> bool:
    """As many words as were asked for, each of a size that the table can hold."""
    most = 1 if block.read.table in BIT_TABLES else 0xFFFF
    return len(block.words) == block.read.count > 0 and all(0 <= word <= most for word in block.words)
