"""Sysmex KX-21 and KX-21N: one sample a text of fixed columns.

    ┌─────┬───────┬────────┬───┬──────────────┬────────┬───┬───────┬───────┬───┬───────┬─────┐
    │ STX │ D 1 U │ 260101 │ 0 │ 000000000042 │ 000000 │ S │ 00720 │ 04310 │ … │ *0000 │ ETX │ ─▶ class B: ACK / NAK
    └─────┴───────┴────────┴───┴──────────────┴────────┴───┴───────┴───────┴───┴───────┴─────┘
                    date        sample id       PDA     RDW  WBC 7.2 RBC 4.31    P-LCR none

Sysmex KX-21 and KX-21N operator's manuals, appendix B, section 1.2 "Software"; columns by public programs. frames.py
verifies, results.py reads.

In class B the results stand in the Output whose `send` holds the ACK of their frame; if they cannot be committed,
`refusal` says NAK, the driver is thrown away, and the analyzer sends the frame again. In class A nothing is sent.
"""

from typing import ClassVar

from drivers.contract import Fault, Output
from drivers.framing.stx import Framer, answer
from drivers.profile import Profile
from drivers.results import Step
from drivers.sysmex_kx.frames import MAX_BODY_BYTES, Sample
from drivers.sysmex_kx.options import Options as SysmexKxOptions
from drivers.sysmex_kx.results import Reader


class SysmexKxDriver:
    """One analyzer. See `drivers.contract.StreamDriver`."""

    name: ClassVar[str] = "sysmex_kx"
    version: ClassVar[int] = 1
    Options: ClassVar[type[SysmexKxOptions]] = SysmexKxOptions

    def __init__(self, profile: Profile, options: SysmexKxOptions) -> None:
        self._options = options
        self._reader = Reader(profile, options)
        self._step = Step(answer if options.protocol_class == "B" else None)
        self._framer = Framer(MAX_BODY_BYTES, self._take, self._step.settle)

    def start(self, now: float) -> Output:
        """What was half received is forgotten, what was given out is still known."""
        self._framer.drop()
        return Output()

    def receive(self, data: bytes, now: float) -> Output:
        """Bytes as they came, in any split of the stream."""
        self._framer.feed(data)
        return self._step.output()

    def wake(self, now: float) -> Output:
        """Nothing is ever due."""
        return Output()

    def stop(self, now: float) -> Output:
        """Nothing is said; half a frame is none."""
        return self.start(now)

    def _take(self, text: bytes) -> Fault | None:
        sample = Sample.from_bytes(text[:-1], self._options.layout)
        if isinstance(sample, Fault):
            self._step.frames += not sample.rejected
            return sample
        self._step.frames += 1
        self._step.identify({})
        self._step.publish(self._reader.results(sample))
        return None
