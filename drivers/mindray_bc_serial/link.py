"""The line of a Mindray BC-2800 or BC-3000 Plus, with handshake or without.

    handshake off   STX body SUB                         nothing is answered
    handshake on    ENQ ─▶ ACK   body SUB EOT ETX ─▶ ACK, or NAK: the body again, without ENQ
                                                        the analyzer waits 4 s for each answer, and asks twice

How a body ends without handshake is not in the document: SUB is from a public program, and EOT, ETX or a second of
silence end it as well. ETX alone is the question again, and gets the same answer; one that no frame came before gets
NAK, so that a box that was restarted between body and ETX hears the body again.
"""

import re
from collections.abc import Callable

from drivers.contract import NOISE, Fault

ACK, NAK = b"\x06", b"\x15"
STX, ETX, EOT, ENQ, SUB = 0x02, 0x03, 0x04, 0x05, 0x1A
MAX_FRAME_BYTES = 8192
"""Ours: parameters take some 100 bytes, three histograms come after them."""
SILENCE_S = 1.0
RECEIVE_TIMEOUT_S = 30.0
"""Ours: half a body that stands still for so long will not become whole."""

_MARK = re.compile(rb"\x02+|\x03+|\x04+|\x05+|\x1a+")
_BETWEEN = re.compile(rb"[\r\n]*")


class Link:
    """One line. `feed()` and `expire()` fill `replies`, `faults` and `frames`; the caller empties them.

    `take` gets each body and says why it is refused, or nothing.
    """

    def __init__(self, take: Callable[[bytes], Fault | None]) -> None:
        self._take = take
        self.replies = bytearray()
        self.faults: list[Fault] = []
        self.frames = 0
        self.reset()

    def reset(self) -> None:
        """Nothing half received, and nothing known of a handshake."""
        self._close()
        self._is_noise = False
        self._is_asked = False
        self._verdict: bytes | None = None
        self._heard_at = 0.0

    def _close(self) -> None:
        self._body = bytearray()
        self._is_open = self._is_ended = self._is_too_long = False

    @property
    def deadline(self) -> float | None:
        """When `expire()` has something to do."""
        if not self._is_open:
            return None
        return self._heard_at + (RECEIVE_TIMEOUT_S if self._is_asked else SILENCE_S)

    def feed(self, data: bytes, now: float) -> None:
        """Bytes as they came, in any split of the stream."""
        self.expire(now)
        if data:
            self._heard_at = now
        at = 0
        while at < len(data):
            found = _MARK.search(data, at)
            stop = found.start() if found else len(data)
            if stop > at:
                self._hear(data, at, stop)
            if found is None:
                return
            self._mark(found[0])
            at = found.end()

    def expire(self, now: float) -> None:
        """Do what is due at `now`; harmless when nothing is."""
        deadline = self.deadline
        if deadline is None or now < deadline:
            return
        has_body = bool(self._body) or self._is_too_long
        if has_body and not self._is_asked:
            self._judge()
            return
        if has_body:
            self.faults.append(Fault("timeout"))
        self._close()

    def _hear(self, data: bytes, at: int, stop: int) -> None:
        if self._is_open and not self._is_ended:
            if len(self._body) + stop - at > MAX_FRAME_BYTES:
                self._is_too_long = True
                self._body.clear()
            elif not self._is_too_long:
                self._body += data[at:stop]
            return
        between = _BETWEEN.match(data, at, stop)
        if not self._is_noise and (between is None or between.end() < stop):
            self._is_noise = True
            self.faults.append(Fault(NOISE))

    def _mark(self, run: bytes) -> None:
        mark = run[0]
        self._is_noise = False
        if mark in (STX, ENQ):
            self._begin(is_asked=mark == ENQ)
            self.replies += ACK if mark == ENQ else b""
        elif mark == ETX:
            self._end()
        elif self._is_open and (self._body or self._is_too_long):
            self._is_ended = True
            if not self._is_asked:
                self._judge()

    def _begin(self, *, is_asked: bool) -> None:
        if self._is_open and (self._body or self._is_too_long):
            self.faults.append(Fault("truncated", rejected=True))
        self._close()
        self._is_open, self._is_asked, self._verdict = True, is_asked, b""

    def _end(self) -> None:
        """ETX: the body is over, or the analyzer asks again."""
        if self._is_open and (self._body or self._is_too_long):
            self._judge()
        elif self._verdict is None:
            self._begin(is_asked=True)
            self.replies += NAK
        else:
            self.replies += self._verdict

    def _judge(self) -> None:
        body, is_too_long, is_asked = bytes(self._body), self._is_too_long, self._is_asked
        self._close()
        fault = Fault("length", rejected=True) if is_too_long else self._take(body)
        is_refused = fault is not None and fault.rejected
        self.frames += not is_refused
        if fault is not None:
            self.faults.append(fault)
        self._verdict = (NAK if is_refused else ACK) if is_asked else b""
        self.replies += self._verdict
        if is_refused and is_asked:
            self._is_open = True  # the body comes again, without ENQ
