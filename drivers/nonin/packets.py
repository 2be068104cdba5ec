"""DF2 and DF7: frames of five bytes; 25 of them, the first with SYNC, are a packet, a third of a second.

    DF2  ┌────┬────────┬───────┬───────┬─────┐      DF7  ┌────────┬───────────┬───────────┬───────┬─────┐
         │ 01 │ STATUS │ PLETH │ FLOAT │ sum │           │ STATUS │ PLETH msb │ PLETH lsb │ FLOAT │ sum │
         └────┴────────┴───────┴───────┴─────┘           └────────┴───────────┴───────────┴───────┴─────┘

Nonin, Onyx II 9560 OEM specification, sections on data formats 2 and 7: the sum is that of the first four bytes,
modulo 256; FLOAT means another thing in each of the 25 frames. A sum of eight bits is weak, so nothing is read out of
a packet unless all 25 frames of it fit, SYNC and marker bits included.

No frame bears its number: only counting from SYNC says what a FLOAT is. A frame that comes twice moves all behind it
by one place, and the 25 frames still look right. So 25 frames are a packet only when the frame behind them fits too
and has SYNC; else the whole is refused. What nothing follows is no packet: the last one before the end is not read,
and one that a pause has cut is checked and not read, for it is no longer of now. One frame lost and another doubled
between the same two SYNCs cannot be seen: there are 25 again, and the document fixes the FLOAT of none.
"""

import re
from typing import Final

from msgspec import Struct

from drivers.contract import NOISE, Fault
from drivers.nonin.reading import (
    ARTEFACT,
    LOW_BATTERY,
    OUT_OF_TRACK,
    SENSOR_ALARM,
    SMARTPOINT,
    Reading,
    rate,
)

FRAME_BYTES, FRAMES = 5, 25
PACKET_BYTES = FRAME_BYTES * FRAMES
_SURE = 2
"""So many good frames from SYNC on are no chance: what breaks them is a damaged packet, and no noise."""
_SYNC, _ONE = 0x01, 0x80
_STATUS = {OUT_OF_TRACK: 0x10, ARTEFACT: 0x20, SENSOR_ALARM: 0x08}
_STAT2 = {SMARTPOINT: 0x20, LOW_BATTERY: 0x01}
_STATUS_KNOWN, _STAT2_KNOWN = 0xBF, 0x21
_COLOUR = {0x02: "green", 0x04: "red", 0x06: "yellow"}
RATES: Final = {"HR": 1, "E-HR": 14, "HR-D": 20, "E-HR-D": 22}
"""Number of the frame with the first of two bytes."""
SATURATIONS: Final = {"SpO2": 3, "SpO2-D": 9, "SpO2-fast": 10, "SpO2-B-B": 11, "E-SpO2": 16, "E-SpO2-D": 17}
_SREV, _STAT2_AT = 4, 8
_ODD = b"[%s]" % b"".join(b"\\x%02x" % status for status in range(0x81, 0x100, 2))
_EVEN = b"[%s]" % b"".join(b"\\x%02x" % status for status in range(0x80, 0x100, 2))
"""STATUS with and without SYNC: a beginning is one of the first, and one of the second a frame later."""
_BEGIN_DF2 = re.compile(rb"\x01%s(?=.{3}\x01%s)" % (_ODD, _EVEN), re.DOTALL)
_BEGIN_DF7 = re.compile(rb"%s(?=.{4}%s)" % (_ODD, _EVEN), re.DOTALL)


class Packet(Struct, frozen=True):
    """25 verified frames."""

    status: tuple[int, ...]
    pleth: tuple[int, ...]
    floats: tuple[int, ...]
    """FLOAT of frame 1 is the first."""
    lost: int = 0
    """How many frames are missing between the packet before and this one."""

    @classmethod
    def from_bytes(cls, data: bytes, is_df2: bool, lost: int = 0) -> "Packet | Fault":
        """125 bytes; a fault says which rule they break."""
        frames = [data[at : at + FRAME_BYTES] for at in range(0, len(data), FRAME_BYTES)]
        wrong = next((why for n, frame in enumerate(frames) if (why := _why_not(frame, n, is_df2))), "")
        if wrong or len(data) != PACKET_BYTES:
            return Fault(wrong or "length", rejected=True)
        floats = tuple(frame[3] for frame in frames)
        if is_df2:
            return cls(tuple(f[1] for f in frames), tuple(f[2] for f in frames), floats, lost)
        return cls(tuple(f[0] for f in frames), tuple(f[1] << 8 | f[2] for f in frames), floats, lost)

    def to_bytes(self, is_df2: bool) -> bytes:
        """The packet as it is sent."""
        sent = bytearray()
        for status, pleth, value in zip(self.status, self.pleth, self.floats, strict=True):
            head = (1, status, pleth, value) if is_df2 else (status, pleth >> 8, pleth & 0xFF, value)
            sent += bytes((*head, sum(head) & 0xFF))
        return bytes(sent)

    def float(self, number: int) -> int:
        """FLOAT of a frame by its number, from 1."""
        return self.floats[number - 1]

    @property
    def revision(self) -> str:
        """SREV as a number."""
        return str(self.float(_SREV))

    def reading(self) -> Reading:
        """All that the packet says."""
        every = 0
        colour = ""
        for status in self.status:
            every |= status
            colour = _COLOUR.get(status & 0x06, colour)
        stat2 = self.float(_STAT2_AT)
        flags = {name for name, mask in _STATUS.items() if every & mask}
        flags |= {name for name, mask in _STAT2.items() if stat2 & mask}
        rates = ((code, str(rate(self.float(at), self.float(at + 1)))) for code, at in RATES.items())
        saturations = ((code, str(self.float(at))) for code, at in SATURATIONS.items())
        return Reading(
            values=(*rates, *saturations),
            flags=frozenset(flags),
            others=(
                ("STATUS.other", f"{every & ~_STATUS_KNOWN & 0xFF:02X}"),
                ("STAT2.other", f"{stat2 & ~_STAT2_KNOWN & 0xFF:02X}"),
            ),
            words=(("PERFUSION", colour),) if colour else (),
        )


def _why_not(frame: bytes | bytearray, number: int, is_df2: bool) -> str:
    if len(frame) != FRAME_BYTES or sum(frame[:4]) & 0xFF != frame[4]:
        return "checksum"
    status = frame[1] if is_df2 else frame[0]
    if not status & _ONE or bool(status & _SYNC) != (number == 0) or (is_df2 and frame[0] != 1):
        return "framing"
    return ""


class Packets:
    """Takes the stream apart. Its buffer holds one packet and the beginning of the next at most."""

    def __init__(self, is_df2: bool) -> None:
        self._is_df2 = is_df2
        self._begin = _BEGIN_DF2 if is_df2 else _BEGIN_DF7
        self.drop()

    def drop(self) -> None:
        """Forget what was half received, and what was read before."""
        self._buffer = bytearray()
        self._good = self._skipped = self._old = 0
        self._is_locked = self._in_noise = False
        self._is_first = True

    def pause(self) -> None:
        """What is half received is old by now: the packet that it becomes is checked, and not read."""
        self._old = len(self._buffer)

    def feed(self, data: bytes) -> list[Packet | Fault]:
        """What the bytes hold, in order."""
        self._buffer += data
        items: list[Packet | Fault] = []
        while self._step(items):
            pass
        if self._in_noise:
            self._in_noise = False
            items.append(Fault(NOISE))
        return items

    def _step(self, items: list[Packet | Fault]) -> bool:
        """One packet, or one place where none begins. False: more bytes are needed."""
        if not self._is_locked and not self._good and not self._hunt():
            return False
        while self._good <= FRAMES:
            at = self._good * FRAME_BYTES
            if len(self._buffer) < at + FRAME_BYTES:
                return False
            # The 26th frame is the first one of the next packet.
            if why := _why_not(self._buffer[at : at + FRAME_BYTES], self._good % FRAMES, self._is_df2):
                self._refuse(why, items)
                return True
            self._good += 1
        self._is_locked, self._good = True, 1
        if self._old:
            items.append(Fault("late"))
            self._skipped += len(self._take(PACKET_BYTES))
            return True
        items.append(Packet.from_bytes(self._take(PACKET_BYTES), self._is_df2, self._lost()))
        self._skipped, self._is_first = 0, False
        return True

    def _refuse(self, why: str, items: list[Packet | Fault]) -> None:
        """The frame after `_good` good ones does not fit. After 25 of them none is a beginning but the first."""
        is_whole = self._good == FRAMES
        if self._is_locked or self._good >= _SURE:
            items.append(Fault(why, rejected=True))
        self._is_locked, self._good = False, 0
        self._skip(PACKET_BYTES if is_whole else 1)

    def _lost(self) -> int:
        """Between two packets lie whole packets, however many of their frames came twice or not at all."""
        if self._is_first:
            return -(-self._skipped // FRAME_BYTES)
        return FRAMES * round(self._skipped / PACKET_BYTES)

    def _hunt(self) -> bool:
        """Skip to where a packet may begin; the last six bytes may still become a beginning."""
        found = self._begin.search(self._buffer)
        skip = found.start() if found else max(0, len(self._buffer) - FRAME_BYTES - 1)
        if skip:
            self._skip(skip)
        return found is not None

    def _skip(self, size: int) -> None:
        self._take(size)
        self._skipped += size
        self._in_noise = True

    def _take(self, size: int) -> bytes:
        """The first bytes, out of the buffer."""
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._old = max(0, self._old - size)
        return taken
