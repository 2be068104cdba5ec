"""The bioMérieux link: a session, frames with a checksum, and what is answered.

    device   ENQ        STX RS text RS text … GS cc [CR LF] ETX        EOT
    box          ACK                                            ACK / NAK

cc is the sum of the bytes from the first RS through GS modulo 256, two lower-case hexadecimal digits. RS only parts
long texts into lines: it stands in the middle of a word as well as between two fields.

An ACK that comes too early would tell the device that a frame is safe which is not. So a frame is judged when ETX
ends it, or what else shows that the device has nothing more to say: EOT, ENQ, STX, or a second of silence. And an ENQ
inside a frame may be an `E` that lost a bit: it is answered only after a second of silence.
"""

import re
from collections.abc import Callable

from drivers.contract import Fault
from drivers.framing.checksum import sum8
from drivers.framing.stx import ACK, ENQ, EOT, ETX, NAK, STX, Collector
from drivers.results import Step

MAX_FRAME_BYTES = 16_384
"""Ours: one result takes some 200 bytes."""
SILENCE_S = 1.0
RECEIVE_TIMEOUT_S = 30.0
"""Ours: half a frame that stands still for so long will not become whole."""

_MARK = re.compile(rb"\x02+|[\x03\x04]|\x05+")
_FRAME = re.compile(rb"[\r\n]*(\x1e[^\x1d]*\x1d)([0-9A-Fa-f]{2})[\r\n]*")
_TAIL_BYTES = 16
"""GS, two digits and some line ends: only where GS stands so near the end may the frame be whole."""
_CONTROL = re.compile(rb"[\x00-\x09\x0b\x0c\x0e-\x1c\x1f\x7f]")


class Link:
    """One line. `feed()` and `expire()` fill the replies, the faults and the frames of `step`.

    `take` gets the text of each verified frame, without RS, CR and LF, before its ACK stands in the replies.
    """

    def __init__(self, step: Step, take: Callable[[bytes], None]) -> None:
        self._step, self._take = step, take
        self._text = Collector(MAX_FRAME_BYTES, _MARK, step.faults.append)
        self._heard_at = 0.0

    def reset(self) -> None:
        """Nothing half received."""
        self._text.reset()

    @property
    def deadline(self) -> float | None:
        """When `expire()` has something to do."""
        if not self._text.is_open:
            return None
        is_over = self._is_asked_inside or self._is_whole
        return self._heard_at + (SILENCE_S if is_over else RECEIVE_TIMEOUT_S)

    @property
    def _is_asked_inside(self) -> bool:
        return self._text.body.endswith(b"\x05")

    @property
    def _is_whole(self) -> bool:
        """All of a frame is there but its ETX."""
        body = self._text.body
        return b"\x1d" in body[-_TAIL_BYTES:] and _FRAME.fullmatch(body) is not None

    def feed(self, data: bytes, now: float) -> None:
        """Bytes as they came, in any split of the stream."""
        self.expire(now)
        if data:
            self._heard_at = now
        for mark in self._text.pieces(data):
            self._mark(mark)

    def expire(self, now: float) -> None:
        """Do what is due at `now`; harmless when nothing is."""
        deadline = self.deadline
        if deadline is None or now < deadline:
            return
        if self._is_asked_inside:
            self._text.abandon()
            self._step.replies += ACK
        elif self._is_whole:
            self._judge()
        else:
            self._step.faults.append(Fault("timeout"))
            self._text.close()

    def _mark(self, run: bytes) -> None:
        mark, text = run[0], self._text
        if text.is_open and mark != ETX and self._is_whole:
            self._judge()
        if mark == STX:
            text.begin()
        elif mark == ENQ and text.is_open:
            text.keep(b"\x05")
        elif mark == ENQ:
            text.is_quiet = True
            self._step.replies += ACK * len(run)
        elif mark == EOT:
            text.abandon()
            text.is_quiet = True
        elif text.is_open:
            self._judge()

    def _judge(self) -> None:
        body = self._text.take()
        text = body if isinstance(body, Fault) else _verify(body)
        if isinstance(text, Fault):
            self._step.faults.append(text)
            self._step.replies += NAK
            return
        self._step.frames += 1
        self._take(text)
        self._step.replies += ACK


def _verify(body: bytes) -> bytes | Fault:
    """The text of a frame; a fault says why nothing of it is read."""
    found = _FRAME.fullmatch(body)
    if _CONTROL.search(body):
        return Fault("illegal_character", rejected=True)
    if found is None:
        return Fault("layout", rejected=True)
    if b"%02x" % sum8(found[1]) != found[2].lower():
        return Fault("checksum", rejected=True)
    return found[1][:-1].translate(None, b"\x1e\r\n")
