"""Mindray BC-2800 and BC-3000 Plus: one sample a text of fixed columns, with handshake or without.

    ┌───────────┬───┬────┬─────┬─────┬────┬────────────┬───┬──────────────────┬──────┬──────┬───┬─────┐
    │ ENQ / STX │ A │ 01 │ 010 │ 018 │ 03 │ 0000000113 │ 0 │ 01 01 2026 080000 │ 0072 │ 0022 │ … │ SUB │ EOT ETX
    └───────────┴───┴────┴─────┴─────┴────┴────────────┴───┴──────────────────┴──────┴──────┴───┴─────┘
                     version id length, parameters, formats   id  mode  time      WBC 7.2, Lymph# 2.2

Mindray BC-3000 Plus operator's manual, appendix D, section D.3. link.py has the handshake, results.py the columns.

Commit before ACK: the results stand in the Output whose `send` holds the ACK of their ETX; if they cannot be
committed, `refusal` says NAK, the driver is thrown away, and the analyzer sends the body again. Nothing but ACK and
NAK is sent, and without handshake nothing at all.
"""

from typing import ClassVar

from drivers.contract import Fault, Output
from drivers.mindray_bc_serial.link import NAK, Link
from drivers.mindray_bc_serial.options import Options as MindrayBcOptions
from drivers.mindray_bc_serial.results import Reader
from drivers.observation import AnyObservation, Device
from drivers.profile import Profile
from drivers.results import KnownResults

_DUPLICATE = Fault("duplicate_result")


class MindrayBcSerialDriver:
    """One analyzer. See `drivers.contract.StreamDriver`."""

    name: ClassVar[str] = "mindray_bc_serial"
    version: ClassVar[int] = 1
    Options: ClassVar[type[MindrayBcOptions]] = MindrayBcOptions

    def __init__(self, profile: Profile, options: MindrayBcOptions) -> None:
        self._reader = Reader(profile, options)
        self._link = Link(self._take)
        self._known = KnownResults()
        self._identity: dict[str, str] | None = None
        self._found: list[AnyObservation] = []
        self._promised_from = -1
        """How many bytes of reply stood before the frame with this step's first observation; -1: there is none."""

    def start(self, now: float) -> Output:
        """What was half received is forgotten, what was given out is still known."""
        self._link.reset()
        return self._output()

    def receive(self, data: bytes, now: float) -> Output:
        """Bytes as they came, in any split of the stream."""
        self._link.feed(data, now)
        return self._output()

    def wake(self, now: float) -> Output:
        """A body that no more bytes follow."""
        self._link.expire(now)
        return self._output()

    def stop(self, now: float) -> Output:
        """Say nothing: a body that is not acknowledged is sent again."""
        return self.start(now)

    def _take(self, body: bytes) -> Fault | None:
        """A body, from the link."""
        sample = self._reader.parse(body)
        if isinstance(sample, Fault):
            return sample
        before = len(self._found)
        identity = {"version": sample.version}
        if identity != self._identity:
            self._identity = identity
            self._found.append(Device(connection="connected", validity="valid", identity=identity))
        for result in self._reader.results(sample):
            if self._known.is_repeat(result):
                self._link.faults.append(_DUPLICATE)
            else:
                self._found.append(result)
        if self._promised_from < 0 and len(self._found) > before:
            self._promised_from = len(self._link.replies)
        return None

    def _output(self) -> Output:
        link = self._link
        send = bytes(link.replies)
        promised = 0 <= self._promised_from < len(send)
        output = Output(
            send=send,
            observations=tuple(self._found),
            faults=tuple(link.faults),
            wake_at=link.deadline,
            frames=link.frames,
            refusal=send[: self._promised_from] + NAK if promised else b"",
        )
        link.replies.clear()
        link.faults.clear()
        link.frames = 0
        self._found, self._promised_from = [], -1
        return output
