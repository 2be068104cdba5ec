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
from drivers.mindray_bc_serial.link import Link
from drivers.mindray_bc_serial.options import Options as MindrayBcOptions
from drivers.mindray_bc_serial.results import Reader, is_control_like
from drivers.profile import Profile
from drivers.results import Step


class MindrayBcSerialDriver:
    """One analyzer. See `drivers.contract.StreamDriver`."""

    name: ClassVar[str] = "mindray_bc_serial"
    version: ClassVar[int] = 1
    Options: ClassVar[type[MindrayBcOptions]] = MindrayBcOptions

    def __init__(self, profile: Profile, options: MindrayBcOptions) -> None:
        self._reader = Reader(profile, options)
        self._step = Step()
        self._link = Link(self._step, self._take)

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

    def _take(self, body: bytes, is_again: bool) -> Fault | None:
        """A body, from the link; what it returns says why nothing of it is read."""
        sample = self._reader.parse(body)
        if isinstance(sample, Fault):
            # What comes again to the letter was not damaged.
            return Fault("control_not_read", chr(body[0])) if is_again and is_control_like(body) else sample
        self._step.identify({"version": sample.version})
        self._step.publish(self._reader.results(sample))
        return None

    def _output(self) -> Output:
        return self._step.output(self._link.deadline)
