"""MLLP, the minimal lower layer of HL7: where a message begins and ends in a stream of bytes.

    ┌─────┬───────────────────────────────┬─────┬─────┐
    │ VT  │  message, segments end in CR  │ FS  │ CR  │
    │ 0BH │                               │ 1CH │ 0DH │
    └─────┴───────────────────────────────┴─────┴─────┘

HL7 Implementation Guide, appendix C, "Lower layer protocols". There is no length and no checksum: a block is believed
to be whole when it ends in FS CR and holds neither VT nor FS. What the message says is not read here.
"""

from drivers.contract import NOISE, Fault

VT, FS, CR = 0x0B, 0x1C, 0x0D
_BETWEEN = b"\r\n"
"""Some senders end a block with a line feed more; between blocks it is no noise."""
_NOISE = Fault(NOISE)
_TRUNCATED = Fault("truncated", rejected=True)
_FRAMING = Fault("framing", rejected=True)
_LENGTH = Fault("length", rejected=True)


def wrap(message: bytes) -> bytes:
    """The message as it goes over the line."""
    return b"\x0b" + message + b"\x1c\r"


class Framer:
    """Takes the stream apart into messages. Its buffer holds one message of at most `limit` bytes.

    `between`: bytes with which a device shows, between blocks, that it is there; they are no noise.
    """

    def __init__(self, limit: int, *, between: bytes = b"") -> None:
        self._limit = limit
        self._between = _BETWEEN + between
        self._buffer = bytearray()
        self._checked = 0
        self._in_noise = False

    @property
    def is_inside(self) -> bool:
        """Whether a block has begun and not ended."""
        return bool(self._buffer)

    def drop(self) -> list[Fault]:
        """Forget what was half received."""
        faults = [_TRUNCATED] if self._buffer else []
        self._buffer.clear()
        self._checked, self._in_noise = 0, False
        return faults

    def feed(self, data: bytes) -> list[bytes | Fault]:
        """The messages in the bytes, without VT, FS and CR, and what was refused; in order, in any split."""
        items: list[bytes | Fault] = []
        self._buffer += data
        at = 0
        while True:
            at = self._hunt(at, items)
            if at == len(self._buffer):
                break
            after = self._read(at, items)
            if after == at:
                break
            at, self._checked = after, 0
        del self._buffer[:at]
        return items

    def _hunt(self, at: int, items: list[bytes | Fault]) -> int:
        """Where the next block begins, or the end. What stands before it is noise, said once for each stretch."""
        begin = self._buffer.find(VT, at)
        end = len(self._buffer) if begin < 0 else begin
        if end > at and not self._in_noise and self._buffer[at:end].strip(self._between):
            self._in_noise = True
            items.append(_NOISE)
        return end

    def _read(self, at: int, items: list[bytes | Fault]) -> int:
        """Where the block that begins at `at` ends; `at` itself: more bytes are needed."""
        buffer = self._buffer
        longest = at + 1 + self._limit
        fs = buffer.find(FS, at + 1 + self._checked, longest + 1)
        again = buffer.rfind(VT, at + 1 + self._checked, fs if fs >= 0 else longest + 1)
        if again >= 0:  # begun again before it ended: each beginning is one block that was cut short
            items += [_TRUNCATED] * buffer.count(VT, at + 1, again + 1)
            return again
        if fs < 0:
            if len(buffer) <= longest:
                self._checked = len(buffer) - at - 1
                return at
            return self._refuse(_LENGTH, longest, items)
        if fs + 1 == len(buffer):
            self._checked = fs - at - 1
            return at
        if buffer[fs + 1] != CR:
            return self._refuse(_FRAMING, fs + 1, items)
        if fs == at + 1:
            return self._refuse(_FRAMING, fs + 2, items)
        items.append(bytes(buffer[at + 1 : fs]))
        self._in_noise = False
        return fs + 2

    def _refuse(self, fault: Fault, upto: int, items: list[bytes | Fault]) -> int:
        """Go on behind it: what is left of a refused block is not said again as noise."""
        self._in_noise = True
        items.append(fault)
        return upto
