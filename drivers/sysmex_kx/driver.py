"""Sysmex KX-21 and KX-21N: one sample a text of fixed columns.

    ┌─────┬───────┬────────┬───┬──────────────┬────────┬───┬───────┬───────┬───┬───────┬─────┐
    │ STX │ D 1 U │ 260101 │ 0 │ 000000000042 │ 000000 │ S │ 00720 │ 04310 │ … │ *0000 │ ETX │ ─▶ class B: ACK / NAK
    └─────┴───────┴────────┴───┴──────────────┴────────┴───┴───────┴───────┴───┴───────┴─────┘
                    date        sample id       PDA     RDW  WBC 7.2 RBC 4.31    P-LCR none

Sysmex KX-21 and KX-21N operator's manuals, appendix B, section 1.2 "Software"; columns by public programs. frames.py
finds and verifies, results.py reads.

In class B the results stand in the Output whose `send` holds the ACK of their frame; if they cannot be committed,
`refusal` says NAK, the driver is thrown away, and the analyzer sends the frame again. In class A nothing is sent.
"""

from typing import ClassVar

from drivers.contract import NOISE, Fault, Output
from drivers.observation import AnyObservation, Device
from drivers.profile import Profile
from drivers.results import KnownResults
from drivers.sysmex_kx.frames import Framer, Sample
from drivers.sysmex_kx.options import Options as SysmexKxOptions
from drivers.sysmex_kx.results import Reader

ACK, NAK = b"\x06", b"\x15"
_DUPLICATE = Fault("duplicate_result")
_UNANSWERED = (NOISE, "truncated")
"""After these the analyzer is still sending, or never was: it waits for no answer."""


class SysmexKxDriver:
    """One analyzer. See `drivers.contract.StreamDriver`."""

    name: ClassVar[str] = "sysmex_kx"
    version: ClassVar[int] = 1
    Options: ClassVar[type[SysmexKxOptions]] = SysmexKxOptions

    def __init__(self, profile: Profile, options: SysmexKxOptions) -> None:
        self._layout = options.layout
        self._ack, self._nak = (ACK, NAK) if options.protocol_class == "B" else (b"", b"")
        self._reader = Reader(profile, options)
        self._framer = Framer()
        self._known = KnownResults()
        self._has_told = False

    def start(self, now: float) -> Output:
        """What was half received is forgotten, what was given out is still known."""
        self._framer.drop()
        return Output()

    def receive(self, data: bytes, now: float) -> Output:
        """Bytes as they came, in any split of the stream."""
        send, refusal, frames = b"", b"", 0
        found: list[AnyObservation] = []
        faults: list[Fault] = []
        for item in self._framer.feed(data):
            taken = item if isinstance(item, Fault) else Sample.from_bytes(item, self._layout)
            before = len(found)
            if isinstance(taken, Fault):
                faults.append(taken)
            else:
                self._observe(taken, found, faults)
            is_refused = isinstance(taken, Fault) and taken.rejected
            if self._ack and before == 0 < len(found):
                refusal = send + NAK
            if not (isinstance(taken, Fault) and taken.reason in _UNANSWERED):
                frames += not is_refused
                send += self._nak if is_refused else self._ack
        return Output(send=send, observations=tuple(found), faults=tuple(faults), frames=frames, refusal=refusal)

    def wake(self, now: float) -> Output:
        """Nothing is ever due."""
        return Output()

    def stop(self, now: float) -> Output:
        """Nothing is said; half a frame is none."""
        return self.start(now)

    def _observe(self, sample: Sample, found: list[AnyObservation], faults: list[Fault]) -> None:
        if not self._has_told:
            self._has_told = True
            found.append(Device(connection="connected", validity="valid"))
        for result in self._reader.results(sample):
            if self._known.is_repeat(result):
                faults.append(_DUPLICATE)
            else:
                found.append(result)
