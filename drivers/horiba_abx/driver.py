"""Horiba ABX Micros 60: the ABX format, sent unasked. The box only listens.

    ┌─────┬───────┬────┬──────────────┬────┬──────────────┬────┬───┬─────────────────┬────┬─────┐
    │ STX │ 00769 │ CR │ FFH ␣ RESULT │ CR │ ! ␣ 006.1 ␣l │ CR │ … │ FDH ␣ checksum  │ CR │ ETX │  SOH before,
    └─────┴───────┴────┴──────────────┴────┴──────────────┴────┴───┴─────────────────┴────┴─────┘  optional
            characters between STX and ETX,    fields in any order and number                     optional
            may be absent

HORIBA ABX, output formats RAA024 and RAA031, section "ABX Format". Neither asks the host for an answer, so nothing is
ever sent. frames.py decides whether a message is well formed, results.py reads it.
"""

from typing import ClassVar

from drivers.contract import Fault, Output
from drivers.framing.stx import Framer
from drivers.horiba_abx.frames import BETWEEN, MAX_FRAME_BYTES, VERSION, Message
from drivers.horiba_abx.options import Options as HoribaAbxOptions
from drivers.horiba_abx.results import read_results
from drivers.profile import Profile
from drivers.results import Step


class HoribaAbxDriver:
    """One analyzer. See `drivers.contract.StreamDriver`."""

    name: ClassVar[str] = "horiba_abx"
    version: ClassVar[int] = 1
    Options: ClassVar[type[HoribaAbxOptions]] = HoribaAbxOptions

    def __init__(self, profile: Profile, options: HoribaAbxOptions) -> None:
        self._profile, self._options = profile, options
        self._step = Step()
        self._framer = Framer(MAX_FRAME_BYTES, self._take, self._step.settle, between=BETWEEN)

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
        message = Message.from_bytes(text[:-1])
        if isinstance(message, Fault):
            return message
        results = read_results(message, self._profile, self._options)
        if isinstance(results, Fault):
            self._step.frames += not results.rejected
            return results
        self._step.frames += 1
        software = message.fields.get(VERSION, "").strip()
        self._step.identify({"software": software} if software else {})
        self._step.publish(results)
        return None
