"""How the tests talk with the analyzer simulator: a small receiver as E1381 wants it, and the clock by hand."""

import re

from simulators.devices.astm import Astm

ENQ, EOT, ACK, NAK = b"\x05", b"\x04", b"\x06", b"\x15"


class Host:
    """A receiver as E1381 wants it; what it has accepted and how it answers."""

    def __init__(self, answers: list[bytes] | None = None) -> None:
        self.script = answers or []
        self.messages: list[bytes] = []
        self.is_patient = False
        """Keeps what was broken off, too."""
        self.naks = 0
        self._buffer = b""
        self._text = b""
        self._last = 0
        self._is_open = False

    def hear(self, data: bytes) -> bytes:
        self._buffer += data
        said = b""
        while self._buffer:
            if (found := re.match(rb"\x02([^\x02\x04\x05]*?)[\x03\x17]..\r\n", self._buffer, re.S)) and self._is_open:
                self._buffer = self._buffer[found.end() :]
                said += self._judge(found[0])
            elif self._is_open and self._buffer[:1] == b"\x02" and not re.search(rb"[\x04\x05]|\r\n", self._buffer):
                break
            elif self._is_open and (found := re.match(rb"\x02[^\n]*?\x05.*?\n", self._buffer, re.S)):
                # A damaged bit has made an ENQ inside a frame. To acknowledge it would be to acknowledge the frame.
                self._buffer = self._buffer[found.end() :]
                said += self._control(b"\n")
            else:
                byte, self._buffer = self._buffer[:1], self._buffer[1:]
                said += self._control(byte)
        return said

    def _control(self, byte: bytes) -> bytes:
        if byte == ENQ:
            self._is_open, self._text, self._last = True, b"", 0
            return self._say(ACK)
        if byte == EOT:
            if self._is_open and (self.is_patient or self._text.endswith(b"L|1|N\r")):
                self.messages.append(self._text)
            self._is_open = False
        if byte == b"\n" and self._is_open and self._last >= 0:
            self.naks += 1  # the end of something that was no frame
            return self._say(NAK)
        return b""

    def _judge(self, block: bytes) -> bytes:
        body, check = block[1:-4], block[-4:-2]
        if b"%02X" % (sum(body) & 0xFF) != check.upper() or not body[:1].isdigit():
            self.naks += 1
            return self._say(NAK)
        number = int(body[:1])
        if number == self._last % 8 and self._last:
            return self._say(ACK)
        if number != (self._last + 1) % 8:
            self.naks += 1
            return self._say(NAK)
        answer = self._say(ACK)
        if answer in (ACK, EOT):
            self._last += 1
            self._text += body[1:-1]
        return answer

    def _say(self, usual: bytes) -> bytes:
        return self.script.pop(0) if self.script else usual


def play(
    analyzer: Astm, host: Host, until: float, now: float = 0.0, delay: float = 0.01
) -> list[tuple[float, bytes]]:
    """Turn the clock from one event to the next; returns what the analyzer said."""
    said = []
    reply, reply_at = b"", None
    while now <= until:
        out = analyzer.receive(reply, now) if reply else analyzer.wake(now)
        if out:
            said.append((now, out))
        reply = host.hear(out)
        reply_at = now + delay if reply else None
        moments = [at for at in (reply_at, analyzer.wake_at) if at is not None]
        if not moments:
            return said
        if reply_at is not None and min(moments) < reply_at:  # the answer travels; timers run meanwhile
            out = analyzer.wake(min(moments))
            reply += host.hear(out)
            if out:
                said.append((min(moments), out))
        now = max(now, reply_at if reply_at is not None else min(moments))
    return said
