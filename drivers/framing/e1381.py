r"""The receiving side of the laboratory link layer: ASTM E1381-95, CLSI LIS1-A (2003) and LIS01-A2.

    ENQ                     → ACK     the sender asks for the line
    ┌─────┬────┬──────┬───────────┬────┬────┬────┬────┐
    │ STX │ FN │ text │ ETB / ETX │ C1 │ C2 │ CR │ LF │  → ACK, or NAK: send it again
    └─────┴────┴──────┴───────────┴────┴────┴────┴────┘
    EOT                               the line is free

FN is an ASCII digit 0–7: 1 in the first frame of a transfer, then one more modulo 8. C1 C2 is the sum of the bytes
from FN through ETB or ETX modulo 256 in hexadecimal, upper case in the standard, lower case in some devices.

A byte-stream state machine: the same bytes in any split have the same effect. A control character in the middle of a
frame may be a letter that lost a bit (`E` becomes ENQ, `D` EOT, `B` STX, `C` ETX), and so may CR (ENQ). An ACK for
such an ENQ would tell the device that its frame, or the next, is safe; so an ENQ inside a frame or in place of its CR
is answered only when an STX, another ENQ or a second of silence follows it, as it does when a device has restarted.

Bytes outside frames are passed over. Each stretch of them, CR and LF apart, is one fault `noise` where it begins and
ends at the next STX, ENQ or EOT: a wrong baud rate or another device on the line is seen, and a flood costs little.
"""

import re
from collections.abc import Callable
from typing import Literal, Protocol

from drivers.contract import NOISE, Fault
from drivers.framing.checksum import sum8

STX, ETX, EOT, ENQ, ETB = 0x02, 0x03, 0x04, 0x05, 0x17
ACK, NAK = b"\x06", b"\x15"

MAX_FRAME_BYTES = 64_000
"""LIS1-A: a frame with all its overhead."""
RECEIVE_TIMEOUT_S = 30.0
"""LIS1-A, receiver time-out: the incomplete message is discarded and the line is neutral."""
SILENCE_S = 1.0
"""After an ENQ that may be a damaged character: who is sending goes on within a character, who asks waits 15 s."""

_BODY_BYTES = MAX_FRAME_BYTES - 6
"""FN and text: a frame without STX, ETB or ETX, two checksum digits, CR and LF."""
_STARTS = bytes((STX, EOT, ENQ))
_START = re.compile(rb"[\x02\x04\x05]")
_OUTSIDE = re.compile(rb"[\r\n]*([^\r\n\x02\x04\x05][^\x02\x04\x05]*)?")
"""What stands between frames: line ends, and then, as the group, what does not belong there."""
_RUN = re.compile(rb"(.)\1*", re.DOTALL)
"""A character and its repetitions, so that a line stuck at one of them costs little."""
_CONTROL = re.compile(rb"[\x00-\x06\x0a\x10-\x17\xff]")
"""The 15 characters that may not stand in text, and what a broken line makes: FF, and 00, which no sum betrays."""
_WHOLE = re.compile(rb"\x02([^\x00-\x06\x0a\x10-\x17\xff]*[\x03\x17])([0-9A-Fa-f]{2})(\r\n)?")
"""A frame that came in one piece: the short way; all others go through the states, to the same verdict."""
_HEX = b"0123456789ABCDEFabcdef"
_CHECKS = {bytes((high, low)): int(bytes((high, low)), 16) for high in _HEX for low in _HEX}
"""Two hexadecimal digits, in either case, to their value; nothing else is a checksum."""
_FRAME_NUMBERS = b"01234567"

_FRAMES_REFUSED = {
    reason: Fault(reason, rejected=True)
    for reason in ("checksum", "frame_number", "illegal_character", "length", "truncated")
}
_NOISE = Fault(NOISE)
_FRAME_WITHOUT_ENQ = Fault("frame_without_enq")
_TIMEOUT = Fault("timeout")
_MESSAGE_LENGTH = Fault("message_length")


Taken = Literal["kept", "given_out", "refused"]


def _run_end(data: bytes, at: int) -> int:
    run = _RUN.match(data, at)
    return run.end() if run else at + 1


class Reader(Protocol):
    """Who reads the text of accepted frames."""

    def take(self, text: bytes, *, is_last: bool) -> Taken:
        """The text of one verified frame, once: kept for more, or the end of what is given out now.

        Or refused, with all that follow in this transfer.
        """
        ...

    def discard(self) -> None:
        """The transfer has ended: what is incomplete will not be completed."""
        ...


class Receiver:
    """The link layer of one line. `feed()` and `expire()` fill what is public here; the caller empties it.

    It never asks for the line, so there is no contention, and it writes nothing but ACK and NAK.
    """

    _state: Callable[[bytes, int], int]

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.replies = bytearray()
        self.faults: list[Fault] = []
        self.frames = 0
        self.promised_from = -1
        """How many bytes of `replies` stand before the first ACK that must wait for a commit; -1: there is none."""
        self.deadline: float | None = None
        self._is_noise = False
        self._begin()
        self._reset()

    def reset(self) -> None:
        """Neutral state, and nothing half received."""
        self._reset()
        self._is_noise = False
        self.deadline = None

    def feed(self, data: bytes, now: float) -> None:
        """Bytes as they came, in any split of the stream."""
        if self.deadline is not None and now >= self.deadline:
            self.expire(now)
        at, end, replied, was_doubtful = 0, len(data), len(self.replies), self._is_doubtful
        while at < end:
            at = self._state(data, at)
        self._set_timer(now, has_replied=was_doubtful or len(self.replies) > replied)

    def expire(self, now: float) -> None:
        """Do what is due at `now`; harmless when nothing is."""
        if self.deadline is None or now < self.deadline:
            return
        if self._is_doubtful:
            self._abandon()
            self._open()
            self._set_timer(now, has_replied=True)
            return
        if self._in_transfer:
            self.faults.append(_TIMEOUT)
        self._close()
        self.deadline = None

    def _set_timer(self, now: float, *, has_replied: bool) -> None:
        if self._is_doubtful:
            self.deadline = now + SILENCE_S
        elif not (self._in_transfer or self._in_frame):
            self.deadline = None
        elif has_replied or self._in_frame:
            self.deadline = now + RECEIVE_TIMEOUT_S

    def _reset(self) -> None:
        self._in_transfer = False
        self._gave_up: Fault | None = None
        self._last_number = -1
        self._ahead = 0
        self._last_frame = b""
        self._leave_frame(is_block_end=False)

    def _open(self) -> None:
        """ENQ: a new transfer; whatever came before is over."""
        if self._in_transfer:
            self._reader.discard()
        self._reset()
        self._in_transfer = True
        self._last_number = 0
        self.replies += ACK

    def _close(self) -> None:
        was_in_transfer = self._in_transfer
        if was_in_transfer or self._in_frame:
            self._reset()
        if was_in_transfer:
            self._reader.discard()

    def _begin(self) -> None:
        """STX: a new frame; nothing of an earlier one is kept."""
        self._body = bytearray()
        self._flaw = ""
        self._terminator = 0
        self._check = b""
        self._in_frame = True
        self._is_doubtful = False
        self._state = self._text

    def _leave_frame(self, *, is_block_end: bool) -> None:
        self._in_frame = False
        self._is_doubtful = False
        self._is_block_end = is_block_end
        self._state = self._between

    # States: each reads `data` from `at` on, and returns how far it came.

    def _between(self, data: bytes, at: int) -> int:
        start = at if data[at] in _STARTS else self._pass_over(data, at)
        is_block_end, self._is_block_end = self._is_block_end and start == at, False
        if start == len(data):
            return start
        self._is_noise = False
        at = start
        if data[at] == STX:
            whole = _WHOLE.match(data, at)
            if whole and len(whole[1]) <= _BODY_BYTES:
                frame, check, line_end = whole.groups()
                self._is_block_end = line_end is None
                self._judge(frame, check, "")
                return whole.end()
            self._begin()
        elif data[at] == EOT:
            self._close()
        elif is_block_end:
            self._doubt()
        else:
            return self._answer_enquiries(data, at)
        return at + 1

    def _pass_over(self, data: bytes, at: int) -> int:
        """To the next STX, ENQ or EOT, or the end; what else stood there is one fault, however it was cut."""
        found = _OUTSIDE.match(data, at)
        if found is None:
            return at
        if found[1] and not self._is_noise:
            self._is_noise = True
            self.faults.append(_NOISE)
        return found.end()

    def _answer_enquiries(self, data: bytes, at: int) -> int:
        self._open()
        end = at + 1
        if end < len(data) and data[end] == ENQ:
            end = _run_end(data, at)
            self.replies += ACK * (end - at - 1)
        return end

    def _text(self, data: bytes, at: int) -> int:
        found = _CONTROL.search(data, at)
        stop = found.start() if found else len(data)
        if stop > at:
            self._keep(data[at:stop])
        if found is None:
            return stop
        byte = data[stop]
        if byte in (ETX, ETB):
            self._terminator = byte
            self._state = self._checksum
        elif byte == STX and not (self._body or self._flaw):
            return _run_end(data, stop)  # STX again before anything else: still the beginning
        elif byte in _STARTS:
            self._interrupt(byte)
        else:
            self._flaw = self._flaw or "illegal_character"
        return stop + 1

    def _checksum(self, data: bytes, at: int) -> int:
        digits = data[at : at + 2 - len(self._check)]
        interrupted = _START.search(digits)
        if interrupted:
            self._check += digits[: interrupted.start()]
            self._interrupt(digits[interrupted.start()])
            return at + interrupted.end()
        self._count_check(digits)
        return at + len(digits)

    def _count_check(self, digits: bytes) -> None:
        self._check += digits
        if len(self._check) == 2:
            self._leave_frame(is_block_end=True)
            self._body.append(self._terminator)
            self._judge(bytes(self._body), self._check, self._flaw)

    def _after_enquiry(self, data: bytes, at: int) -> int:
        """Where no ENQ belongs one came: from a device that restarted, or is it a damaged character?"""
        byte = data[at]
        if byte == STX:
            self._abandon()
            self._open()
            self._begin()
            return at + 1
        if byte in (ENQ, EOT):
            self._abandon()
            self._leave_frame(is_block_end=False)
            return at
        if not self._in_frame:
            self._leave_frame(is_block_end=False)
            return at
        self._is_doubtful = False
        self._flaw = self._flaw or "illegal_character"
        self._state = self._checksum if self._terminator else self._text
        if self._terminator:
            self._count_check(b"\x05")
        return at

    def _interrupt(self, byte: int) -> None:
        """STX, EOT or ENQ before the frame was whole."""
        if byte == ENQ:
            self._doubt()
            return
        self._abandon()
        if byte == STX:
            self._begin()
        else:
            self._close()

    def _doubt(self) -> None:
        self._state = self._after_enquiry
        self._is_doubtful = True

    def _abandon(self) -> None:
        if self._in_transfer and self._in_frame:
            self.faults.append(_FRAMES_REFUSED["truncated"])

    def _keep(self, piece: bytes) -> None:
        if self._flaw:
            return
        if len(self._body) + len(piece) > _BODY_BYTES:
            self._flaw = "length"
        else:
            self._body += piece

    # The verdict on a whole frame.

    def _judge(self, frame: bytes, check: bytes, flaw: str) -> None:
        """`frame` is FN, text and ETB or ETX."""
        if not self._in_transfer:
            self.faults.append(_FRAME_WITHOUT_ENQ)
        elif flaw:
            self._refuse(flaw)
        elif _CHECKS.get(check) != sum8(frame):
            self._refuse("checksum")
        elif self._gave_up:
            self.faults.append(self._gave_up)
            self.replies += NAK
        else:
            self._verified(frame)

    def _verified(self, frame: bytes) -> None:
        number = _FRAME_NUMBERS.find(frame[:1])
        if number >= 0 and number == self._last_number and frame == self._last_frame:
            self.frames += 1
            self.replies += ACK  # our ACK was lost: say it again, store nothing
            return
        if number < 0 or number != (self._last_number + 1) & 7:
            self._refuse("frame_number")
            self._count_ahead(number)
            return
        self.frames += 1
        taken = self._reader.take(frame[1:-1], is_last=frame[-1] == ETX)
        if taken == "refused":
            self._gave_up = _MESSAGE_LENGTH
            self.faults.append(_MESSAGE_LENGTH)
            self.replies += NAK
            return
        if taken == "given_out" and self.promised_from < 0:
            self.promised_from = len(self.replies)
        self._last_number, self._last_frame, self._ahead = number, frame, 0
        self.replies += ACK

    def _count_ahead(self, number: int) -> None:
        """A sender that goes on over a frame we refused comes back to its number after eight, with another text."""
        if number >= 0:
            self._ahead |= 1 << number
        if self._ahead.bit_count() > 1:
            self._gave_up = _FRAMES_REFUSED["frame_number"]
            self._reader.discard()

    def _refuse(self, reason: str) -> None:
        self.faults.append(_FRAMES_REFUSED[reason])
        self.replies += NAK
