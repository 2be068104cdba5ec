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

from drivers.contract import NOISE, Fault
from drivers.framing.checksum import sum8

ACK, NAK = b"\x06", b"\x15"
STX, ETX, EOT, ENQ = 0x02, 0x03, 0x04, 0x05
MAX_FRAME_BYTES = 16_384
"""Ours: one result takes some 200 bytes."""
SILENCE_S = 1.0
RECEIVE_TIMEOUT_S = 30.0
"""Ours: half a frame that stands still for so long will not become whole."""

_MARK = re.compile(rb"\x02+|[\x03\x04]|\x05+")
_BETWEEN = re.compile(rb"[\r\n]*")
_FRAME = re.compile(rb"[\r\n]*(\x1e[^\x1d]*\x1d)([0-9A-Fa-f]{2})[\r\n]*")
_TAIL_BYTES = 16
"""GS, two digits and some line ends: only where GS stands so near the end may the frame be whole."""
_CONTROL = re.compile(rb"[\x00-\x09\x0b\x0c\x0e-\x1c\x1f\x7f]")


class Link:
    """One line. `feed()` and `expire()` fill `replies`, `faults` and `frames`; the caller empties them.

    `take` gets the text of each verified frame, without RS, CR and LF, before its ACK stands in `replies`.
    """

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self._take = take
        self.replies = bytearray()
        self.faults: list[Fault] = []
        self.frames = 0
        self.reset()

    def reset(self) -> None:
        """Nothing half received."""
        self._body = bytearray()
        self._is_open = self._is_too_long = self._is_noise = False
        self._heard_at = 0.0

    @property
    def deadline(self) -> float | None:
        """When `expire()` has something to do."""
        if not self._is_open:
            return None
        is_over = self._body.endswith(b"\x05") or self._is_whole
        return self._heard_at + (SILENCE_S if is_over else RECEIVE_TIMEOUT_S)

    @property
    def _is_whole(self) -> bool:
        """All of a frame is there but its ETX."""
        return b"\x1d" in self._body[-_TAIL_BYTES:] and _FRAME.fullmatch(self._body) is not None

    def feed(self, data: bytes, now: float) -> None:
        """Bytes as they came, in any split of the stream."""
        self.expire(now)
        if data:
            self._heard_at = now
        at = 0
        while at < len(data):
            found = _MARK.search(data, at)
            stop = found.start() if found else len(data)
            if self._is_open:
                self._keep(data[at:stop])
            elif stop > at:
                self._pass_over(data, at, stop)
            if found is None:
                return
            self._mark(found[0])
            at = found.end()

    def expire(self, now: float) -> None:
        """Do what is due at `now`; harmless when nothing is."""
        deadline = self.deadline
        if deadline is None or now < deadline:
            return
        if self._body.endswith(b"\x05"):
            self._abandon()
            self.replies += ACK
        elif self._is_whole:
            self._judge()
        else:
            self.faults.append(Fault("timeout"))
            self._close()

    def _close(self) -> None:
        self._body = bytearray()
        self._is_open = self._is_too_long = False

    def _keep(self, piece: bytes) -> None:
        if len(self._body) + len(piece) > MAX_FRAME_BYTES:
            self._is_too_long = True
            self._body.clear()
        elif not self._is_too_long:
            self._body += piece

    def _pass_over(self, data: bytes, at: int, stop: int) -> None:
        between = _BETWEEN.match(data, at, stop)
        if not self._is_noise and (between is None or between.end() < stop):
            self._is_noise = True
            self.faults.append(Fault(NOISE))

    def _mark(self, run: bytes) -> None:
        mark = run[0]
        if self._is_open and mark != ETX and self._is_whole:
            self._judge()
        if mark == STX:
            self._abandon()
            self._is_open, self._is_noise = True, False
        elif mark == ENQ and self._is_open:
            self._keep(b"\x05")
        elif mark == ENQ:
            self._is_noise = False
            self.replies += ACK * len(run)
        elif mark == EOT:
            self._abandon()
            self._is_noise = False
        elif self._is_open:
            self._judge()

    def _abandon(self) -> None:
        """The frame will not become whole; an STX alone was none."""
        if self._is_open and (self._body or self._is_too_long):
            self.faults.append(Fault("truncated", rejected=True))
        self._close()

    def _judge(self) -> None:
        found = _FRAME.fullmatch(self._body)
        reason = ""
        if self._is_too_long:
            reason = "length"
        elif _CONTROL.search(self._body):
            reason = "illegal_character"
        elif found is None:
            reason = "layout"
        elif b"%02x" % sum8(found[1]) != found[2].lower():
            reason = "checksum"
        self._close()
        if reason or found is None:
            self.faults.append(Fault(reason, rejected=True))
            self.replies += NAK
            return
        self.frames += 1
        self._take(found[1][:-1].translate(None, b"\x1e\r\n"))
        self.replies += ACK
