"""The line of a Mindray BC-2800 or BC-3000 Plus, with handshake or without.

    handshake off   STX body SUB                         nothing is answered
    handshake on    ENQ ─▶ ACK   body SUB EOT ETX ─▶ ACK, or NAK: the body again, without ENQ
                                                        the analyzer waits 4 s for each answer, and asks twice

How a body ends without handshake is not in the document: SUB is from a public program, and EOT, ETX or a second of
silence end it as well. ETX alone is the question again, and gets the same answer; one that no frame came before gets
NAK, so that a box that was restarted between body and ETX hears the body again. NAK to a body that comes again as it
was refused would bring it without end: then nothing is said, and the analyzer shows that it was not heard.
"""

import re
from collections.abc import Callable

from drivers.contract import Fault
from drivers.framing.stx import ACK, ENQ, ETX, NAK, STX, Collector
from drivers.results import Step

MAX_FRAME_BYTES = 8192
"""Ours: parameters take some 100 bytes, three histograms come after them."""
SILENCE_S = 1.0
RECEIVE_TIMEOUT_S = 30.0
"""Ours: half a body that stands still for so long will not become whole."""

_MARK = re.compile(rb"\x02+|\x03+|\x04+|\x05+|\x1a+")


class Link:
    """One line. `feed()` and `expire()` fill the replies, the faults and the frames of `step`.

    `take` gets each body, and whether it comes again as it was refused; it says why it is refused, or nothing.
    """

    def __init__(self, step: Step, take: Callable[[bytes, bool], Fault | None]) -> None:
        self._step, self._take = step, take
        self._text = Collector(MAX_FRAME_BYTES, _MARK, step.faults.append)
        self._heard_at = 0.0
        self.reset()

    def reset(self) -> None:
        """Nothing half received, and nothing known of a handshake."""
        self._text.reset()
        self._is_asked = False
        self._refused: bytes | Fault | None = None
        self._verdict: bytes | None = None

    @property
    def deadline(self) -> float | None:
        """When `expire()` has something to do."""
        if not self._text.is_open:
            return None
        return self._heard_at + (RECEIVE_TIMEOUT_S if self._is_asked else SILENCE_S)

    def feed(self, data: bytes, now: float) -> None:
        """Bytes as they came, in any split of the stream."""
        self.expire(now)
        if data:
            self._heard_at = now
        for mark in self._text.pieces(data):
            self._text.is_quiet = True
            self._mark(mark[0])

    def expire(self, now: float) -> None:
        """Do what is due at `now`; harmless when nothing is."""
        deadline = self.deadline
        if deadline is None or now < deadline:
            return
        has_begun = self._text.has_begun
        if has_begun and not self._is_asked:
            self._judge()
            return
        if has_begun:
            self._step.faults.append(Fault("timeout"))
        self._text.close()

    def _mark(self, mark: int) -> None:
        if mark in (STX, ENQ):
            self._begin(is_asked=mark == ENQ)
            self._step.replies += ACK if mark == ENQ else b""
        elif mark == ETX:
            self._end()
        elif self._text.has_begun:
            self._text.end()
            if not self._is_asked:
                self._judge()

    def _begin(self, *, is_asked: bool) -> None:
        self._text.begin()
        self._is_asked, self._verdict, self._refused = is_asked, b"", None

    def _end(self) -> None:
        """ETX: the body is over, or the analyzer asks again."""
        if self._text.has_begun:
            self._judge()
        elif self._verdict is None:
            self._begin(is_asked=True)
            self._step.replies += NAK
        else:
            self._step.replies += self._verdict

    def _judge(self) -> None:
        body = self._text.take()
        is_again = body == self._refused
        fault = body if isinstance(body, Fault) else self._take(body, is_again)
        is_refused = fault is not None and fault.rejected
        self._step.frames += not is_refused
        if fault is not None:
            self._step.faults.append(fault)
        self._refused = body if is_refused else None
        is_answered = self._is_asked and not (is_refused and is_again)
        self._verdict = (NAK if is_refused else ACK) if is_answered else b""
        self._step.replies += self._verdict
        if is_refused and self._is_asked:
            self._text.begin()  # the body comes again, without ENQ
