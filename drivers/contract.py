"""The contract every driver keeps: bytes and time in, observations and bytes to send out; no I/O, no clock.

What the property tests in tests/contract hold against each driver of the catalog: chunk-independent · total (no
byte string makes it raise) · bounded buffer, linear work · deterministic · all-or-nothing frames · resynchronises
within one maximum frame · silence becomes stale · emits only allow-listed bytes · a flipped bit never becomes a
valid value where the protocol has a checksum.
"""

from typing import ClassVar, Literal, Protocol

from msgspec import Struct

from drivers.observation import AnyObservation
from drivers.profile import Profile

NOISE = "noise"
"""Reason of a fault: bytes that belong to no frame. No rejected frame, but nothing that verifies the line either."""


class Fault(Struct, frozen=True, omit_defaults=True):
    """Something the driver met and did not turn into a value; counted by `reason`, never raised."""

    reason: str
    """snake_case word of a small set, e.g. `checksum`, `length`, `framing`, `timeout`, `unknown_record`."""
    detail: str = ""
    """Short and free of patient data: numbers, codes, never a field that could hold an identity."""
    rejected: bool = False
    """True where a whole frame was refused: it counts in the line-quality gate."""


Table = Literal["coil", "discrete", "holding", "input"]


class Read(Struct, frozen=True):
    """One Modbus read: table, zero-based address, number of coils or registers."""

    table: Table
    address: int
    count: int


class Block(Struct, frozen=True, omit_defaults=True):
    """What came back for one read: values, or the reason why there are none.

    `words` are unsigned 16-bit registers (or 0/1 for coils); `error` is `exception_<n>`, `timeout`, `unverified`, or
    the port's own no: `not_allowed`, `too_often`, `listen_only`.
    """

    read: Read
    words: tuple[int, ...] = ()
    error: str = ""


class Output(Struct, frozen=True, omit_defaults=True):
    """All that a driver has to say at one moment."""

    send: bytes = b""
    """Whole allow-listed frames, written only after `observations` are committed."""
    observations: tuple[AnyObservation, ...] = ()
    faults: tuple[Fault, ...] = ()
    wake_at: float | None = None
    """Call `wake()` at this monotonic time unless something comes first; replaces the earlier one."""
    frames: int = 0
    """Frames verified (length and checksum) in this step: the line-quality gate counts them."""
    refusal: bytes = b""
    """Written instead of `send` when the observations could not be committed (E1381: NAK).

    Empty: nothing in `send` says "I have it". It is then sent whatever the disk does, and the box holds the events.
    """
    reads: tuple[Read, ...] = ()
    """Register drivers only: what to read next, in order."""


class StreamDriver(Protocol):
    """A device on a byte stream or datagram: serial, TCP, UDP. `now` is monotonic seconds."""

    name: ClassVar[str]
    version: ClassVar[int]
    Options: ClassVar[type[Struct]]
    """What the configuration may say to this driver; unknown keys are refused."""

    def __init__(self, profile: Profile, options: Struct) -> None: ...

    def start(self, now: float) -> Output:
        """The port has just opened: forget what was half received, and say hello if the protocol does."""
        ...

    def receive(self, data: bytes, now: float) -> Output:
        """Bytes as they came, in any split of the stream."""
        ...

    def wake(self, now: float) -> Output:
        """Polls and time-outs. Harmless when called early or twice."""
        ...

    def stop(self, now: float) -> Output:
        """The goodbye some devices need (MEDIBUS STOP); nothing is sent after it."""
        ...


class RegisterDriver(Protocol):
    """A device read by registers: the same shape with blocks in and reads out."""

    name: ClassVar[str]
    version: ClassVar[int]
    Options: ClassVar[type[Struct]]
    """What the configuration may say to this driver; unknown keys are refused."""

    def __init__(self, profile: Profile, options: Struct) -> None: ...

    def start(self, now: float) -> Output:
        """The port has just opened."""
        ...

    def receive(self, block: Block, now: float) -> Output:
        """One block that was asked for, or the error that came instead."""
        ...

    def wake(self, now: float) -> Output:
        """What is due to be read now."""
        ...

    def stop(self, now: float) -> Output:
        """The port is about to close."""
        ...


Driver = StreamDriver | RegisterDriver
