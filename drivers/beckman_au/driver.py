"""Olympus and Beckman Coulter AU400 to AU5800: texts whose columns the laboratory sets on the analyzer.

    ┌─────┬────┬──────┬────┬───┬──────┬────────────┬───┬──────────────────────┬───┬─────┬─────┐
    │ STX │ D␣ │ 0001 │ 01 │ ␣ │ 0001 │ 0000000042 │ E │ 0012␣␣␣␣␣5.50␣␣␣␣␣␣␣ │ … │ ETX │ BCC │ ─▶ class B: ACK / NAK
    └─────┴────┴──────┴────┴───┴──────┴────────────┴───┴──────────────────────┴───┴─────┴─────┘
          class rack  cup type sample  specimen  block  test, value, marks               XOR from class through ETX

Olympus AU2700/AU5400 Online Specifications, section 2.3 "Text format"; AU400/AU640 Online Specifications. frames.py
verifies, results.py reads by the layout of options.py.

In class B the results stand in the Output whose `send` holds the ACK of their block; if they cannot be committed,
`refusal` says NAK, the driver is thrown away, and the analyzer sends the block again. In class A nothing is sent, and
a request for tests (`R `) is never answered with one.
"""

from typing import ClassVar

from drivers.beckman_au.frames import ENDS, MAX_BODY_BYTES, Text
from drivers.beckman_au.options import Options as BeckmanAuOptions
from drivers.beckman_au.results import CONTROLS, RESULTS, read_results
from drivers.contract import Fault, Output
from drivers.framing.stx import Framer, answer
from drivers.profile import Profile
from drivers.results import Step

_SILENT = ("DB", "DE", "RB", "RE")
"""Beginnings and ends: nothing is in them."""
_REASONS = {"R ": "host_query", "RH": "host_query", "DR": "blank_not_read", "DA": "calibration_not_read"}


class BeckmanAuDriver:
    """One analyzer. See `drivers.contract.StreamDriver`."""

    name: ClassVar[str] = "beckman_au"
    version: ClassVar[int] = 1
    Options: ClassVar[type[BeckmanAuOptions]] = BeckmanAuOptions

    def __init__(self, _profile: Profile, options: BeckmanAuOptions) -> None:
        self._options = options
        self._step = Step(answer if options.protocol_class == "B" else None)
        self._framer = Framer(MAX_BODY_BYTES, self._take, self._step.settle, ends=ENDS, has_check=options.bcc)
        self._last: Text | None = None

    def start(self, now: float) -> Output:
        """What was half received is forgotten."""
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

    def _take(self, body: bytes) -> Fault | None:
        """The same text again is the same block, whose ACK was lost: there is no time in it."""
        has_check = self._options.bcc
        text = Text.from_bytes(body[:-1], body[-1]) if has_check else Text.from_bytes(body, None)
        if isinstance(text, Fault):
            return text
        self._step.frames += 1
        is_repeat, self._last = text == self._last, text
        if text.kind in _SILENT:
            return None
        if text.kind not in RESULTS + CONTROLS:
            return Fault(_REASONS.get(text.kind, "unknown_record"))
        if is_repeat:
            return Fault("duplicate_result")
        results = read_results(text, self._options)
        if isinstance(results, Fault):
            self._last = None
            return results
        self._step.identify({})
        for result in results:
            self._step.observe(result)
        return None
