"""Frames and single bytes of the Fresenius line, and the scanner that finds them.

    ┌─────┬───────────────────┬────────────────┬──────────────────────┬──────────┬─────┐
    │ STX │ address, 0 or 1   │ command, reply │ arguments after a ;  │ checksum │ ETX │
    │ 02H │ digit (0 = base)  │ 1 or 2 letters │ printable, optional  │ 2 hex    │ 03H │
    └─────┴───────────────────┴────────────────┴──────────────────────┴──────────┴─────┘
    checksum = FFH minus the low byte of the sum of all bytes between STX and the checksum, upper-case hexadecimal
    between frames, one byte each: ACK 06H, NAK 15H and its number, ENQ 05H (are you there) and DC4 14H (yes)

jaj42/infupy, `infupy/backends/fresenius.py`, which says that its settings come from the maker's documentation. ENQ
may come at any byte, also inside a frame (the same file, `RecvThread.run`).
"""

import re

from msgspec import Struct

from drivers.contract import NOISE, Fault

ACK, NAK, ENQ, DC4 = b"\x06", b"\x15", b"\x05", b"\x14"
MAX_CONTENT = 96
"""The maker refuses messages of more than 80 characters (error 0CH of the public program); the rest is room."""

_CONTENT = re.compile(r"([0-9]?)([A-Z]{1,2})(?:;(.*))?")
_TOKEN = re.compile(
    rb"\x02(?P<frame>[ -~]{1,%d})\x03"
    rb"|(?P<broken>\x02[ -~]{1,%d})"
    rb"|(?P<ack>\x06+)"
    rb"|\x15(?P<nak>[1-8])"
    rb"|(?P<noise>\x02+(?=\x02)|\x02|\x15+(?![1-8])|[^\x02\x06\x15]+)" % (MAX_CONTENT, MAX_CONTENT),
    re.DOTALL,
)
_UNFINISHED = re.compile(rb"(?:\x02[ -~]{0,%d}|\x15)\Z" % MAX_CONTENT)


def checksum(body: bytes) -> bytes:
    """Two upper-case hexadecimal digits over what stands between STX and the checksum."""
    return b"%02X" % (0xFF - (sum(body) & 0xFF))


class Frame(Struct, frozen=True):
    """A command or a reply. An empty address is a pump without a base."""

    address: str
    command: str
    arguments: str | None = None

    @classmethod
    def from_bytes(cls, data: bytes) -> "Frame | Fault":
        """A whole frame with STX and ETX; a fault says why it is none."""
        body, found = data[1:-3], data[-3:-1]
        if data[:1] != b"\x02" or data[-1:] != b"\x03":
            return Fault("framing", rejected=True)
        if found != checksum(body):
            return Fault("checksum", rejected=True)
        parts = _CONTENT.fullmatch(body.decode("ascii")) if body.isascii() else None
        if not parts:
            return Fault("layout", rejected=True)
        return cls(parts[1], parts[2], parts[3])

    def to_bytes(self) -> bytes:
        """The frame as it is sent."""
        arguments = "" if self.arguments is None else f";{self.arguments}"
        body = f"{self.address}{self.command}{arguments}".encode("ascii")
        return b"\x02" + body + checksum(body) + b"\x03"


class Calls(Struct, frozen=True):
    """ENQ: how often the device asked whether we are there."""

    count: int


class Refused(Struct, frozen=True):
    """NAK: what we sent did not arrive whole; the number says why."""

    number: str


Item = Frame | Calls | Refused | Fault


class Scanner:
    """Bytes in any split; frames, calls, refusals and faults out. Holds at most one unfinished frame."""

    def __init__(self) -> None:
        self._held = b""

    def drop(self) -> None:
        """Forget what was half received."""
        self._held = b""

    def feed(self, data: bytes) -> list[Item]:
        """What became whole with these bytes. Calls first: they may stand inside a frame and want a quick answer."""
        items: list[Item] = []
        if calls := data.count(ENQ):
            items.append(Calls(calls))
            data = data.replace(ENQ, b"")
        data = self._held + data
        unfinished = _UNFINISHED.search(data, max(0, len(data) - MAX_CONTENT - 1))
        end = unfinished.start() if unfinished else len(data)
        self._held = data[end:]
        items += [item for token in _TOKEN.finditer(data, 0, end) if (item := _item(token)) is not None]
        return items


def _item(token: re.Match[bytes]) -> Item | None:
    if token["frame"] is not None:
        return Frame.from_bytes(token[0])
    if token["nak"]:
        return Refused(token["nak"].decode("ascii"))
    if token["broken"]:
        return Fault("framing", rejected=True)
    return Fault(NOISE) if token["noise"] else None
