r"""Laboratory analyzers that send HL7 version 2 messages: ORU and OUL over MLLP, on a network or a serial line.

    device ─▶ ┌────┬───────────────────────────────────────────────────────┬───────┐
              │ VT │ MSH…ORU^R01│id  PID  OBR…specimen  OBX…  OBX…  SPM    │ FS CR │   one message
              └────┴───────────────────────────────────────────────────────┴───────┘
    box ─▶    │ VT │ MSH…ACK^R01│id  MSA│AA│id                              │ FS CR │   AE: not stored; AR: refused

HL7 2.3.1 and 2.5, chapter 2 "Control" (2.9, acknowledgements in original and enhanced mode), chapter 7 "Observation
reporting"; MLLP: implementation guide, appendix C. The device calls the box, or is called by it; MLLP is the same.
envelope.py reads MSH, answers.py holds all that can be said, reports.py finds what belongs together, results.py reads
the results.

Commit before acknowledgement: AA (or CA) stands in the Output that carries the results. If they cannot be committed,
`refusal` says AE (CE) instead, and the device has the message still. The block acknowledgements of MLLP release 2 are
never sent, nor is an order: see answers.py.
"""

from collections import deque
from hashlib import blake2b
from typing import ClassVar

from msgspec import Struct

from drivers.contract import Fault, Output
from drivers.framing.hl7 import Message
from drivers.framing.mllp import Framer
from drivers.hl7_lab.answers import Answers
from drivers.hl7_lab.controls import control_of
from drivers.hl7_lab.envelope import Header, Verdict
from drivers.hl7_lab.options import Options, Place, words
from drivers.hl7_lab.reports import OrderReader, groups_of
from drivers.hl7_lab.results import ResultReader
from drivers.observation import AnyObservation, Device
from drivers.profile import Profile
from drivers.results import KnownResults

MAX_MESSAGE_BYTES = 2_000_000
MAX_SEGMENTS = 5_000
MAX_FIELDS = 200_000
"""What a message may be taken apart into, so that a few bytes never become much memory."""
PATIENCE_S = 30.0
"""What is half received and stands still for so long will not come."""
REMEMBERED = 64
"""Messages that are known when they come again, byte for byte."""
HEARTBEAT = b"\x02"
"""BC-5800: a lone byte each three seconds, between messages."""
_RESULTS = ("ORU", "OUL")
_CANCELLED_QUERY = "QCN^J01"
_WRONG_DEVICE = "wrong_device"
_TRUNCATED_HEADER = 2_000


class Hl7LabDriver:
    """One analyzer. See `drivers.contract.StreamDriver`."""

    name: ClassVar[str] = "hl7_lab"
    version: ClassVar[int] = 1
    Options: ClassVar[type[Struct]] = Options

    def __init__(self, profile: Profile, options: Struct) -> None:
        if not isinstance(options, Options):
            raise TypeError("options of another driver")
        self._options = options
        self._senders = frozenset(word.casefold() for word in words(options.senders))
        self._places = {name: Place.from_name(place) for name, place in options.identity.items()}
        self._answers, self._orders = Answers(options), OrderReader(options)
        self._results, self._known = ResultReader(profile, options), KnownResults()
        self._framer = Framer(MAX_MESSAGE_BYTES, between=HEARTBEAT)
        self._stored: deque[bytes] = deque(maxlen=REMEMBERED)
        self._identity: Device | None = None
        self._last_heard = 0.0
        self._send, self._refusal = bytearray(), bytearray()
        self._observations: list[AnyObservation] = []
        self._faults: list[Fault] = []
        self._frames = 0

    def start(self, now: float) -> Output:
        """The link is new: what was half received is void, what was given out is still known."""
        self._faults += self._framer.drop()
        self._identity = None
        self._last_heard = now
        return self._finish()

    def receive(self, data: bytes, now: float) -> Output:
        """Whole messages are read and answered; the rest waits for more."""
        self._settle(now)
        self._last_heard = now
        for item in self._framer.feed(data):
            if isinstance(item, Fault):
                self._faults.append(item)
            else:
                self._take(item)
        return self._finish()

    def wake(self, now: float) -> Output:
        """What is half received for too long is given up."""
        self._settle(now)
        return self._finish()

    def stop(self, now: float) -> Output:
        """Say nothing: a message that is not acknowledged is sent again."""
        return self.start(now)

    def _settle(self, now: float) -> None:
        if now >= self._last_heard + PATIENCE_S:
            self._faults += self._framer.drop()

    def _take(self, data: bytes) -> None:
        identity = blake2b(data, digest_size=16).digest()
        message = self._parse(data)
        if isinstance(message, Fault):
            self._faults.append(message)
            self._answer_unparsed(data)
            return
        header = Header.from_message(message)
        if not header.has_control_id:
            self._faults.append(Fault("control_id"))
        if header.kind[:3] in _RESULTS:
            self._take_results(message, header, identity)
        else:
            self._take_other(message, header)

    def _parse(self, data: bytes) -> Message | Fault:
        if max(data.count(b"\r"), data.count(b"\n")) > MAX_SEGMENTS or data.count(data[3:4]) > MAX_FIELDS:
            return Fault("length", "segments", rejected=True)
        return Message.from_bytes(data, self._options.encoding)

    def _answer_unparsed(self, data: bytes) -> None:
        """What cannot be read is refused for good, as far as its header can be read."""
        header = data[:_TRUNCATED_HEADER].splitlines()[:1]
        found = Message.from_bytes(b"".join(header), self._options.encoding)
        if not isinstance(found, Fault):
            self._answer(Header.from_message(found), "reject")

    def _take_results(self, message: Message, header: Header, identity: bytes) -> None:
        refused = self._refused(message, header)
        if refused is not None:
            self._faults.append(refused)
            self._answer(header, "reject")
            return
        self._frames += 1
        # Without a time the same bytes may be a new message: a device may number its messages by their kind.
        if header.sent and identity in self._stored:
            self._faults.append(Fault("duplicate"))
        else:
            self._identify(message, "")
            self._read(message, header)
            self._stored.append(identity)
        self._answer(header, "accept")

    def _refused(self, message: Message, header: Header) -> Fault | None:
        if not header.is_version_known:
            return Fault("version")
        if self._senders and not self._is_expected(message):
            self._identify(message, _WRONG_DEVICE)
            return Fault(_WRONG_DEVICE)
        return Fault("not_read") if self._orders.is_unread(message) else None

    def _is_expected(self, message: Message) -> bool:
        """Whether MSH-3 or MSH-4 holds one of the words, or neither of them holds anything."""
        marks = message.delimiters
        told = [part.strip().casefold() for n in (3, 4) for part in marks.components(message.header[n])]
        return not any(told) or not self._senders.isdisjoint(told)

    def _identify(self, message: Message, reason: str) -> None:
        found = {name: place.read(message.header, message.delimiters) for name, place in self._places.items()}
        told = {name: text[:64] for name, text in found.items() if text}
        device = Device(connection="connected", identity=told, validity="valid", reason=reason)
        if device != self._identity:
            self._identity = device
            self._observations.append(device)

    def _read(self, message: Message, header: Header) -> None:
        """All results of a message; one that was given out before is counted."""
        marks = message.delimiters
        met: set[str] = set()
        has_any = False
        for group in groups_of(message, header.kind, self._faults):
            order = self._orders.read(group, marks)
            if order.is_qc and self._options.qc_in_order and not group.rows:
                order = control_of(group, order, marks)
            has_any = has_any or bool(group.rows)
            for seen in self._results.observe(group, header, order, marks, met):
                if self._known.is_repeat(seen):
                    self._faults.append(Fault("duplicate_result"))
                else:
                    self._observations.append(seen)
        if not has_any:
            self._faults.append(Fault("no_results"))

    def _take_other(self, message: Message, header: Header) -> None:
        """A query, or what is nothing to us. An acknowledgement is never answered: two hosts would go on for ever."""
        self._frames += 1
        if self._answers.is_query(message, header):
            self._faults.append(Fault("host_query"))
            answer = self._answers.no_order(message, header)
            self._say(answer, answer)
            return
        self._faults.append(Fault("unknown_record", header.kind))
        if header.kind[:3] == "ACK":
            return
        is_cancelled = header.kind == _CANCELLED_QUERY and self._options.query == "rsp"
        self._answer(header, "accept" if is_cancelled else "reject")

    def _answer(self, header: Header, verdict: Verdict) -> None:
        answer = self._answers.acknowledge(header, verdict)
        # From the first message with something to store on, nothing of this step is stored if that is refused.
        is_void = verdict == "accept" and self._observations
        self._say(answer, self._answers.acknowledge(header, "error") if is_void else answer)

    def _say(self, answer: bytes, refusal: bytes) -> None:
        self._send += answer
        self._refusal += refusal

    def _finish(self) -> Output:
        output = Output(
            send=bytes(self._send),
            observations=tuple(self._observations),
            faults=tuple(self._faults),
            wake_at=self._last_heard + PATIENCE_S if self._framer.is_inside else None,
            frames=self._frames,
            refusal=bytes(self._refusal) if self._observations else b"",
        )
        self._send.clear()
        self._refusal.clear()
        self._observations, self._faults, self._frames = [], [], 0
        return output
