"""Monitors and gateways that send results as HL7 version 2 messages: ORU^R01 over MLLP, the sender calls the box.

    device ─▶ ┌────┬──────────────────────────────────────────┬───────┐
              │ VT │ MSH…ORU^R01│id  PID  PV1  OBR  OBX  OBX … │ FS CR │   one message
              └────┴──────────────────────────────────────────┴───────┘
    box ─▶    │ VT │ MSH…ACK^R01│id  MSA│AA│id                  │ FS CR │   AE: not stored; AR: refused

HL7 2.3.1, section 2.13 "Acknowledgment", and chapter 7. messages.py verifies a message, observe.py reads it by the
dialect's table in profile.toml.

Commit before acknowledgement: AA stands in the Output that carries the observations. If they cannot be committed,
`refusal` says AE instead, and the sender has the message still. Nothing but acknowledgements is ever sent.
"""

import re
from collections import deque
from hashlib import blake2b
from typing import ClassVar

from drivers.contract import Fault, Output
from drivers.framing.hl7 import Message
from drivers.framing.mllp import Framer
from drivers.hl7_monitor.messages import Header, Report, Verdict
from drivers.hl7_monitor.observe import Observer
from drivers.hl7_monitor.options import Options as Hl7MonitorOptions
from drivers.observation import AnyObservation
from drivers.profile import Profile

MAX_MESSAGE_BYTES = 65536
PATIENCE_S = 30.0
"""What is half received and stands still for so long will not come."""
REMEMBERED = 16
"""Messages that are known when they come again."""
ORU = "ORU^R01"
_AGAIN = "duplicate"
_KIND = re.compile(r"[A-Z]{3}(?:\^[A-Z][0-9]{2})?")


class Hl7MonitorDriver:
    """One sender."""

    name: ClassVar[str] = "hl7_monitor"
    version: ClassVar[int] = 1
    Options: ClassVar[type[Hl7MonitorOptions]] = Hl7MonitorOptions

    def __init__(self, profile: Profile, options: Hl7MonitorOptions) -> None:
        self._encoding = options.encoding
        self._framer = Framer(MAX_MESSAGE_BYTES)
        self._observer = Observer(profile, options)
        self._stored: deque[bytes] = deque(maxlen=REMEMBERED)
        self._last_heard = 0.0
        self._has_left = False
        self._send, self._refusal = bytearray(), bytearray()
        self._observations: list[AnyObservation] = []
        self._faults: list[Fault] = []
        self._frames = 0

    def start(self, now: float) -> Output:
        """The sender has just called: what was half received is void; what was stored is still known."""
        self._faults += self._framer.drop()
        self._observer.restart(now)
        self._last_heard = now
        self._has_left = False
        return self._finish(now)

    def receive(self, data: bytes, now: float) -> Output:
        """Whole messages are read and answered; the rest waits for more."""
        if self._has_left:
            return Output()
        self._settle(now)
        self._last_heard = now
        for item in self._framer.feed(data):
            if isinstance(item, Fault):
                self._faults.append(item)
            else:
                self._take(item, now)
        return self._finish(now)

    def wake(self, now: float) -> Output:
        """Silence becomes stale."""
        self._settle(now)
        return self._finish(now)

    def stop(self, now: float) -> Output:
        """Say nothing: a message that is not acknowledged is sent again."""
        self._has_left = True
        self._faults += self._framer.drop()
        self._observations += self._observer.leave()
        return self._finish(now)

    def _settle(self, now: float) -> None:
        if now >= self._last_heard + PATIENCE_S:
            self._faults += self._framer.drop()

    def _take(self, data: bytes, now: float) -> None:
        message = Message.from_bytes(data, self._encoding)
        header = message if isinstance(message, Fault) else Header.from_message(message)
        if isinstance(message, Fault) or isinstance(header, Fault):
            self._faults += [fault for fault in (message, header) if isinstance(fault, Fault)][:1]
            return
        fault = self._read(message, header, data, now)
        if fault is not None:
            self._faults.append(fault)
        if fault is None or not fault.rejected:
            self._frames += 1
        self._answer(header, is_taken=fault is None or fault.reason == _AGAIN)

    def _read(self, message: Message, header: Header, data: bytes, now: float) -> Fault | None:
        """Observations, or why there are none."""
        if header.kind != ORU:
            return Fault("unknown_record", header.kind if _KIND.fullmatch(header.kind) else "")
        report = Report.from_message(message)
        if isinstance(report, Fault):
            return report
        fault = self._observer.refuse(header, report)
        if fault is not None:
            if fault.reason == "wrong_device":
                self._observations += self._observer.wrong_device(header)
            return fault
        # Without a time the same bytes may be a new message: a sender may number its messages by their kind.
        identity = blake2b(data).digest() if header.time else b""
        if identity and identity in self._stored:
            return Fault(_AGAIN)
        self._stored += (identity,) if identity else ()
        seen, faults = self._observer.observe(header, report, now)
        self._observations += seen
        self._faults += faults
        return None

    def _answer(self, header: Header, *, is_taken: bool) -> None:
        verdict: Verdict = "AA" if is_taken else "AR"
        self._send += header.answer(verdict)
        # From the first message with something to store on, nothing of this step is stored if it is refused.
        self._refusal += header.answer("AE" if is_taken and self._observations else verdict)

    def _finish(self, now: float) -> Output:
        due: list[float] = []
        if not self._has_left:
            self._observations += self._observer.silence(now)
            due += self._observer.stale_at()
        if self._framer.is_inside:
            due.append(self._last_heard + PATIENCE_S)
        output = Output(
            send=bytes(self._send),
            observations=tuple(self._observations),
            faults=tuple(self._faults),
            wake_at=min(due, default=None),
            frames=self._frames,
            refusal=bytes(self._refusal) if self._observations and self._send else b"",
        )
        self._send.clear()
        self._refusal.clear()
        self._observations, self._faults, self._frames = [], [], 0
        return output
