"""The frames of Maquet and Getinge SERVO ventilators (CIE, SCI): text, binary answers, and the stream of RADC.

    text     │ printable characters │ check, 2 hex digits │ EOT 04H │   each command, most answers
    basic    │ 900PCI │ EOT │                                           the one answer without a check
    values   │ hi lo │ hi lo │ … │ 7FH │ check │                         answers to RADAx (SCI)
    curves   │ 81H phase │ 80H hi lo │ difference │ … │ 7FH │ check │
    block    │ B S A E T L │ hi lo │ … │ 7FH │ check │
    error    │ E0H │ code │ 7FH │ check │

Maquet, "Computer Interface Emulator SERVO-i / SERVO-s" reference manual 65 43 388_12, sections on message format and
RADC; Getinge, "Servo Connectivity Interface" reference manual 68 80 036_14. The check is the exclusive or of all
bytes before it: of the text, or of the binary frame with its 7FH. A high byte is never 7FH, a low byte may be: so
binary frames are read in pairs, and only a 7FH in the place of a high byte (or of a whole curve value) ends one.
"""

import re

from msgspec import Struct

from drivers.contract import NOISE, Fault
from drivers.framing.checksum import xor8

EOT, END, ERROR = 0x04, 0x7F, 0xE0
ESC = b"\x1b"
"""Stops the stream and any other output."""
XON_XOFF = b"\x11\x13"
"""Taken out of text, where they are no data; in binary they are. One question at a time needs no more than that."""
HELLO = b"900PCI"
MISSING = 0x7EFF
PHASE, ABSOLUTE = 0x81, 0x80

TEXT, BLOCKS = -1, -2
"""What is awaited: text, the blocks of a stream; or (zero and more) a binary answer of so many value bytes."""
MAX_TEXT, MAX_VALUES, MAX_CURVES = 512, 256, 4096

_ERROR_TEXT = re.compile(rb"ER[0-9]{2}[0-9A-F]{2}\x04")
_BASIC_ERROR = re.compile(rb"ER([0-9]{2})\x04")
"""In BASIC mode nothing has a check: it is known for what it is, and nothing is concluded from it."""
_EOTS = re.compile(rb"\x04+")
_FLOW = re.compile(rb"[\x11\x13]+")
_START = re.compile(rb"[ABELST\x80\x81\xe0]")


class _Shape(Struct, frozen=True):
    """What may stand between the beginning of a binary frame and its 7FH, and the part that more bytes may finish."""

    whole: re.Pattern[bytes]
    part: re.Pattern[bytes]
    limit: int = MAX_VALUES


_PAIRS = _Shape(re.compile(rb"(?:[\x00-\x7e].)*+", re.DOTALL), re.compile(rb"[\x00-\x7e]?\Z"))
_ALARMS = _Shape(re.compile(rb"[\x00\xff]*+"), re.compile(rb"\Z"))
_SILENCED = _Shape(re.compile(rb"[\x00-\x02]*+"), re.compile(rb"\Z"))
_CURVES = _Shape(
    re.compile(rb"(?:\x81[\x10\x20\x30]|\x80[\x00-\x7e].|[\x00-\x7e\x82-\xff])*+", re.DOTALL),
    re.compile(rb"(?:\x81|\x80[\x00-\x7e]?)?\Z"),
    MAX_CURVES,
)
_VALUE = re.compile(rb"\x81.|\x80..|.", re.DOTALL)


class Text(Struct, frozen=True):
    """A command or an answer in characters, without its check."""

    text: str

    def to_bytes(self) -> bytes:
        """As it goes over the line: text, check, EOT."""
        body = self.text.encode("ascii")
        return body + b"%02X\x04" % xor8(body)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Text | None":
        """The text of one frame, its EOT included; None where the check or a character is wrong."""
        body, check = data[:-3], data[-3:-1]
        if data[:-1] == HELLO and data[-1] == EOT:
            return cls(HELLO.decode())
        if not body or data[-1] != EOT or not body.isascii() or check != b"%02X" % xor8(body):
            return None
        text = body.decode("ascii")
        return cls(text) if text.isprintable() else None


class Values(Struct, frozen=True):
    """A binary answer: two bytes for each channel of its table."""

    data: bytes

    def to_bytes(self) -> bytes:
        """As it goes over the line: values, 7FH, check."""
        return _closed(self.data)

    @classmethod
    def from_bytes(cls, data: bytes, size: int) -> "Values | None":
        """The values of one frame of `size` value bytes; None where length or check is wrong."""
        is_whole = len(data) == size + 2 and data[-2] == END and xor8(data[:-1]) == data[-1]
        return cls(data[:-2]) if is_whole else None


class Block(Struct, frozen=True):
    """A block of the stream with its values: B breath, S settings, A and E alarms, L limits, T trend."""

    mark: str
    data: bytes

    def to_bytes(self) -> bytes:
        """As it goes over the line: mark, values, 7FH, check."""
        return _closed(self.mark.encode("ascii") + self.data)


class Curves(Struct, frozen=True):
    """A block of curve values, as sent: phases, absolute values, differences."""

    data: bytes

    def to_bytes(self) -> bytes:
        """As it goes over the line: values, 7FH, check."""
        return _closed(self.data)


class DeviceError(Struct, frozen=True):
    """`ERnn` in binary: the device could not do what it was asked, or the stream has ended."""

    code: int

    def to_bytes(self) -> bytes:
        """As it goes over the line: E0H, code, 7FH, check."""
        return _closed(bytes((ERROR, self.code)))


class DamagedCurves(Struct, frozen=True):
    """A curve block that was refused whole, and how many values it seemed to hold."""

    fault: Fault
    values: int


Item = Text | Values | Block | Curves | DeviceError | DamagedCurves | Fault


def _closed(data: bytes) -> bytes:
    ended = data + bytes((END,))
    return ended + bytes((xor8(ended),))


def pairs(data: bytes) -> tuple[int, ...]:
    """The two-byte values, high byte first."""
    return tuple(data[at] << 8 | data[at + 1] for at in range(0, len(data), 2))


class Demultiplexer:
    """Takes frames from a stream of bytes, one by one, each as what is awaited at that moment.

    `alarms_in_pairs`: alarm blocks hold a priority and a value for each channel (SCI), not one byte (CIE).
    `has_flow_control`: XON and XOFF may stand between the characters of text (CIE).
    """

    def __init__(self, *, alarms_in_pairs: bool, has_flow_control: bool) -> None:
        self._shapes = {
            ord("B"): _PAIRS,
            ord("S"): _PAIRS,
            ord("L"): _PAIRS,
            ord("T"): _PAIRS,
            ord("A"): _PAIRS if alarms_in_pairs else _ALARMS,
            ord("E"): _PAIRS if alarms_in_pairs else _SILENCED,
        }
        self._has_flow_control = has_flow_control
        self._buffer = bytearray()
        self._awaited = TEXT
        self._again()

    def _again(self) -> None:
        """A new frame begins at the head of the buffer."""
        self._at = 0
        self._is_bad = False

    @property
    def is_inside(self) -> bool:
        """Whether bytes wait for the rest of their frame."""
        return bool(self._buffer)

    def drop(self) -> list[Fault]:
        """The rest of what was begun did not come, or nobody asked for it."""
        size = len(self._buffer)
        self._buffer.clear()
        self._again()
        return [Fault("incomplete", str(size), rejected=True)] if size else []

    def add(self, data: bytes) -> None:
        """Bytes as they came."""
        self._buffer += data

    def take(self, awaited: int) -> Item | None:
        """The next frame, or what is wrong with the next bytes; None where more bytes are needed."""
        if not self._buffer:
            return None
        if awaited != self._awaited:
            self._awaited = awaited
            self._again()
        if self._buffer[0] == ERROR:
            if len(self._buffer) < 4:
                return None
            if self._buffer[2] == END and xor8(self._buffer[:3]) == self._buffer[3]:
                return DeviceError(self._cut(4)[1])
        if awaited == TEXT:
            return self._text()
        return self._block() if awaited == BLOCKS else self._values(awaited)

    def _cut(self, size: int) -> bytes:
        head = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._again()
        return head

    def _text(self) -> Item | None:
        if self._has_flow_control and (flow := _FLOW.match(self._buffer)):
            self._cut(flow.end())
        end = self._buffer.find(EOT, self._at, MAX_TEXT)
        if end < 0:
            self._at = len(self._buffer)
            if self._at < MAX_TEXT:
                return None
            return Fault(NOISE, str(len(self._cut(MAX_TEXT - len(HELLO)))))
        if end == 0 and (idle := _EOTS.match(self._buffer)):
            return Fault(NOISE, str(len(self._cut(idle.end()))))
        begun = end - len(HELLO)
        if begun > 0 and self._buffer.startswith(HELLO, begun):  # it has no check that noise fails
            return Fault(NOISE, str(len(self._cut(begun))))
        frame = self._cut(end + 1)
        if self._has_flow_control:
            frame = frame.translate(None, XON_XOFF)
        if basic := _BASIC_ERROR.fullmatch(frame):
            return Fault("device_error", f"basic {basic[1].decode()}")
        return Text.from_bytes(frame) or Fault("checksum", "text", rejected=True)

    def _error_text(self) -> Text | None:
        """`ERnn`, which may stand where binary was awaited."""
        found = _ERROR_TEXT.match(self._buffer)
        text = Text.from_bytes(found[0]) if found else None
        if text:
            self._cut(7)
        return text

    def _values(self, size: int) -> Item | None:
        text = self._error_text()
        if text:
            return text
        end = self._end(_PAIRS, 0)
        if end is None:
            return None
        if end < 0:
            return Fault("length", str(len(self._cut(_PAIRS.limit))), rejected=True)
        is_bad, frame = self._is_bad, self._cut(end + 2)
        found = None if is_bad else Values.from_bytes(frame, size)
        return found or Fault("checksum" if len(frame) == size + 2 else "length", "values", rejected=True)

    def _block(self) -> Item | None:
        first = self._buffer[0]
        if self._buffer[:2] == b"E":
            return None
        if self._buffer[:2] == b"ER":
            if len(self._buffer) < 7:
                return None
            return self._error_text() or self._skip()
        if first in (PHASE, ABSOLUTE):
            return self._closed_block(_CURVES, "")
        shape = self._shapes.get(first)
        return self._closed_block(shape, chr(first)) if shape else self._skip()

    def _skip(self) -> Fault:
        """Bytes that begin nothing, up to the next that may."""
        start = _START.search(self._buffer, 1)
        return Fault(NOISE, str(len(self._cut(start.start() if start else len(self._buffer)))))

    def _closed_block(self, shape: _Shape, mark: str) -> Item | None:
        end = self._end(shape, len(mark))
        if end is None:
            return None
        is_bad = self._is_bad or end < 0
        frame = self._cut(shape.limit if end < 0 else end + 2)
        if not is_bad and xor8(frame[:-1]) == frame[-1]:
            return Block(mark, frame[1:-2]) if mark else Curves(frame[:-2])
        fault = Fault("length" if end < 0 else "checksum", mark or "curves", rejected=True)
        if mark:
            return fault
        values = sum(token[0] != PHASE for token in _VALUE.findall(frame[:-2]))
        return DamagedCurves(fault, values)

    def _end(self, shape: _Shape, first: int) -> int | None:
        """Where the closing 7FH stands, its check behind it; None while they may still come, -1 where they cannot.

        A frame that leaves its shape is bad; it goes to the next 7FH.
        """
        self._at = max(self._at, first)
        is_end = False
        if not self._is_bad:
            found = shape.whole.match(self._buffer, self._at)
            self._at = found.end() if found else self._at
            is_end = self._at < len(self._buffer) and self._buffer[self._at] == END
            self._is_bad = not is_end and not shape.part.match(self._buffer, self._at)
        end = self._at if is_end else -1
        if self._is_bad:
            end = self._buffer.find(END, self._at, shape.limit)
            self._at = end if end >= 0 else len(self._buffer)
        if 0 <= end < shape.limit:
            return end if end + 1 < len(self._buffer) else None
        return -1 if len(self._buffer) >= shape.limit else None
