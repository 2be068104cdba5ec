"""Olympus and Beckman Coulter AU400 to AU5800: texts whose columns the laboratory sets on the analyzer.

    ┌─────┬────┬──────┬────┬───┬──────┬────────────┬───┬──────────────────────┬───┬─────┬─────┐
    │ STX │ D␣ │ 0001 │ 01 │ ␣ │ 0001 │ 0000000042 │ E │ 0012␣␣␣␣␣5.50␣␣␣␣␣␣␣ │ … │ ETX │ BCC │ ─▶ class B: ACK / NAK
    └─────┴────┴──────┴────┴───┴──────┴────────────┴───┴──────────────────────┴───┴─────┴─────┘
          class rack  cup type sample  specimen  block  test, value, marks               XOR from class through ETX

Olympus AU2700/AU5400 Online Specifications, section 2.3 "Text format"; AU400/AU640 Online Specifications. frames.py
finds and verifies, results.py reads by the layout of options.py.

In class B the results stand in the Output whose `send` holds the ACK of their block; if they cannot be committed,
`refusal` says NAK, the driver is thrown away, and the analyzer sends the block again. In class A nothing is sent, and
a request for tests (`R `) is never answered with one.
"""

from typing import ClassVar

from drivers.beckman_au.frames import Framer, Text
from drivers.beckman_au.options import Options as BeckmanAuOptions
from drivers.beckman_au.results import CONTROLS, RESULTS, read_results
from drivers.contract import NOISE, Fault, Output
from drivers.observation import AnyObservation, Device
from drivers.profile import Profile

ACK, NAK = b"\x06", b"\x15"
_UNANSWERED = (NOISE, "truncated")
"""After these the analyzer is still sending, or never was: it waits for no answer."""
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
        self._ack, self._nak = (ACK, NAK) if options.protocol_class == "B" else (b"", b"")
        self._framer = Framer(has_check=options.bcc)
        self._has_told = False
        self._last: Text | None = None
        self._found: list[AnyObservation] = []

    def start(self, now: float) -> Output:
        """What was half received is forgotten."""
        self._framer.drop()
        return Output()

    def receive(self, data: bytes, now: float) -> Output:
        """Bytes as they came, in any split of the stream."""
        send, refusal, frames = b"", b"", 0
        faults: list[Fault] = []
        for item in self._framer.feed(data):
            before = len(self._found)
            fault = item if isinstance(item, Fault) else self._take(item)
            if fault is not None:
                faults.append(fault)
            if self._ack and before == 0 < len(self._found):
                refusal = send + NAK
            if fault is None or fault.reason not in _UNANSWERED:
                frames += isinstance(item, Text)
                is_refused = isinstance(item, Fault) or (fault is not None and fault.reason == "layout")
                send += self._nak if is_refused else self._ack
        found, self._found = tuple(self._found), []
        return Output(send=send, observations=found, faults=tuple(faults), frames=frames, refusal=refusal)

    def wake(self, now: float) -> Output:
        """Nothing is ever due."""
        return Output()

    def stop(self, now: float) -> Output:
        """Nothing is said; half a frame is none."""
        return self.start(now)

    def _take(self, text: Text) -> Fault | None:
        """A verified text. The same text again is the same block, whose ACK was lost: there is no time in it."""
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
        if not self._has_told:
            self._has_told = True
            self._found.append(Device(connection="connected", validity="valid"))
        self._found += results
        return None
