"""Frames of E1381-95 / LIS1-A as analyzers make them, and the receiver an analyzer is when the host answers a query.

    STX FN text (ETB|ETX) C1 C2 CR LF      FN 1, 2 … 7, 0, 1 …; checksum over FN … ETB or ETX, sum modulo 256

How makers differ stands in `FRAMINGS` and `Style`.
"""

from __future__ import annotations

from typing import NamedTuple

STX, ETX, EOT, ENQ, ACK, NAK, ETB = 0x02, 0x03, 0x04, 0x05, 0x06, 0x15, 0x17
FRAME_TEXT_LIMIT = 240
FRAMINGS = ("whole", "record", "record_etb", "record_long", "split")
"""One frame H to L | a record a frame, cut at 240 | the same, ETB on all but the last though every record is complete
(cobas c111) | a record a frame, never cut (Yumizen over TCP) | the message cut at 240 wherever that falls."""
FRAME_ENDS = {"crlf": b"\r\n", "cr": b"\r", "lf": b"\n", "none": b""}
CHECKSUMS = ("upper", "lower", "none")
HOST_MESSAGE_LIMIT = 65_536


class Style(NamedTuple):
    """How a device ends its frames."""

    checksum: str = "upper"
    end: str = "crlf"


STANDARD = Style()


def checksum(data: bytes) -> bytes:
    """Two upper-case hex digits: the sum of `data` modulo 256."""
    return b"%02X" % (sum(data) & 0xFF)


def frame(number: int, text: bytes, is_last: bool = True, style: Style = STANDARD) -> bytes:
    """One frame; `number` is taken modulo 8."""
    body = b"%d" % (number % 8) + text + bytes([ETX if is_last else ETB])
    check = {"upper": checksum(body), "lower": checksum(body).lower(), "none": b""}[style.checksum]
    return bytes([STX]) + body + check + FRAME_ENDS[style.end]


def frames_of(message: bytes, framing: str, style: Style = STANDARD) -> list[bytes]:
    """A message as frames, in one of FRAMINGS."""
    pieces = [message]
    if framing.startswith("record"):
        pieces = [record + b"\r" for record in message.removesuffix(b"\r").split(b"\r")]
    is_cut = framing in ("record", "record_etb", "split")
    cut: list[tuple[bytes, bool]] = []
    for piece in pieces:
        step = FRAME_TEXT_LIMIT if is_cut else max(len(piece), 1)
        for start in range(0, len(piece), step):
            cut.append((piece[start : start + step], start + step >= len(piece)))
    count = len(cut)
    return [
        frame(number, text, number == count if framing == "record_etb" else is_end, style)
        for number, (text, is_end) in enumerate(cut, 1)
    ]


def renumbered(whole: bytes, step: int, style: Style = STANDARD) -> bytes:
    """The same frame with its number moved on by `step`, its checksum right again."""
    at = end_of_text(whole)
    return frame(int(whole[1:2]) + step, whole[2:at], whole[at] == ETX, style)


def end_of_text(whole: bytes) -> int:
    """Where ETX or ETB stands."""
    return max(whole.rfind(bytes([ETX])), whole.rfind(bytes([ETB])))


def with_bad_checksum(whole: bytes) -> bytes:
    """The same frame with a checksum that does not fit; unchanged where it has none."""
    at = end_of_text(whole) + 1
    digits = whole[at : at + 2]
    try:
        wrong = (int(digits, 16) + 1) & 0xFF
    except ValueError:
        return whole
    text = b"%02x" % wrong if digits == digits.lower() and digits != digits.upper() else b"%02X" % wrong
    return whole[:at] + text + whole[at + 2 :]


class HostTransfer:
    """The analyzer as receiver: what the host says between its ENQ and its EOT."""

    def __init__(self) -> None:
        self.message = b""
        """The records taken so far."""
        self.is_over = False
        self.junk = b""
        """Bytes that belong to no frame."""
        self._buffer = bytearray()
        self._last = 0

    def hear(self, byte: int) -> bytes:
        """One byte from the host; returns what the analyzer answers."""
        if byte == EOT and not self._buffer:
            self.is_over = True
            return b""
        if not self._buffer and byte != STX:
            self.junk += bytes([byte])
            return b""
        self._buffer.append(byte)
        if len(self._buffer) > HOST_MESSAGE_LIMIT:
            self._buffer.clear()
            return bytes([NAK])
        if self._buffer[-2:] != b"\r\n":
            return b""
        whole = bytes(self._buffer)
        self._buffer.clear()
        return bytes([ACK if self._is_taken(whole) else NAK])

    def _is_taken(self, whole: bytes) -> bool:
        at = end_of_text(whole)
        body, check = whole[1 : at + 1], whole[at + 1 : at + 3]
        number = (self._last + 1) % 8
        if at < 2 or check.upper() != checksum(body):
            return False
        if self._last and body[:1] == b"%d" % (self._last % 8):
            return True  # sent again: acknowledged, not taken twice
        if body[:1] != b"%d" % number:
            return False
        self._last += 1
        self.message += body[1:-1]
        return True
