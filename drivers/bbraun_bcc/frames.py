"""Blocks of bytes: what a frame is, its length and checksum, character stuffing, and finding frames in a stream.

    │SOH 01│length, 5 digits│STX 02│ bedId/1/1>information │ETX 03 or ETB 17│checksum, 5 digits│EOT 04│

The length counts the whole frame with SOH and EOT, before stuffing; the checksum is the sum of all bytes from SOH to
ETX or ETB modulo 256, before stuffing too. Stuffing (`D` → `EX`, `E` → `EE`, `d` → `ex`, `e` → `ee`) comes last, so
it is undone first. B.Braun, Technical Interface Specification BCC 3.25/3.26, sections on frames and on stuffing.
"""

import re

from msgspec import Struct

from drivers.contract import NOISE, Fault
from drivers.framing.checksum import sum8

SOH, STX, ETX, EOT, ETB = b"\x01", b"\x02", b"\x03", b"\x04", b"\x17"
ACK, NAK = b"\x06", b"\x15"
MAX_FRAME_BYTES = 16384
"""On the wire. The length field would allow 99999; a pump has about 140 parameters of some 30 bytes each."""

_HEAD_BYTES, _TAIL_BYTES = 7, 7
_AROUND_BYTES = _HEAD_BYTES + _TAIL_BYTES
_MARK = re.compile(rb"\x01+|\x04+")
_HEAD = re.compile(rb"\x01([0-9]{5})\x02")
_TAIL = re.compile(rb"([\x03\x17])([0-9]{5})\x04")
_PAIR = re.compile(rb"E[XE]|e[xe]")
_PLAIN = re.compile(rb"[DEde]")
_PAIRS = {b"D": b"EX", b"E": b"EE", b"d": b"ex", b"e": b"ee"}
_SINGLES = {pair: single for single, pair in _PAIRS.items()}
_NO_FRAME = Fault(NOISE)
_TOO_LONG = Fault("too_long", rejected=True)


def stuff(plain: bytes) -> bytes:
    """Each D, E, d, e as its two characters."""
    return _PLAIN.sub(lambda one: _PAIRS[one[0]], plain)


def destuff(wire: bytes) -> bytes | None:
    """Character after character from the left, so that `EEX` is `EX`; None where a lone D, E, d or e stands."""
    if _PLAIN.search(_PAIR.sub(b"", wire)):
        return None
    return _PAIR.sub(lambda pair: _SINGLES[pair[0]], wire)


class Block(Struct, frozen=True):
    """One frame of either direction: what it says, and whether more blocks follow it."""

    info: bytes
    """`bedId/1/1>information`."""
    has_more: bool = False

    @classmethod
    def from_bytes(cls, wire: bytes, *, stuffing: bool) -> "Block | Fault":
        """The block, or the reason why it must not be believed."""
        found = _read(wire, stuffing=stuffing)
        if isinstance(found, Fault) and isinstance(_read(wire, stuffing=not stuffing), Block):
            return Fault("stuffing_setting", "off" if stuffing else "on", rejected=True)
        return found

    def to_bytes(self, *, stuffing: bool) -> bytes:
        """The frame as it goes over the line."""
        size = len(self.info) + _AROUND_BYTES
        plain = b"%b%05d%b%b%b" % (SOH, size, STX, self.info, ETB if self.has_more else ETX)
        plain += b"%05d%b" % (sum8(plain), EOT)
        return stuff(plain) if stuffing else plain


def _read(wire: bytes, *, stuffing: bool) -> Block | Fault:
    plain = destuff(wire) if stuffing else wire
    if plain is None:
        return Fault("stuffing", rejected=True)
    head, tail = _HEAD.match(plain), _TAIL.fullmatch(plain[_HEAD_BYTES:][-_TAIL_BYTES:])
    if not head or not tail:
        return Fault("header" if not head else "trailer", rejected=True)
    if int(head[1]) != len(plain):
        return Fault("length", f"{int(head[1])} {len(plain)}", rejected=True)
    if int(tail[2]) != sum8(plain[:-6]):
        return Fault("checksum", rejected=True)
    return Block(plain[_HEAD_BYTES:-_TAIL_BYTES], tail[1] == ETB)


class Framer:
    """Cuts a stream into frames: from SOH to EOT, neither of which can stand inside. Holds one frame at most."""

    def __init__(self, *, stuffing: bool) -> None:
        self._stuffing = stuffing
        self._held = bytearray()
        """Empty, or a frame that has begun: SOH and what came after it."""

    def drop(self) -> None:
        """Forget what was half received."""
        self._held.clear()

    def feed(self, data: bytes) -> list[Block | Fault]:
        """What `data` completes, in order; bytes that belong to no frame are one fault at the end."""
        held = self._held
        begun, at = (0, len(held)) if held else (-1, 0)
        held += data
        found: list[Block | Fault] = []
        outside = bytearray()
        for mark in _MARK.finditer(held, at):
            is_end = held[mark.start()] == EOT[0]
            if begun >= 0:
                found.append(self._ended(bytes(held[begun : mark.start() + is_end]), is_whole=is_end))
            else:
                outside += held[at : mark.start() + is_end]
            outside += held[mark.start() + 1 : mark.end()]
            begun, at = -1 if is_end else mark.end() - 1, mark.end()
        if begun < 0:
            outside += held[at:]
            held.clear()
        del held[: max(begun, 0)]
        if len(held) > MAX_FRAME_BYTES:
            found.append(_TOO_LONG)
            held.clear()
        return _without_noise(found, outside)

    def _ended(self, piece: bytes, *, is_whole: bool) -> Block | Fault:
        if len(piece) > MAX_FRAME_BYTES:
            return _TOO_LONG
        if not is_whole:
            return Fault("torn", rejected=True) if _HEAD.match(piece) else _NO_FRAME
        return Block.from_bytes(piece, stuffing=self._stuffing) if len(piece) > _AROUND_BYTES else _NO_FRAME


def _without_noise(found: list[Block | Fault], outside: bytearray) -> list[Block | Fault]:
    """Noise is told once, behind what was read. ACK and NAK may stand alone: the device's word on what we sent."""
    kept = [one for one in found if one is not _NO_FRAME]
    if NAK in outside:
        kept.append(Fault("nak"))
    if _NO_FRAME in found or outside.translate(None, ACK + NAK):
        kept.append(_NO_FRAME)
    return kept
